import { afterAll, beforeAll } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { type MinioServer, startMinio } from "@mikcar/devkit/minio";
import { Client } from "minio";
import { open } from "../src/backends/minio/index.ts";
import { storageContract } from "./contract.ts";

let server: MinioServer;
let client: Client;
beforeAll(async () => {
  server = await startMinio();
  const { accessKey, secretKey } = server;
  const [endPoint = "", port] = server.address.split(":");
  client = new Client({ endPoint, port: Number(port), useSSL: false, accessKey, secretKey });
}, 900_000);
afterAll(() => server?.remove());

let buckets = 0;
storageContract("MinIO", {
  open: async () => {
    buckets += 1;
    await client.makeBucket(`bucket-${buckets}`);
    return open(configUrl(`minio://${server.accessKey}:${server.secretKey}@${server.address}/bucket-${buckets}`));
  },
  quirks: {
    "tag-of-bytes": "MinIO makes it of the bytes",
    "objects-hide-folders": "MinIO looks for no objects in the folder of another one",
    "racing-folders": "MinIO answers IncompleteBody, and rarely AccessDenied",
    "short-segments": "MinIO keeps each segment as a folder of its file system",
  },
});
