// A pool of WebSocket connections on Node's `ws`, as an experienced developer would write one for
// throughput: round robin over what is open, backpressure by `bufferedAmount` and by the callback
// of `send`, no compression.  It reconnects nothing: here nothing is lost.
"use strict";

const { EventEmitter } = require("node:events");
const { WebSocket } = require("ws");

// Emits "message" (data, isBinary, connection) for each message, whichever connection it is from.
class RoundRobinPool extends EventEmitter {
  // A connection that holds more than `highWaterMark` bytes is full.
  constructor(url, { size, highWaterMark = 1024 * 1024, ...options }) {
    super();
    this.url = url;
    this.size = size;
    this.highWaterMark = highWaterMark;
    this.options = { perMessageDeflate: false, maxPayload: 0, ...options };
    this.sockets = [];
    this.at = 0;
  }

  // Open all connections at once; the promise is fulfilled when every one of them is open.
  async open() {
    const opening = Array.from({ length: this.size }, (_, connection) => this.connect(connection));
    this.sockets = await Promise.all(opening);
  }

  connect(connection) {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(this.url, this.options);
      socket.on("message", (data, isBinary) => this.emit("message", data, isBinary, connection));
      socket.once("open", () => resolve(socket));
      socket.on("error", reject);
    });
  }

  next() {
    const { sockets } = this;
    for (let tried = 0; tried < sockets.length; tried += 1) {
      const socket = sockets[this.at];
      this.at = (this.at + 1) % sockets.length;
      if (socket.readyState === WebSocket.OPEN) return socket;
    }
    throw new Error("no connection is open");
  }

  // Send on one connection; `callback(error)` is called when the message is written.
  send(data, callback) {
    this.next().send(data, callback);
  }

  // Send on one connection, without waiting while it has room.  Return undefined, or, if it is
  // full, a promise that is fulfilled when it has written all.
  sendUnlessFull(data) {
    return this.offer(this.next(), data);
  }

  // Send on every connection; `callback(error)` is called when the last has written the message.
  broadcast(data, callback) {
    let pending = this.sockets.length;
    const written = (error) => {
      pending -= 1;
      if (error || pending === 0) callback(error);
    };
    for (const socket of this.sockets) socket.send(data, written);
  }

  // Send on every connection; return undefined, or a promise as that of sendUnlessFull.
  broadcastUnlessFull(data) {
    const full = [];
    for (const socket of this.sockets) {
      const writing = this.offer(socket, data);
      if (writing !== undefined) full.push(writing);
    }
    return full.length === 0 ? undefined : Promise.all(full);
  }

  offer(socket, data) {
    if (socket.bufferedAmount <= this.highWaterMark) {
      socket.send(data);
      return undefined;
    }
    return new Promise((resolve, reject) => {
      socket.send(data, (error) => (error ? reject(error) : resolve()));
    });
  }
}

module.exports = { RoundRobinPool };
