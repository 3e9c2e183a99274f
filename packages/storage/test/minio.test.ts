import { open } from "../src/backends/minio/index.ts";
import { bucketBehaviour } from "./bucket-behaviour.ts";

bucketBehaviour("MinIO's client", {
  open,
  url: ({ url, address, accessKey, secretKey }, bucket, parameters = "") =>
    `minio://${accessKey}:${secretKey}@${address}/${bucket}?tls=${url.startsWith("https:")}${parameters}`,
  below: "",
  login: /look at the login in the URL, MINIO_ROOT_USER and MINIO_ROOT_PASSWORD/,
});
