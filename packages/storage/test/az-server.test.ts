/** Azure beyond the contract: prefixes, logins, faults, large bodies, signed URLs, TLS; on Azurite, which Microsoft tests with. */

import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { inspect } from "node:util";
import {
  AccountSASPermissions,
  AccountSASResourceTypes,
  AccountSASServices,
  type ContainerClient,
  BlobServiceClient,
  generateAccountSASQueryParameters,
  StorageSharedKeyCredential,
} from "@azure/storage-blob";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { temporaryFolder } from "@mikcar/devkit";
import { type AzuriteServer, LOCALHOST, startAzurite } from "@mikcar/devkit/azurite";
import type { StorageBackend } from "../src/backend.ts";
import { open } from "../src/backends/az/index.ts";
import { broken, list, PLAIN, paths, put, read, text } from "./contract.ts";
import { goesBothWays } from "./large.ts";

const MIB = 1024 * 1024;
const VARIABLES = ["CONNECTION_STRING", "ACCOUNT", "KEY", "SAS_TOKEN"].map((name) => `AZURE_STORAGE_${name}`);

let server: AzuriteServer;
const opened: StorageBackend[] = [];
beforeAll(async () => {
  server = await startAzurite();
}, 120_000);
afterEach(async () => {
  for (const storage of opened.splice(0)) await storage.close();
  for (const name of VARIABLES) delete process.env[name];
});
afterAll(() => server?.remove());

function login({ endpoint, account, key }: Pick<AzuriteServer, "endpoint" | "account" | "key"> = server): string {
  return `endpoint=${endpoint}&account=${account}&account_key=${encodeURIComponent(key)}`;
}

async function start(place: string, parameters = login()): Promise<StorageBackend> {
  const storage = await open(configUrl(`az://${place}?${parameters}`));
  opened.push(storage);
  return storage;
}

function bare(container: string): ContainerClient {
  const credential = new StorageSharedKeyCredential(server.account, server.key);
  return new BlobServiceClient(server.endpoint, credential).getContainerClient(container);
}

async function names(container: string, uncommitted = false): Promise<string[]> {
  const found: string[] = [];
  const blobs = bare(container).listBlobsFlat({ includeUncommitedBlobs: uncommitted });
  for await (const { name } of blobs) found.push(name);
  return found;
}

function connectionString(): string {
  return `AccountName=${server.account};AccountKey=${server.key};BlobEndpoint=${server.endpoint};`;
}

function accountSas(): string {
  const options = {
    services: AccountSASServices.parse("b").toString(),
    resourceTypes: AccountSASResourceTypes.parse("sco").toString(),
    permissions: AccountSASPermissions.parse("rwdlac"),
    expiresOn: new Date(Date.now() + 600_000),
  };
  return generateAccountSASQueryParameters(
    options,
    new StorageSharedKeyCredential(server.account, server.key),
  ).toString();
}

describe("a prefix in the URL of Azure", () => {
  it("confines everything below it, and is not to be seen", async () => {
    const container = await server.freshContainer();
    const [all, confined] = [await start(container), await start(`${container}/team-a`)];
    for (const path of ["team-a0", "team-b/x", "x"]) await put(all, path, "other");

    await put(confined, "x", "mine");
    await confined.copy("x", "y/z");
    await confined.move("y/z", "y/w");

    expect(await names(container)).toEqual(["team-a/x", "team-a/y/w", "team-a0", "team-b/x", "x"]);
    expect(await text(all, "team-a/x")).toBe("mine");
    expect((await confined.head("x"))?.path).toBe("x");
    expect(await list(confined, { delimiter: "/" })).toMatchObject({ prefixes: ["y/"], objects: [{ path: "x" }] });
    expect(await confined.deleteMany(["x", "y/w", "team-b/x"])).toEqual({ deleted: 2, errors: [] });
    expect(await names(container)).toEqual(["team-a0", "team-b/x", "x"]);
  });

  it("is not left by a listing, wherever that is to begin", async () => {
    const container = await server.freshContainer();
    const [all, confined] = [await start(container), await start(`${container}/m`)];
    for (const path of ["a/secret", "m/1", "m/2", "m0", "z/secret"]) await put(all, path);

    for (const after of ["", "../", "../../z", "/", "\u0000", "0\u0000zz", "\\", "0", "%2e%2e", "?&=#+"]) {
      expect([after, await paths(confined, { after })]).toEqual([after, ["1", "2"].filter((path) => path > after)]);
    }
    expect(await paths(confined, { after: "1" })).toEqual(["2"]);
    for (const after of ["2", "z", "~", "\u{10ffff}", "é".repeat(500)]) {
      expect(await list(confined, { after, delimiter: "/" })).toEqual({ objects: [], prefixes: [], next: undefined });
    }
  });
});

