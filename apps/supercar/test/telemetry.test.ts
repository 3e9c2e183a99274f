/** Traces and metrics of the whole program: what they hold, and what is loaded for them. */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterEach, expect, it } from "@jest/globals";
import { ask, type RunningProgram, startCollector, startProgram, temporaryFolder } from "@mikcar/devkit";

const BIN = fileURLToPath(new URL("../dist/bin.js", import.meta.url));
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function start(env: Readonly<Record<string, string>>): Promise<RunningProgram & { readonly folder: string }> {
  const folder = temporaryFolder();
  ends.push(folder.remove);
  const program = await startProgram(BIN, { args: ["--port", "0", "--all"], env, cwd: folder.path });
  ends.push(() => program.stop("SIGKILL"));
  return { ...program, folder: folder.path };
}

/** In bodies, names, queries and headers. */
const MARK = "mark-8f3a";

async function useEverything(url: string): Promise<void> {
  const json = (body: unknown): Parameters<typeof ask>[2] => ({
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Other": MARK },
    body: JSON.stringify(body),
  });
  const calls: [path: string, init?: Parameters<typeof ask>[2]][] = [
    [`/kv/set/${MARK}`, { method: "POST", body: MARK }],
    [`/kv/increment/${MARK}`, { method: "POST" }],
    [`/kv/keys/${MARK}*?limit=3`],
    [`/storage/object/${MARK}`, { method: "PUT", body: MARK, headers: { "X-Meta-A": MARK } }],
    [`/storage/object/${MARK}`],
    ["/sql/query", json({ sql: `SELECT '${MARK}'`, params: [] })],
    ["/sql/query", json({ sql: `SELECT ${MARK}` })],
    ["/sql/script", json({ script: `throw new Error("${MARK}")`, input: MARK })],
    [`/queue/push/${MARK}`, json(MARK)],
    [`/queue/pop/${MARK}`],
    [`/secrets/secret/${MARK}`, json({ value: MARK })],
    [`/secrets/secret/${MARK}`],
    ["/email/send", json({ from: "a@example.com", to: [`${MARK}@example.com`], subject: MARK, text: MARK })],
    [`/${MARK}?${MARK}=1`],
  ];
  for (const [path, init] of calls) await ask(url, path, init);
}

it("puts no value, name or query of a caller into traces and metrics", async () => {
  const collector = await startCollector();
  ends.push(() => collector.stop());
  const program = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_SERVICE_NAME: "handlers" });

  await useEverything(program.url);
  const metrics = await ask(program.url, "/metrics");
  await program.stop();

  const services = new Set(
    collector.spans.filter(({ kind }) => kind === "SERVER").map((one) => one.attributes["mikcar.service"]),
  );
  expect([...services].filter(Boolean).sort()).toEqual(["email", "kv", "queue", "secrets", "server", "sql", "storage"]);
  expect(collector.spans.filter(({ kind }) => kind === "CLIENT").map(({ name }) => name)).toEqual(
    expect.arrayContaining(["kv.transact", "storage.put", "sql.query", "sql.run", "queue.take", "email.send"]),
  );
  expect(collector.spans[0]?.resource["service.name"]).toBe("handlers");
  expect(collector.raw()).not.toContain(MARK);
  expect(metrics.text).toContain('service="secrets"');
  expect(metrics.text).not.toContain(MARK);
});

it("loads nothing of OpenTelemetry, and nothing for metrics, before it is asked to", async () => {
  const folder = temporaryFolder();
  ends.push(folder.remove);
  const hook = join(folder.path, "hook.mjs");
  const list = join(folder.path, "loaded.txt");
  writeFileSync(
    hook,
    `import { appendFileSync } from "node:fs"; import { registerHooks } from "node:module";
    registerHooks({ load: (url, context, next) => { appendFileSync(${JSON.stringify(list)}, url + "\\n"); return next(url, context); } });`,
  );
  const program = await start({ NODE_OPTIONS: `--import ${pathToFileURL(hook)}` });
  const loaded = (): string => readFileSync(list, "utf8");
  await useEverything(program.url);

  expect(loaded()).toContain("/kv/");
  expect(loaded()).not.toMatch(/opentelemetry|\/tracing-|prom-client/);
  await ask(program.url, "/metrics");
  expect(loaded()).toMatch(/prom-client/);
});
