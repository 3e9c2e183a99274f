import { afterAll } from "@jest/globals";
import { configUrl, fileUrl } from "@mikcar/core";
import { temporaryFolder } from "@mikcar/devkit";
import { open } from "../src/backends/lmdb/index.ts";
import { kvContract } from "./contract.ts";

const folder = temporaryFolder();
afterAll(() => folder.remove());

let count = 0;
kvContract("lmdb", { open: () => open(configUrl(fileUrl(`${folder.path}/${count++}/kv.lmdb`))) });
