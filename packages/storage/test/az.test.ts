import { afterAll, beforeAll } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { type AzuriteServer, startAzurite } from "@mikcar/devkit/azurite";
import { open } from "../src/backends/az/index.ts";
import { type Harness, storageContract } from "./contract.ts";
import { storageWire } from "./wire.ts";

let server: AzuriteServer;
beforeAll(async () => {
  server = await startAzurite();
}, 120_000);
afterAll(() => server?.remove());

const parameters = (): string =>
  `endpoint=${server.endpoint}&account=${server.account}&account_key=${encodeURIComponent(server.key)}`;

const harness: Harness = {
  open: async () => open(configUrl(`az://${await server.freshContainer()}?${parameters()}`)),
  quirks: {
    "no-dot-at-the-end": "Azure drops dots at the end of a segment, so such a path is refused",
  },
};
storageContract("az", harness);
storageWire("az", harness);

storageContract("az below a prefix", {
  open: async () => open(configUrl(`az://${await server.freshContainer()}/team%20a/b?${parameters()}`)),
  quirks: { ...harness.quirks, "short-of-the-prefix": "a name has 1024 bytes with the prefix" },
});
