/** Who the sidecar is for a bucket, and the URLs that stop the start. */

import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { temporaryFolder, until } from "@mikcar/devkit";
import { open as openMinio } from "../src/backends/minio/index.ts";
import { open as openS3 } from "../src/backends/s3/index.ts";
import { type FakeBucket, startFakeBucket } from "./fake-bucket.ts";

const VARIABLES = /^(?:AWS|MINIO)_/;
const folder = temporaryFolder();
let server: FakeBucket;
const before = { ...process.env };
beforeEach(async () => {
  for (const name of Object.keys(process.env)) if (VARIABLES.test(name)) delete process.env[name];
  server = await startFakeBucket((response) => response.writeHead(404).end());
});
afterEach(async () => {
  for (const name of Object.keys(process.env)) if (VARIABLES.test(name)) delete process.env[name];
  Object.assign(process.env, before);
  await server.close();
});
afterAll(() => folder.remove());

async function seen(scheme: "s3" | "minio", parameters = "", login = ""): Promise<Record<string, unknown>> {
  const url =
    scheme === "s3"
      ? `s3://bucket?endpoint=http://${server.address}${parameters}`
      : `minio://${login}${server.address}/bucket?x${parameters}`.replace("?x&", "?").replace("?x", "");
  const storage = await (scheme === "s3" ? openS3 : openMinio)(configUrl(url));
  await storage.head("x");
  await storage.close();
  return server.heard.at(-1)?.headers ?? {};
}

describe("the AWS SDK", () => {
  it("takes the login of the URL, with the token of a session", async () => {
    process.env["AWS_ACCESS_KEY_ID"] = "OTHER";
    process.env["AWS_SECRET_ACCESS_KEY"] = "hush";

    const headers = await seen(
      "s3",
      "&access_key_id=URLKEY&secret_access_key=a%2Fb&session_token=tok%2Ben&region=eu-west-1",
    );

    expect(headers["authorization"]).toMatch(/Credential=URLKEY\/\d{8}\/eu-west-1\/s3/);
    expect(headers["x-amz-security-token"]).toBe("tok+en");
  });

  it("takes that of the environment, in us-east-1 when it names no region", async () => {
    Object.assign(process.env, {
      AWS_ACCESS_KEY_ID: "ENVKEY",
      AWS_SECRET_ACCESS_KEY: "hush",
      AWS_SESSION_TOKEN: "token",
    });

    const headers = await seen("s3");

    expect(headers["authorization"]).toMatch(/Credential=ENVKEY\/\d{8}\/us-east-1\/s3/);
    expect(headers["x-amz-security-token"]).toBe("token");
    process.env["AWS_REGION"] = "us-west-2";
    expect((await seen("s3"))["authorization"]).toMatch(/\/us-west-2\/s3/);
  });

  it("takes that of a profile, which the URL or the environment names", async () => {
    const keys = (name: string): string => `[${name}]\naws_access_key_id=${name}KEY\naws_secret_access_key=hush\n`;
    writeFileSync(`${folder.path}/credentials`, keys("OPS") + keys("DEV"));
    writeFileSync(`${folder.path}/config`, "");
    process.env["AWS_SHARED_CREDENTIALS_FILE"] = `${folder.path}/credentials`;
    process.env["AWS_CONFIG_FILE"] = `${folder.path}/config`;

    expect((await seen("s3", "&profile=OPS"))["authorization"]).toContain("Credential=OPSKEY/");
    process.env["AWS_PROFILE"] = "DEV";
    expect((await seen("s3"))["authorization"]).toContain("Credential=DEVKEY/");
  });

  it("takes that of a container, and the next one before it expires", async () => {
    let asked = 0;
    const credentials = createServer((_request, response) => {
      asked += 1;
      const Expiration = new Date(Date.now() + 60_000).toISOString(); // soon enough for a new one each time
      response.setHeader("Content-Type", "application/json");
      response.end(JSON.stringify({ AccessKeyId: `KEY${asked}`, SecretAccessKey: "hush", Token: "token", Expiration }));
    });
    await new Promise<void>((resolve) => credentials.listen(0, "127.0.0.1", resolve));
    const { port } = credentials.address() as AddressInfo;
    process.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = `http://127.0.0.1:${port}/`;
    process.env["AWS_SHARED_CREDENTIALS_FILE"] = `${folder.path}/none`;
    process.env["AWS_CONFIG_FILE"] = `${folder.path}/none`;
    const storage = await openS3(configUrl(`s3://bucket?endpoint=http://${server.address}`));

    await until("another login is used", async () => {
      await storage.head("x");
      return !String(server.heard.at(-1)?.headers["authorization"]).includes("Credential=KEY1/");
    });

    expect(server.heard[0]?.headers["authorization"]).toContain("Credential=KEY1/");
    await storage.close();
    credentials.closeAllConnections();
    credentials.close();
  });

  it("without any login answers BAD_GATEWAY, and says what to set", async () => {
    process.env["AWS_SHARED_CREDENTIALS_FILE"] = `${folder.path}/none`;
    process.env["AWS_CONFIG_FILE"] = `${folder.path}/none`;
    process.env["AWS_EC2_METADATA_DISABLED"] = "true";

    await expect(seen("s3")).rejects.toMatchObject({
      code: "BAD_GATEWAY",
      message: expect.stringMatching(/s3:\/\/bucket: CredentialsProviderError.*look at AWS_ACCESS_KEY_ID/),
    });
  });

  it("without a region for Amazon's own servers says so when it is called", async () => {
    Object.assign(process.env, {
      AWS_ACCESS_KEY_ID: "a",
      AWS_SECRET_ACCESS_KEY: "b",
      AWS_CONFIG_FILE: `${folder.path}/none`,
    });
    const storage = await openS3(configUrl("s3://bucket"));

    await expect(storage.ping()).rejects.toMatchObject({
      code: "BAD_GATEWAY",
      message: expect.stringMatching(/Region is missing.*set region=/),
    });
    await storage.close();
  });
});

