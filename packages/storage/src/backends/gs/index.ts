/**
 * Storage in Google Cloud Storage: `gs://bucket[/prefix]`, over its JSON and XML APIs.
 * Who the sidecar is, Google's application default credentials say: a key file that GOOGLE_APPLICATION_CREDENTIALS names,
 * `gcloud`, workload identity, the service account of a machine; `key_file`: that file instead.
 * `project`: who is billed, where that is not the owner of the bucket, as for buckets whose requester pays.
 * `endpoint`: of an emulator, which is called without credentials (without it STORAGE_EMULATOR_HOST); with a `key_file`, or
 * below googleapis.com, it is called with them.
 * `ca`: a PEM file of whom to trust; `timeout_ms` (10000): how long the server may say nothing.
 */

import { type ConfigUrl, configError, type Open, optional } from "@mikcar/core";
import type { StorageBackend } from "../../backend.ts";
import { agentFor, readPem } from "../cloud/agent.ts";
import { placeOf } from "../cloud/place.ts";
import { GcsBucket } from "./bucket.ts";
import { Login } from "./login.ts";
import { Requests } from "./requests.ts";
import { GcsStore } from "./store.ts";

const GOOGLE = "https://storage.googleapis.com";
/** https://cloud.google.com/storage/docs/buckets#naming */
const BUCKET = /^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/;
const PROJECT = /^[a-z0-9.:-]{0,100}$/;

export const open: Open<StorageBackend> = async (url) => {
  const bucket = url.host;
  if (!BUCKET.test(bucket)) throw configError(`gs: "${bucket}" is no name of a bucket, as in gs://my-bucket`);
  const below = placeOf(url);
  const endpoint = endpointOf(url);
  const keyFile = url.string("key_file", "");
  const project = url.string("project", "");
  if (!PROJECT.test(project)) throw configError(`parameter "project": "${project}" is no project id`);
  const idleMs = url.integer("timeout_ms", 10_000, { min: 1, max: 600_000 });
  const ca = readPem(url);
  const { Storage } = await optional("@google-cloud/storage", () => import("@google-cloud/storage"));
  const makeStorage = () => {
    // The project is for calls that are not made here; without one Google's client asks `gcloud` and servers for it.
    const storage = new Storage({ apiEndpoint: endpoint.origin, projectId: project || "none" });
    if (keyFile !== "") {
      // In the place of GOOGLE_APPLICATION_CREDENTIALS: for its option `keyFilename` it writes warnings to the console.
      const { authClient: auth } = storage;
      auth._tryGetApplicationCredentialsFromEnvironmentVariable = (options) =>
        auth._getApplicationCredentialsFromFilePath(keyFile, options);
    }
    return storage;
  };
  const place = `gs://${bucket}`;
  const isKnown = keyFile !== "" || isGoogle(endpoint);
  const login = isKnown ? new Login(makeStorage, { bucket, place, waitMs: idleMs }) : undefined;
  const agent = agentFor(endpoint.protocol === "https:", { idleMs, ...(ca === undefined ? {} : { ca }) });
  const requests = new Requests({ endpoint, agent, login, project, place, idleMs });
  return new GcsStore(new GcsBucket(requests, bucket, login === undefined), { login, place: below });
};

function endpointOf(url: ConfigUrl): URL {
  const parameter = url.string("endpoint", "");
  const variable = process.env["STORAGE_EMULATOR_HOST"] ?? "";
  if (parameter === "" && variable === "") return new URL(GOOGLE);
  const text = parameter === "" && !variable.includes("://") ? `http://${variable}` : parameter || variable;
  const name = parameter === "" ? "STORAGE_EMULATOR_HOST" : 'parameter "endpoint"';
  const parsed = URL.parse(text);
  if (parsed === null || !/^https?:$/.test(parsed.protocol) || parsed.username !== "" || parsed.pathname !== "/") {
    throw configError(`${name}: expected http:// or https:// with a host, and neither a login nor a path`);
  }
  return parsed;
}

function isGoogle({ protocol, hostname }: URL): boolean {
  return protocol === "https:" && hostname.endsWith(".googleapis.com");
}
