// Drives somebody else's Node client, unmodified: `node send.js PACKAGE < orders`.
//
// Orders are JSON documents, one a line: first {url, writeKey, options}, then one call after another. When all are made,
// the client is flushed, and what it reported as failed is printed.

import { readFileSync } from "node:fs";

const [{ url, writeKey, options }, ...calls] = readFileSync(0, "utf8").trim().split("\n").map((line) => JSON.parse(line));
const failures = [];
// Without one, the older two end the process when a batch fails; each call's own callback is told as well.
const errorHandler = () => {};

const clients = {
  "@segment/analytics-node": async () => {
    const { Analytics } = await import("@segment/analytics-node");
    const client = new Analytics({ host: url, writeKey, ...options });
    return [client, () => client.closeAndFlush({ timeout: 60_000 })];
  },
  "analytics-node": async () => {
    const { default: Analytics } = await import("analytics-node");
    const client = new Analytics(writeKey, { host: url, errorHandler, ...options });
    return [client, () => flushAll(client)];
  },
  "@rudderstack/rudder-sdk-node": async () => {
    const { default: Analytics } = await import("@rudderstack/rudder-sdk-node");
    const client = new (Analytics.default ?? Analytics)(writeKey, { dataPlaneUrl: url, errorHandler, ...options });
    return [client, () => flushAll(client)];
  },
};

// A flush of theirs sends one batch.
async function flushAll(client) {
  while (client.queue.length) {
    await new Promise((resolve) => client.flush(resolve).catch(() => {}));
  }
}

const [client, flush] = await clients[process.argv[2]]();
const answered = calls.map(
  ({ call, arguments: message }) =>
    new Promise((resolve) => {
      const timestamp = new Date(message.timestamp);
      client[call]({ ...message, timestamp }, (error) => {
        if (error) failures.push(`${message.messageId}: ${error.message ?? error.code ?? error}`);
        resolve();
      });
    }),
);
await flush();
await Promise.all(answered);
console.log(JSON.stringify(failures));
process.exit(0);
