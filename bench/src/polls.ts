/**
 * `node bench/src/polls.ts [count]`: what idle long-polls cost (10 000, each on a queue of its own), and how soon a push
 * wakes one of them, on each backend of the queue.
 */

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startRabbitmq } from "@mikcar/devkit/rabbitmq";
import { startRedis } from "@mikcar/devkit/redis";
import { TestServer } from "./server.ts";

const SIDECAR = fileURLToPath(new URL("../../apps/supercar/dist/bin.js", import.meta.url));
const IDLE_MS = 5000;
const WAKES = 20;
const AT_ONCE = 200;

const polls = Number(process.argv[2] ?? 10_000);
const redis = await startRedis();
const rabbitmq = await startRabbitmq();
const data = mkdtempSync(join(tmpdir(), "mikcar-bench-"));
const backends = {
  memory: "memory://",
  lmdb: `file://${data}/queue.lmdb`,
  redis: await redis.freshUrl(),
  rabbitmq: rabbitmq.url,
};
for (const [name, url] of Object.entries(backends)) console.log(`${name}: ${await measure(url)}`);
await redis.remove();
await rabbitmq.remove();
rmSync(data, { recursive: true });

async function measure(url: string): Promise<string> {
  const server = await TestServer.start([SIDECAR, "--queue", "--port", "0"], { QUEUE_URL: url });
  await fetch(`${server.url}/queue/pop/warm?timeout=0`);
  const before = residentMib(server.pid);
  const sockets: Socket[] = [];
  for (let first = 0; first < polls; first += AT_ONCE) {
    const numbers = Array.from({ length: Math.min(AT_ONCE, polls - first) }, (_, index) => first + index);
    sockets.push(...(await Promise.all(numbers.map((number) => poll(server.url, `poll-${number}`)))));
  }
  await fetch(`${server.url}/queue/len/warm`); // behind all that was asked before
  const start = server.cost().cpuSeconds;
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  const idle = ((server.cost().cpuSeconds - start) / IDLE_MS) * 1000 * 1000;
  const memory = residentMib(server.pid) - before;

  const times: number[] = [];
  for (let count = 0; count < WAKES; count++) {
    const number = Math.floor(((count + 0.5) * polls) / WAKES);
    const woken = once(sockets[number] as Socket, "data"); // there are so many
    const begin = performance.now();
    await fetch(`${server.url}/queue/push/poll-${number}`, { method: "POST", body: "1" });
    await woken;
    times.push(performance.now() - begin);
  }
  for (const socket of sockets) socket.destroy();
  await server.stop();
  times.sort((a, b) => a - b);
  const [median = 0, worst = 0] = [times[WAKES / 2], times.at(-1)];
  return `${polls} idle polls: ${memory.toFixed(0)} MiB more, ${idle.toFixed(1)} ms of CPU a second; a push wakes its poll within ${median.toFixed(1)} ms (median), ${worst.toFixed(1)} ms (worst of ${WAKES})`;
}

async function poll(url: string, queue: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, "connect");
  socket.write(`GET /queue/pop/${queue}?timeout=60 HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  return socket;
}

function residentMib(pid: number): number {
  const [, kib = "0"] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kib) / 1024;
}