describe("who the sidecar is for Azure", () => {
  it.each<[string, () => [parameters: string, env: Record<string, string>]]>([
    ["a connection string", () => ["", { AZURE_STORAGE_CONNECTION_STRING: connectionString() }]],
    [
      "an account and its key",
      () => [`endpoint=${server.endpoint}`, { AZURE_STORAGE_ACCOUNT: server.account, AZURE_STORAGE_KEY: server.key }],
    ],
    [
      "a SAS in the environment",
      () => [
        `endpoint=${server.endpoint}`,
        { AZURE_STORAGE_ACCOUNT: server.account, AZURE_STORAGE_SAS_TOKEN: `?${accountSas()}` },
      ],
    ],
    [
      "a SAS in the URL",
      () => [
        `endpoint=${server.endpoint}&account=${server.account}&sas_token=${encodeURIComponent(accountSas())}`,
        { AZURE_STORAGE_KEY: "bm90IHRoaXM=" },
      ],
    ],
  ])("is told by %s", async (_what, make) => {
    const [parameters, env] = make();
    Object.assign(process.env, env);
    const storage = await start(await server.freshContainer(), parameters);

    await storage.ping();
    await put(storage, "a", "1");
    await storage.copy("a", "b");
    await storage.move("b", "c");

    expect([await text(storage, "c"), await paths(storage)]).toEqual(["1", ["a", "c"]]);
    const { deleted, errors } = await storage.deleteMany(["a", "c", "d"]);
    // Azurite answers a batch with a SAS by 500: then each path has that failure.
    if (errors.length === 0) expect(deleted).toBe(2);
    else expect([parameters + JSON.stringify(env), errors.length]).toEqual([expect.stringMatching(/sas_token/i), 3]);
  });

  it("is the identity of the machine without all that, whose token is asked for and sent", async () => {
    const secure = await startAzurite({ tls: LOCALHOST });
    const folder = temporaryFolder();
    writeFileSync(`${folder.path}/ca.pem`, LOCALHOST.authority);
    const asked: string[] = [];
    const issuer = createServer((request, response) => {
      asked.push(`${request.url} ${String(request.headers["x-identity-header"])}`);
      const expires = Math.floor(Date.now() / 1000) + 3600;
      const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
      const claims = {
        iss: "https://sts.windows.net/tenant/",
        aud: "https://storage.azure.com",
        iat: expires - 7200,
        nbf: expires - 7200,
        exp: expires,
      };
      response.setHeader("Content-Type", "application/json");
      response.end(
        JSON.stringify({
          access_token: `${part({ alg: "none", typ: "JWT" })}.${part(claims)}.${part({})}`,
          expires_on: String(expires),
          resource: "https://storage.azure.com",
          token_type: "Bearer",
        }),
      );
    }).listen(0, "127.0.0.1");
    await once(issuer, "listening");
    process.env["IDENTITY_ENDPOINT"] = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/token`;
    process.env["IDENTITY_HEADER"] = "of-the-machine";
    try {
      const parameters = `endpoint=${secure.endpoint}&ca=${folder.path}/ca.pem`;
      const storage = await start(await secure.freshContainer(), parameters);

      await put(storage, "a", "1");
      await storage.copy("a", "b");

      expect(await text(storage, "b")).toBe("1");
      expect(asked[0]).toMatch(/resource=https%3A%2F%2Fstorage\.azure\.com.* of-the-machine$/);
    } finally {
      delete process.env["IDENTITY_ENDPOINT"];
      delete process.env["IDENTITY_HEADER"];
      issuer.close();
      await secure.remove();
      folder.remove();
    }
  }, 60_000);

  it("may be nobody that Azure knows: the log says so, and the calls are BAD_GATEWAY", async () => {
    const key = Buffer.from("hush, a wrong key").toString("base64");
    const storage = await start(await server.freshContainer(), login({ ...server, key }));

    const calls = [storage.ping(), storage.head("x"), read(storage, "x"), put(storage, "x"), list(storage)];
    for (const result of await Promise.allSettled(calls)) {
      const reason: unknown = result.status === "rejected" ? result.reason : undefined;
      expect(reason).toMatchObject({
        code: "BAD_GATEWAY",
        message: expect.stringMatching(/Azure.*see the key, token or role/),
      });
      expect(inspect(reason)).not.toContain(key);
    }
  });

  it.each([
    ["az://my-container", /which account\?/],
    ["az://My_Container?account=a", /is no container/],
    ["az://my-container?endpoint=ftp://x", /expected http/],
    ["az://user:hush@my-container?account=a", /no login/],
    ["az://my-container/a/../b?account=a", /segment/],
  ])("refuses %s at the start", async (url, message) => {
    await expect(open(configUrl(url))).rejects.toThrow(message);
    await expect(open(configUrl(url))).rejects.not.toThrow(/hush/);
  });
});

describe("Azure", () => {
  it("may have no such container, which is told", async () => {
    const storage = await start("no-such-container");

    await expect(storage.ping()).rejects.toMatchObject({
      code: "BAD_GATEWAY",
      message: expect.stringMatching(/ContainerNotFound/),
    });
    await expect(put(storage, "x")).rejects.toMatchObject({ code: "BAD_GATEWAY" });
    await expect(read(storage, "x")).rejects.toMatchObject({ code: "BAD_GATEWAY" });
  });

  it("may be away, and is used again when it is back", async () => {
    const container = await server.freshContainer();
    const storage = await start(container);
    await put(storage, "x", "before");

    await server.kill();
    const away = [storage.ping(), storage.head("x"), read(storage, "x"), put(storage, "x"), list(storage)];
    for (const result of await Promise.allSettled(away)) {
      expect(result).toMatchObject({ status: "rejected", reason: { code: "UNAVAILABLE" } });
    }
    await server.start();
    await bare(container).create(); // Azurite keeps nothing

    await put(storage, "x", "after");
    expect(await text(storage, "x")).toBe("after");
  }, 60_000);

  it("may be frozen, which ends with timeout_ms, and all is well afterwards", async () => {
    const storage = await start(await server.freshContainer(), `${login()}&timeout_ms=1500`);
    await put(storage, "x", "before");

    server.freeze();
    const frozen = [storage.ping(), storage.head("x"), read(storage, "x"), put(storage, "x"), list(storage)];
    const results = await Promise.allSettled(frozen);
    server.thaw();

    for (const result of results) {
      expect(result).toMatchObject({ status: "rejected", reason: { code: "UNAVAILABLE" } });
    }
    expect(["before", "x"]).toContain(await text(storage, "x")); // the write may have come through
  }, 60_000);

  it("waits for a reader who is slower than timeout_ms", async () => {
    const container = await server.freshContainer();
    await put(await start(container), "large", Buffer.alloc(24 * MIB, "x"));
    const storage = await start(container, `${login()}&timeout_ms=1500`);

    const select = ({ size }: { size: number }): { start: number; end: number } => ({ start: 0, end: size });
    const found = await storage.get("large", { conditions: undefined, range: undefined, select });
    let length = 0;
    for await (const chunk of (found as { body: AsyncIterable<Buffer> }).body) {
      if (length === 0) await new Promise((resolve) => setTimeout(resolve, 3000));
      length += chunk.length;
    }

    expect(length).toBe(24 * MIB);
  }, 30_000);

  it("gives URLs that read and write without a login, until they expire", async () => {
    const storage = await start(`${await server.freshContainer()}/team a`);
    const inAMinute = new Date(Math.ceil(Date.now() / 1000) * 1000 + 60_000);

    const write = await storage.presign("PUT", "a b/ü+%.txt", inAMinute);
    const get = await storage.presign("GET", "a b/ü+%.txt", inAMinute);
    const stored = await fetch(write?.url ?? "", { method: "PUT", body: "hello", headers: write?.headers ?? {} });
    const answer = await fetch(get?.url ?? "");

    expect([stored.status, answer.status, await answer.text()]).toEqual([201, 200, "hello"]);
    expect(await text(storage, "a b/ü+%.txt")).toBe("hello");
    expect((await fetch(get?.url ?? "", { method: "PUT", body: "x", headers: write?.headers ?? {} })).status).toBe(403);
    const late = await storage.presign("GET", "a b/ü+%.txt", new Date(Date.now() - 1000));
    expect((await fetch(late?.url ?? "")).status).toBe(403);
  });

  it("gives none to whom a SAS alone lets in: the sidecar signs its own", async () => {
    const parameters = `endpoint=${server.endpoint}&account=${server.account}&sas_token=${encodeURIComponent(accountSas())}`;
    const storage = await start(await server.freshContainer(), parameters);

    expect(await storage.presign("GET", "x", new Date(Date.now() + 60_000))).toBeUndefined();
  });
});

describe("a large body in Azure", () => {
  it("is put together from its blocks, with its headers, read in part and copied", async () => {
    const container = await server.freshContainer();
    const storage = await start(container);
    const bytes = Buffer.alloc(20 * MIB, randomBytes(977));
    const headers = { contentType: "x/y", cacheControl: "no-store", metadata: { "k-1": "v", "2": "é" } };
    async function* uneven(): AsyncGenerator<Buffer> {
      for (let at = 0; at < bytes.length; at += 77_777) yield bytes.subarray(at, at + 77_777);
    }

    const { eTag, size } = await storage.put("large", uneven(), headers);

    expect(size).toBe(bytes.length);
    expect(await storage.head("large")).toMatchObject({ ...headers, eTag, size });
    expect((await read(storage, "large"))?.equals(bytes)).toBe(true);
    const slice = { start: 8 * MIB - 5, end: 8 * MIB + 5 };
    expect(await read(storage, "large", slice)).toEqual(bytes.subarray(slice.start, slice.end));
    expect((await storage.copy("large", "copy"))?.size).toBe(size);
    expect(await storage.head("copy")).toMatchObject({ ...headers, size });
    expect((await read(storage, "copy"))?.equals(bytes)).toBe(true);
  }, 60_000);

  it.each([7, 9, 33])("leaves no object when it breaks off after %i MiB", async (sizeMib) => {
    const container = await server.freshContainer();
    const storage = await start(container);
    async function* breaking(): AsyncGenerator<Buffer> {
      for (let sent = 0; sent < sizeMib; sent += 1) yield Buffer.alloc(MIB, "x");
      yield* broken();
    }

    await expect(storage.put("x", breaking(), PLAIN)).rejects.toThrow("the client went away");

    expect(await storage.head("x")).toBeUndefined();
    expect(await names(container)).toEqual([]);
    // Blocks that nobody commits cannot be removed by themselves: Azure drops them after a week.
    expect(await names(container, true)).toEqual(sizeMib > 16 ? ["x"] : []);
    await put(storage, "x", "small");
    expect(await text(storage, "x")).toBe("small");
  });

  it("is one step with its conditions, also in blocks", async () => {
    const storage = await start(await server.freshContainer());
    async function* large(): AsyncGenerator<Buffer> {
      yield Buffer.alloc(12 * MIB, "x");
      await put(storage, "x", "meanwhile");
      yield Buffer.alloc(MIB, "x");
    }

    await expect(storage.put("x", large(), PLAIN, { ifNoneMatch: "*" })).rejects.toMatchObject({
      code: "PRECONDITION_FAILED",
    });

    expect(await text(storage, "x")).toBe("meanwhile");
  });

  goesBothWays(async () => `az://${await server.freshContainer()}?${login()}&timeout_ms=60000`); // Azurite takes its time
});

it("of more metadata than Azure keeps is told before the body is read", async () => {
  const storage = await start(await server.freshContainer());
  const headers = { ...PLAIN, metadata: { k: "v".repeat(8192) } };

  await expect(storage.put("x", broken(), headers)).rejects.toMatchObject({
    code: "BAD_REQUEST",
    message: expect.stringMatching(/8193 bytes .* keeps 8192/),
  });
});
