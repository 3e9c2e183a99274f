/** No name leaves its mount, prefix or project: what goes out to each server is watched. */

import { readdirSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { ask, temporaryFolder } from "@mikcar/devkit";
import fc from "fast-check";
import { idOf, idPrefixOf, nameOf } from "../src/backends/gcpsm/ids.ts";
import { isName } from "../src/name.ts";
import { SecretsService } from "../src/service.ts";
import { type Client, serve } from "./client.ts";
import { type GcpStandIn, startGcpStandIn } from "./gcp-stand-in.ts";
import { type Recorder, startRecorder } from "./recorder.ts";

/** As they stand in a URL's path. */
const HOSTILE = [
  "..",
  ".",
  "a/..",
  "../a",
  "a/../../b",
  "a/./b",
  "%2e%2e",
  "%2e%2e%2fsys%2fmounts",
  "a%2f..%2fb",
  "a//b",
  "%2fa",
  "a%2f",
  "a/",
  "a%00",
  "a%0d%0aX-Vault-Token:%20x",
  "a%3fversion=1",
  "a%23b",
  "a%25b",
  "a%252e%252e",
  "a%5cb",
  "a%20b",
  "a%c3%bc",
  "a:access",
  "a%2a",
  "arn:aws:secretsmanager:eu-west-1:1:secret:x",
  "%ff",
  "",
  "x".repeat(201),
];
const LEGAL = [
  "a",
  "a.b",
  "..a",
  "a..",
  "...",
  "_",
  "a/b-c/d_e",
  "__2F",
  "sys/mounts",
  "data/a",
  "versions/latest",
  "-x",
];

const folder = temporaryFolder();
let recorder: Recorder;
let gcp: GcpStandIn;
beforeAll(async () => {
  process.env["AWS_ACCESS_KEY_ID"] = "test";
  process.env["AWS_SECRET_ACCESS_KEY"] = "test";
  const known = { data: { ttl: 0, renewable: false } };
  recorder = await startRecorder((line) => (line.includes("/auth/token/") ? [200, known] : [404, {}]));
  gcp = await startGcpStandIn();
  process.env["GOOGLE_APPLICATION_CREDENTIALS"] = `${folder.path}/key.json`;
  writeFileSync(`${folder.path}/key.json`, gcp.keyFile);
});
afterAll(async () => {
  await recorder.close();
  await gcp.close();
  folder.remove();
});

const servers: Readonly<Record<string, { url(): string; sent(): string[]; confined: RegExp }>> = {
  vault: {
    url: () => `vault://${recorder.url.slice("http://".length)}/team?mount=kv&token=t`,
    sent: () =>
      recorder.requests
        .splice(0)
        .map(({ line }) => line)
        .filter((line) => !line.includes("/v1/auth/token/")),
    confined: /^(?:GET|POST|LIST|DELETE) \/v1\/kv\/(?:data|metadata)\/team(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._-]+)*$/,
  },
  awssm: {
    url: () => `awssm://eu-west-1/team?endpoint=${recorder.url}`,
    sent: () =>
      recorder.requests
        .splice(0)
        .map(({ line, body }) => `${line} ${String(Object.values(JSON.parse(body) as object)[0])}`),
    confined: /^POST \/ (?:team\/[A-Za-z0-9._/-]+|100|\[object Object\])$/,
  },
  gcpsm: {
    url: () => `gcpsm://my-project/team?endpoint=${gcp.url}`,
    sent: () => gcp.requests.splice(0),
    confined:
      /^[A-Z]+ \/v1\/projects\/my-project\/secrets(?:\?.*(?:secretId|filter)=(?:name(?:%3A|:))?team__2F[A-Za-z0-9_-]*(?:&.*)?|\/team__2F[A-Za-z0-9_-]+(?:\/versions(?:\/latest)?)?(?::\w+)?(?:\?.*)?)$/,
  },
};

