/**
 * Storage in MinIO: `minio://[access-key:secret-key@]host[:9000]/bucket[/prefix]`.
 * Without a login in the URL: `MINIO_ACCESS_KEY` and `MINIO_SECRET_KEY`, else `MINIO_ROOT_USER` and `MINIO_ROOT_PASSWORD`,
 * else `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`, each also as `…_FILE`; else as nobody.
 * `session_token` of a login in the URL; `tls`; `ca`: a PEM file of whom to trust, with TLS; `region` (us-east-1): that of
 * the server; `timeout_ms` (10000): how long it may say nothing.
 */

import { type ConfigUrl, configError, type Open, optional, readSecret } from "@mikcar/core";
import type { StorageBackend } from "../../backend.ts";
import { agentFor, readPem } from "../cloud/agent.ts";
import { Place } from "../cloud/place.ts";
import { S3Store } from "../s3/store.ts";
import { MinioBucket } from "./bucket.ts";
import { transportOf } from "./requests.ts";

const DEFAULT_PORT = 9000;
const NAMES = [
  ["MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"],
  ["MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"],
  ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
] as const;

interface Login {
  readonly accessKey: string;
  readonly secretKey: string;
  readonly sessionToken?: string;
}

export const open: Open<StorageBackend> = async (url, warn = () => undefined) => {
  const [, bucket = "", below = ""] = /^\/([^/]*)\/?(.*)$/s.exec(url.path) ?? [];
  if (url.host === "" || bucket === "")
    throw configError("expected a host and a bucket: minio://127.0.0.1:9000/bucket");
  const place = new Place(below);
  const ca = readPem(url);
  const isTls = url.flag("tls", ca !== undefined);
  if (ca !== undefined && !isTls)
    throw configError('parameter "ca" is there and "tls" is false; leave one of them out');
  const idleMs = url.integer("timeout_ms", 10_000, { min: 1, max: 600_000 });
  const region = url.string("region", "us-east-1");
  const login = loginOf(url);
  if (login === undefined)
    warn("minio: no login in the URL, MINIO_ROOT_USER or AWS_ACCESS_KEY_ID; it is called as nobody");
  const { Client } = await optional("minio", () => import("minio"));
  const agent = agentFor(isTls, { idleMs, ...(ca === undefined ? {} : { ca }) });
  const client = new Client({
    ...login,
    endPoint: url.host.replace(/^\[(.*)\]$/, "$1"),
    port: url.port ?? DEFAULT_PORT,
    useSSL: isTls,
    region,
    transport: transportOf(isTls, idleMs),
    transportAgent: agent,
    retryOptions: { disableRetry: true }, // it prints each; `requests.ts` tries again
  });
  return new S3Store(new MinioBucket(client, bucket, agent), { place });
};

function loginOf(url: ConfigUrl): Login | undefined {
  const sessionToken = url.string("session_token", "");
  if (url.credentials !== undefined) {
    const { username: accessKey, password: secretKey } = url.credentials;
    return { accessKey, secretKey, ...(sessionToken === "" ? {} : { sessionToken }) };
  }
  if (sessionToken !== "") throw configError("session_token belongs to a login in the URL, and there is none");
  for (const [user, password] of NAMES) {
    const accessKey = readSecret(process.env, user);
    const secretKey = readSecret(process.env, password);
    if (accessKey === undefined && secretKey === undefined) continue;
    if (accessKey === undefined || secretKey === undefined) {
      throw configError(`${user} and ${password} belong together; one of them is not set`);
    }
    const token = user.startsWith("AWS_") ? readSecret(process.env, "AWS_SESSION_TOKEN") : undefined;
    return { accessKey, secretKey, ...(token === undefined ? {} : { sessionToken: token }) };
  }
  return undefined;
}
