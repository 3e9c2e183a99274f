/**
 * Secrets in Vault or OpenBao, KV version 2: `vault://host[:8200][/prefix]?mount=secret&tls=true`.
 * Who the sidecar is: `token`, else `VAULT_TOKEN`; or AppRole: `role_id` and `secret_id`, else `VAULT_ROLE_ID` and
 * `VAULT_SECRET_ID`; or Kubernetes: `role`, and `jwt_file` where it is not in its usual place. `auth_mount` where the
 * method is not mounted under its name. `ca`: a PEM file of whom to trust; `namespace`; `timeout_ms` (5000) of a call.
 */

import { readFileSync } from "node:fs";
import { type ConfigUrl, configError, type Open, readSecret, type Warn } from "@mikcar/core";
import type { SecretsBackend } from "../../backend.ts";
import { nameFault, prefixOf } from "../../name.ts";
import { VaultClient } from "./client.ts";
import { Login, type Method } from "./login.ts";
import { VaultSecrets } from "./secrets.ts";

const DEFAULT_PORT = 8200;
const KUBERNETES_JWT = "/var/run/secrets/kubernetes.io/serviceaccount/token";
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

export const open: Open<SecretsBackend> = async (url, warn = () => undefined) => {
  const mount = pathOf("mount", url.string("mount", "secret"));
  const method = loginMethod(url);
  const timeoutMs = url.integer("timeout_ms", 5000, { min: 1, max: 600_000 });
  const namespace = url.string("namespace", "") || process.env["VAULT_NAMESPACE"] || "";
  const { ca, origin } = server(url, warn);
  const client = await VaultClient.create({ url: origin, ca, namespace, timeoutMs });
  return new VaultSecrets(client, new Login(client, method, warn), mount, prefixOf(url));
};

function server(url: ConfigUrl, warn: Warn): { ca: string | undefined; origin: string } {
  const path = url.string("ca", "");
  const isTls = url.flag("tls", path !== "");
  if (path !== "" && !isTls) throw configError('parameter "ca" is there and "tls" is false; leave one of them out');
  if (url.host === "") throw configError("vault: expected a host, as in vault://vault.example.com:8200");
  if (!isTls && !LOOPBACK.test(url.host)) warn("the token and the values go to Vault without TLS; add tls=true");
  const ca = path === "" ? undefined : readPem(path);
  return { ca, origin: `${isTls ? "https" : "http"}://${url.host}:${url.port ?? DEFAULT_PORT}` };
}

function loginMethod(url: ConfigUrl): Method {
  const token = url.string("token", "") || (readSecret(process.env, "VAULT_TOKEN") ?? "");
  const roleId = url.string("role_id", "") || (readSecret(process.env, "VAULT_ROLE_ID") ?? "");
  const secretId = url.string("secret_id", "") || (readSecret(process.env, "VAULT_SECRET_ID") ?? "");
  const role = url.string("role", "");
  const jwtFile = url.string("jwt_file", KUBERNETES_JWT);
  const authMount = url.string("auth_mount", "");
  const mount = (method: string): string => `auth/${authMount === "" ? method : pathOf("auth_mount", authMount)}`;
  if (role !== "") return { type: "kubernetes", role, jwtFile, mount: mount("kubernetes") };
  if (roleId !== "") return { type: "approle", roleId, secretId, mount: mount("approle") };
  if (token !== "") return { type: "token", token };
  throw configError("vault: set VAULT_TOKEN, or give role_id and secret_id (AppRole), or role (Kubernetes)");
}

function pathOf(what: string, text: string): string {
  const fault = nameFault(text);
  if (fault !== undefined) throw configError(`vault: ${what} is "${text}": ${fault}`);
  return text;
}

function readPem(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw configError(`parameter "ca": the file "${path}" cannot be read`, { cause });
  }
}