describe("MinIO's client", () => {
  it("takes the login of the URL, with the token of a session", async () => {
    process.env["MINIO_ROOT_USER"] = "OTHER"; // its password is not asked for

    const headers = await seen("minio", "&session_token=token&region=eu-1", "URLKEY:a%2Fb@");

    expect(headers["authorization"]).toMatch(/Credential=URLKEY\/\d{8}\/eu-1\/s3/);
    expect(headers["x-amz-security-token"]).toBe("token");
  });

  it.each([
    [{ MINIO_ACCESS_KEY: "A", MINIO_SECRET_KEY: "hush", MINIO_ROOT_USER: "B", MINIO_ROOT_PASSWORD: "hush" }, "A"],
    [{ MINIO_ROOT_USER: "B", MINIO_ROOT_PASSWORD: "hush", AWS_ACCESS_KEY_ID: "C", AWS_SECRET_ACCESS_KEY: "hush" }, "B"],
    [{ AWS_ACCESS_KEY_ID: "C", AWS_SECRET_ACCESS_KEY: "hush", AWS_SESSION_TOKEN: "token" }, "C"],
  ])("takes that of the environment: %j", async (variables, expected) => {
    Object.assign(process.env, variables);

    const headers = await seen("minio");

    expect(headers["authorization"]).toMatch(new RegExp(`Credential=${expected}/\\d{8}/us-east-1/s3`));
    expect(headers["x-amz-security-token"]).toBe(expected === "C" ? "token" : undefined);
  });

  it("takes that of files that the environment names", async () => {
    writeFileSync(`${folder.path}/user`, "FILEUSER\n");
    writeFileSync(`${folder.path}/password`, "hush\n");
    process.env["MINIO_ROOT_USER_FILE"] = `${folder.path}/user`;
    process.env["MINIO_ROOT_PASSWORD_FILE"] = `${folder.path}/password`;

    expect((await seen("minio"))["authorization"]).toContain("Credential=FILEUSER/");
  });

  it("without any login calls as nobody, and warns", async () => {
    const said: string[] = [];
    const storage = await openMinio(
      configUrl(`minio://${server.address}/bucket`),
      (sentence) => void said.push(sentence),
    );

    expect(await storage.head("x")).toBeUndefined();

    expect(server.heard.at(-1)?.headers["authorization"]).toBeUndefined();
    expect(said).toEqual([expect.stringContaining("MINIO_ROOT_USER")]);
    await expect(storage.presign("GET", "x", new Date())).rejects.toMatchObject({ code: "BAD_GATEWAY" });
    await storage.close();
  });
});

it.each([
  ["s3://", /the URL names no bucket/],
  ["s3://bucket/a//b", /the prefix in the URL: the prefix has an empty segment/],
  ["s3://bucket/a/../b", /the prefix in the URL: the prefix has a "\.\." segment/],
  ["s3://user:hush@bucket", /no login belongs before the bucket/],
  ["s3://bucket?timeout_ms=0", /"timeout_ms" is "0"/],
  ["s3://bucket?endpoint=http://u:hush@127.0.0.1", /"endpoint": expected http.*no login/],
  ["s3://bucket?endpoint=127.0.0.1:9000", /"endpoint": expected http/],
  ["s3://bucket?access_key_id=a", /access_key_id and secret_access_key belong together/],
  ["s3://bucket?session_token=hush", /session_token needs access_key_id/],
  ["s3://bucket?profile=a&access_key_id=a&secret_access_key=hush", /exclude each other/],
  ["s3://bucket?ca=/nowhere", /"ca": the file "\/nowhere" cannot be read/],
  ["minio://127.0.0.1", /expected a host and a bucket/],
  ["minio:///bucket", /expected a host and a bucket/],
  ["minio://127.0.0.1/bucket/./b", /the prefix in the URL/],
  ["minio://127.0.0.1/bucket?session_token=hush", /session_token belongs to a login in the URL/],
])("stops the start with %s", async (url, sentence) => {
  const error: unknown = await (url.startsWith("s3") ? openS3 : openMinio)(configUrl(url)).catch(
    (thrown: unknown) => thrown,
  );

  expect(error).toMatchObject({ code: "CONFIG_ERROR", message: expect.stringMatching(sentence) });
  expect(String(error)).not.toContain("hush");
});

it("masks what is secret in a URL", () => {
  const text = "s3://bucket?access_key_id=a&secret_access_key=hush&session_token=hush&region=eu";
  expect(String(configUrl(text))).not.toContain("hush");
  expect(String(configUrl("minio://key:hush@127.0.0.1/bucket?session_token=hush"))).not.toContain("hush");
});
