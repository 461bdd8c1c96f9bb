// A WebSocket server on Node's `ws` that writes down each message before it does anything else.
//
// Its one argument is a JSON object of options (below).  It writes one JSON object per line to
// stdout, each with an `event`, and obeys one JSON object per line from stdin, each with a `do`.
// The end of stdin ends it, so that it cannot outlive the tests.
"use strict";

const fs = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const path = require("node:path");
const readline = require("node:readline");
const { createRequire } = require("node:module");
const { WebSocketServer } = createRequire(path.join(__dirname, "../integration/node/"))("ws");

const options = {
  record: null, // the file to append to; an entry is described in record.py
  port: 0,
  tls: null, // { key, cert }: paths
  maxPayload: 0, // larger messages end the connection with 1009; 0 for no limit
  chatter: 0, // say something on every connection every so many milliseconds; 0 for never
  ...JSON.parse(process.argv[2] || "{}"),
};

const record = fs.openSync(options.record, "a");
let waitsForIdle = false;

function report(event, details = {}) {
  process.stdout.write(JSON.stringify({ event, ...details }) + "\n");
}

function createHttpServer() {
  if (options.tls === null) return http.createServer();
  const { key, cert } = options.tls;
  return https.createServer({ key: fs.readFileSync(key), cert: fs.readFileSync(cert) });
}

const httpServer = createHttpServer();
const sockets = new WebSocketServer({
  server: httpServer,
  perMessageDeflate: false,
  maxPayload: options.maxPayload,
});

function reportIdle() {
  if (waitsForIdle && sockets.clients.size === 0) {
    waitsForIdle = false;
    report("idle");
  }
}

sockets.on("connection", (socket) => {
  socket.on("message", (data) => {
    const entry = Buffer.allocUnsafe(4 + data.length);
    entry.writeUInt32BE(data.length);
    data.copy(entry, 4);
    fs.writeSync(record, entry); // synchronous: it is in the file when anything else happens
  });
  socket.on("error", () => {}); // "close" follows
  // Not before the socket has left the set of clients.
  socket.on("close", () => setImmediate(reportIdle));
});
if (options.chatter) {
  setInterval(() => sockets.clients.forEach((socket) => socket.send("chatter")), options.chatter);
}

// One of the connections, by a number that may be larger than there are connections.
function one(which) {
  const clients = [...sockets.clients];
  return clients[which % clients.length];
}

const commands = {
  close: ({ which, code }) => one(which)?.close(code),
  terminate: ({ which }) => one(which)?.terminate(),
  stall: ({ which, seconds }) => {
    const socket = one(which);
    socket?.pause();
    setTimeout(() => socket?.resume(), seconds * 1000);
  },
  idle: () => {
    waitsForIdle = true;
    reportIdle();
  },
};

readline
  .createInterface({ input: process.stdin })
  .on("line", (line) => {
    const command = JSON.parse(line);
    commands[command.do](command);
  })
  .on("close", () => process.exit(0));

httpServer.listen({ host: "127.0.0.1", port: options.port }, () =>
  report("listening", { port: httpServer.address().port }),
);
