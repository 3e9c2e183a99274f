import { describe, expect, it } from "@jest/globals";
import { EmailService } from "@mikcar/email";
import { KvService } from "@mikcar/kv";
import { QueueService } from "@mikcar/queue";
import { SecretsService } from "@mikcar/secrets";
import { SqlService } from "@mikcar/sql";
import { StorageService } from "@mikcar/storage";
import { readFileSync } from "node:fs";

const page = readFileSync(new URL("../../../docs/contract.md", import.meta.url), "utf8");

/** The routes of one section's table, as the route tables write them; those marked as not built are left out. */
function promised(prefix: string): string[] {
  const section = page.split(/^## /m).find((part) => part.includes(`: \`/${prefix}\``)) ?? "";
  const rows = section.split("\n").filter((line) => /^\| [●○]/.test(line) && !line.includes("◇"));
  const cells = rows.map((row) => row.split(/(?<!\\)\|/)[1] ?? "");
  const routes = cells.flatMap((cell) => [...cell.matchAll(/`(GET|HEAD|PUT|POST|DELETE) ([^`?]+)[^`]*`/g)]);
  return routes.map(
    ([, method = "", path = ""]) => `${method} ${path.replace(/\{(\w+)\.\.\.\}/g, "*$1").replace(/\{(\w+)\}/g, ":$1")}`,
  );
}

describe("the contract page", () => {
  it.each([
    ["kv", KvService.routes],
    ["sql", SqlService.routes],
    ["queue", QueueService.routes],
    ["secrets", SecretsService.routes],
    ["email", EmailService.routes],
    ["storage", StorageService.routes],
  ])("promises exactly the routes of %s", (prefix, routes) => {
    const served = routes.map(([method, path]) => `${method} ${path}`);

    expect(promised(prefix).length).toBeGreaterThan(3);
    expect(promised(prefix).sort()).toEqual(served.sort());
  });
});
