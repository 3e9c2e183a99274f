import { afterAll, beforeAll } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { temporaryFolder } from "@mikcar/devkit";
import { type FakeGcs, startFakeGcs } from "@mikcar/devkit/fake-gcs";
import type { StorageBackend } from "../src/backend.ts";
import { open } from "../src/backends/gs/index.ts";
import { type Harness, storageContract } from "./contract.ts";
import { OTHER_UNIVERSE, writeServiceAccount } from "./gs-key.ts";
import { storageWire } from "./wire.ts";

let server: FakeGcs;
beforeAll(async () => {
  server = await startFakeGcs();
}, 120_000);
afterAll(() => server?.remove());

const folder = temporaryFolder();
const keyFile = `${folder.path}/key.json`;
writeServiceAccount(keyFile, OTHER_UNIVERSE);
afterAll(() => folder.remove());

let buckets = 0;
async function fresh(parameters = ""): Promise<StorageBackend> {
  buckets += 1;
  await server.createBucket(`bucket-${buckets}`);
  return open(configUrl(`gs://bucket-${buckets}?endpoint=${server.url}${parameters}`));
}

const harness: Harness = { open: () => fresh() };
storageContract("Google Cloud Storage (fake-gcs-server stands in for it)", harness);
storageWire("Google Cloud Storage (fake-gcs-server stands in for it)", harness);

// With a key it is called as Google itself is, which reads by the XML API.
storageContract("Google Cloud Storage with a key", { open: () => fresh(`&key_file=${keyFile}`) });
