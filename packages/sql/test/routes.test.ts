/** The table of routes, and what the README says of it. */

import { readFileSync } from "node:fs";
import { describe, expect, it } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { routes } from "../src/routes.ts";
import { SqlService } from "../src/service.ts";
import { readUrl } from "../src/backends/postgres/url.ts";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const contract = ["statements", "values", "refusals", "batches", "limits", "scripts", "transfers", "audit"]
  .map((name) => readFileSync(new URL(`contract/${name}.ts`, import.meta.url), "utf8"))
  .join("");
const client = readFileSync(new URL("client.ts", import.meta.url), "utf8");

it.each(routes.map(([method, path]) => [method, path]))("tests %s %s on every database", (_method, path) => {
  expect(contract + client).toContain(`post("${path}"`);
});

describe("the README", () => {
  it.each(routes.map(([method, path]) => [method, path]))("has a row for %s %s", (method, path) => {
    expect(readme).toMatch(new RegExp(`^\\| \`${method} ${path}\``, "m"));
  });

  it.each(Object.keys(SqlService.backends))("has a row for the scheme %s", (scheme) => {
    expect(readme).toMatch(new RegExp(`^\\| .*\`${scheme}:`, "m"));
  });

  it("names every parameter of a Postgres URL", () => {
    const url = configUrl("postgres://host/db?nonsense=1");
    readUrl(url);

    expect(() => url.refuseUnread()).toThrow(/known for postgres/);
    const known = /known for postgres: (.*)/.exec(thrown(() => url.refuseUnread()))?.[1]?.split(", ") ?? [];
    for (const name of known) expect(readme).toContain(`\`${name}\``);
  });
});

function thrown(work: () => void): string {
  try {
    work();
    return "";
  } catch (error) {
    return (error as Error).message;
  }
}
