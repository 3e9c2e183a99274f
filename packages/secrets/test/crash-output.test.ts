/** A process that ends in disorder, with values at hand, tells none of them. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, it } from "@jest/globals";
import { ask, startProgram, temporaryFolder } from "@mikcar/devkit";

const BIN = fileURLToPath(new URL("../dist/bin.js", import.meta.url));
const KEY = "ab".repeat(32);
const TOKEN = "t0k3n-of-the-sidecar";
const MARK = "v4lu3";

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

it.each([
  ["an exception that nobody catches", "throw new Error('crash')", "Error: crash"],
  ["a promise that nobody catches", "void Promise.reject(new Error('crash'))", "Error: crash"],
  [
    "memory that runs out",
    "const kept = []; for (;;) kept.push(new Array(100_000).fill(kept.length + 0.5))",
    "out of memory",
  ],
  ["an abort", "process.abort()", "Native stack trace"],
])("tells no value, key or token after %s", async (_way, statement, sign) => {
  const crash = join(folder.path, "crash.mjs");
  writeFileSync(crash, `process.on("SIGUSR2", () => { ${statement} });`);
  const program = await startProgram(BIN, {
    args: ["--port", "0", "--log-level", "debug"],
    env: {
      NODE_OPTIONS: `--max-old-space-size=96 --import=${pathToFileURL(crash).href}`,
      SECRETS_URL: `file://${folder.path}/secrets.enc`,
      SECRETS_KEY: KEY,
      SIDECAR_TOKEN: TOKEN,
    },
    cwd: folder.path,
  });
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${TOKEN}` };
  const call = (method: string, value: string): Promise<unknown> =>
    ask(program.url, "/secrets/secret/a", { method, headers, body: JSON.stringify({ value }) });
  await call("POST", MARK);

  const inFlight = Array.from({ length: 16 }, () => call("PUT", MARK.repeat(10_000)).catch(() => undefined)); // cut off
  const { stdout, stderr } = await program.stop("SIGUSR2");
  await Promise.all(inFlight);

  expect(stderr).toContain(sign);
  for (const secret of [MARK, KEY, TOKEN]) expect(stdout + stderr).not.toContain(secret);
});
