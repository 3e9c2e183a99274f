/**
 * Secrets in GCP Secret Manager: `gcpsm://project[/prefix]`, over its REST API.
 * Who the sidecar is, Google's application default credentials say: a key file, `gcloud`, the service account of a machine.
 * `endpoint`: of another server that speaks this protocol; `locations`: where values are kept, `europe-west1,europe-west4`,
 * absent: where Google chooses; `timeout_ms` (5000) of a call.
 */

import { configError, type Open, optional } from "@mikcar/core";
import type { SecretsBackend } from "../../backend.ts";
import { prefixOf } from "../../name.ts";
import { Connection } from "./connection.ts";
import { GcpSecrets } from "./secrets.ts";

const PROJECT = /^[a-z][a-z0-9-]{4,28}[a-z0-9]$|^\d{1,20}$/;

export const open: Open<SecretsBackend> = async (url) => {
  if (!PROJECT.test(url.host)) throw configError(`gcpsm: "${url.host}" is no project id, as in gcpsm://my-project`);
  const server = serverOf(url.string("endpoint", ""));
  const timeoutMs = url.integer("timeout_ms", 5000, { min: 1, max: 600_000 });
  const locations = url
    .string("locations", "")
    .split(",")
    .filter((location) => location !== "");
  const prefix = prefixOf(url);
  const name = "@google-cloud/secret-manager";
  const { SecretManagerServiceClient } = await optional(name, () => import("@google-cloud/secret-manager"));
  const connection = new Connection(() => new SecretManagerServiceClient({ ...server, fallback: true }));
  return new GcpSecrets(connection, { project: url.host, prefix, timeoutMs, locations });
};

function serverOf(endpoint: string): { apiEndpoint?: string; port?: number; protocol?: string } {
  if (endpoint === "") return {};
  const url = URL.parse(endpoint);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== "") {
    throw configError('parameter "endpoint": expected http:// or https:// with a host, and no login');
  }
  const protocol = url.protocol.slice(0, -1);
  return { apiEndpoint: url.hostname, port: Number(url.port || (protocol === "https" ? 443 : 80)), protocol };
}
