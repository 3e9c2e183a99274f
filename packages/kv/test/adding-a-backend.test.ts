/** `docs/adding-a-backend.md`, followed step by step in a copy of this package: the seam is as narrow as the page says. */

import { execFile } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "@jest/globals";
import type { KvService as Original } from "../src/service.ts";

const here = fileURLToPath(new URL("../", import.meta.url));
/** Inside the package, so that it finds what the package has installed. */
const copy = join(here, ".seam");
const page = readFileSync(join(here, "../../docs/adding-a-backend.md"), "utf8");
const require = createRequire(import.meta.url);

/** The code that the page puts at a place. */
function code(place: string): string {
  const found = page.split(`<!-- ${place} -->`)[1]?.split("```ts\n")[1]?.split("```")[0];
  if (found === undefined) throw new Error(`the page has no code for ${place}`);
  return found;
}

function put(path: string): void {
  writeFileSync(join(copy, path.replace("packages/kv/", "")), code(path));
}

beforeAll(() => {
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(copy);
  for (const part of ["src", "test"]) cpSync(join(here, part), join(copy, part), { recursive: true });
  put("packages/kv/src/backends/json.ts");
  put("packages/kv/test/json.test.ts");
  const service = join(copy, "src/service.ts");
  const text = readFileSync(service, "utf8")
    .replace(/^ {2}memory: .*\n/m, (line) => line + code("packages/kv/src/service.ts: behind memory"))
    .replace(/^ {2}sharing: .*\n/m, code("packages/kv/src/service.ts: instead of sharing"));
  writeFileSync(service, text);
  writeFileSync(
    join(copy, "tsconfig.json"),
    JSON.stringify({
      extends: "../tsconfig.test.json",
      include: ["src", "test/json.test.ts", "test/contract"],
      references: [],
    }),
  );
  writeFileSync(join(copy, "package.json"), '{"type":"module"}');
  writeFileSync(join(copy, "jest.config.js"), readFileSync(join(here, "jest.config.js")));
});
afterAll(() => rmSync(copy, { recursive: true, force: true }));

it("makes a backend that passes the contract, by one file, one line and one test", async () => {
  const tsc = join(dirname(require.resolve("typescript/package.json")), "bin/tsc");
  await promisify(execFile)(process.execPath, [tsc, "-p", copy, "--noEmit"], { cwd: copy }).catch(
    ({ stdout }: { stdout: string }) => {
      throw new Error(stdout);
    },
  );
  const jest = join(dirname(require.resolve("jest/package.json")), "bin/jest.js");
  const { stderr } = await promisify(execFile)(process.execPath, [jest, "test/json"], { cwd: copy });

  expect(stderr).toMatch(/Tests: +\d{2,} passed, \d{2,} total/);
}, 120_000);

it("makes a scheme that the service knows, and that one worker serves", async () => {
  const { KvService } = (await import(join(copy, "src/service.ts"))) as { KvService: typeof Original };
  const { configUrl } = await import("@mikcar/core");

  const sidecar = await KvService.fromUrl(`json://${join(copy, "kv.json")}`);
  await sidecar.close();

  expect(sidecar.backend).toBe("json");
  expect(KvService.sharing?.(configUrl("json:///x"))).toBe("one");
});
