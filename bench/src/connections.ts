/**
 * `node bench/src/connections.ts [seconds] [per second]`: what a call costs over TCP and over a Unix socket, kept open and
 * opened anew for each call as WASM handlers do; then new connections at a steady rate (2000 a second, for 60 s), of which
 * none may fail. Makes the table of the README anew.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { load, type LoadOptions } from "./load.ts";
import { describeMachine, showInReadme } from "./report.ts";
import { TestServer } from "./server.ts";

const SIDECAR = fileURLToPath(new URL("../../apps/supercar/dist/bin.js", import.meta.url));
const FLOOR = fileURLToPath(new URL("floor.ts", import.meta.url));
const CONNECTIONS = 64;
/** Of each of the first rows: over TCP and the socket in turn, as a machine is not equally fast all the time. */
const ROUNDS = 3;
const ROUND_SECONDS = 4;
const WARM_UP_SECONDS = 1;

const seconds = Number(process.argv[2] ?? 60);
const perSecond = Number(process.argv[3] ?? 2000);
const folder = mkdtempSync(join(tmpdir(), "mikcar-bench-"));
const socketPath = join(folder, "s.sock");
const server = await TestServer.start([SIDECAR, "--kv", "--port", "0", "--socket", socketPath], {
  KV_URL: "memory://",
});
const bare = await TestServer.start([FLOOR], {});
await fetch(`${server.url}/kv/set/key`, { method: "POST", body: "v".repeat(100) });

const ways = [
  { name: "bare node:http, TCP, kept open", target: bare, socketPath: undefined, newConnections: false },
  { name: "TCP, kept open", target: server, socketPath: undefined, newConnections: false },
  { name: "Unix socket, kept open", target: server, socketPath, newConnections: false },
  { name: "bare node:http, TCP, a new one per call", target: bare, socketPath: undefined, newConnections: true },
  { name: "TCP, a new one per call", target: server, socketPath: undefined, newConnections: true },
  { name: "Unix socket, a new one per call", target: server, socketPath, newConnections: true },
] as const;
type Way = (typeof ways)[number];

interface Measured {
  readonly cpuMicros: number;
  readonly perSecond: number;
  readonly p99Ms: number;
  readonly errors: number;
}

const lines = [
  `${new Date().toISOString().slice(0, 10)}, ${describeMachine()}, ${CONNECTIONS} connections; \`GET /kv/get\` of 100 bytes in memory.`,
  "",
  "| connections | CPU µs per call | calls/s | p99 ms | errors |",
  "|---|---:|---:|---:|---:|",
];
const rounds = new Map<Way, Measured[]>(ways.map((way) => [way, []]));
for (let round = 0; round < ROUNDS; round++) {
  for (const way of ways) rounds.get(way)?.push(await measure(way, { seconds: ROUND_SECONDS }));
}
for (const [{ name }, results] of rounds) show(name, results);
for (const way of ways.filter(({ target, newConnections }) => target === server && newConnections)) {
  show(`${way.name}, ${perSecond} a second for ${seconds} s`, [await measure(way, { seconds, perSecond })]);
}
await server.stop();
await bare.stop();
rmSync(folder, { recursive: true });
const table = lines.join("\n");
showInReadme(table, "connections");
console.log(table);

async function measure(way: Way, how: Pick<LoadOptions, "seconds" | "perSecond">): Promise<Measured> {
  const requests = [{ method: "GET", path: "/kv/get/key" }] as const;
  const { target, socketPath: path, newConnections } = way;
  const options = { connections: CONNECTIONS, newConnections, socketPath: path };
  await load(target.url, requests, { ...options, seconds: WARM_UP_SECONDS });
  const before = target.cost().cpuSeconds;
  const { answered, perSecond: reached, p99Ms, errors } = await load(target.url, requests, { ...options, ...how });
  return { cpuMicros: ((target.cost().cpuSeconds - before) / answered) * 1e6, perSecond: reached, p99Ms, errors };
}

/** The round that cost least; the errors of all. */
function show(name: string, results: readonly Measured[]): void {
  const best = results.toSorted((a, b) => a.cpuMicros - b.cpuMicros)[0];
  const errors = results.reduce((sum, result) => sum + result.errors, 0);
  const line = `| ${name} | ${best?.cpuMicros.toFixed(0)} | ${best?.perSecond.toFixed(0)} | ${best?.p99Ms} | ${errors} |`;
  console.error(line);
  lines.push(line);
}
