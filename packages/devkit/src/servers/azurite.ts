/** Azurite, Microsoft's emulator of Azure Blob Storage: https://github.com/Azure/Azurite. It keeps what it has in memory. */

import type { ChildProcess } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { type IncomingMessage, request as httpRequest } from "node:http";
import { request as httpsRequest, type RequestOptions } from "node:https";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { temporaryFolder } from "../folder.ts";
import { npmPackage } from "../npm.ts";
import { freePort } from "../ports.ts";
import { type Certificate, LOCALHOST } from "./certificate.ts";
import { end, launch } from "./launch.ts";

export { type Certificate, LOCALHOST };

export interface AzuriteServer {
  readonly port: number;
  /** With the account in its path, as emulators have it. */
  readonly endpoint: string;
  readonly account: string;
  readonly key: string;
  /** A new container, empty. @returns Its name. */
  freshContainer(): Promise<string>;
  /** As a crash: SIGKILL. What it had is gone. */
  kill(): Promise<void>;
  /** Starts it again, on the same port. */
  start(): Promise<void>;
  /** Makes it answer nothing until `thaw`, with its connections open. */
  freeze(): void;
  thaw(): void;
  remove(): Promise<void>;
}

const VERSION = "3.37.0";
const HOST = "127.0.0.1";
const ACCOUNT = "mikcar";
const KEY = Buffer.from("a key for tests, and worthless elsewhere").toString("base64");

/** Starts one on a free port. @param tls TLS alone, for `localhost`, and then it takes tokens of any issuer too. */
export async function startAzurite({ tls }: { readonly tls?: Certificate } = {}): Promise<AzuriteServer> {
  const program = join(await npmPackage("azurite", VERSION), "node_modules/azurite/dist/src/blob/main.js");
  const folder = temporaryFolder();
  const port = await freePort();
  const options = ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"];
  const env = { PATH: process.env["PATH"] ?? "", AZURITE_ACCOUNTS: `${ACCOUNT}:${KEY}` };
  const secured = tls === undefined ? [] : tlsOptions(folder.path, tls);
  const run = (): Promise<ChildProcess> =>
    launch({
      name: "Azurite",
      path: process.execPath,
      args: [program, "--blobHost", HOST, "--blobPort", String(port), ...options, ...secured],
      env,
      readyText: "successfully listens",
      exitSignal: "SIGKILL",
    });
  let server = await run();
  const plain = `${tls === undefined ? `http://${HOST}` : "https://localhost"}:${port}`;
  let containers = 0;
  return {
    port,
    endpoint: `${plain}/${ACCOUNT}`,
    account: ACCOUNT,
    key: KEY,
    freshContainer: async () => {
      const name = `container-${containers++}`;
      await createContainer(plain, name);
      return name;
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

function tlsOptions(folder: string, { certificate, key }: Certificate): string[] {
  const [certFile, keyFile] = [join(folder, "certificate.pem"), join(folder, "key.pem")];
  writeFileSync(certFile, certificate);
  writeFileSync(keyFile, key, { mode: 0o600 });
  return ["--cert", certFile, "--key", keyFile, "--oauth", "basic"];
}

/** Signed by hand: https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key */
async function createContainer(server: string, name: string): Promise<void> {
  const date = new Date().toUTCString();
  const path = `/${ACCOUNT}/${name}`;
  const signed = `PUT\n${"\n".repeat(11)}x-ms-date:${date}\nx-ms-version:2021-12-02\n/${ACCOUNT}${path}\nrestype:container`;
  const signature = createHmac("sha256", Buffer.from(KEY, "base64")).update(signed).digest("base64");
  const headers = {
    "x-ms-date": date,
    "x-ms-version": "2021-12-02",
    authorization: `SharedKey ${ACCOUNT}:${signature}`,
  };
  const request = (server.startsWith("https:") ? httpsRequest : httpRequest)(`${server}${path}?restype=container`, {
    method: "PUT",
    headers,
    ca: LOCALHOST.authority,
    agent: false,
  } as RequestOptions);
  request.end();
  const [response] = (await once(request, "response")) as [IncomingMessage];
  const answer = await text(response);
  if (response.statusCode !== 201) throw new Error(`Azurite: no container: ${response.statusCode} ${answer}`);
}
