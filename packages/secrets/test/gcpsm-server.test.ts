/** What is peculiar to GCP: who the sidecar is, what it may do, and a secret that was half made. A stand-in of ours answers. */

import { writeFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { temporaryFolder } from "@mikcar/devkit";
import type { SecretsBackend } from "../src/backend.ts";
import { open } from "../src/backends/gcpsm/index.ts";
import { type Client, serve } from "./client.ts";
import { type GcpStandIn, startGcpStandIn } from "./gcp-stand-in.ts";

let server: GcpStandIn;
const folder = temporaryFolder();
const keyFile = `${folder.path}/key.json`;
let close: (() => unknown)[] = [];
beforeEach(async () => {
  server = await startGcpStandIn();
  writeFileSync(keyFile, server.keyFile);
  process.env["GOOGLE_APPLICATION_CREDENTIALS"] = keyFile;
});
afterEach(async () => {
  for (const end of close.toReversed()) await end();
  close = [];
  await server.close();
});
beforeAll(() => {
  process.env["METADATA_SERVER_DETECTION"] = "none"; // this is no machine of Google's
});
afterAll(() => folder.remove());

async function start(parameters = "", place = "my-project", endpoint = server.url): Promise<SecretsBackend> {
  const backend = await open(configUrl(`gcpsm://${place}?endpoint=${endpoint}&timeout_ms=1000&${parameters}`));
  close.push(() => backend.close());
  return backend;
}

async function startHttp(endpoint = server.url): Promise<Client> {
  const client = await serve(await open(configUrl(`gcpsm://my-project?endpoint=${endpoint}&timeout_ms=1000`)));
  close.push(() => client.close());
  return client;
}

describe("who the sidecar is", () => {
  it("is refused with a key that Google does not know, and says so in the log alone", async () => {
    const other = await startGcpStandIn();
    writeFileSync(keyFile, other.keyFile);
    await other.close();
    const client = await startHttp();

    const answers = [await client.get("/secret/a"), await client.create("a", "v4lu3"), await client.get("/list")];

    expect(answers.map(({ status }) => status)).toEqual([502, 502, 502]);
    expect(client.said()).toContain("invalid authentication credentials");
    expect(client.said()).not.toMatch(/v4lu3|PRIVATE KEY/);
  });

  it("is nobody until its key file is there: 502, and the log says what to set", async () => {
    process.env["GOOGLE_APPLICATION_CREDENTIALS"] = `${folder.path}/late.json`;
    const client = await startHttp();

    const { status } = await client.create("a", "one");
    writeFileSync(`${folder.path}/late.json`, server.keyFile);

    expect([status, client.said()]).toEqual([502, expect.stringContaining("GOOGLE_APPLICATION_CREDENTIALS")]);
    expect((await client.create("a", "one")).status).toBe(201);
  });

  it.each([
    ["PERMISSION_DENIED", 502],
    ["INVALID_ARGUMENT", 502],
    ["RESOURCE_EXHAUSTED", 503],
    ["UNAVAILABLE", 503],
  ])("is told %s, which is %i from here, and nothing of its text", async (code, expected) => {
    server.refuse(/./, code);
    const client = await startHttp();

    const answers = [await client.get("/secret/a"), await client.create("a", "v4lu3"), await client.get("/list")];

    expect(answers.map(({ status }) => status)).toEqual([expected, expected, expected]);
    expect(answers.map(({ text }) => text).join("")).not.toContain("refused by the test");
    expect(client.said()).not.toContain("v4lu3");
  });

  it("may be somebody who reads values, and nothing else: then labels are null and times unknown", async () => {
    const client = await startHttp();
    await client.create("a", "one", { team: "x" });

    server.refuse(/^GET(?!.*:access)/);
    const { status, json } = await client.get("/secret/a");

    const unknown = "1970-01-01T00:00:00.000Z";
    expect([status, json]).toEqual([
      200,
      { value: "one", version: "1", created_at: unknown, updated_at: unknown, labels: null },
    ]);
  });

  it.each([
    ["no project", "gcpsm://", /no project id/],
    ["a project that is none", "gcpsm://..", /no project id/],
    ["a path that leaves", "gcpsm://my-project/../x", /the path is/],
    ["an endpoint that is none", "gcpsm://my-project?endpoint=localhost:1", /"endpoint": expected http/],
  ])("stops the start with %s", async (_what, url, sentence) => {
    await expect(open(configUrl(url))).rejects.toMatchObject({
      code: "CONFIG_ERROR",
      message: expect.stringMatching(sentence),
    });
  });
});

describe("a server that does not answer", () => {
  it("is 503, and its ping says so", async () => {
    const client = await startHttp("http://127.0.0.1:1");

    expect((await client.get("/secret/a")).status).toBe(503);
    await expect((await start("", "my-project", "http://127.0.0.1:1")).ping()).rejects.toMatchObject({
      code: "UNAVAILABLE",
    });
    await expect((await start()).ping()).resolves.toBeUndefined();
  });
});

describe("a secret that was half made", () => {
  it("is none, and out of the way when its maker could not finish", async () => {
    const backend = await start();
    server.refuse(/:addVersion/, "UNAVAILABLE");
    await expect(backend.create("a", "one", {})).rejects.toMatchObject({ code: "UNAVAILABLE" });
    server.refuse(undefined);

    expect(await backend.create("a", "two", {})).toBe(true);
    expect((await backend.read("a"))?.value).toBe("two");
  });

  it("is none, and made whole by the next who creates it, once its maker must be gone", async () => {
    const backend = await start();
    server.refuse(/:addVersion|^DELETE/, "UNAVAILABLE");
    await backend.create("a", "one", { team: "old" }).catch(() => undefined); // as refused above
    server.refuse(undefined);

    expect([await backend.read("a"), await backend.exists("a"), await backend.list("", {})]).toEqual([
      undefined,
      false,
      [],
    ]);
    expect(await backend.create("a", "two", {})).toBe(false);
    server.age("a", 61_000);
    expect(await backend.create("a", "two", { team: "new" })).toBe(true);
    expect(await backend.read("a")).toMatchObject({ value: "two", labels: { team: "new" } });
  });
});

it("keeps all below the path of the URL, and values where it says", async () => {
  const [all, confined] = [await start(), await start("locations=europe-west1,europe-west4", "my-project/team/a")];
  await all.create("team/b", "other", {});

  await confined.create("x/y", "mine", {});

  expect((await all.read("team/a/x/y"))?.value).toBe("mine");
  expect((await confined.list("", {})).map(({ name }) => name)).toEqual(["x/y"]);
  expect(server.replicationOf("team__2Fa__2Fx__2Fy")).toEqual({
    userManaged: { replicas: [{ location: "europe-west1" }, { location: "europe-west4" }] },
  });
});

it("is absent while its newest version is disabled", async () => {
  const backend = await start();
  await backend.create("a", "one", {});
  await backend.update("a", "two", undefined);

  server.disable("a", 2);

  expect([await backend.read("a"), await backend.exists("a"), await backend.list("", {})]).toEqual([
    undefined,
    false,
    [],
  ]);
  expect((await backend.read("a", "1"))?.value).toBe("one");
  expect([await backend.update("a", "three", undefined), await backend.remove("a")]).toEqual([false, false]);
  expect(await backend.create("a", "three", {})).toBe(true);
  expect((await backend.versions("a"))?.map(({ version }) => version)).toEqual(["3", "1"]);
});
