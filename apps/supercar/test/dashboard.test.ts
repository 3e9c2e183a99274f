/** The dashboard asks for metrics and labels that exist. */

import { readFileSync } from "node:fs";
import { expect, it } from "@jest/globals";
import { createLog, type Server, SidecarBuilder } from "@mikcar/core";
import { services } from "../src/services.ts";

const DASHBOARD = new URL("../../../docker/grafana/dashboards/mikcar.json", import.meta.url);
const EMBEDDED = {
  storage: "memory:",
  kv: "memory:",
  sql: "sqlite::memory:",
  queue: "memory:",
  secrets: "memory:",
  email: "memory:",
};
/** Its connections are told of even while it is away. */
const POSTGRES = { sql: "postgres://localhost:1/none" };

async function serve(urls: Readonly<Record<string, string>>): Promise<Server> {
  const builder = new SidecarBuilder().port(0).log(await createLog("silent"));
  for (const offer of services) {
    const url = urls[offer.name];
    if (url !== undefined) builder.add(await (await offer.load()).fromUrl(url));
  }
  return builder.serve();
}

async function metricsOf(urls: Readonly<Record<string, string>>): Promise<string> {
  const server = await serve(urls);
  try {
    await fetch(`${server.url}/health`);
    await fetch(`${server.url}/nowhere`);
    return await (await fetch(`${server.url}/metrics`)).text();
  } finally {
    await server.close();
  }
}

it("asks for nothing that /metrics does not tell", async () => {
  const text = (await metricsOf(EMBEDDED)) + (await metricsOf(POSTGRES));
  const names = new Set([...text.matchAll(/^([a-z_\d]+)(?:\{| )/gm)].map(([, name]) => name));
  const labels = new Set([...text.matchAll(/[{,]([a-z_]+)="/g)].map(([, label]) => label));
  const dashboard = JSON.parse(readFileSync(DASHBOARD, "utf8"));
  const queries: string[] = dashboard.panels.flatMap(({ targets }: { targets: { expr: string }[] }) =>
    targets.map(({ expr }) => expr),
  );
  const asked = queries.flatMap((query) => query.match(/(?:http|mikcar|process|nodejs)_[a-z_\d]+(?=\{)/g) ?? []);
  const askedLabels = queries.flatMap((query) => [
    ...[...query.matchAll(/([a-z_]+)(?:=~|!=|=)"/g)].map(([, label = ""]) => label),
    ...[...query.matchAll(/by \(([^)]*)\)/g)].flatMap(([, list = ""]) => list.split(", ")),
  ]);

  expect(asked.length).toBeGreaterThan(15);
  expect(asked.filter((name) => !names.has(name))).toEqual([]);
  expect(askedLabels.filter((label) => label !== "instance" && !labels.has(label))).toEqual([]); // Prometheus adds that one
});
