/**
 * Storage in S3, or in another server that speaks its protocol: `s3://bucket[/prefix]`.
 * Who the sidecar is: `access_key_id`, `secret_access_key` and `session_token`; without them AWS's own chain finds it, with
 * `profile`: variables, profiles, web identity, containers, instances.
 * `region`: without it that of the environment or the profile; with an `endpoint` that of the environment, or us-east-1.
 * `endpoint`: of another server; `force_path_style`: the bucket in the path rather than in the host, true with an `endpoint`.
 * `ca`: a PEM file of whom to trust; `timeout_ms` (10000): how long the server may say nothing.
 */

import type { S3ClientConfig } from "@aws-sdk/client-s3";
import { type ConfigUrl, configError, type Open, optional } from "@mikcar/core";
import type { StorageBackend } from "../../backend.ts";
import { agentFor, readPem } from "../cloud/agent.ts";
import { AwsBucket } from "./aws.ts";
import { placeOf } from "../cloud/place.ts";
import { S3Store } from "./store.ts";

const DEFAULT_REGION = "us-east-1"; // what other servers take, as it is Amazon's first

export const open: Open<StorageBackend> = async (url) => {
  const place = placeOf(url);
  if (url.host === "") throw configError("the URL names no bucket: s3://bucket");
  const idleMs = url.integer("timeout_ms", 10_000, { min: 1, max: 600_000 });
  const ca = readPem(url);
  const settings = { ...serverOf(url), ...loginOf(url) };
  const sdk = await optional("@aws-sdk/client-s3", () => import("@aws-sdk/client-s3"));
  const presigner = await optional("@aws-sdk/s3-request-presigner", () => import("@aws-sdk/s3-request-presigner"));
  const client = new sdk.S3Client({
    ...settings,
    followRegionRedirects: true,
    expectContinueHeader: false, // it costs a round trip for each part
    // Signatures are sums of the bytes already, and other servers do not know the newer ones.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    requestHandler: {
      connectionTimeout: idleMs + 1000, // for a connection to be free: what else there is to wait for, `agentFor` ends
      httpAgent: agentFor(false, { idleMs }),
      httpsAgent: agentFor(true, { idleMs, ...(ca === undefined ? {} : { ca }) }),
    },
  });
  return new S3Store(new AwsBucket({ sdk, presigner }, client, url.host), { place });
};

function serverOf(url: ConfigUrl): S3ClientConfig {
  const endpoint = url.string("endpoint", "");
  const region = url.string("region", "");
  if (endpoint === "") {
    return { forcePathStyle: url.flag("force_path_style"), ...(region === "" ? {} : { region }) };
  }
  const parsed = URL.parse(endpoint);
  if (parsed === null || !/^https?:$/.test(parsed.protocol) || parsed.username !== "") {
    throw configError('parameter "endpoint": expected http:// or https:// with a host, and no login');
  }
  return {
    endpoint,
    forcePathStyle: url.flag("force_path_style", true),
    region: region || process.env["AWS_REGION"] || DEFAULT_REGION,
  };
}

function loginOf(url: ConfigUrl): S3ClientConfig {
  const accessKeyId = url.string("access_key_id", "");
  const secretAccessKey = url.string("secret_access_key", "");
  const sessionToken = url.string("session_token", "");
  const profile = url.string("profile", "");
  if ((accessKeyId === "") !== (secretAccessKey === "")) {
    throw configError("access_key_id and secret_access_key belong together; one of them is missing");
  }
  if (accessKeyId === "" && sessionToken !== "")
    throw configError("session_token needs access_key_id and secret_access_key");
  if (accessKeyId !== "" && profile !== "") throw configError("profile and access_key_id exclude each other");
  if (accessKeyId === "") return profile === "" ? {} : { profile };
  return { credentials: { accessKeyId, secretAccessKey, ...(sessionToken === "" ? {} : { sessionToken }) } };
}
