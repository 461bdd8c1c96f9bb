// A WebSocket server on Node's `ws`, run by the integration tests.
//
// Its one argument is a JSON object of options (below).  It writes one JSON object per line to
// stdout, each with an `event`, and obeys one JSON object per line from stdin, each with a `do`.
// The end of stdin ends it, so that it cannot outlive the tests.
"use strict";

const fs = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const readline = require("node:readline");
const { WebSocketServer } = require("ws");

const options = {
  mode: "echo", // "echo"; "report" each message; "count": neither
  deflate: false, // offer permessage-deflate; or how, as an object of options of ws
  earlyHints: 0, // how many 103 responses come before the answer to an upgrade
  protocols: [], // subprotocols to choose from, the server's favourite first
  port: 0,
  unix: null, // path of a unix socket to listen on, instead of a port
  tls: null, // { key, cert, clientCA }: paths; a client certificate is demanded with clientCA
  ...JSON.parse(process.argv[2] || "{}"),
};

const counted = { messages: 0, bytes: 0 };

function report(event, details = {}) {
  process.stdout.write(JSON.stringify({ event, ...details }) + "\n");
}

function createHttpServer() {
  if (options.tls === null) return http.createServer();
  const { key, cert, clientCA } = options.tls;
  return https.createServer({
    key: fs.readFileSync(key),
    cert: fs.readFileSync(cert),
    ...(clientCA && { ca: fs.readFileSync(clientCA), requestCert: true, rejectUnauthorized: true }),
  });
}

const httpServer = createHttpServer();
const sockets = new WebSocketServer({
  server: httpServer,
  perMessageDeflate: options.deflate && { threshold: 0, ...options.deflate },
  handleProtocols: (offered) => options.protocols.find((name) => offered.has(name)) ?? false,
});

httpServer.prependListener("upgrade", (request, socket) => {
  const hints = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload; as=style\r\n\r\n";
  for (let sent = 0; sent < options.earlyHints; sent += 1) socket.write(hints);
});

sockets.on("connection", (socket, request) => {
  report("open", {
    url: request.url,
    headers: request.headers,
    protocol: socket.protocol,
    extensions: socket.extensions,
  });
  socket.on("message", (data, isBinary) => {
    counted.messages += 1;
    counted.bytes += data.length;
    if (options.mode === "echo") socket.send(data, { binary: isBinary });
    if (options.mode === "report") report("message", { text: data.toString() });
  });
  socket.on("pong", (data) => report("pong", { data: data.toString() }));
  socket.on("error", (error) => report("error", { message: error.message }));
  socket.on("close", (code, reason) => report("closed", { code, reason: reason.toString() }));
});

function everySocket(action) {
  for (const socket of sockets.clients) action(socket);
}

const commands = {
  close: ({ code, reason }) => everySocket((socket) => socket.close(code, reason)),
  terminate: () => everySocket((socket) => socket.terminate()),
  ping: ({ text }) => everySocket((socket) => socket.ping(text)),
  count: () => report("counted", counted),
};

readline
  .createInterface({ input: process.stdin })
  .on("line", (line) => {
    const command = JSON.parse(line);
    commands[command.do](command);
  })
  .on("close", () => process.exit(0));

const where = options.unix ? { path: options.unix } : { host: "127.0.0.1", port: options.port };
httpServer.listen(where, () => report("listening", { port: httpServer.address().port ?? null }));
