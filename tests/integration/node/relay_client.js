// A local client of a relay, on ws, with the options of websockets_client.py as far as they are
// needed: url, headers.
"use strict";

const WebSocket = require("ws");

const options = JSON.parse(process.argv[2]);
const socket = new WebSocket(options.url, { headers: options.headers });
const received = [];
const text = [];

function end(result) {
    process.stdout.write(JSON.stringify(result));
    socket.terminate();
}

socket.on("unexpected-response", (request, response) => end({ status: response.statusCode }));
socket.on("error", () => {});
socket.on("open", () => {
    socket.send("text");
    socket.send(Buffer.from([0x00, 0xff]));
});
socket.on("message", (data, isBinary) => {
    received.push(isBinary ? data.toString("hex") : data.toString());
    text.push(!isBinary);
    if (received.length === 2) {
        socket.close(1000);
    }
});
socket.on("close", (code) => {
    if (received.length === 2) {
        end({ received, text, code });
    }
});
