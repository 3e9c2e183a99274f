/**
 * A stand-in for GCP Secret Manager, which has no emulator: the documented REST calls, over memory.
 * https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets
 * It asks for the token that Google's library makes from a key file, and checks its signature.
 */

import { createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

export interface GcpStandIn {
  readonly url: string;
  /** The JSON of a service account's key file, which `GOOGLE_APPLICATION_CREDENTIALS` may name. */
  readonly keyFile: string;
  /** `GET /v1/projects/…`, as they came. */
  readonly requests: string[];
  /** Answers calls whose line matches with this error from now on; undefined: none. */
  refuse(line: RegExp | undefined, status?: string): void;
  /** How the secret of this id is replicated. */
  replicationOf(id: string): unknown;
  disable(id: string, version: number): void;
  /** Makes a secret older. */
  age(id: string, milliseconds: number): void;
  close(): Promise<void>;
}

interface Secret {
  readonly createTime: number;
  labels: Record<string, string>;
  readonly replication: unknown;
  readonly versions: { readonly createTime: number; readonly data: string; state: string }[];
}

/** https://cloud.google.com/apis/design/errors#handling_errors */
const HTTP: Readonly<Record<string, number>> = {
  INVALID_ARGUMENT: 400,
  FAILED_PRECONDITION: 400,
  UNAUTHENTICATED: 401,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  RESOURCE_EXHAUSTED: 429,
  UNAVAILABLE: 503,
};
const LARGEST_PAGE = 40; // Google's is 25 000; pages are to be seen
const PROJECT = "projects/my-project";

class Refusal extends Error {
  readonly status: string;

  constructor(status: string, message: string) {
    super(message);
    this.status = status;
  }
}

export async function startGcpStandIn(): Promise<GcpStandIn> {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const secrets = new Map<string, Secret>();
  const requests: string[] = [];
  let refused: { line: RegExp; status: string } | undefined;

  const answer = async (request: IncomingMessage): Promise<unknown> => {
    const line = `${request.method} ${request.url}`;
    requests.push(line);
    const body = await read(request);
    checkToken(request.headers.authorization, publicKey.export({ type: "spki", format: "pem" }));
    if (refused?.line.test(line) === true) throw new Refusal(refused.status, "refused by the test");
    const { pathname, searchParams } = new URL(request.url ?? "", "http://stand.in");
    const [, path = "", verb = ""] = /^\/v1\/([^:]*)(?::(\w+))?$/.exec(pathname) ?? [];
    return route({ method: `${request.method}`, path, verb, query: searchParams, body, secrets });
  };
  const server = createServer((request, response) => {
    answer(request).then(
      (json) => response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(json)),
      (error: unknown) => {
        if (!(error instanceof Refusal)) throw error;
        const { status, message } = error;
        const code = HTTP[status] ?? 500;
        const text = JSON.stringify({ error: { code, message, status } });
        response.writeHead(code, { "Content-Type": "application/json" }).end(text);
      },
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const account = "sidecar@my-project.iam.gserviceaccount.com";
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    keyFile: JSON.stringify({
      type: "service_account",
      project_id: "my-project",
      private_key_id: "1",
      private_key: privateKey.export({ type: "pkcs8", format: "pem" }),
      client_email: account,
      client_id: "1",
      token_uri: "http://127.0.0.1:1/not-asked",
    }),
    requests,
    refuse: (line, status = "PERMISSION_DENIED") => {
      refused = line === undefined ? undefined : { line, status };
    },
    replicationOf: (id) => secrets.get(id)?.replication,
    disable: (id, version) => {
      const found = secrets.get(id)?.versions[version - 1];
      if (found === undefined) throw new Error(`there is no version ${version} of ${id}`);
      found.state = "DISABLED";
    },
    age: (id, milliseconds) => {
      const found = secrets.get(id);
      if (found === undefined) throw new Error(`there is no secret ${id}`);
      secrets.set(id, { ...found, createTime: found.createTime - milliseconds });
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly verb: string;
  readonly query: URLSearchParams;
  readonly body: Readonly<Record<string, unknown>>;
  readonly secrets: Map<string, Secret>;
}

function route(asked: Asked): unknown {
  const { method, path, verb, query, secrets } = asked;
  const [, id, version] = new RegExp(`^${PROJECT}/secrets(?:/([^/]+)(?:/versions/?(.*))?)?$`).exec(path) ?? [];
  if (!path.startsWith(`${PROJECT}/secrets`)) throw new Refusal("PERMISSION_DENIED", `no right to ${path}`);
  if (id === undefined) return method === "POST" ? createSecret(asked) : listSecrets(asked);
  const secret = secrets.get(id);
  if (secret === undefined) throw new Refusal("NOT_FOUND", `Secret [${PROJECT}/secrets/${id}] not found.`);
  if (verb === "addVersion") return addVersion(asked, id, secret);
  if (version !== undefined)
    return version === "" ? listVersions(secret, id, query) : oneVersion(secret, id, version, verb);
  if (method === "PATCH") return updateSecret(asked, id, secret);
  if (method === "DELETE") secrets.delete(id);
  return method === "DELETE" ? {} : secretJson(id, secret);
}

function createSecret({ query, body, secrets }: Asked): unknown {
  const id = query.get("secretId") ?? "";
  if (!/^[A-Za-z0-9_-]{1,255}$/.test(id)) throw new Refusal("INVALID_ARGUMENT", `the id ${id} is not allowed`);
  if (body["replication"] === undefined) throw new Refusal("INVALID_ARGUMENT", "replication is missing");
  if (secrets.has(id)) throw new Refusal("ALREADY_EXISTS", `Secret [${PROJECT}/secrets/${id}] already exists.`);
  const { replication } = body;
  const secret = { createTime: Date.now(), labels: labelsOf(body), replication, versions: [] };
  secrets.set(id, secret);
  return secretJson(id, secret);
}

function updateSecret({ query, body }: Asked, id: string, secret: Secret): unknown {
  if (query.get("updateMask") !== "labels") throw new Refusal("INVALID_ARGUMENT", "only labels can be updated here");
  secret.labels = labelsOf(body);
  return secretJson(id, secret);
}

function addVersion({ body }: Asked, id: string, secret: Secret): unknown {
  const { data = "" } = (body["payload"] ?? {}) as { data?: string };
  if (data === "" || Buffer.from(data, "base64").length > 65_536) {
    throw new Refusal("INVALID_ARGUMENT", `the payload ${data} is not allowed`);
  }
  secret.versions.push({ createTime: Date.now(), data, state: "ENABLED" });
  return versionJson(secret, id, secret.versions.length);
}

function listSecrets({ query, secrets }: Asked): unknown {
  const wanted = /^name:(.*)$/.exec(query.get("filter") ?? "")?.[1] ?? "";
  const found = [...secrets].filter(([id]) => id.includes(wanted)).map(([id, secret]) => secretJson(id, secret));
  return page("secrets", found.reverse(), query);
}

function listVersions(secret: Secret, id: string, query: URLSearchParams): unknown {
  const all = secret.versions.map((_, at) => versionJson(secret, id, at + 1));
  return page("versions", all.reverse(), query);
}

function oneVersion(secret: Secret, id: string, text: string, verb: string): unknown {
  const number = text === "latest" ? secret.versions.length : Number(text);
  const version = secret.versions[number - 1];
  const name = `${PROJECT}/secrets/${id}/versions/${text}`;
  if (version === undefined) throw new Refusal("NOT_FOUND", `Secret Version [${name}] not found.`);
  if (verb === "") return versionJson(secret, id, number);
  if (version.state !== "ENABLED") throw new Refusal("FAILED_PRECONDITION", `${name} is in ${version.state} state.`);
  return { name: `${PROJECT}/secrets/${id}/versions/${number}`, payload: { data: version.data } };
}

function page(field: string, all: readonly unknown[], query: URLSearchParams): unknown {
  const start = Number(query.get("pageToken") ?? 0);
  const size = Math.min(Number(query.get("pageSize") || LARGEST_PAGE), LARGEST_PAGE);
  const next = start + size < all.length ? { nextPageToken: String(start + size) } : {};
  return { [field]: all.slice(start, start + size), ...next, totalSize: all.length };
}

function secretJson(id: string, { createTime, labels, replication }: Secret): object {
  return { name: `${PROJECT}/secrets/${id}`, createTime: new Date(createTime).toISOString(), labels, replication };
}

function versionJson({ versions }: Secret, id: string, number: number): object {
  const { createTime = 0, state } = versions[number - 1] ?? {};
  return { name: `${PROJECT}/secrets/${id}/versions/${number}`, createTime: new Date(createTime).toISOString(), state };
}

function labelsOf({ labels = {} }: Readonly<Record<string, unknown>>): Record<string, string> {
  const text = labels as Record<string, string>; // of JSON that the library has made
  const isWrong = Object.entries(text).some((pair) =>
    pair.some((part) => !/^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$/u.test(part)),
  );
  if (isWrong) throw new Refusal("INVALID_ARGUMENT", "a label is not allowed");
  return text;
}

/** A JWT that is signed by the account itself: https://google.aip.dev/auth/4111 */
function checkToken(authorization: string | undefined, publicKey: string | Buffer): void {
  const [head = "", claims = "", signature = ""] = (authorization ?? "").replace("Bearer ", "").split(".");
  const isSigned = verify(
    "sha256",
    Buffer.from(`${head}.${claims}`),
    createPublicKey(publicKey),
    Buffer.from(signature, "base64url"),
  );
  if (!isSigned) throw new Refusal("UNAUTHENTICATED", "Request had invalid authentication credentials.");
}

async function read(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return chunks.length === 0 ? {} : (JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>);
}
