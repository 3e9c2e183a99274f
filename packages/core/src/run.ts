/** The body of every program: flags, environment, backends, server, signals. */

import { type Env, readSecret } from "./env.ts";
import { configError, isMikcarError } from "./errors.ts";
import { pingError } from "./health.ts";
import { createLog, type Log } from "./log.ts";
import { type Backend, type Service, type Sidecar, urlFromEnv } from "./service.ts";
import { SidecarBuilder, type Server } from "./server.ts";
import { packageVersion } from "./version.ts";
import { followTokenFiles } from "./token-files.ts";
import { helpText, readSettings, type Settings } from "./settings.ts";

/** After this a second signal ends the process at once. */
const IMPATIENCE_MS = 1000;

/** What a program needs of a service. */
export type Startable = Pick<Service<Backend>, "name" | "env" | "summary" | "embedded" | "fromUrl">;

/** A service that a program offers: its words now, its code when it is chosen. */
export interface Offer extends Pick<Startable, "name" | "env" | "summary"> {
  load(): Promise<Startable>;
}

/** What a program does instead of serving, when its name comes first: `mikcar-secrets rekey`. */
export interface Command {
  readonly name: string;
  /** For `--help`. */
  readonly summary: string;
  /** Prints what it has done. @param env With the flags that stand for variables, `--data` among them. @throws CONFIG_ERROR. */
  run(env: Env): Promise<void>;
}

export interface Program {
  /** As typed: `mikcar-kv`. */
  readonly name: string;
  readonly version: string;
  /** With one alone it needs no flag to be chosen. */
  readonly offers: readonly Offer[];
  readonly commands?: readonly Command[];
}

/** Runs `mikcar-<name>`, the program of one service. @param moduleUrl `import.meta.url` of its bin, one below the package. */
export function runService(service: Startable, moduleUrl: string, commands: readonly Command[] = []): Promise<void> {
  const { name, env, summary } = service;
  const offers = [{ name, env, summary, load: async () => service }];
  return run({ name: `mikcar-${name}`, version: packageVersion(moduleUrl), offers, commands });
}

/** Runs a program to its end: exits 0 after SIGTERM or SIGINT, 1 with a sentence when it cannot start. */
export async function run(program: Program): Promise<void> {
  try {
    await main(program, process.argv.slice(2));
  } catch (error) {
    if (!isMikcarError(error)) throw error;
    process.stderr.write(`${program.name}: ${error.message}\n`);
    process.exitCode = 1;
  }
}

async function main(program: Program, args: readonly string[]): Promise<void> {
  const { name, version, offers, commands = [] } = program;
  const command = commands.find((known) => known.name === args[0]);
  const settings = readSettings(
    command === undefined ? args : args.slice(1),
    process.env,
    offers.map((offer) => offer.name),
  );
  if (settings.help) return print(helpText(name, offers, commands));
  if (settings.version) return print(version);
  if (command !== undefined) return command.run(settings.env);
  const chosen = choose(program, settings);
  if (settings.check) return check(chosen, settings);

  const log = await createLog(settings.logLevel);
  for (const warning of settings.warnings) log.warn({}, warning);
  const sidecars = await openAll(chosen, settings, log);
  const server = await serve(sidecars, settings, log);
  if (!settings.noAuth) followTokenFiles(settings.env, followed(settings), server, log);
  closeOnSignal(server, log);
  for (const { name: service, backend, url } of sidecars)
    log.info({ service, prefix: `/${service}`, backend, url }, "serving");
  log.info(
    { url: server.url, socket: settings.socketPath, version },
    `listening on ${server.url ?? settings.socketPath}`,
  );
}

function choose({ name, offers, commands }: Program, settings: Settings): readonly Offer[] {
  if (offers.length === 1) return offers;
  if (settings.chosen.length > 0) return offers.filter((offer) => settings.chosen.includes(offer.name));
  throw configError(`no service chosen; say which ones, or --all\n\n${helpText(name, offers, commands)}`);
}

