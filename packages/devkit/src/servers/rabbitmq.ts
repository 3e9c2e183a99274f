/** A real RabbitMQ for tests: the one installed, or Debian's, or the one that `AMQP_URL` names. */

import { type ChildProcess, execFile } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { findProgram } from "../find-program.ts";
import { temporaryFolder } from "../folder.ts";
import { freePort } from "../ports.ts";
import { type Certificate, LOCALHOST } from "./certificate.ts";
import { end, launch, type ServerProgram } from "./launch.ts";
import { startProxy } from "./proxy.ts";

export { type Certificate, LOCALHOST };

export interface RabbitmqServer {
  /** Of its virtual host `/`. Tests share it, so each of them names its queues uniquely. */
  readonly url: string;
  /** In order: what was confirmed is kept. */
  stop(): Promise<void>;
  /** As a crash: SIGKILL. */
  kill(): Promise<void>;
  /** Starts it again, on the same port with the same data. */
  start(): Promise<void>;
  /** Makes it answer nothing until `thaw`, with its connections open. */
  freeze(): void;
  thaw(): void;
  /** Runs `rabbitmqctl`, which takes seconds. Only of a server that was started with options. @returns What it prints. */
  control(...args: readonly string[]): Promise<string>;
  /** Stops it and removes its data. */
  remove(): Promise<void>;
}

export interface RabbitmqOptions {
  /** TLS alone, with this certificate; clients need none. */
  readonly tls?: Certificate;
  /** More lines of its `rabbitmq.conf`. */
  readonly settings?: readonly string[];
}

const INSTEAD = "set AMQP_URL to a RabbitMQ in which queues may be made";
/** Beside `rabbitmq-server` on the PATH, which on Debian is a wrapper that changes the user. */
const OWN_SCRIPT = "/usr/lib/rabbitmq/bin/rabbitmq-server";
const READY = "Server startup complete";
/** Schedulers that do not spin, as tests share few cores. Its start takes some seconds all the same: it loads its code. */
const ERLANG = "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none";

/**
 * Starts a server without plugins on a free port; or, without options, uses the one that `AMQP_URL` names, and in the
 * place of stopping it, a proxy before it is stopped.
 */
export async function startRabbitmq(options: RabbitmqOptions = {}): Promise<RabbitmqServer> {
  const given = process.env["AMQP_URL"];
  if (given !== undefined && given !== "" && Object.keys(options).length === 0) return external(given);
  const found = await findProgram("rabbitmq-server", "rabbitmq-server", INSTEAD);
  const folder = temporaryFolder();
  const [port, epmdPort] = [await freePort(), await freePort()];
  const epmd = await startEpmd(epmdPort);
  const program: ServerProgram = {
    name: "RabbitMQ",
    path: existsSync(OWN_SCRIPT) ? OWN_SCRIPT : found,
    args: [],
    env: await environment(folder.path, port, epmdPort, options),
    readyText: READY,
    exitSignal: "SIGKILL",
  };
  let server = await launch(program);
  const host = options.tls === undefined ? `amqp://127.0.0.1:${port}` : `amqps://localhost:${port}`;
  return {
    url: host,
    stop: () => end(server, "SIGTERM"),
    kill: () => end(server, "SIGKILL"),
    start: async () => {
      server = await launch(program);
    },
    freeze: () => void server.kill("SIGSTOP"),
    thaw: () => void server.kill("SIGCONT"),
    control: (...args) => control(program, args),
    remove: async () => {
      await end(server, "SIGKILL"); // which ends a frozen one too
      await end(epmd, "SIGKILL");
      folder.remove();
    },
  };
}

async function control({ env }: ServerProgram, args: readonly string[]): Promise<string> {
  const installed = join(dirname(OWN_SCRIPT), "rabbitmqctl");
  const path = existsSync(installed) ? installed : await findProgram("rabbitmqctl", "rabbitmq-server", INSTEAD);
  const node = env?.["RABBITMQ_NODENAME"] ?? "";
  const { stdout } = await promisify(execFile)(path, ["-n", node, ...args], env === undefined ? {} : { env });
  return stdout.trim();
}

/** Erlang's port mapper, which RabbitMQ would else start as a daemon that outlives everybody. */
async function startEpmd(port: number): Promise<ChildProcess> {
  const path = await findProgram("epmd", "erlang-base", INSTEAD);
  const args = ["-d", "-address", "127.0.0.1", "-port", String(port)];
  return launch({ name: "epmd", path, args, readyText: "epmd running", exitSignal: "SIGKILL" });
}

/** Everything of its own: name, cookie, configuration, data. */
async function environment(
  folder: string,
  port: number,
  epmdPort: number,
  { tls, settings = [] }: RabbitmqOptions,
): Promise<Record<string, string>> {
  const config = join(folder, "rabbitmq.conf");
  const plugins = join(folder, "enabled_plugins");
  const listen = tls === undefined ? [`listeners.tcp.1 = 127.0.0.1:${port}`] : tlsLines(tls, folder, port);
  const quiet = ["log.file = false", "log.console = true", "disk_free_limit.absolute = 10MB"];
  writeFileSync(config, [...listen, ...quiet, ...settings, ""].join("\n"));
  writeFileSync(plugins, "[].\n");
  for (const name of ["data", "log"]) mkdirSync(join(folder, name));
  return {
    PATH: [process.env["PATH"], "/usr/sbin", "/sbin"].join(":"),
    HOME: folder, // where Erlang keeps its cookie
    ERL_EPMD_PORT: String(epmdPort),
    RABBITMQ_NODENAME: `mikcar-${port}@localhost`,
    RABBITMQ_DIST_PORT: String(await freePort()),
    RABBITMQ_CONFIG_FILE: config,
    RABBITMQ_CONF_ENV_FILE: join(folder, "none"),
    RABBITMQ_ENABLED_PLUGINS_FILE: plugins,
    RABBITMQ_MNESIA_BASE: join(folder, "data"),
    RABBITMQ_LOG_BASE: join(folder, "log"),
    RABBITMQ_PID_FILE: join(folder, "pid"),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: ERLANG,
    RUNNING_UNDER_SYSTEMD: "true", // the script then becomes the server, and signals reach it
  };
}

function tlsLines(tls: Certificate, folder: string, port: number): string[] {
  const files = { cacertfile: tls.authority, certfile: tls.certificate, keyfile: tls.key };
  const lines = Object.entries(files).map(([setting, text]) => {
    const file = join(folder, `${setting}.pem`);
    writeFileSync(file, text, { mode: 0o600 });
    return `ssl_options.${setting} = ${file}`;
  });
  return ["listeners.tcp = none", `listeners.ssl.1 = 127.0.0.1:${port}`, "ssl_options.verify = verify_none", ...lines];
}

/** One that runs already, behind a proxy that can be stopped and frozen in its place. */
async function external(url: string): Promise<RabbitmqServer> {
  const { hostname, port } = new URL(url);
  const proxy = await startProxy(hostname, Number(port || 5672));
  const behind = new URL(url);
  behind.hostname = "127.0.0.1";
  behind.port = String(proxy.port);
  return {
    url: behind.href,
    stop: proxy.stop,
    kill: proxy.stop,
    start: proxy.start,
    freeze: () => proxy.freeze(true),
    thaw: () => proxy.freeze(false),
    control: () => Promise.reject(new Error("it is not the tests' own to control")),
    remove: async () => {
      proxy.freeze(false);
      await proxy.stop();
    },
  };
}
