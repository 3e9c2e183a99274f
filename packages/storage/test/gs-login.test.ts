/** Who the sidecar is for Google: key files, tokens that are fetched and renewed, and what is told when there are none. */

import { createHash, createPublicKey, verify } from "node:crypto";
import { copyFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { inspect } from "node:util";
import { Storage } from "@google-cloud/storage";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { ask, startProgram, temporaryFolder } from "@mikcar/devkit";
import { type FakeGcs, startFakeGcs } from "@mikcar/devkit/fake-gcs";
import type { StorageBackend } from "../src/backend.ts";
import { open } from "../src/backends/gs/index.ts";
import { Login } from "../src/backends/gs/login.ts";
import { list, put, read, text } from "./contract.ts";
import { type FakeBucket, type Heard, startFakeBucket } from "./fake-bucket.ts";
import { OTHER_UNIVERSE, publicKey, writeServiceAccount } from "./gs-key.ts";

const VARIABLES = /^(?:GOOGLE_|GCLOUD_|STORAGE_EMULATOR_HOST|GCE_METADATA|METADATA_SERVER|CLOUDSDK_|HOME$)/;
const BIN = fileURLToPath(new URL("../dist/bin.js", import.meta.url));
const LOOK = /look at GOOGLE_APPLICATION_CREDENTIALS, key_file=/;

const folder = temporaryFolder();
const keyFile = `${folder.path}/key.json`;
const before = { ...process.env };
let server: FakeBucket;
let opened: StorageBackend[] = [];

beforeEach(async () => {
  for (const name of Object.keys(process.env)) if (VARIABLES.test(name)) delete process.env[name];
  process.env["METADATA_SERVER_DETECTION"] = "none"; // this is no machine of Google's
  process.env["HOME"] = folder.path; // nor has it a login of gcloud
  server = await startFakeBucket((response) => response.writeHead(404).end());
});
afterEach(async () => {
  for (const name of Object.keys(process.env)) if (VARIABLES.test(name)) delete process.env[name];
  Object.assign(process.env, before);
  for (const storage of opened) await storage.close();
  opened = [];
  await server.close();
});
afterAll(() => folder.remove());

async function start(url: string): Promise<StorageBackend> {
  const storage = await open(configUrl(url));
  opened.push(storage);
  return storage;
}

function withKey(parameters = ""): Promise<StorageBackend> {
  return start(`gs://bucket?endpoint=http://${server.address}&key_file=${keyFile}&timeout_ms=2000${parameters}`);
}

/** Workload identity: https://cloud.google.com/iam/docs/workload-identity-federation */
function writeWorkloadIdentity(tokens: Tokens): void {
  writeFileSync(`${folder.path}/subject`, "the subject");
  const account = {
    type: "external_account",
    audience: "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/p",
    subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
    token_url: `${tokens.url}/v1/token`,
    credential_source: { file: `${folder.path}/subject` },
  };
  writeFileSync(keyFile, JSON.stringify(account));
}

interface Tokens {
  readonly url: string;
  readonly heard: string[];
  /** What the next answers are. */
  answer: { readonly status?: number; readonly seconds?: number } | "nothing";
  close(): Promise<void>;
}

/** Gives token-1, token-2 and so on: as a server of tokens, and as the metadata server of a machine. */
async function startTokens(): Promise<Tokens> {
  let count = 0;
  const tokens = { heard: [] as string[], answer: {} as Tokens["answer"] };
  const listener: Server = createServer((request, response) => {
    tokens.heard.push(`${request.method} ${request.url}`);
    request.resume();
    if (tokens.answer === "nothing") return;
    const { status = 200, seconds = 3600 } = tokens.answer;
    response.writeHead(status, { "Content-Type": "application/json", "Metadata-Flavor": "Google" });
    if (status !== 200) return void response.end(JSON.stringify({ error: "invalid_grant", error_description: "hush" }));
    if (request.url?.includes("token") !== true) return void response.end("{}");
    count += 1;
    const token = { access_token: `token-${count}`, token_type: "Bearer", expires_in: seconds };
    response.end(JSON.stringify({ ...token, issued_token_type: "urn:ietf:params:oauth:token-type:access_token" }));
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  return Object.assign(tokens, {
    url: `http://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    close: async () => {
      listener.closeAllConnections();
      await new Promise((resolve) => listener.close(resolve));
    },
  });
}

function bearers(): unknown[] {
  return server.heard.map(({ headers }) => headers["authorization"]);
}

describe("a key file", () => {
  it("of a service account signs what the requests carry", async () => {
    writeServiceAccount(keyFile, OTHER_UNIVERSE);
    const storage = await withKey("&project=my-project");

    expect(await storage.head("x")).toBeUndefined();

    const { headers } = server.heard.at(-1) as Heard;
    const [head = "", claims = "", signature = ""] = String(headers["authorization"]).replace("Bearer ", "").split(".");
    const key = createPublicKey(publicKey.export({ type: "spki", format: "pem" }));
    expect(verify("sha256", Buffer.from(`${head}.${claims}`), key, Buffer.from(signature, "base64url"))).toBe(true);
    expect(JSON.parse(Buffer.from(claims, "base64url").toString())).toMatchObject({
      iss: "sidecar@my-project.iam.gserviceaccount.com",
      scope: expect.stringContaining("devstorage.full_control"),
    });
    expect(headers["x-goog-user-project"]).toBe("my-project");
  });

  it("of a workload identity is changed into a token, which is kept until it expires", async () => {
    const tokens = await startTokens();
    writeWorkloadIdentity(tokens);
    const storage = await withKey();

    await storage.head("x");
    await storage.head("x");
    expect([bearers(), tokens.heard.length]).toEqual([["Bearer token-1", "Bearer token-1"], 1]);

    tokens.answer = { seconds: 1 };
    const short = await withKey();
    await short.head("x");
    await short.head("x");
    expect(bearers().slice(2)).toEqual(["Bearer token-2", "Bearer token-3"]);
    await tokens.close();
  });

  it("is still used while no other one comes", async () => {
    const tokens = await startTokens();
    tokens.answer = { seconds: 1 };
    writeWorkloadIdentity(tokens);
    const storage = await withKey();

    await storage.head("x");
    tokens.answer = "nothing";
    await storage.head("x");
    expect(bearers()).toEqual(["Bearer token-1", "Bearer token-1"]);
    await tokens.close();
  });

  it("is read again when Google refuses the token before its time", async () => {
    const tokens = await startTokens();
    writeWorkloadIdentity(tokens);
    const storage = await withKey();
    await storage.head("x");
    await server.close();
    server = await startFakeBucket((response, { headers }) => {
      response.writeHead(headers["authorization"] === "Bearer token-1" ? 401 : 404).end();
    });
    const moved = await withKey();

    expect(await moved.head("x")).toBeUndefined();
    expect(bearers()).toEqual(["Bearer token-2"]);
    await server.close();
    server = await startFakeBucket((response) => response.writeHead(server.heard.length === 1 ? 401 : 404).end());
    expect(await (await withKey()).head("x")).toBeUndefined();
    expect(bearers()).toEqual(["Bearer token-3", "Bearer token-4"]);
    await tokens.close();
  });

  it("may come later than the sidecar", async () => {
    const tokens = await startTokens();
    const late = `${folder.path}/late.json`;
    const storage = await start(`gs://bucket?endpoint=http://${server.address}&key_file=${late}`);

    await expect(storage.ping()).rejects.toMatchObject({
      code: "BAD_GATEWAY",
      message: expect.stringMatching(LOOK),
    });
    writeWorkloadIdentity(tokens);
    copyFileSync(keyFile, late);

    expect(await storage.head("x")).toBeUndefined();
    await tokens.close();
  });

  it.each([
    [
      "is refused by the server of tokens",
      { status: 400 },
      "BAD_GATEWAY",
      /credentials are refused \(HTTP 400\); look at/,
    ],
    ["meets a server of tokens that cannot", { status: 503 }, "UNAVAILABLE", /does not answer/],
    ["meets a server of tokens that says nothing", "nothing" as const, "UNAVAILABLE", /does not answer \(ETIMEDOUT\)/],
  ])("%s", async (_what, answer, code, sentence) => {
    const tokens = await startTokens();
    tokens.answer = answer;
    writeWorkloadIdentity(tokens);
    const storage = await start(`gs://bucket?endpoint=http://${server.address}&key_file=${keyFile}&timeout_ms=500`);

    const error: unknown = await storage.head("x").catch((thrown: unknown) => thrown);

    expect(error).toMatchObject({ code, message: expect.stringMatching(sentence) });
    expect(inspect(error)).not.toContain("hush");
    expect(server.heard).toEqual([]);
    await tokens.close();
  });

  it.each([
    ["no JSON", '{"private_key": "hush'],
    ["no key", JSON.stringify({ type: "service_account", client_email: "x@y", private_key: "hush" })],
    ["nothing in it", ""],
  ])("with %s is told of, without a word of what is in it", async (_what, content) => {
    writeFileSync(keyFile, content);
    const storage = await withKey();

    for (const result of await Promise.allSettled([
      storage.ping(),
      read(storage, "x"),
      put(storage, "x"),
      list(storage),
    ])) {
      const reason: unknown = result.status === "rejected" ? result.reason : undefined;
      expect(reason).toMatchObject({ code: "BAD_GATEWAY", message: expect.stringMatching(LOOK) });
      expect(inspect(reason)).not.toMatch(/hush|private_key/);
    }
    expect(server.heard).toEqual([]);
  });
});

describe("application default credentials", () => {
  const login = (): Login =>
    new Login(() => new Storage({ projectId: "none" }), { bucket: "bucket", place: "gs://bucket", waitMs: 5000 });

  it("are of the file that GOOGLE_APPLICATION_CREDENTIALS names", async () => {
    const tokens = await startTokens();
    writeWorkloadIdentity(tokens);
    process.env["GOOGLE_APPLICATION_CREDENTIALS"] = keyFile;

    expect(await login().headers()).toMatchObject({ authorization: "Bearer token-1" });
    await tokens.close();
  });

  it("are of the machine's service account, without a file", async () => {
    const tokens = await startTokens();
    process.env["GCE_METADATA_HOST"] = tokens.url.replace("http://", "");
    process.env["METADATA_SERVER_DETECTION"] = "assume-present";

    expect(await login().headers()).toMatchObject({ authorization: "Bearer token-1" });
    await tokens.close();
  });

  it("may be missing: the server starts, answers 502, and says what to set", async () => {
    const program = await startProgram(BIN, {
      args: ["--port", "0", "--log-level", "info"],
      env: { STORAGE_URL: "gs://bucket", HOME: folder.path, METADATA_SERVER_DETECTION: "none" },
    });
    const answers = [
      await ask(program.url, "/storage/object/x"),
      await ask(program.url, "/storage/object/x", { method: "PUT", body: "x" }),
      await ask(program.url, "/storage/list"),
    ];
    const { stdout, stderr } = await program.stop();

    expect(answers.map(({ status }) => status)).toEqual([502, 502, 502]);
    expect(answers.map((answer) => answer.text).join("")).not.toContain("GOOGLE");
    expect(stdout + stderr).toMatch(/gs:\/\/bucket: no credentials .*look at GOOGLE_APPLICATION_CREDENTIALS/);
  });
});

describe("an emulator", () => {
  it("is called without credentials, whichever there are", async () => {
    writeServiceAccount(keyFile);
    process.env["GOOGLE_APPLICATION_CREDENTIALS"] = keyFile;

    await (await start(`gs://bucket?endpoint=http://${server.address}`)).head("x");
    process.env["STORAGE_EMULATOR_HOST"] = `http://${server.address}`;
    await (await start("gs://bucket")).head("x");
    process.env["STORAGE_EMULATOR_HOST"] = server.address;
    const storage = await start("gs://bucket");
    await storage.head("x");

    expect(bearers()).toEqual([undefined, undefined, undefined]);
    expect(await storage.presign("GET", "x", new Date())).toBeUndefined();
  });
});

describe("a signed URL", () => {
  let emulator: FakeGcs;
  beforeEach(async () => {
    emulator = await startFakeGcs();
    await emulator.createBucket("bucket");
  }, 120_000);
  afterEach(() => emulator.remove());
  const inAMinute = (): Date => new Date(Math.ceil(Date.now() / 1000) * 1000 + 60_000);

  it("has a signature of the key, for this method, object and time", async () => {
    writeServiceAccount(keyFile);
    const storage = await start(`gs://bucket/team%20a?endpoint=${emulator.url}&key_file=${keyFile}`);

    const signed = await storage.presign("GET", "a b/ü+%.txt", inAMinute());

    const url = new URL(signed?.url ?? "");
    const query = Object.fromEntries(url.searchParams);
    expect(url.pathname).toBe("/bucket/team%20a/a%20b/%C3%BC%2B%25.txt");
    expect(query).toMatchObject({
      "X-Goog-Algorithm": "GOOG4-RSA-SHA256",
      "X-Goog-Credential": expect.stringMatching(
        /^sidecar@my-project\.iam\.gserviceaccount\.com\/\d{8}\/auto\/storage\//,
      ),
      "X-Goog-SignedHeaders": "host",
    });
    expect(Math.abs(Number(query["X-Goog-Expires"]) - 61)).toBeLessThanOrEqual(1);
    expect(isSignedBy(url, "GET")).toBe(true);
    expect(isSignedBy(url, "PUT")).toBe(false);
  });

  it("writes and reads without a login (the emulator does not look at the signature)", async () => {
    writeServiceAccount(keyFile);
    const place = `gs://bucket/team%20a?endpoint=${emulator.url}`;
    const [signing, plain] = [await start(`${place}&key_file=${keyFile}`), await start(place)];

    const toPut = await signing.presign("PUT", "a b/ü+%.txt", inAMinute());
    const toGet = await signing.presign("GET", "a b/ü+%.txt", inAMinute());
    const stored = await fetch(toPut?.url ?? "", { method: "PUT", body: "hello", headers: toPut?.headers ?? {} });
    const answer = await fetch(toGet?.url ?? "");

    expect([stored.status, answer.status, await answer.text()]).toEqual([200, 200, "hello"]);
    expect(await text(plain, "a b/ü+%.txt")).toBe("hello");
  });

  it("lasts seven days at most, and has not expired when it is made", async () => {
    writeServiceAccount(keyFile);
    const storage = await start(`gs://bucket?endpoint=${emulator.url}&key_file=${keyFile}`);
    const seconds = async (expiresAt: Date): Promise<number> =>
      Number(new URL((await storage.presign("GET", "x", expiresAt))?.url ?? "").searchParams.get("X-Goog-Expires"));

    expect(await seconds(new Date(Date.now() + 30 * 86_400_000))).toBe(604_800);
    expect(await seconds(new Date(0))).toBe(1);
  });

  it("is none of Google's where the credentials cannot sign: then the sidecar makes one of its own", async () => {
    const user = { type: "authorized_user", client_id: "1", client_secret: "hush", refresh_token: "hush" };
    writeFileSync(keyFile, JSON.stringify(user));
    const storage = await start(`gs://bucket?endpoint=${emulator.url}&key_file=${keyFile}`);

    expect(await storage.presign("GET", "x", inAMinute())).toBeUndefined();
  });
});

/** https://cloud.google.com/storage/docs/authentication/canonical-requests */
function isSignedBy(url: URL, method: string): boolean {
  const signature = Buffer.from(url.searchParams.get("X-Goog-Signature") ?? "", "hex");
  const query = url.search
    .slice(1)
    .split("&")
    .filter((pair) => !pair.startsWith("X-Goog-Signature"))
    .sort()
    .join("&");
  const request = [method, url.pathname, query, `host:${url.hostname}`, "", "host", "UNSIGNED-PAYLOAD"].join("\n");
  const time = url.searchParams.get("X-Goog-Date") ?? "";
  const scope = `${time.slice(0, 8)}/auto/storage/goog4_request`;
  const digest = createHash("sha256").update(request).digest("hex");
  return verify("sha256", Buffer.from(["GOOG4-RSA-SHA256", time, scope, digest].join("\n")), publicKey, signature);
}

it.each([
  ["gs://", /"" is no name of a bucket/],
  ["gs://b", /"b" is no name of a bucket/],
  ["gs://Bucket", /no name of a bucket/],
  ["gs://bucket/a//b", /the prefix in the URL: the prefix has an empty segment/],
  ["gs://user:hush@bucket", /no login belongs before the bucket/],
  ["gs://bucket/a/../b", /the prefix in the URL: the prefix has a "\.\." segment/],
  ["gs://bucket?timeout_ms=0", /"timeout_ms" is "0"/],
  ["gs://bucket?endpoint=http://u:hush@127.0.0.1", /"endpoint": expected http.*login/],
  ["gs://bucket?endpoint=127.0.0.1:9000", /"endpoint": expected http/],
  ["gs://bucket?endpoint=http://127.0.0.1/x", /"endpoint": expected http/],
  ["gs://bucket?project=a%0db", /"project"/],
  ["gs://bucket?ca=/nowhere", /"ca": the file "\/nowhere" cannot be read/],
])("stops the start with %s", async (url, sentence) => {
  const error: unknown = await open(configUrl(url)).catch((thrown: unknown) => thrown);

  expect(error).toMatchObject({ code: "CONFIG_ERROR", message: expect.stringMatching(sentence) });
  expect(String(error)).not.toContain("hush");
});
