/**
 * As cannon.ts, with a new connection for each call: connect, ask, read to the end. autocannon writes its next request to the
 * connection that is about to close. With `perSecond` calls begin at that rate, however long the others take.
 */

import { connect } from "node:net";
import { text } from "node:stream/consumers";
import type { Job, LoadResult } from "./load.ts";

const TICK_MS = 5;
const TIMEOUT_MS = 10_000;

const job = JSON.parse(await text(process.stdin)) as Job; // written by load.ts
const { hostname, port, host } = new URL(job.url);
const target = job.socketPath === undefined ? { host: hostname, port: Number(port) } : { path: job.socketPath };
const messages = job.requests.map(({ method, path, headers = {}, body = "" }) => {
  const lines = Object.entries({ ...headers, Host: host, Connection: "close", "Content-Length": body.length });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return Buffer.from(`${method} ${path} HTTP/1.1\r\n${head}\r\n${body}`, "latin1");
});

const latencies: number[] = [];
let errors = 0;
let count = 0;

function call(): Promise<void> {
  const startedAt = performance.now();
  const message = messages[count++ % messages.length];
  return new Promise((resolve) => {
    let start = "";
    let hasFailed = false;
    const socket = connect(target, () => socket.write(message as Buffer)); // there is at least one
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error("timeout")));
    socket.on("data", (chunk: Buffer) => {
      if (start.length < 12) start += chunk.toString("latin1", 0, 12);
    });
    socket.on("error", () => (hasFailed = true));
    socket.on("close", () => {
      if (hasFailed || !start.startsWith("HTTP/1.1 2")) errors += 1;
      else latencies.push(performance.now() - startedAt);
      resolve();
    });
  });
}

const begin = performance.now();
const end = begin + job.seconds * 1000;
if (job.perSecond === undefined) {
  const worker = async (): Promise<void> => {
    while (performance.now() < end) await call();
  };
  await Promise.all(Array.from({ length: job.connections }, worker));
} else await paced(job.perSecond);
const seconds = (performance.now() - begin) / 1000;

async function paced(perSecond: number): Promise<void> {
  const open = new Set<Promise<void>>();
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const now = Math.min(performance.now(), end);
      while (count < ((now - begin) / 1000) * perSecond) {
        const one = call().then(() => void open.delete(one));
        open.add(one);
      }
      if (now < end) return;
      clearInterval(timer);
      resolve();
    }, TICK_MS);
  });
  await Promise.all(open);
}

latencies.sort((a, b) => a - b);
const at = (share: number): number => Math.round(latencies[Math.floor(latencies.length * share)] ?? 0);
const result: LoadResult = {
  answered: latencies.length,
  perSecond: latencies.length / seconds,
  p50Ms: at(0.5),
  p99Ms: at(0.99),
  errors,
};
process.stdout.write(JSON.stringify(result));
