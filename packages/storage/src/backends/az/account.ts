/** Whose container it is, and who the sidecar is there. */

import type { TokenCredential } from "@azure/identity";
import type * as Sdk from "@azure/storage-blob";
import { configError, type ConfigUrl, optional } from "@mikcar/core";
import { agentFor, readPem } from "../cloud/agent.ts";

/** What the emulator's documents give to everybody: https://learn.microsoft.com/azure/storage/common/storage-use-azurite */
const EMULATOR = {
  AccountName: "devstoreaccount1",
  AccountKey: "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
  BlobEndpoint: "http://127.0.0.1:10000/devstoreaccount1",
};
const TRIES = 3;
const RETRY_MS = 200;

export interface Account {
  readonly service: Sdk.BlobServiceClient;
  /** What signs requests; "sas": the URL itself does. */
  readonly credential: Sdk.StorageSharedKeyCredential | TokenCredential | "sas";
  /** How long Azure may say nothing. */
  readonly idleMs: number;
  close(): void;
}

/**
 * Parameters `account`, `endpoint`, `account_key`, `sas_token` before the variables of Azure's own tools, a connection
 * string before the others; and without key and SAS the identity that `DefaultAzureCredential` finds.
 * @throws CONFIG_ERROR
 */
export async function openAccount(sdk: typeof Sdk, url: ConfigUrl, env: NodeJS.ProcessEnv): Promise<Account> {
  const idleMs = url.integer("timeout_ms", 10_000, { min: 1, max: 600_000 });
  const text = connectionString(env["AZURE_STORAGE_CONNECTION_STRING"] ?? "");
  const account = url.string("account", "");
  const own = account === "" || text["AccountName"] === account ? text : {};
  const endpoint = endpointOf(url.string("endpoint", ""), account || env["AZURE_STORAGE_ACCOUNT"] || "", own);
  const name = account || own["AccountName"] || (env["AZURE_STORAGE_ACCOUNT"] ?? "") || accountIn(endpoint);
  const sas = url.string("sas_token", "");
  const key = url.string("account_key", "");
  const secret = [
    [key, sas],
    [own["AccountKey"] ?? "", own["SharedAccessSignature"] ?? ""],
    [env["AZURE_STORAGE_KEY"] ?? "", env["AZURE_STORAGE_SAS_TOKEN"] ?? ""],
  ].find((pair) => pair.some((part) => part !== "")) ?? ["", ""];
  const [accountKey = "", sasToken = ""] = secret;
  const credential = await credentialOf(sdk, name, accountKey, sasToken);
  const ca = readPem(url);
  const agent = agentFor(endpoint.protocol === "https:", { idleMs, ...(ca === undefined ? {} : { ca }) });
  const options = {
    agent,
    retryOptions: { maxTries: TRIES, retryDelayInMs: RETRY_MS, maxRetryDelayInMs: 10 * RETRY_MS },
  };
  const pipeline = sdk.newPipeline(credential === "sas" ? new sdk.AnonymousCredential() : credential, options);
  if (credential === "sas") endpoint.search = sasToken.replace(/^\?/, "");
  return {
    service: new sdk.BlobServiceClient(endpoint.href, pipeline),
    credential,
    idleMs,
    close: () => agent.destroy(),
  };
}

async function credentialOf(
  sdk: typeof Sdk,
  account: string,
  key: string,
  sas: string,
): Promise<Account["credential"]> {
  if (key !== "") return new sdk.StorageSharedKeyCredential(account, key);
  if (sas !== "") return "sas";
  const { DefaultAzureCredential } = await optional("@azure/identity", () => import("@azure/identity"));
  return new DefaultAzureCredential();
}

function endpointOf(given: string, account: string, text: Readonly<Record<string, string>>): URL {
  const { AccountName = account, EndpointSuffix = "core.windows.net", DefaultEndpointsProtocol = "https" } = text;
  const made = AccountName === "" ? "" : `${DefaultEndpointsProtocol}://${AccountName}.blob.${EndpointSuffix}`;
  const chosen = given || text["BlobEndpoint"] || made;
  if (chosen === "") {
    throw configError(
      "az: which account? set account= or endpoint= in the URL, or AZURE_STORAGE_CONNECTION_STRING or AZURE_STORAGE_ACCOUNT",
    );
  }
  const url = URL.parse(chosen);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== "" || url.search !== "") {
    throw configError(
      'az: expected http:// or https:// with a host in "endpoint" or BlobEndpoint, and no login or query',
    );
  }
  return url;
}

/** In the path of an emulator, else the first word of the host. */
function accountIn({ pathname, hostname }: URL): string {
  return pathname.split("/")[1] || (hostname.split(".")[0] ?? "");
}

function connectionString(text: string): Readonly<Record<string, string>> {
  const parts = Object.fromEntries(
    text
      .split(";")
      .map((part) => part.trim())
      .filter((part) => part !== "")
      .map((part) => [part.slice(0, part.indexOf("=")), part.slice(part.indexOf("=") + 1)]),
  ) as Record<string, string>;
  return parts["UseDevelopmentStorage"] === "true" ? { ...EMULATOR, ...parts } : parts;
}
