// One measurement in this process: `node --expose-gc client.js TASK` writes its result as JSON.
// TASK is as that of benchmarks/clients, with one property more, `variant`: "await" or "fire".
"use strict";

const { readFileSync } = require("node:fs");
const { run } = require("./measures");
const { RoundRobinPool } = require("./pool");
const { Single } = require("./single");

const task = JSON.parse(process.argv[2]);
const ca = task.authority === null ? undefined : readFileSync(task.authority);
const clients = {
  pool: (size) => new RoundRobinPool(task.url, { size, ca }),
  single: () => new Single(task.url, { ca }),
};

run(task, clients[task.client]).then(
  (result) => process.stdout.write(JSON.stringify(result) + "\n", () => process.exit(0)),
  (error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exit(1);
  },
);
