/** What is peculiar to Vault: who the sidecar is, what others have stored, and a server that does not answer. */

import { writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { ask, temporaryFolder, until } from "@mikcar/devkit";
import { LOCALHOST, type OpenbaoServer, startOpenbao } from "@mikcar/devkit/openbao";
import type { SecretsBackend } from "../src/backend.ts";
import { open } from "../src/backends/vault/index.ts";
import { type Client, serve } from "./client.ts";

let server: OpenbaoServer;
let mount: string;
let close: (() => unknown)[] = [];
const folder = temporaryFolder();
beforeAll(async () => {
  server = await startOpenbao();
}, 120_000);
beforeEach(async () => {
  mount = await server.freshMount();
});
afterEach(async () => {
  for (const end of close.toReversed()) await end();
  close = [];
});
afterAll(async () => {
  await server?.remove();
  folder.remove();
});

async function start(parameters: string, address = server.address): Promise<SecretsBackend> {
  const backend = await open(configUrl(`vault://${address}?mount=${mount}&timeout_ms=1500&${parameters}`));
  close.push(() => backend.close());
  return backend;
}

async function startHttp(parameters: string, address = server.address): Promise<Client> {
  const client = await serve(await open(configUrl(`vault://${address}?mount=${mount}&timeout_ms=1500&${parameters}`)));
  close.push(() => client.close());
  return client;
}

async function policy(name: string, rules: Readonly<Record<string, readonly string[]>>): Promise<void> {
  const text = Object.entries(rules).map(
    ([path, rights]) => `path "${path}" { capabilities = ${JSON.stringify(rights)} }`,
  );
  await server.api("PUT", `sys/policies/acl/${name}`, { policy: text.join("\n") });
}

async function tokenWith(policies: readonly string[], more: object = {}): Promise<string> {
  const { auth } = (await server.api("POST", "auth/token/create", { policies, ...more })) as {
    auth: { client_token: string };
  };
  return auth.client_token;
}

describe("a server that does not answer", () => {
  it.each<[string, () => unknown, () => unknown]>([
    ["is sealed", () => server.seal(), () => server.unseal()],
    ["is frozen", () => server.freeze(), () => server.thaw()],
    ["was killed", () => server.kill(), () => server.start()],
  ])("is 503 while it %s, and all is well afterwards", async (_what, before, after) => {
    const client = await startHttp(`token=${server.token}`);
    await client.create("a", "one");

    await before();
    const answers = await Promise.all([client.get("/secret/a"), client.create("b", "two"), client.get("/list")]);
    const ready = await ask(client.url, "/ready");
    await after();

    expect(answers.map(({ status, json }) => [status, json.code])).toEqual(answers.map(() => [503, "UNAVAILABLE"]));
    expect([ready.status, ready.json.services.secrets.status]).toEqual([503, "down"]);
    await until("it answers again", async () => (await client.get("/secret/a")).status === 200);
    expect((await client.create("c", "three")).status).toBe(201); // b: a frozen one may have done it all the same
  });

  it("may be away at the start", async () => {
    await server.kill();
    const client = await startHttp(`token=${server.token}`);
    const away = await client.create("a", "one");

    await server.start();

    expect(away.status).toBe(503);
    await until("it answers", async () => (await client.create("a", "one")).status !== 503);
    expect((await client.get("/secret/a")).json.value).toBe("one");
  });

  it.each([
    [307, "a standby that sends its clients elsewhere"],
    [429, "a standby"],
    [473, "a standby for reading"],
    [503, "a sealed one"],
    [412, "one that lags behind"],
  ])("is 503 when it says %i, and takes the token nowhere else", async (status) => {
    const seen: string[] = [];
    const other = await listen((line) => void seen.push(line), 200);
    const standby = await listen(() => undefined, status, { Location: `http://127.0.0.1:${other}/v1/elsewhere` });
    const client = await startHttp("token=hush-token", `127.0.0.1:${standby}`);

    const answer = await client.get("/secret/a");

    expect([answer.status, seen]).toEqual([503, []]);
    expect(client.said()).not.toContain("hush");
  });
});

describe("a server that is no Vault, or a slow one", () => {
  it.each<[string, object]>([
    ["nothing", {}],
    ["a secret without its metadata", { data: { data: { value: "x" } } }],
  ])("is 502 when it answers 200 with %s, and nothing counts as written", async (_what, body) => {
    const port = await listen(() => undefined, 200, {}, body);
    const client = await startHttp("token=x", `127.0.0.1:${port}`);

    const answers = [await client.get("/secret/a"), await client.create("a", "v4lu3"), await ask(client.url, "/ready")];

    expect(answers.map(({ status }) => status)).toEqual([502, 502, 503]);
  });

  it("is 503 when its answer does not come to an end", async () => {
    const http = createServer((_request, response) => {
      response.writeHead(200, { "Content-Type": "application/json" });
      const drip = setInterval(() => response.write(" "), 50);
      response.once("close", () => clearInterval(drip));
    });
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    close.push(() => http.close());
    const client = await startHttp("token=x", `127.0.0.1:${(http.address() as AddressInfo).port}`);

    expect((await client.get("/secret/a")).status).toBe(503);
  });
});

describe("who the sidecar is", () => {
  it("is refused with a token that is not known, and says so in the log alone", async () => {
    const client = await startHttp("token=s.hushhushhushhush");

    const answers = [await client.get("/secret/a"), await client.create("a", "v4lu3"), await client.get("/list")];

    expect(answers.map(({ status, json }) => [status, json.code])).toEqual(answers.map(() => [502, "BAD_GATEWAY"]));
    expect(answers.map(({ text }) => text).join("")).not.toMatch(/vault|403|permission/i);
    expect(client.said()).toMatch(/Vault answered 403.*does the sidecar's policy allow it/);
    expect(client.said()).not.toMatch(/hush|v4lu3/);
  });

  it("may be somebody who reads values, and nothing else", async () => {
    const admin = await start(`token=${server.token}`);
    await admin.create("a", "one", { team: "x" });
    await admin.update("a", "two", undefined);
    await policy("reader", { [`${mount}/data/*`]: ["read"] });
    const client = await startHttp(`token=${await tokenWith(["reader"])}`);

    const read = await client.get("/secret/a");

    expect([read.status, read.json]).toMatchObject([200, { value: "two", version: "2", labels: { team: "x" } }]);
    expect((await client.update("a", "three")).status).toBe(502);
    expect((await client.get("/secret/absent")).status).toBe(404);
    expect((await client.get("/list")).status).toBe(502);
    expect((await admin.read("a"))?.value).toBe("two");
  });

  it("is a token that is renewed before it ends", async () => {
    await policy("writer", { [`${mount}/*`]: ["create", "read", "update", "list", "delete"] });
    const token = await tokenWith(["writer", "default"], { ttl: "3s", period: "3s" });
    const backend = await start(`token=${token}`);
    await backend.create("a", "one", {});
    const facts = async (): Promise<{ last_renewal: string | null; ttl: number }> =>
      (
        (await server.api("POST", "auth/token/lookup", { token })) as {
          data: { last_renewal: string | null; ttl: number };
        }
      ).data;

    await until("it was renewed twice", async () => {
      const first = (await facts()).last_renewal;
      await until("again", async () => (await facts()).last_renewal !== first, 5000);
      return first !== null;
    });

    expect((await backend.read("a"))?.value).toBe("one");
  });

  it("logs in with AppRole, and again when its token was revoked", async () => {
    await approle();
    const { roleId, secretId } = await approleIds();
    const backend = await start(`role_id=${roleId}&secret_id=${secretId}`);
    await backend.create("a", "one", {});

    for (const accessor of await accessorsOfAppRole())
      await server.api("POST", "auth/token/revoke-accessor", { accessor });

    expect((await backend.read("a"))?.value).toBe("one");
    expect(await backend.update("a", "two", undefined)).toBe(true);
  });

  it("logs in with AppRole anew when its token cannot be renewed any more", async () => {
    await approle({ token_ttl: "1s", token_max_ttl: "2s" });
    const { roleId, secretId } = await approleIds();
    const backend = await start(`role_id=${roleId}&secret_id=${secretId}`);
    await backend.create("a", "one", {});
    const accessors = await accessorsOfAppRole();

    await until("all its first tokens have ended", async () =>
      (await accessorsOfAppRole()).every((accessor) => !accessors.includes(accessor)),
    );

    expect((await backend.read("a"))?.value).toBe("one");
  });

  it("is refused with a secret id that is wrong", async () => {
    await approle();
    const { roleId } = await approleIds();
    const client = await startHttp(`role_id=${roleId}&secret_id=hush-hush`);

    expect((await client.get("/secret/a")).status).toBe(502);
    expect(client.said()).not.toContain("hush-hush");
  });

  it("logs in with its Kubernetes account (a stand-in answers for Kubernetes)", async () => {
    const port = await listen(
      () => undefined,
      201,
      {},
      {
        kind: "TokenReview",
        status: {
          authenticated: true,
          user: { username: "system:serviceaccount:apps:sidecar", uid: "u1", groups: [] },
        },
      },
    );
    await policy("writer", { [`${mount}/*`]: ["create", "read", "update", "list", "delete"] });
    await server.api("POST", "sys/auth/kubernetes", { type: "kubernetes" });
    close.push(() => server.api("DELETE", "sys/auth/kubernetes"));
    await server.api("POST", "auth/kubernetes/config", {
      kubernetes_host: `http://127.0.0.1:${port}`,
      token_reviewer_jwt: "reviewer",
      disable_local_ca_jwt: true,
      kubernetes_ca_cert: LOCALHOST.authority,
    });
    await server.api("POST", "auth/kubernetes/role/sidecar", {
      bound_service_account_names: "sidecar",
      bound_service_account_namespaces: "apps",
      token_policies: "writer",
    });
    const jwtFile = `${folder.path}/jwt`;
    writeFileSync(jwtFile, `${accountToken()}\n`);

    const backend = await start(`role=sidecar&jwt_file=${encodeURIComponent(jwtFile)}`);

    expect(await backend.create("a", "one", {})).toBe(true);
    expect((await backend.read("a"))?.value).toBe("one");
    const away = await start(`role=sidecar&jwt_file=${encodeURIComponent(`${jwtFile}-absent`)}`);
    await expect(away.read("a")).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it.each([
    ["nobody", "", /set VAULT_TOKEN, or give role_id/],
    ["a mount that leaves", "token=x&mount=../sys", /mount is/],
    ["a CA file that is not there", "token=x&ca=/nowhere", /"ca".*"\/nowhere"/],
    ["a CA without TLS", "token=x&ca=/nowhere&tls=false", /"ca" is there and "tls" is false/],
  ])("stops the start when it is %s", async (_what, parameters, sentence) => {
    const url = configUrl(`vault://127.0.0.1:1?${parameters}`);

    await expect(open(url)).rejects.toMatchObject({ code: "CONFIG_ERROR", message: expect.stringMatching(sentence) });
  });
});

describe("what others have stored", () => {
  it.each([
    ["one text", { value: "plain" }, "plain"],
    ["a number", { value: 5 }, "5"],
    ["several fields", { password: "x", user: "ada" }, '{"password":"x","user":"ada"}'],
    ["other fields beside value", { value: "x", more: "y" }, '{"more":"y","value":"x"}'],
    ["no field", {}, "{}"],
  ])("comes as it is, or as JSON: %s", async (_what, data, expected) => {
    await server.api("POST", `${mount}/data/a`, { data });

    expect((await (await start(`token=${server.token}`)).read("a"))?.value).toBe(expected);
  });

  it.each([
    ["deleted", "DELETE", "data/a", undefined],
    ["destroyed", "PUT", "destroy/a", { versions: [1, 2] }],
  ])("is absent when its newest version was %s, and can be made anew", async (_what, method, path, body) => {
    const backend = await start(`token=${server.token}`);
    await backend.create("a", "one", { team: "x" });
    await backend.update("a", "two", undefined);

    await server.api(method, `${mount}/${path}`, body);

    expect(await backend.read("a")).toBeUndefined();
    expect([await backend.exists("a"), await backend.list("", {}), await backend.versions("a")]).toEqual([
      false,
      [],
      undefined,
    ]);
    expect([await backend.update("a", "x", {}), await backend.remove("a")]).toEqual([false, false]);
    expect(await backend.create("a", "three", {})).toBe(true);
    expect(await backend.read("a")).toMatchObject({ value: "three", version: "3", labels: {} });
  });

  it("is not listed under a name that no call could have", async () => {
    for (const name of ["a b", "ü", "fine"]) {
      await server.api("POST", `${mount}/data/${encodeURIComponent(name)}`, { data: { value: "x" } });
    }

    const names = (await (await start(`token=${server.token}`)).list("", {})).map(({ name }) => name);

    expect(names).toEqual(["fine"]);
  });
});

it("takes labels that it can keep, and refuses the others before anything is written", async () => {
  const client = await startHttp(`token=${server.token}`);

  const [created, refused] = [
    await client.create("a", "one", { team: "R&D, ümläut 🔑" }),
    await client.create("b", "one", { team: "R&D\u00a0Paris" }),
  ];

  expect([created.status, refused.status, refused.json.code]).toEqual([201, 501, "UNSUPPORTED"]);
  expect((await client.update("a", "two", { team: "x\u200by" })).status).toBe(501);
  expect((await client.get("/secret/a")).json).toMatchObject({ value: "one", labels: { team: "R&D, ümläut 🔑" } });
  expect((await client.get("/exists/b")).json.exists).toBe(false);
});

it("takes many updates of one secret at once, from two sidecars", async () => {
  const [one, other] = [await start(`token=${server.token}`), await start(`token=${server.token}`)];
  await one.create("a", "0", {});

  const results = await Promise.all(
    Array.from({ length: 30 }, (_, at) => (at % 2 === 0 ? one : other).update("a", String(at + 1), undefined)),
  );

  expect(results).toEqual(results.map(() => true));
  expect((await one.read("a"))?.version).toBe("31");
});

describe("where the secrets are", () => {
  it("keeps all below the path of the URL", async () => {
    const all = await start(`token=${server.token}`);
    const url = configUrl(`vault://${server.address}/team/a?mount=${mount}&token=${server.token}`);
    const confined = await open(url);
    close.push(() => confined.close());
    await all.create("team/b", "other", {});

    await confined.create("x/y", "mine", {});

    expect((await all.read("team/a/x/y"))?.value).toBe("mine");
    expect((await confined.list("", {})).map(({ name }) => name)).toEqual(["x/y"]);
    expect(await confined.read("team/b")).toBeUndefined();
  });

  it("is a namespace where the URL names one", async () => {
    await server.api("POST", "sys/namespaces/dept", {});
    const inside = { "X-Vault-Namespace": "dept" };
    await server.api("POST", `sys/mounts/${mount}`, { type: "kv", options: { version: "2" } }, inside);
    await until("the mount has become one with versions", () =>
      server.api("GET", `${mount}/config`, undefined, inside).then(
        () => true,
        () => false,
      ),
    );
    const [outer, inner] = [await start(`token=${server.token}`), await start(`token=${server.token}&namespace=dept`)];

    await inner.create("a", "inside", {});

    expect([await outer.read("a"), (await inner.read("a"))?.value]).toEqual([undefined, "inside"]);
  });

  it("is reached over TLS with a server that the given authority vouches for", async () => {
    const secure = await startOpenbao({ tls: LOCALHOST });
    close.push(() => secure.remove());
    mount = await secure.freshMount();
    const ca = `${folder.path}/ca.pem`;
    writeFileSync(ca, LOCALHOST.authority);

    const trusting = await start(`token=${secure.token}&ca=${encodeURIComponent(ca)}`, secure.address);
    const distrusting = await startHttp(`token=${secure.token}&tls=true`, secure.address);

    expect(await trusting.create("a", "one", {})).toBe(true);
    expect((await distrusting.get("/secret/a")).status).toBe(503);
    expect(distrusting.said()).toMatch(/no answer from Vault \(UNABLE_TO_/);
  }, 30_000);
});

async function approle(more: object = {}): Promise<void> {
  await policy("writer", { [`${mount}/*`]: ["create", "read", "update", "list", "delete"] });
  await server.api("POST", "sys/auth/approle", { type: "approle" });
  close.push(() => server.api("DELETE", "sys/auth/approle"));
  await server.api("POST", "auth/approle/role/sidecar", { token_policies: "writer", ...more });
}

async function approleIds(): Promise<{ roleId: string; secretId: string }> {
  const role = (await server.api("GET", "auth/approle/role/sidecar/role-id")) as { data: { role_id: string } };
  const secret = (await server.api("POST", "auth/approle/role/sidecar/secret-id")) as { data: { secret_id: string } };
  return { roleId: role.data.role_id, secretId: secret.data.secret_id };
}

async function accessorsOfAppRole(): Promise<string[]> {
  const { data } = (await server.api("LIST", "auth/token/accessors")) as { data: { keys: string[] } };
  const known = await Promise.all(
    data.keys.map(async (accessor) => {
      const found = await server.api("POST", "auth/token/lookup-accessor", { accessor }).catch(() => undefined); // ended
      return (found as { data: { path: string } } | undefined)?.data.path === "auth/approle/login" ? [accessor] : [];
    }),
  );
  return known.flat();
}

/** An unsigned token as Kubernetes gives it: the server asks the stand-in whether it is good. */
function accountToken(): string {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: "kubernetes/serviceaccount",
    sub: "system:serviceaccount:apps:sidecar",
    iat: now,
    nbf: now,
    exp: now + 3600,
    "kubernetes.io": { namespace: "apps", serviceaccount: { name: "sidecar", uid: "u1" } },
  };
  return [{ alg: "RS256", typ: "JWT" }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
    .concat("c2lnbmF0dXJl")
    .join(".");
}

async function listen(
  see: (line: string) => void,
  status: number,
  headers: Record<string, string> = {},
  body: object = {},
): Promise<number> {
  const http: Server = createServer((request, response) => {
    see(`${request.method} ${request.url}`);
    request.resume().on("end", () => {
      response.writeHead(status, { "Content-Type": "application/json", ...headers }).end(JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  close.push(() => http.close());
  close.push(() => http.closeAllConnections());
  return (http.address() as AddressInfo).port;
}
