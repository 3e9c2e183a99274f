import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "@jest/globals";
import { ask, startProgram, temporaryFolder, until } from "@mikcar/devkit";

const BIN = fileURLToPath(new URL("../dist/bin.js", import.meta.url));
const WRITERS = 16;
const ROUNDS = process.env["MIKCAR_TEST_LONG"] === "1" ? 40 : 3;

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

it(
  "finds every acknowledged object whole after SIGKILL under load, and no leftovers",
  async () => {
    const launch = { args: ["--port", "0", "--data", folder.path] };
    /** By path: the number of the last version that was acknowledged. */
    const acknowledged = new Map<string, number>();
    const deleted = new Set<string>();
    let writes = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const program = await startProgram(BIN, launch);
      let isKilled = false;
      const write = async (writer: number): Promise<void> => {
        for (let number = 0; !isKilled; number += 1) {
          const path = `w${writer}/${number % 7}`;
          const version = (acknowledged.get(path) ?? 0) + 1;
          const body = Buffer.alloc(1 + ((writer * 7919 + version * 104_729) % 150_000), `${path} ${version};`);
          const headers = {
            "content-type": `x/${version}`,
            "x-meta-version": String(version),
            "x-meta-sha256": sha256(body),
          };
          const answer = await ask(program.url, `/storage/object/${path}`, { method: "PUT", headers, body });
          if (answer.status !== 201) throw new Error(answer.text);
          acknowledged.set(path, version);
          writes += 1;
          const gone = `w${writer}/gone/${round}-${number}`;
          await ask(program.url, `/storage/object/${gone}`, { method: "PUT", body: "x" });
          if ((await ask(program.url, `/storage/object/${gone}`, { method: "DELETE" })).status === 200)
            deleted.add(gone);
        }
      };
      const writers = Array.from({ length: WRITERS }, (_, writer) => write(writer).catch((error: unknown) => error));
      const goal = writes + 75;
      await until("writes are acknowledged", () => writes > goal);
      const ending = program.stop("SIGKILL");
      isKilled = true;
      await ending;
      await Promise.all(writers);
    }

    const program = await startProgram(BIN, launch);

    for (const [path, version] of acknowledged) {
      const { status, headers, body } = await ask(program.url, `/storage/object/${path}`);
      expect([path, status]).toEqual([path, 200]);
      const found = Number(headers["x-meta-version"]);
      expect(found).toBeGreaterThanOrEqual(version);
      expect(headers["content-type"]).toBe(`x/${found}`);
      expect(sha256(body)).toBe(headers["x-meta-sha256"]);
    }
    for (const path of deleted)
      expect((await ask(program.url, `/storage/object/${path}`, { method: "HEAD" })).status).toBe(404);
    const listed = (await ask(program.url, "/storage/list?limit=10000")).json.objects as { location: string }[];
    for (const { location } of listed) {
      expect((await ask(program.url, `/storage/object/${location}`, { method: "HEAD" })).status).toBe(200);
    }
    expect(readdirSync(join(folder.path, "storage/.mikcar/tmp"))).toEqual([]);
    await program.stop();
  },
  20_000 * ROUNDS,
);
