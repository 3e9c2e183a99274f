import { configUrl } from "@mikcar/core";
import { open } from "../src/backends/memory.ts";
import { storageContract } from "./contract.ts";

storageContract("memory", { open: () => open(configUrl("memory:")) });
