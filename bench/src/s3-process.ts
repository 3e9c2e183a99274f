/** One process that speaks to S3 in two ways, for `s3.ts`: through the bare client library, and as a sidecar. */

import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { createLog, SidecarBuilder } from "@mikcar/core";
import { StorageService } from "@mikcar/storage";
import { Client } from "minio";

/** What `s3.ts` asks for. */
export type Job =
  | {
      readonly kind: "bare";
      readonly method: "GET" | "PUT";
      readonly bytes: number;
      readonly calls: number;
      readonly atOnce: number;
    }
  | { readonly kind: "cpu" };

export interface Target {
  readonly endpoint: string;
  readonly bucket: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly client: "s3" | "minio";
}

/** The answer to a job: CPU time of this process so far, or of the job alone, in microseconds. */
export interface Spent {
  readonly micros: number;
}

const target = JSON.parse(process.argv[2] ?? "") as Target; // of s3.ts
const { endpoint, bucket, accessKey, secretKey } = target;
const { host } = new URL(endpoint);
const login = `access_key_id=${accessKey}&secret_access_key=${secretKey}`;
const urls = {
  s3: `s3://${bucket}?endpoint=${encodeURIComponent(endpoint)}&${login}`,
  minio: `minio://${accessKey}:${secretKey}@${host}/${bucket}`,
};
const sidecar = await StorageService.fromUrl(urls[target.client]);
const server = await new SidecarBuilder()
  .port(0)
  .log(await createLog("error"))
  .add(sidecar)
  .serve();
const bare = target.client === "s3" ? bareS3() : bareMinio();

process.on("message", async (job: Job) => {
  const before = process.cpuUsage();
  if (job.kind === "bare") await run(job);
  const { user, system } = process.cpuUsage(job.kind === "bare" ? before : undefined);
  process.send?.({ micros: user + system } satisfies Spent);
});
process.once("disconnect", () => process.exit());
process.send?.({ url: server.url });

interface Bare {
  get(key: string): Promise<AsyncIterable<Uint8Array>>;
  put(key: string, body: Buffer): Promise<unknown>;
}

async function run({ method, bytes, calls, atOnce }: Extract<Job, { kind: "bare" }>): Promise<void> {
  const body = Buffer.alloc(bytes, "b");
  const keys = Array.from(
    { length: calls },
    (_, index) => `${method === "GET" ? "seed" : "bare"}-${bytes}/${index % 20}`,
  ).values();
  const work = async (): Promise<void> => {
    for (const key of keys) {
      if (method === "PUT") await bare.put(key, body);
      else await drain(await bare.get(key));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}

async function drain(body: AsyncIterable<Uint8Array>): Promise<number> {
  let length = 0;
  for await (const chunk of body) length += chunk.byteLength;
  return length;
}

function bareS3(): Bare {
  const credentials = { accessKeyId: accessKey, secretAccessKey: secretKey };
  const client = new S3Client({ endpoint, region: "us-east-1", forcePathStyle: true, credentials });
  return {
    get: async (key) => {
      const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
      return Body as unknown as AsyncIterable<Uint8Array>; // a stream, in Node
    },
    put: (key, body) => client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body })),
  };
}

function bareMinio(): Bare {
  const { hostname, port } = new URL(endpoint);
  const client = new Client({
    endPoint: hostname,
    port: Number(port),
    useSSL: false,
    region: "us-east-1",
    accessKey,
    secretKey,
  });
  return {
    get: (key) => client.getObject(bucket, key),
    put: (key, body) => client.putObject(bucket, key, body),
  };
}
