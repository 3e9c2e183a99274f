import { afterAll, beforeAll } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { type OpenbaoServer, startOpenbao } from "@mikcar/devkit/openbao";
import { open } from "../src/backends/vault/index.ts";
import { secretsContract } from "./contract.ts";

let server: OpenbaoServer;
beforeAll(async () => {
  server = await startOpenbao();
}, 120_000);
afterAll(() => server?.remove());

secretsContract("vault", {
  open: async () =>
    open(configUrl(`vault://${server.address}?token=${server.token}&mount=${await server.freshMount()}`)),
  hidden: () => [server.token],
});
