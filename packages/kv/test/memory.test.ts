import { configUrl } from "@mikcar/core";
import { open } from "../src/backends/memory.ts";
import { kvContract } from "./contract.ts";

kvContract("memory", { open: () => open(configUrl("memory:")) });
