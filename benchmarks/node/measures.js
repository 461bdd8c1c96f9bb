// What is measured, with any client: the counterpart of benchmarks/clients/measures.py.
"use strict";

const { readFileSync } = require("node:fs");
const { performance } = require("node:perf_hooks");

// As a share of the time that is measured, in processor time; at most so many times it by the clock.
const WARM_UP = 0.5;
const LONGEST_WARM_UP = 3;
const SHORTEST_TELLING = 0.005; // seconds
const LARGEST_STEP = 50;
const PAGE_SIZE = 4096;

function seconds() {
  return performance.now() / 1000;
}

function processorSeconds() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

// A client with its traffic.
class Traffic {
  constructor(client, payload) {
    this.client = client;
    this.payload = payload;
    this.received = 0;
    this.wanted = -1;
    client.on("message", (data, isBinary) => {
      if (isBinary) {
        this.received += 1;
        if (this.received === this.wanted) this.arrived();
      } else {
        this.answered(data.toString());
      }
    });
  }

  whenReceived(count) {
    return new Promise((resolve) => {
      this.wanted = this.received + count;
      this.arrived = resolve;
    });
  }

  // Wait until the server has so many messages, and ask what it has counted.
  async counted(wanted) {
    const answer = new Promise((resolve) => (this.answered = resolve));
    this.client.send(`until ${wanted}`);
    const [messages, bytes, processor] = (await answer).split(" ").map(Number);
    return { messages, bytes, processor };
  }
}

function promised(call) {
  return new Promise((resolve, reject) => {
    call((error) => (error ? reject(error) : resolve()));
  });
}

// What to do `count` times.  "await": wait for each callback.  "fire": wait only when full.
const works = {
  send: {
    async await({ client, payload }, count) {
      for (let i = 0; i < count; i += 1) await promised((done) => client.send(payload, done));
    },
    async fire({ client, payload }, count) {
      for (let i = 0; i < count; i += 1) {
        const full = client.sendUnlessFull(payload);
        if (full !== undefined) await full;
      }
    },
  },
  broadcast: {
    async await({ client, payload }, count) {
      for (let i = 0; i < count; i += 1) await promised((done) => client.broadcast(payload, done));
    },
    async fire({ client, payload }, count) {
      for (let i = 0; i < count; i += 1) {
        const full = client.broadcastUnlessFull(payload);
        if (full !== undefined) await full;
      }
    },
  },
};

// With ws, to know that a message was written is all that can be had.
works.confirm = works.send;

async function receive(traffic, count, connections) {
  const arrived = traffic.whenReceived(count * connections);
  traffic.client.broadcast(`blast ${count} ${traffic.payload.length}`, () => {});
  await arrived;
}

async function timed(traffic, task, work, count, perCount, sent) {
  const before = await traffic.counted(0);
  const messages = count * perCount;
  const arriving = sent ? messages : 0;
  const started = seconds();
  const processor = processorSeconds();
  await work(count);
  const after = await traffic.counted(before.messages + arriving);
  const ended = seconds();
  const processorEnded = processorSeconds();
  if (
    after.messages - before.messages !== arriving ||
    after.bytes - before.bytes !== arriving * task.payload
  ) {
    throw new Error(`sent ${arriving} messages of ${task.payload}, not what has arrived`);
  }
  return {
    messages,
    seconds: ended - started,
    cpu_seconds: processorEnded - processor,
    server_cpu_seconds: after.processor - before.processor,
  };
}

async function adaptive(traffic, task) {
  const { connections } = task;
  const sent = task.measure !== "receive";
  const perCount = ["send", "confirm"].includes(task.measure) ? 1 : connections;
  const work = sent
    ? (count) => works[task.measure][task.variant](traffic, count)
    : (count) => receive(traffic, count, connections);
  const started = seconds();
  const processor = processorSeconds();
  let count = 1;
  let took = 0;
  let warm = false;
  while (!warm || took < (task.seconds * WARM_UP) / 2) {
    if (took < SHORTEST_TELLING) {
      count *= 4;
    } else {
      const wanted = (task.seconds * WARM_UP) / took;
      count = Math.max(1, Math.floor(count * Math.min(wanted, LARGEST_STEP)));
    }
    took = (await timed(traffic, task, work, count, perCount, sent)).seconds;
    warm =
      processorSeconds() - processor >= task.seconds * WARM_UP ||
      seconds() - started >= task.seconds * LONGEST_WARM_UP;
  }
  count = Math.max(1, Math.floor((count * task.seconds) / took));
  return timed(traffic, task, work, count, perCount, sent);
}

async function roundTrips(traffic, duration) {
  const times = [];
  const end = seconds() + duration;
  let started = 0;
  while (started < end) {
    started = seconds();
    const returned = traffic.whenReceived(1);
    traffic.client.send(traffic.payload);
    await returned;
    times.push(seconds() - started);
  }
  return times;
}

async function echo(traffic, task) {
  await promised((done) => traffic.client.broadcast("echo", done));
  await roundTrips(traffic, task.seconds * WARM_UP);
  const before = await traffic.counted(0);
  const started = seconds();
  const processor = processorSeconds();
  const times = await roundTrips(traffic, task.seconds);
  const ended = seconds();
  const processorEnded = processorSeconds();
  const after = await traffic.counted(0);
  times.sort((a, b) => a - b);
  return {
    messages: times.length,
    seconds: ended - started,
    cpu_seconds: processorEnded - processor,
    server_cpu_seconds: after.processor - before.processor,
    p50: times[Math.floor(times.length / 2)],
    p99: times[Math.floor((times.length * 99) / 100)],
  };
}

function resident() {
  global.gc();
  return Number(readFileSync("/proc/self/statm", "ascii").split(" ")[1]) * PAGE_SIZE;
}

async function connect(task, make, payload) {
  const warmUp = new Traffic(make(2), payload);
  await warmUp.client.open();
  const before = await warmUp.counted(0);
  const traffic = new Traffic(make(task.connections), payload);
  const residentBefore = resident();
  const started = seconds();
  const processor = processorSeconds();
  await traffic.client.open();
  const ended = seconds();
  const processorEnded = processorSeconds();
  const after = await warmUp.counted(0);
  return {
    messages: task.connections,
    seconds: ended - started,
    cpu_seconds: processorEnded - processor,
    server_cpu_seconds: after.processor - before.processor,
    bytes_per_connection: (resident() - residentBefore) / task.connections,
  };
}

// `make(connections)` makes a client that is not open yet.
async function run(task, make) {
  const payload = Buffer.alloc(task.payload, "x");
  if (task.measure === "connect") return connect(task, make, payload);
  const traffic = new Traffic(make(task.connections), payload);
  await traffic.client.open();
  return task.measure === "echo" ? echo(traffic, task) : adaptive(traffic, task);
}

module.exports = { run };
