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
import { collect, list, put, read } from "./contract.ts";
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

const HTML = "<!DOCTYPE html><html><body><p>Log in<br></body></html>";
const OBJECT = { ETag: '"t"', "X-Goog-Generation": "7", "Last-Modified": new Date(0).toUTCString() };
/** Which calls send requests of such a method. */
const S3_ASKED = { DELETE: ["delete"], POST: ["put in parts", "delete many"], PUT: ["put", "copy", "move"] };
const ASKED: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  s3: S3_ASKED,
  minio: S3_ASKED,
  gs: { DELETE: ["delete"], POST: ["put", "put in parts", "copy", "move"] },
  az: { DELETE: ["delete"], POST: ["delete many"], PUT: ["put", "put in parts", "copy", "move"] },
};

describe.each(CLOUDS)("$name", ({ name, open, url, page }) => {
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

  it.each([0, 1000, 100_000])("waits for a reader who is slower than timeout_ms with %i bytes", async (length) => {
    await start((response) => {
      response.writeHead(200, { ...OBJECT, "Content-Length": length }).end(Buffer.alloc(length, "x"));
    });
    const select = ({ size }: { readonly size: number }) => ({ start: 0, end: size });

    const found = await storage.get("x", { conditions: undefined, range: undefined, select });
    await new Promise((resolve) => setTimeout(resolve, 3000));

    expect((await collect(found?.body ?? Buffer.from("absent"))).length).toBe(length);
  });

  it("fails when a listing breaks off", async () => {
    await start((response) => {
      standStill(response, 200);
      setTimeout(() => response.socket?.destroy(), 50);
    });

    await expect(list(storage)).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it("takes no answer for its store's that is somebody else's", async () => {
    await start((response) => {
      response.writeHead(200, { "Content-Type": "text/html", "Content-Length": HTML.length }).end(HTML);
    });

    expect(await outcomes(storage)).toEqual(ALL_REFUSED);
  });

  it.each([301, 302, 303, 307, 308, 418])("fails when it is told %i", async (status) => {
    await start((response) => void response.writeHead(status, { Location: `http://${server.address}/login` }).end());

    expect(await outcomes(storage)).toEqual(ALL_REFUSED);
  });

  it.each(["DELETE", "POST", "PUT"])(
    "takes no answer for its store's that is somebody else's, to %s alone",
    async (method) => {
      await start((response, { line }) => {
        if (line.startsWith(method)) response.writeHead(200, { "Content-Type": "text/html" }).end(HTML);
        else if (line.startsWith("HEAD")) response.writeHead(200, { ...OBJECT, "Content-Length": 1 }).end();
        else if (line.startsWith("DELETE")) response.writeHead(name === "az" ? 202 : 204).end();
        else json(response, { size: "1", generation: "7", done: true, resource: { size: "1", generation: "7" } });
      });

      const asked = ASKED[name]?.[method] ?? [];
      expect(await outcomes(storage)).toMatchObject(Object.fromEntries(asked.map((call) => [call, "BAD_GATEWAY"])));
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

const CALLS: Readonly<Record<string, (storage: StorageBackend) => Promise<unknown>>> = {
  ping: (storage) => storage.ping(),
  list: (storage) => list(storage),
  head: (storage) => storage.head("x"),
  read: (storage) => read(storage, "x"),
  put: (storage) => put(storage, "x"),
  "put in parts": (storage) => put(storage, "x", Buffer.alloc(9 * 1024 * 1024)),
  delete: (storage) => storage.delete("x"),
  copy: (storage) => storage.copy("x", "y"),
  move: (storage) => storage.move("x", "y"),
  "delete many": async (storage) => {
    const { deleted, errors } = await storage.deleteMany(["x", "y"]);
    if (deleted === 0 && errors.length === 2) throw errors[1]?.error;
    return deleted;
  },
};
const ALL_REFUSED = Object.fromEntries(Object.keys(CALLS).map((name) => [name, "BAD_GATEWAY"]));

/** The code that each call fails with, or what it gives. */
async function outcomes(storage: StorageBackend): Promise<object> {
  const told = Object.entries(CALLS).map(async ([name, call]) => {
    const outcome: unknown = await call(storage).catch((error: { readonly code: string }) => error.code);
    return [name, outcome] as const;
  });
  return Object.fromEntries(await Promise.all(told));
}

function json(response: ServerResponse, body: object): void {
  response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(body));
}

/** As all but Google say; its client here looks at the text alone. */
function xml(response: ServerResponse, text: string): void {
  response.writeHead(200, { "Content-Type": "application/xml" }).end(text);
}

function standStill(response: ServerResponse, status: number): void {
  response.writeHead(status, { "Content-Length": 1000, ETag: '"t"', "Content-Type": "application/xml" });
  response.write("<?xml ");
}
