import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { type MinioServer, startMinio } from "@mikcar/devkit/minio";
import { open } from "../src/backends/s3/index.ts";
import { storageContract } from "./contract.ts";

let server: MinioServer;
let client: S3Client;
beforeAll(async () => {
  server = await startMinio();
  const { accessKey: accessKeyId, secretKey: secretAccessKey, url: endpoint } = server;
  const credentials = { accessKeyId, secretAccessKey };
  client = new S3Client({ region: "us-east-1", endpoint, forcePathStyle: true, credentials });
}, 900_000);
afterAll(async () => {
  client?.destroy();
  await server?.remove();
});

let buckets = 0;
storageContract("S3 (on MinIO)", {
  open: async () => {
    buckets += 1;
    await client.send(new CreateBucketCommand({ Bucket: `bucket-${buckets}` }));
    const login = `access_key_id=${server.accessKey}&secret_access_key=${server.secretKey}`;
    return open(configUrl(`s3://bucket-${buckets}?endpoint=${server.url}&${login}`));
  },
  quirks: {
    "tag-of-bytes": "S3 makes it of the bytes",
    "objects-hide-folders": "MinIO looks for no objects in the folder of another one",
    "racing-folders": "MinIO answers IncompleteBody, and rarely AccessDenied",
    "short-segments": "MinIO keeps each segment as a folder of its file system",
  },
});
