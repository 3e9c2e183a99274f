/** A body larger than a sidecar may have memory, through its real program and back. */

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "@jest/globals";
import { ask, type RunningProgram, startProgram } from "@mikcar/devkit";

const BIN = fileURLToPath(new URL("../dist/bin.js", import.meta.url));
const MIB = 1024 * 1024;
const LARGE_MIB = process.env["MIKCAR_TEST_LONG"] === "1" ? 1024 : 128;
/** What it may take beyond what it has when idle. */
const GROWTH_MIB = 96;

/** @param url Of an empty store. */
export function goesBothWays(url: () => Promise<string>): void {
  it(
    `of ${LARGE_MIB} MiB goes both ways through a sidecar of little memory`,
    async () => {
      const args = ["--port", "0", "--log-level", "info"];
      const program = await startProgram(BIN, { args, env: { STORAGE_URL: await url() } });
      try {
        await ask(program.url, "/storage/list");
        const before = peakMib(program);

        const stored = await ask(program.url, "/storage/object/large", { method: "PUT", body: large() });
        const response = await fetch(`${program.url}/storage/object/large`);
        let received = 0;
        for await (const chunk of response.body ?? []) received += chunk.length;

        expect(stored.json).toMatchObject({ status: "created", size: LARGE_MIB * MIB });
        expect(received).toBe(LARGE_MIB * MIB);
        expect(peakMib(program) - before).toBeLessThan(GROWTH_MIB);
      } finally {
        await program.stop();
      }
    },
    LARGE_MIB * 500,
  );
}

async function* large(): AsyncGenerator<Buffer> {
  const block = Buffer.alloc(MIB, "x");
  for (let sent = 0; sent < LARGE_MIB; sent += 1) yield block;
}

/** The most memory it has held so far: proc_pid_status(5). */
function peakMib({ pid }: RunningProgram): number {
  const [, kib] = /^VmHWM:\s*(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kib) / 1024;
}
