// One connection on Node's `ws`, with nothing around it; the same verbs as the pool's.
"use strict";

const { WebSocket } = require("ws");

class Single {
  constructor(url, { highWaterMark = 1024 * 1024, ...options }) {
    this.highWaterMark = highWaterMark;
    this.socket = new WebSocket(url, { perMessageDeflate: false, maxPayload: 0, ...options });
  }

  on(event, listener) {
    this.socket.on(event, listener);
  }

  open() {
    return new Promise((resolve, reject) => {
      this.socket.once("open", resolve);
      this.socket.on("error", reject);
    });
  }

  send(data, callback) {
    this.socket.send(data, callback);
  }

  sendUnlessFull(data) {
    const { socket } = this;
    if (socket.bufferedAmount <= this.highWaterMark) {
      socket.send(data);
      return undefined;
    }
    return new Promise((resolve, reject) => {
      socket.send(data, (error) => (error ? reject(error) : resolve()));
    });
  }

  broadcast(data, callback) {
    this.send(data, callback);
  }
}

module.exports = { Single };
