/** What is peculiar to AWS: who the sidecar is, what it may do, and a server that does not answer. moto stands in for AWS. */

import { writeFileSync } from "node:fs";
import { CreateSecretCommand, DescribeSecretCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { temporaryFolder } from "@mikcar/devkit";
import { type MotoServer, startMoto } from "@mikcar/devkit/moto";
import type { SecretsBackend } from "../src/backend.ts";
import { open } from "../src/backends/awssm/index.ts";
import { type Client, serve } from "./client.ts";
import { startRecorder } from "./recorder.ts";

const VARIABLES = [
  "AWS_ACCESS_KEY_ID",
  "AWS_SECRET_ACCESS_KEY",
  "AWS_SESSION_TOKEN",
  "AWS_SHARED_CREDENTIALS_FILE",
  "AWS_CONFIG_FILE",
  "AWS_PROFILE",
  "AWS_REGION",
  "AWS_EC2_METADATA_DISABLED",
];

let server: MotoServer;
const folder = temporaryFolder();
let close: (() => unknown)[] = [];
beforeAll(async () => {
  server = await startMoto();
}, 120_000);
beforeEach(async () => {
  process.env["AWS_ACCESS_KEY_ID"] = "test";
  process.env["AWS_SECRET_ACCESS_KEY"] = "hush-key";
  await server.reset();
});
afterEach(async () => {
  for (const end of close.toReversed()) await end();
  close = [];
  for (const name of VARIABLES) delete process.env[name];
});
afterAll(async () => {
  await server?.remove();
  folder.remove();
});

async function start(parameters = "", place = "eu-west-1", endpoint = server.url): Promise<SecretsBackend> {
  const backend = await open(configUrl(`awssm://${place}?endpoint=${endpoint}&timeout_ms=1000&${parameters}`));
  close.push(() => backend.close());
  return backend;
}

async function startHttp(endpoint = server.url): Promise<Client> {
  const client = await serve(await open(configUrl(`awssm://eu-west-1?endpoint=${endpoint}&timeout_ms=1000`)));
  close.push(() => client.close());
  return client;
}

function direct(): SecretsManagerClient {
  const client = new SecretsManagerClient({ region: "eu-west-1", endpoint: server.url });
  close.push(() => client.destroy());
  return client;
}

describe("who the sidecar is", () => {
  const seen = async (backendOf: (url: string) => Promise<SecretsBackend>): Promise<Record<string, unknown>> => {
    const recorder = await startRecorder(() => [400, { __type: "ResourceNotFoundException" }]);
    close.push(() => recorder.close());
    await (await backendOf(recorder.url)).read("a");
    return { ...recorder.requests[0]?.headers };
  };

  it("is what the variables say, with the token of a session", async () => {
    process.env["AWS_SESSION_TOKEN"] = "session-1";

    const headers = await seen((url) => start("", "eu-west-1", url));

    expect(headers["x-amz-security-token"]).toBe("session-1");
    expect(headers["authorization"]).toMatch(/Credential=test\/\d{8}\/eu-west-1\/secretsmanager/);
  });

  it("is a profile, with its region, where there is one", async () => {
    delete process.env["AWS_ACCESS_KEY_ID"];
    delete process.env["AWS_SECRET_ACCESS_KEY"];
    writeFileSync(`${folder.path}/credentials`, "[ops]\naws_access_key_id=OPSKEY\naws_secret_access_key=hush\n");
    writeFileSync(`${folder.path}/config`, "[profile ops]\nregion=us-east-2\n");
    process.env["AWS_SHARED_CREDENTIALS_FILE"] = `${folder.path}/credentials`;
    process.env["AWS_CONFIG_FILE"] = `${folder.path}/config`;
    process.env["AWS_PROFILE"] = "ops";

    const headers = await seen((url) => start("", "", url));

    expect(headers["authorization"]).toMatch(/Credential=OPSKEY\/\d{8}\/us-east-2\/secretsmanager/);
  });

  it("is nobody: the calls are 502, and the log says what to set", async () => {
    delete process.env["AWS_ACCESS_KEY_ID"];
    delete process.env["AWS_SECRET_ACCESS_KEY"];
    process.env["AWS_SHARED_CREDENTIALS_FILE"] = `${folder.path}/none`;
    process.env["AWS_CONFIG_FILE"] = `${folder.path}/none`;
    process.env["AWS_EC2_METADATA_DISABLED"] = "true";
    const client = await startHttp();

    expect((await client.get("/secret/a")).status).toBe(502);
    expect(client.said()).toContain("set AWS_ACCESS_KEY_ID, AWS_PROFILE, or give this machine a role");
  });

  it.each([
    ["AccessDeniedException", 400, 502],
    ["UnrecognizedClientException", 400, 502],
    ["ExpiredTokenException", 400, 502],
    ["LimitExceededException", 400, 502],
    ["ThrottlingException", 400, 503],
    ["InternalServiceError", 500, 503],
  ])("is told %s, which is %i from AWS and %i from here, and nothing of its text", async (code, from, expected) => {
    const recorder = await startRecorder(() => [from, { __type: code, message: "words of AWS" }]);
    close.push(() => recorder.close());
    const client = await startHttp(recorder.url);

    const answers = [await client.get("/secret/a"), await client.create("a", "v4lu3"), await client.get("/list")];

    expect(answers.map(({ status }) => status)).toEqual([expected, expected, expected]);
    expect(answers.map(({ text }) => text).join("")).not.toContain("words");
    expect(client.said()).toContain(code);
    expect(client.said()).not.toMatch(/hush|v4lu3/);
  });

  it("says nothing of a value that AWS quotes in its refusal", async () => {
    const message = "1 validation error detected: Value 'v4lu3' at 'secretString' is too long";
    const recorder = await startRecorder(() => [400, { __type: "ValidationException", message }]);
    close.push(() => recorder.close());
    const client = await startHttp(recorder.url);

    expect((await client.create("a", "v4lu3")).status).toBe(502);
    expect(client.said()).toContain("ValidationException");
    expect(client.said()).not.toContain("v4lu3");
  });

  it("may be somebody who reads values, and nothing else: then labels are null", async () => {
    const value = { Name: "a", SecretString: "one", VersionId: "v".repeat(36), CreatedDate: 1_700_000_000 };
    const recorder = await startRecorder((_line, headers) =>
      String(headers["x-amz-target"]).endsWith("GetSecretValue")
        ? [200, value]
        : [400, { __type: "AccessDeniedException" }],
    );
    close.push(() => recorder.close());
    const client = await startHttp(recorder.url);

    const { status, json } = await client.get("/secret/a");

    const time = new Date(1_700_000_000_000).toISOString();
    expect([status, json]).toEqual([
      200,
      { value: "one", version: "v".repeat(36), created_at: time, updated_at: time, labels: null },
    ]);
  });
});

describe("a server that does not answer", () => {
  it("is 503 while it is frozen, and all is well afterwards", async () => {
    const client = await startHttp();
    await client.create("a", "one");

    server.freeze();
    const frozen = await client.get("/secret/a");
    server.thaw();

    expect([frozen.status, frozen.json.code]).toEqual([503, "UNAVAILABLE"]);
    expect((await client.get("/secret/a")).json.value).toBe("one");
  }, 30_000);

  it("is 503 when nobody listens", async () => {
    const client = await startHttp("http://127.0.0.1:1");

    expect((await client.get("/secret/a")).status).toBe(503);
    expect((await client.get("/list")).status).toBe(503);
  });

  it("is what a ping finds out", async () => {
    await expect((await start()).ping()).resolves.toBeUndefined();
    await expect((await start("", "eu-west-1", "http://127.0.0.1:1")).ping()).rejects.toMatchObject({
      code: "UNAVAILABLE",
    });
  });
});

describe("what others have stored", () => {
  it.each([
    ["text", Buffer.from("ümläut"), "ümläut"],
    ["no text", Buffer.from([0xff, 0xfe]), undefined],
  ])("may be bytes that are %s", async (_what, SecretBinary, expected) => {
    await direct().send(new CreateSecretCommand({ Name: "a", SecretBinary }));
    const backend = await start();

    if (expected === undefined) await expect(backend.read("a")).rejects.toMatchObject({ code: "UNSUPPORTED" });
    else expect((await backend.read("a"))?.value).toBe(expected);
  });

  it("has names that no call could have, which are not listed", async () => {
    for (const Name of ["a+b", "a@b", "/a", "fine"]) {
      await direct().send(new CreateSecretCommand({ Name, SecretString: "x" }));
    }

    expect((await (await start()).list("", {})).map(({ name }) => name)).toEqual(["fine"]);
  });

  it("may have no value yet: then it is absent, and can be created", async () => {
    await direct().send(new CreateSecretCommand({ Name: "a" }));
    const backend = await start();

    expect([await backend.read("a"), await backend.exists("a"), await backend.list("", {})]).toEqual([
      undefined,
      false,
      [],
    ]);
    expect(await backend.create("a", "one", { team: "x" })).toBe(true);
    expect(await backend.read("a")).toMatchObject({ value: "one", labels: { team: "x" } });
    expect(await backend.create("a", "two", {})).toBe(false);
  });

  it("is seen by the next read when it changes", async () => {
    const [one, other] = [await start(), await start()];
    await one.create("a", "one", {});
    expect((await other.read("a"))?.value).toBe("one");

    await one.update("a", "two", undefined);

    expect((await other.read("a"))?.value).toBe("two");
  });
});

it("keeps all below the path of the URL", async () => {
  const [all, confined] = [await start(), await start("", "eu-west-1/team/a")];
  await all.create("team/b", "other", {});

  await confined.create("x/y", "mine", {});

  expect((await all.read("team/a/x/y"))?.value).toBe("mine");
  expect((await confined.list("", {})).map(({ name }) => name)).toEqual(["x/y"]);
});

it("lets a deleted secret be restored where the URL asks for it, and its name is taken meanwhile", async () => {
  const backend = await start("recovery_days=7");
  await backend.create("a", "one", {});

  expect(await backend.remove("a")).toBe(true);

  expect([await backend.read("a"), await backend.exists("a"), await backend.list("", {})]).toEqual([
    undefined,
    false,
    [],
  ]);
  expect([await backend.remove("a"), await backend.create("a", "two", {})]).toEqual([false, false]);
  const { DeletedDate } = await direct().send(new DescribeSecretCommand({ SecretId: "a" }));
  expect(DeletedDate).toBeDefined();
});

it.each([
  ["recovery_days=3", /AWS takes 7 to 30/],
  ["timeout_ms=0", /"timeout_ms" is "0"/],
  ["endpoint=http://u:hush@127.0.0.1", /"endpoint": expected http.*no login/],
])("stops the start with %s", async (parameters, sentence) => {
  await expect(open(configUrl(`awssm://eu-west-1?${parameters}`))).rejects.toMatchObject({
    code: "CONFIG_ERROR",
    message: expect.stringMatching(sentence),
  });
});