async function callAll(client: Client, name: string): Promise<[what: string, status: number][]> {
  const body = JSON.stringify({ value: "x" });
  const headers = { "Content-Type": "application/json" };
  const answers: [string, number][] = [];
  for (const [method, path] of [
    ["GET", `/secret/${name}`],
    ["POST", `/secret/${name}`],
    ["PUT", `/secret/${name}`],
    ["DELETE", `/secret/${name}`],
    ["GET", `/exists/${name}`],
    ["GET", `/versions/${name}`],
    ["GET", `/list/${name}`],
  ] as const) {
    if (path.startsWith("/list/") && isPrefix(name)) continue;
    const options = method === "POST" || method === "PUT" ? { method, headers, body } : { method };
    answers.push([`${method} ${path}`, (await ask(client.url, `/secrets${path}`, options)).status]);
  }
  return answers;
}

describe.each(Object.keys(servers))("%s", (scheme) => {
  const { url, sent, confined } = servers[scheme] ?? { url: () => "", sent: () => [], confined: /$^/ };
  let client: Client;
  beforeAll(async () => {
    const { open } = (await SecretsService.backends[scheme]?.()) ?? {};
    if (open === undefined) throw new Error(`no scheme ${scheme}`);
    client = await serve(await open(configUrl(url())));
  });
  afterAll(() => client.close());

  it("hears nothing of names that are none", async () => {
    sent();

    for (const name of HOSTILE) {
      for (const [what, status] of await callAll(client, name)) expect([what, status]).toEqual([what, 400]);
    }

    expect(sent()).toEqual([]);
  });

  it("hears of all other names below its own place", async () => {
    sent();

    for (const name of LEGAL) await callAll(client, name);

    const lines = sent();
    expect(lines.length).toBeGreaterThan(LEGAL.length * 5);
    for (const line of lines) expect(line).toMatch(confined);
  });
});

it("leaves no file anywhere but its own", async () => {
  const inner = `${folder.path}/inner`;
  const { open } = (await SecretsService.backends["file"]?.()) ?? {};
  const backend = await open?.(configUrl(`file://${inner}/secrets.enc`));
  if (backend === undefined) throw new Error("no scheme file");
  const client = await serve(backend);

  for (const name of [...HOSTILE, ...LEGAL]) await callAll(client, name);
  await client.close();

  expect(readdirSync(inner).toSorted()).toEqual(["secrets.enc", "secrets.enc.key"]);
  expect(readdirSync(folder.path).toSorted()).toEqual(["inner", "key.json"]);
});

describe("ids in GCP", () => {
  const name = fc
    .array(fc.constantFrom("a", "Z", "0", "-", "_", ".", "/", "2F", "2E", "5F", "__"), { minLength: 1, maxLength: 40 })
    .map((parts) => parts.join(""))
    .filter((text) => isName(text) && text.length < 60);

  it("are allowed, and lead back to the name", () => {
    fc.assert(
      fc.property(name, (text) => {
        const id = idOf(text);
        expect(id).toMatch(/^[A-Za-z0-9_-]{1,255}$/);
        expect(nameOf(id)).toBe(text);
      }),
      { numRuns: 5000 },
    );
  });

  it("are the names themselves where those are plain, and begin as their folder's do", () => {
    expect(["DB_PASSWORD", "a-b_c", "a__b"].map(idOf)).toEqual(["DB_PASSWORD", "a-b_c", "a__b"]);
    fc.assert(
      fc.property(name, name, (folderName, text) => {
        expect(idOf(`${folderName}/${text}`).startsWith(idPrefixOf(`${folderName}/`))).toBe(true);
      }),
    );
  });

  it("are at most 255 characters long", () => {
    expect(() => idOf(Array.from({ length: 64 }, () => "ab").join("/"))).toThrow("too long for GCP");
  });
});

/** An empty one is all names, and a `/` at its end says nothing. */
function isPrefix(name: string): boolean {
  return name === "" || /^[A-Za-z]+(?:\/|%2f)$/.test(name);
}
