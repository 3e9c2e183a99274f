/**
 * `pnpm bench [options] [row …]`: server CPU per request of each row, in floors. Rows are chosen by the beginning of
 * their name. Options: --seconds N (4), --url URL (a server that runs already; its CPU cannot be seen), --new-connections,
 * --name NAME (of the result files, `latest`), --compare A.json B.json.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { startPostgres } from "@mikcar/devkit/postgres";
import { startRabbitmq } from "@mikcar/devkit/rabbitmq";
import { startRedis } from "@mikcar/devkit/redis";
import { load, type LoadOptions, type LoadResult } from "./load.ts";
import { compare, describeMachine, type Measured, read, save, showInReadme } from "./report.ts";
import { type Request, type Row, rows } from "./rows.ts";
import { TestServer } from "./server.ts";

const SIDECAR = fileURLToPath(new URL("../../apps/supercar/dist/bin.js", import.meta.url));
const FLOOR = fileURLToPath(new URL("floor.ts", import.meta.url));
const WARM_UP_SECONDS = 1;
const FLOOR_SECONDS = 2;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: "string", default: "4" },
    url: { type: "string" },
    name: { type: "string", default: "latest" },
    "new-connections": { type: "boolean", default: false },
    compare: { type: "boolean", default: false },
  },
});

if (values.compare) {
  const [a, b] = positionals;
  if (a === undefined || b === undefined) throw new Error("--compare needs two result files");
  console.log(compare(read(a), read(b)));
} else await bench();

async function bench(): Promise<void> {
  const chosen = rows.filter(
    ({ name }) => positionals.length === 0 || positionals.some((start) => name.startsWith(start)),
  );
  if (chosen.length === 0) throw new Error(`no such row; known: ${rows.map(({ name }) => name).join(", ")}`);
  const options = { seconds: Number(values.seconds), connections: 64, newConnections: values["new-connections"] };
  if (values.url !== undefined) return benchUrl(values.url, chosen, options);

  const postgres = chosen.some(({ needsPostgres }) => needsPostgres) ? await startPostgres() : undefined;
  const redis = chosen.some(({ needsRedis }) => needsRedis) ? await startRedis() : undefined;
  const rabbitmq = chosen.some(({ needsRabbitmq }) => needsRabbitmq) ? await startRabbitmq() : undefined;
  const measured: Measured[] = [];
  const floors = [await floor(options)];
  for (const row of chosen) {
    process.stderr.write(`${row.name} … `);
    const database = row.needsPostgres ? { DATABASE_URL: (await postgres?.freshUrl()) ?? "" } : {};
    const redisUrl = row.needsRedis ? await redis?.freshUrl() : undefined;
    const store = redisUrl === undefined ? {} : { KV_URL: redisUrl, QUEUE_URL: redisUrl };
    const broker = row.needsRabbitmq ? { QUEUE_URL: rabbitmq?.url ?? "" } : {};
    const result = await benchRow({ ...row, env: { ...row.env, ...database, ...store, ...broker } }, options);
    floors.push(await floor(options));
    // Beside the floors before and after it, as a machine is not equally fast all the time.
    const floorMicros = ((floors.at(-1) ?? 0) + (floors.at(-2) ?? 0)) / 2;
    process.stderr.write(`${result.cpuMicros.toFixed(0)} µs, ${(result.cpuMicros / floorMicros).toFixed(2)} floors\n`);
    measured.push({ ...result, floors: result.cpuMicros / floorMicros });
  }
  await postgres?.remove();
  await redis?.remove();
  await rabbitmq?.remove();
  const floorMicros = floors.toSorted((a, b) => a - b)[Math.floor(floors.length / 2)] ?? 0;
  const mode = `64 ${options.newConnections ? "connections, a new one per call" : "keep-alive connections"}`;
  const results = { at: new Date().toISOString(), machine: describeMachine(), mode, floorMicros, rows: measured };
  const table = save(values.name, results);
  if (values.name === "latest" && chosen.length === rows.length) showInReadme(table);
  console.log(`\n${table}`);
  if (measured.some(({ errors }) => errors > 0)) throw new Error("a run with errors is void");
}

async function floor(options: LoadOptions): Promise<number> {
  const server = await TestServer.start([FLOOR], {});
  const { cpuMicros } = await measure(server, [{ method: "GET", path: "/" }], { ...options, seconds: FLOOR_SECONDS });
  await server.stop();
  return cpuMicros;
}

async function benchRow(row: Row, options: LoadOptions): Promise<Measured> {
  const data = mkdtempSync(join(tmpdir(), "mikcar-bench-"));
  const socketPath = row.overSocket ? join(data, "bench.sock") : undefined;
  const socket = socketPath === undefined ? [] : ["--socket", socketPath];
  const server = await TestServer.start([SIDECAR, "--all", "--port", "0", "--data", data, ...socket], row.env);
  try {
    await seed(server.url, row.seed);
    return {
      row: row.name,
      goal: row.goal,
      floors: 0,
      ...(await measure(server, row.requests, { ...options, socketPath })),
    };
  } finally {
    await server.stop();
    rmSync(data, { recursive: true });
  }
}

async function measure(
  server: TestServer,
  requests: readonly Request[],
  options: LoadOptions,
): Promise<Omit<Measured, "row" | "goal" | "floors">> {
  await load(server.url, requests, { ...options, seconds: WARM_UP_SECONDS });
  const start = server.cost();
  const { answered, ...result } = await load(server.url, requests, options);
  const end = server.cost();
  if (answered === 0) throw new Error("no call was answered");
  return {
    ...result,
    cpuMicros: ((end.cpuSeconds - start.cpuSeconds) / answered) * 1e6,
    peakMemoryMib: end.peakMemoryMib,
  };
}

/** A server of somebody else: only what can be seen from outside. */
async function benchUrl(url: string, chosen: readonly Row[], options: LoadOptions): Promise<void> {
  for (const row of chosen) {
    await seed(url, row.seed);
    const { perSecond, p50Ms, p99Ms, errors }: LoadResult = await load(url, row.requests, options);
    console.log(`${row.name}: ${perSecond.toFixed(0)} req/s, p50 ${p50Ms} ms, p99 ${p99Ms} ms, ${errors} errors`);
  }
}

async function seed(url: string, requests: readonly Request[]): Promise<void> {
  for (const { method, path, headers = {}, body } of requests) {
    const response = await fetch(url + path, {
      method,
      headers,
      ...(body === undefined ? {} : { body: new Uint8Array(Buffer.from(body)) }),
    });
    await response.arrayBuffer();
    if (!response.ok) throw new Error(`seeding failed: ${method} ${path} answered ${response.status}`);
  }
}
