/** What all clients of clouds make of a server that stops, goes round in circles, or is not the store: a stand-in plays it. */

import type { ServerResponse } from "node:http";
import { afterEach, describe, expect, it } from "@jest/globals";
import { configUrl, type Open } from "@mikcar/core";
import { until } from "@mikcar/devkit";
import type { StorageBackend } from "../src/backend.ts";
import { open as openAz } from "../src/backends/az/index.ts";
import { open as openGs } from "../src/backends/gs/index.ts";
import { open as openMinio } from "../src/backends/minio/index.ts";
import { open as openS3 } from "../src/backends/s3/index.ts";
import { list, put } from "./contract.ts";
import { type FakeBucket, type Say, startFakeBucket } from "./fake-bucket.ts";

interface Cloud {
  readonly name: string;
  readonly open: Open<StorageBackend>;
  url(address: string): string;
  /** An empty page that says that another one comes. */
  page(token: string): string;
}

const S3_PAGE = (token: string): string =>
  `<ListBucketResult><Name>bucket</Name><KeyCount>0</KeyCount><IsTruncated>true</IsTruncated>` +
  `<NextContinuationToken>${token}</NextContinuationToken></ListBucketResult>`;

const CLOUDS: readonly Cloud[] = [
  {
    name: "s3",
    open: openS3,
    url: (address) => `s3://bucket?endpoint=http://${address}&access_key_id=a&secret_access_key=b`,
    page: S3_PAGE,
  },
  { name: "minio", open: openMinio, url: (address) => `minio://a:b@${address}/bucket?tls=false`, page: S3_PAGE },
  {
    name: "gs",
    open: openGs,
    url: (address) => `gs://bucket?endpoint=http://${address}`,
    page: (nextPageToken) => JSON.stringify({ nextPageToken }),
  },
  {
    name: "az",
    open: openAz,
    url: (address) => `az://bucket?endpoint=http://${address}&account=a&account_key=Yg%3D%3D`,
    page: (token) =>
      `<?xml version="1.0"?><EnumerationResults ServiceEndpoint="http://x/" ContainerName="bucket"><Blobs/>` +
      `<NextMarker>${token}</NextMarker></EnumerationResults>`,
  },
];

describe.each(CLOUDS)("$name", ({ open, url, page }) => {
  let server: FakeBucket;
  let storage: StorageBackend;
  async function start(say: Say, timeoutMs = 1500): Promise<void> {
    server = await startFakeBucket(say);
    storage = await open(configUrl(`${url(server.address)}&timeout_ms=${timeoutMs}`));
  }
  afterEach(async () => {
    await storage.close();
    await server.close();
  });

  it.each([200, 403])(
    "ends calls whose answers, of status %i, stand still, and the connections of them",
    async (status) => {
      await start((response) => standStill(response, status));

      const calls = [storage.ping(), list(storage), put(storage, "x"), storage.delete("x"), storage.copy("x", "y")];
      const results = await Promise.allSettled([...calls, storage.move("x", "y"), storage.deleteMany(["x", "y"])]);

      expect(results[1]).toMatchObject({ status: "rejected", reason: { code: "UNAVAILABLE" } });
      await until("no connection is open", async () => (await server.connections()) === 0);
    },
  );

  it("gives up a listing with the call that it is for", async () => {
    await start((response) => standStill(response, 200), 60_000);
    const call = new AbortController();

    const listing = storage.list({ prefix: "", after: undefined, limit: 1000, delimiter: undefined }, call.signal);
    await until("the server was asked", async () => server.heard.length === 1);
    call.abort(new RangeError("given up"));

    await expect(listing).rejects.toThrow("given up");
    await until("no connection is open", async () => (await server.connections()) === 0);
  });

  it("asks for no more pages when the call is given up between two", async () => {
    const call = new AbortController();
    await start((response) => {
      xml(response, page(`token-${server.heard.length}`));
      if (server.heard.length === 3) call.abort(new RangeError("given up"));
    });

    const listing = storage.list({ prefix: "", after: undefined, limit: 1000, delimiter: undefined }, call.signal);

    await expect(listing).rejects.toThrow("given up");
    expect(server.heard.length).toBeLessThanOrEqual(3);
  });

  it("ends a listing that goes round in circles", async () => {
    await start((response) => xml(response, page(`token-${server.heard.length % 3}`)));

    await expect(list(storage)).rejects.toMatchObject({
      code: "BAD_GATEWAY",
      message: expect.stringMatching(/circles/),
    });

    expect(server.heard.length).toBeLessThan(10);
  });
});

/** As all but Google say; its client here looks at the text alone. */
function xml(response: ServerResponse, text: string): void {
  response.writeHead(200, { "Content-Type": "application/xml" }).end(text);
}

function standStill(response: ServerResponse, status: number): void {
  response.writeHead(status, { "Content-Length": 1000, ETag: '"t"', "Content-Type": "application/xml" });
  response.write("<?xml ");
}
