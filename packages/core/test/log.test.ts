import { writeFileSync } from "node:fs";
import { afterEach, beforeEach, expect, it } from "@jest/globals";
import { type Ending, runProgram, temporaryFolder, until } from "@mikcar/devkit";
import { createLog } from "../src/log.ts";

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

/** Runs a program that logs two lines and then does this. */
function logThen(last: string): Promise<Ending> {
  const file = `${folder.path}/program.mjs`;
  const log = new URL("../dist/index.js", import.meta.url).href;
  writeFileSync(
    file,
    `import { createLog } from ${JSON.stringify(log)};
     const log = await createLog();
     log.info({ n: 1 }, "first");
     log.info({ n: 2 }, "second");
     ${last}`,
  );
  return runProgram(file);
}

it.each(["", "process.exit(0)", "throw new Error('oh')", "setTimeout(() => {}, 100)"])(
  "loses no line when the program ends with %p",
  async (last) => {
    const { stdout } = await logThen(last);

    const lines = stdout.trim().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { level: "info", n: 1, msg: "first" },
      { level: "info", n: 2, msg: "second" },
    ]);
  },
);

it("writes what a program says while it goes on", async () => {
  const ending = logThen("setInterval(() => {}, 1000); setTimeout(() => process.kill(process.pid, 'SIGKILL'), 500)");

  expect((await ending).stdout).toMatch(/first[\s\S]*second/);
});

it("has no line below its level", async () => {
  const lines: string[] = [];
  const log = await createLog("warn", { write: (line: string) => void lines.push(line) });

  log.info({}, "quiet");
  log.warn({}, "loud");

  await until("it is written", () => lines.length > 0);
  expect(lines).toEqual([expect.stringContaining("loud")]);
});
