/**
 * `node bench/src/s3.ts [rounds]`: what a call costs through the sidecar, beside what the bare client library spends on the
 * same in the same process, one after the other, on a MinIO. Writes `bench/results/s3.md` and the table of the README.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Client } from "minio";
import { startMinio } from "@mikcar/devkit/minio";
import { load } from "./load.ts";
import { describeMachine, showInReadme } from "./report.ts";
import type { Request } from "./rows.ts";
import type { Job, Spent, Target } from "./s3-process.ts";
import { pinned } from "./server.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const ROWS = [
  { method: "GET", bytes: KIB, calls: 1500, atOnce: 16, goal: 1.3 },
  { method: "PUT", bytes: KIB, calls: 1000, atOnce: 16, goal: 1.3 },
  { method: "GET", bytes: 16 * MIB, calls: 60, atOnce: 4, goal: 1.1 },
  { method: "PUT", bytes: 16 * MIB, calls: 40, atOnce: 4, goal: 1.1 },
] as const;
const BUCKET = "bench";
const SECONDS = 4;

const rounds = Number(process.argv[2] ?? 3);
const minio = await startMinio();
const admin = new Client({
  endPoint: "127.0.0.1",
  port: Number(new URL(minio.url).port),
  useSSL: false,
  accessKey: minio.accessKey,
  secretKey: minio.secretKey,
});
await admin.makeBucket(BUCKET);
for (const bytes of [KIB, 16 * MIB]) {
  for (let at = 0; at < 20; at++) await admin.putObject(BUCKET, `seed-${bytes}/${at}`, Buffer.alloc(bytes, "s"));
}
const lines = [
  `${new Date().toISOString().slice(0, 10)}, ${describeMachine()}; CPU of one process, median of ${rounds} rounds.`,
  "",
  "| call | client | bare µs | sidecar µs | ratio | goal |",
  "|---|---|---:|---:|---:|---:|",
];
for (const client of ["s3", "minio"] as const) {
  const { process: child, url } = await start({ ...minio, endpoint: minio.url, bucket: BUCKET, client });
  for (const row of ROWS) {
    const name = `${row.method} ${row.bytes === KIB ? "1 KiB" : "16 MiB"}`;
    const pairs: { bare: number; served: number }[] = [];
    for (let round = 0; round <= rounds; round++) {
      const bare = await bareMicros(child, row);
      const served = await servedMicros(child, url, row);
      if (round > 0) pairs.push({ bare, served }); // the first warms up
    }
    const [bare, served] = [median(pairs.map((pair) => pair.bare)), median(pairs.map((pair) => pair.served))];
    const ratio = median(pairs.map((pair) => pair.served / pair.bare));
    lines.push(
      `| ${name} | ${client} | ${bare.toFixed(0)} | ${served.toFixed(0)} | ${ratio.toFixed(2)} | ${row.goal} |`,
    );
    console.error(lines.at(-1));
  }
  child.disconnect();
}
await minio.remove();
const table = lines.join("\n");
writeFileSync(new URL("../results/s3.md", import.meta.url), `${table}\n`);
showInReadme(table, "s3");
console.log(table);

type Row = (typeof ROWS)[number];

async function bareMicros(child: ChildProcess, { method, bytes, calls, atOnce }: Row): Promise<number> {
  return (await ask(child, { kind: "bare", method, bytes, calls, atOnce })).micros / calls;
}

async function servedMicros(child: ChildProcess, url: string, { method, bytes, atOnce }: Row): Promise<number> {
  const body = Buffer.alloc(bytes, "b");
  const requests: Request[] = Array.from({ length: bytes === KIB ? 20 : 2 }, (_, at) =>
    method === "GET"
      ? { method, path: `/storage/object/seed-${bytes}/${at}` }
      : { method, path: `/storage/object/served-${bytes}/${at}`, body },
  );
  const before = await ask(child, { kind: "cpu" });
  const { answered, errors } = await load(url, requests, {
    seconds: SECONDS,
    connections: atOnce,
    newConnections: false,
  });
  const after = await ask(child, { kind: "cpu" });
  if (errors > 0 || answered === 0) throw new Error(`a run with errors is void: ${errors} of ${answered}`);
  return (after.micros - before.micros) / answered;
}

async function ask(child: ChildProcess, job: Job): Promise<Spent> {
  const answer = once(child, "message");
  child.send(job);
  return (await answer)[0] as Spent; // what s3-process.ts sends
}

async function start(target: Target): Promise<{ process: ChildProcess; url: string }> {
  const file = fileURLToPath(new URL("s3-process.ts", import.meta.url));
  const [program, args] = pinned(0, [process.execPath, file, JSON.stringify(target)]);
  const child = spawn(program, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const [{ url }] = (await once(child, "message")) as [{ url: string }];
  return { process: child, url };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