async function openAll(offers: readonly Offer[], settings: Settings, log: Log): Promise<Sidecar[]> {
  const opened = await Promise.allSettled(offers.map((offer) => open(offer, settings, log)));
  const sidecars = opened.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  const failed = opened.find((result) => result.status === "rejected");
  if (failed === undefined) return sidecars;
  await Promise.all(sidecars.map((sidecar) => sidecar.close()));
  throw failed.reason;
}

async function open({ name, env: variable, load }: Offer, settings: Settings, log?: Log): Promise<Sidecar> {
  const service = await load();
  const isUnset = readSecret(settings.env, variable) === undefined;
  if (isUnset && settings.strict) {
    throw configError(`${variable} is not set, and --strict allows no embedded default; set it, or leave --strict out`);
  }
  const sidecar = await service.fromUrl(urlFromEnv(service, settings.env), (sentence) =>
    log?.warn({ service: name }, sentence),
  );
  if (isUnset) log?.info({ service: name, url: sidecar.url }, `${variable} is not set; using the embedded default`);
  return sidecar;
}

async function serve(sidecars: readonly Sidecar[], settings: Settings, log: Log): Promise<Server> {
  const builder = new SidecarBuilder()
    .host(settings.host)
    .authToken(settings.authToken)
    .tokens(settings.tokens)
    .timeoutMs(settings.timeoutMs)
    .drainMs(settings.drainMs)
    .maxBodyBytes(settings.maxBodyBytes)
    .maxObjectBytes(settings.maxObjectBytes)
    .corsOrigins(settings.corsOrigins)
    .traces(settings.tracesUrl)
    .log(log);
  if (settings.port !== undefined) builder.port(settings.port);
  if (settings.socketPath !== undefined) builder.socket(settings.socketPath);
  if (settings.noAuth) builder.noAuth();
  if (settings.metricsPublic) builder.metricsPublic();
  if (settings.publicUrl !== undefined) builder.publicUrl(settings.publicUrl);
  for (const sidecar of sidecars) builder.add(sidecar);
  try {
    return await builder.serve();
  } catch (error) {
    await Promise.all(sidecars.map((sidecar) => sidecar.close()));
    throw error;
  }
}

/** A token that came as a flag stays. */
function followed({ authToken, hasTokenFlag, tokens }: Settings): Pick<Settings, "authToken" | "tokens"> {
  return { authToken: hasTokenFlag ? undefined : authToken, tokens };
}

function closeOnSignal(server: Server, log: Log): void {
  let stoppedAt: number | undefined;
  const stop = (signal: NodeJS.Signals): void => {
    // A terminal and a launcher may both pass the same signal on; one that comes later is meant.
    if (stoppedAt !== undefined && performance.now() - stoppedAt > IMPATIENCE_MS) process.exit(1);
    if (stoppedAt !== undefined) return;
    stoppedAt = performance.now();
    log.info({ signal }, "stopping: open calls may end first");
    server.close().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, "a backend did not close in order");
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", stop).on("SIGINT", stop);
}

/** `--check`: opens and pings every backend, tells all that is wrong, and leaves exit code 0 or 1. */
async function check(offers: readonly Offer[], settings: Settings): Promise<void> {
  const rows = await Promise.all(offers.map((offer) => checkOne(offer, settings)));
  const width = (column: 0 | 1 | 2): number => Math.max(...rows.map((row) => row[column].length));
  for (const [name, url, state, remark] of rows) {
    print(`${name.padEnd(width(0))}  ${state.padEnd(width(2))}  ${url.padEnd(width(1))}  ${remark}`.trimEnd());
  }
  if (rows.some(([, , state]) => state !== "ok")) process.exitCode = 1;
}

async function checkOne(
  offer: Offer,
  settings: Settings,
): Promise<[name: string, url: string, state: string, remark: string]> {
  try {
    const sidecar = await open(offer, settings);
    const error = await pingError(sidecar);
    await sidecar.close();
    return [offer.name, sidecar.url, error === undefined ? "ok" : "down", error?.message ?? ""];
  } catch (error) {
    if (!isMikcarError(error)) throw error;
    return [offer.name, "", "wrong", error.message];
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
