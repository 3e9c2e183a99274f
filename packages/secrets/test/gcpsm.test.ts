import { writeFileSync } from "node:fs";
import { afterAll, beforeAll } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { temporaryFolder } from "@mikcar/devkit";
import { open } from "../src/backends/gcpsm/index.ts";
import { secretsContract } from "./contract.ts";
import { type GcpStandIn, startGcpStandIn } from "./gcp-stand-in.ts";

let server: GcpStandIn;
const folder = temporaryFolder();
beforeAll(async () => {
  server = await startGcpStandIn();
  const keyFile = `${folder.path}/key.json`;
  writeFileSync(keyFile, server.keyFile);
  process.env["GOOGLE_APPLICATION_CREDENTIALS"] = keyFile;
});
afterAll(async () => {
  await server.close();
  folder.remove();
});

secretsContract("GCP Secret Manager (a stand-in of ours)", {
  open: () => open(configUrl(`gcpsm://my-project?endpoint=${server.url}`)),
  hidden: () => [(JSON.parse(server.keyFile) as { private_key: string }).private_key.slice(100, 150)],
});
