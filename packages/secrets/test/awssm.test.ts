import { afterAll, beforeAll } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { type MotoServer, startMoto } from "@mikcar/devkit/moto";
import { open } from "../src/backends/awssm/index.ts";
import { secretsContract } from "./contract.ts";

let server: MotoServer;
beforeAll(async () => {
  process.env["AWS_ACCESS_KEY_ID"] = "test";
  process.env["AWS_SECRET_ACCESS_KEY"] = "hush-key";
  server = await startMoto();
}, 120_000);
afterAll(() => server?.remove());

secretsContract("AWS Secrets Manager (moto stands in for it)", {
  open: () => open(configUrl(`awssm://eu-west-1?endpoint=${server.url}`)),
  hidden: () => ["hush-key"],
  quirks: {
    "versions-are-ids": "AWS gives each version a random id, and its time in whole seconds",
    "versions-tell-now": "moto does, and AWS does not",
  },
});
