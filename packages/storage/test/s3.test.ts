import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { type MotoServer, startMoto } from "@mikcar/devkit/moto";
import type { StorageBackend } from "../src/backend.ts";
import { open } from "../src/backends/s3/index.ts";
import { type Harness, storageContract } from "./contract.ts";
import { storageWire } from "./wire.ts";

let server: MotoServer;
let client: S3Client;
beforeAll(async () => {
  process.env["AWS_ACCESS_KEY_ID"] = "test";
  process.env["AWS_SECRET_ACCESS_KEY"] = "test";
  server = await startMoto();
  client = new S3Client({ region: "us-east-1", endpoint: server.url, forcePathStyle: true });
}, 120_000);
afterAll(async () => {
  client?.destroy();
  await server?.remove();
});

let buckets = 0;
async function openFresh(): Promise<StorageBackend> {
  buckets += 1;
  await client.send(new CreateBucketCommand({ Bucket: `bucket-${buckets}` }));
  return open(configUrl(`s3://bucket-${buckets}?endpoint=${server.url}`));
}

const harness: Harness = {
  open: openFresh,
  quirks: {
    "tag-of-bytes": "S3 makes it of the bytes",
    "no-proto-metadata": "the AWS SDK loses that name when it reads",
  },
};
storageContract("S3 (moto stands in for it)", harness);
storageWire("S3 (moto stands in for it)", harness);
