/** A real MinIO, a server of the S3 protocol: from the Go module proxy, built on first use. */

import type { ChildProcess } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../folder.ts";
import { goProgram } from "../go.ts";
import { freePort } from "../ports.ts";
import { type Certificate, LOCALHOST } from "./certificate.ts";
import { end, launch } from "./launch.ts";

export { type Certificate, LOCALHOST };

export interface MinioServer {
  readonly url: string;
  /** `127.0.0.1:port`; with TLS `localhost:port`. */
  readonly address: string;
  readonly accessKey: string;
  readonly secretKey: string;
  /** As a crash: SIGKILL. */
  kill(): Promise<void>;
  /** Starts it again, on the same port with the same data. */
  start(): Promise<void>;
  /** Makes it answer nothing until `thaw`, with its connections open. */
  freeze(): void;
  thaw(): void;
  /** Stops it and removes its data. */
  remove(): Promise<void>;
}

const VERSION = "v0.0.0-20260212201848-7aac2a2c5b7c";
const LOGIN = { accessKey: "mikcar", secretKey: "hush-secret-key" };

/** The path of its program. The first time takes minutes. */
export function minioProgram(): Promise<string> {
  return goProgram("minio", "github.com/minio/minio", VERSION);
}

/** Starts one on a free port, with its data in a new folder. @param tls TLS alone, with this certificate. */
export async function startMinio({ tls }: { readonly tls?: Certificate } = {}): Promise<MinioServer> {
  const path = await minioProgram();
  const folder = temporaryFolder();
  const [data, certificates] = [join(folder.path, "data"), join(folder.path, "certs")];
  for (const made of [data, certificates]) mkdirSync(made);
  if (tls !== undefined) {
    writeFileSync(join(certificates, "public.crt"), tls.certificate);
    writeFileSync(join(certificates, "private.key"), tls.key);
  }
  const port = await freePort();
  const run = (): Promise<ChildProcess> =>
    launch({
      name: "MinIO",
      path,
      args: ["server", "--address", `127.0.0.1:${port}`, "--certs-dir", certificates, data],
      env: {
        PATH: process.env["PATH"] ?? "",
        HOME: folder.path,
        MINIO_ROOT_USER: LOGIN.accessKey,
        MINIO_ROOT_PASSWORD: LOGIN.secretKey,
        MINIO_BROWSER: "off",
        MINIO_UPDATE: "off",
      },
      readyText: "API: http",
      exitSignal: "SIGKILL",
    });
  let server = await run();
  const address = `${tls === undefined ? "127.0.0.1" : "localhost"}:${port}`;
  return {
    url: `${tls === undefined ? "http" : "https"}://${address}`,
    address,
    ...LOGIN,
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
