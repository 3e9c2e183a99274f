import { afterAll, beforeAll } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { type FakeGcs, startFakeGcs } from "@mikcar/devkit/fake-gcs";
import { open } from "../src/backends/gs/index.ts";
import { type Harness, storageContract } from "./contract.ts";
import { storageWire } from "./wire.ts";

let server: FakeGcs;
beforeAll(async () => {
  server = await startFakeGcs();
}, 120_000);
afterAll(() => server?.remove());

let buckets = 0;
const harness: Harness = {
  open: async () => {
    buckets += 1;
    await server.createBucket(`bucket-${buckets}`);
    return open(configUrl(`gs://bucket-${buckets}?endpoint=${server.url}`));
  },
};
storageContract("Google Cloud Storage (fake-gcs-server stands in for it)", harness);
storageWire("Google Cloud Storage (fake-gcs-server stands in for it)", harness);
