import { afterAll, beforeAll, describe } from "@jest/globals";
import { fileUrl } from "@mikcar/core";
import { temporaryFolder } from "@mikcar/devkit";
import { survivesKills } from "./crashes.ts";

let folder: ReturnType<typeof temporaryFolder>;
beforeAll(() => {
  folder = temporaryFolder();
});
afterAll(() => folder.remove());

describe("the LMDB queue of two sidecars", () => {
  survivesKills({ url: () => `${fileUrl(`${folder.path}/queue.lmdb`)}?max_deliveries=1000` });
});
