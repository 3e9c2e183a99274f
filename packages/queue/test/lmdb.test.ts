import { afterAll } from "@jest/globals";
import { configUrl, fileUrl } from "@mikcar/core";
import { temporaryFolder } from "@mikcar/devkit";
import { open } from "../src/backends/lmdb.ts";
import { queueContract } from "./contract.ts";

const folder = temporaryFolder();
queueContract("lmdb", { open: () => open(configUrl(`${fileUrl(`${folder.path}/queue.lmdb`)}?max_deliveries=3`)) });
afterAll(() => folder.remove());
