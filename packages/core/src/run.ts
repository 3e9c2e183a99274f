/** The body of every program: flags, environment, backends, server, signals. */

import { check } from "./checking.ts";
import type { Env } from "./env.ts";
import { configError, isMikcarError } from "./errors.ts";
import { createLog, type Log } from "./log.ts";
import { openAll, type Offer, refuseUnset, serviceUrl, sharingAmong } from "./opening.ts";
import { dataDir, type Sidecar, type Startable } from "./service.ts";
import { SidecarBuilder, type Server } from "./server.ts";
import { packageVersion } from "./version.ts";
import { followTokenFiles } from "./token-files.ts";
import { helpText, readSettings, type Settings } from "./settings.ts";
import { socketOf, type WorkerPlan } from "./workers/messages.ts";
import { Gatherer, obey, readPlan } from "./workers/worker.ts";

/** After this a second signal ends the process at once. */
const IMPATIENCE_MS = 1000;

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

/** The command that every program has; it reads no configuration file, but names one. */
const INIT: Pick<Command, "name" | "summary"> = {
  name: "init",
  summary: "write a commented mikcar.yaml, or --config FILE",
};

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
    if (process.connected) process.disconnect(); // a worker would wait for its main process
  }
}

async function main(program: Program, args: readonly string[]): Promise<void> {
  const { name, version, offers } = program;
  const commands = [...(program.commands ?? []), INIT];
  const command = commands.find((known) => known.name === args[0]);
  const rest = command === undefined ? args : args.slice(1);
  const plan = readPlan();
  const read = await readSettings(rest, process.env, offers, command !== INIT && plan === undefined);
  const settings = { ...read, ...plan?.settings };
  Object.assign(process.env, settings.fromFile); // where backends look for what is theirs
  if (settings.help) return print(helpText(name, offers, commands));
  if (settings.version) return print(version);
  if (command === INIT) return init(program, settings);
  if (command !== undefined) return (command as Command).run(settings.env); // all others can be run
  const chosen = choose(program, settings);
  if (settings.check) return check(chosen, settings);

  const log = await createLog(settings.logLevel);
  if (plan !== undefined) return work(chosen, settings, plan, log);
  for (const warning of settings.warnings) log.warn({}, warning);
  if (settings.workers > 1) return lead(chosen, settings, version, log);
  const sidecars = await openAll(chosen, settings, log);
  const server = await serve(sidecars, settings, log);
  if (!settings.noAuth) followTokenFiles(settings.env, followed(settings), server, log);
  closeOnSignal(() => server.close(), log);
  for (const sidecar of sidecars) tellServing(sidecar, log);
  tellListening(server.url, settings, version, log);
}

/** As one of several workers. */
async function work(chosen: readonly Offer[], settings: Settings, plan: WorkerPlan, log: Log): Promise<void> {
  const gatherer = new Gatherer();
  const sidecars = await openAll(chosen, settings, log, plan);
  const owned = Object.keys(plan.owners).filter((name) => plan.owners[name] === plan.number);
  const server = await serve(sidecars, settings, log, (builder) =>
    builder
      .gatherMetrics(() => gatherer.ask())
      .worker({ ...plan, owned, share: 1 / plan.count, socketPath: socketOf(plan, plan.number) }),
  );
  if (!settings.noAuth) followTokenFiles(settings.env, followed(settings), server, log);
  obey(server, gatherer, plan, log);
}

/** As the main process of several workers. */
async function lead(offers: readonly Offer[], settings: Settings, version: string, log: Log): Promise<void> {
  const owners: Record<string, number> = {};
  const served: { name: string; backend: string; url: string }[] = [];
  for (const { name, env: variable, load } of offers) {
    const service = await load();
    refuseUnset(variable, settings);
    const url = serviceUrl(service, settings);
    if (sharingAmong(service, url, settings) === "one") owners[name] = Object.keys(owners).length % settings.workers;
    served.push({ name, backend: url.scheme, url: url.toString() });
  }
  const { Crew } = await import("./workers/main.ts");
  const crew = await Crew.start({
    count: settings.workers,
    owners,
    settings: { chosen: settings.chosen, noAuth: settings.noAuth, port: settings.port },
    drainMs: settings.drainMs,
    dataDir: dataDir(settings.env),
    log,
  });
  if (crew === undefined) {
    process.exitCode = 1;
    return;
  }
  const close = async (): Promise<void> => {
    if (!(await crew.close())) throw new Error("a worker did not end in time, and was killed");
  };
  closeOnSignal(close, log, () => crew.kill());
  for (const one of served) tellServing(one, log);
  tellListening(crew.url, settings, version, log);
}

function tellServing({ name, backend, url }: Pick<Sidecar, "name" | "backend" | "url">, log: Log): void {
  log.info({ service: name, prefix: `/${name}`, backend, url }, "serving");
}

function tellListening(url: string | undefined, { socketPath, workers }: Settings, version: string, log: Log): void {
  const count = workers > 1 ? { workers } : {};
  log.info({ url, socket: socketPath, version, ...count }, `listening on ${url ?? socketPath}`);
}

async function init({ name, offers }: Program, { configPath = "mikcar.yaml" }: Settings): Promise<void> {
  const { writeConfigFile } = await import("./init.ts");
  writeConfigFile(configPath, name, offers);
  print(`${configPath} is written; start with: ${name} --config ${configPath}`);
}

function choose({ name, offers, commands = [] }: Program, settings: Settings): readonly Offer[] {
  if (offers.length === 1) return offers;
  if (settings.chosen.length > 0) return offers.filter((offer) => settings.chosen.includes(offer.name));
  throw configError(`no service chosen; say which ones, or --all\n\n${helpText(name, offers, [...commands, INIT])}`);
}

async function serve(
  sidecars: readonly Sidecar[],
  settings: Settings,
  log: Log,
  adjust: (builder: SidecarBuilder) => SidecarBuilder = (builder) => builder,
): Promise<Server> {
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
    return await adjust(builder).serve();
  } catch (error) {
    await Promise.all(sidecars.map((sidecar) => sidecar.close()));
    throw error;
  }
}

/** A token that came as a flag stays. */
function followed({ authToken, hasTokenFlag, tokens }: Settings): Pick<Settings, "authToken" | "tokens"> {
  return { authToken: hasTokenFlag ? undefined : authToken, tokens };
}

/** @param giveUp What must not go on when this process ends at once. */
function closeOnSignal(close: () => Promise<unknown>, log: Log, giveUp: () => void = () => undefined): void {
  let stoppedAt: number | undefined;
  const stop = (signal: NodeJS.Signals): void => {
    // A terminal and a launcher may both pass the same signal on; one that comes later is meant.
    if (stoppedAt !== undefined) {
      if (performance.now() - stoppedAt <= IMPATIENCE_MS) return;
      giveUp();
      process.exit(1);
    }
    stoppedAt = performance.now();
    log.info({ signal }, "stopping: open calls may end first");
    close().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, "a backend did not close in order");
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", stop).on("SIGINT", stop);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
