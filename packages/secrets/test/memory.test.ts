import { configUrl } from "@mikcar/core";
import { open } from "../src/backends/memory.ts";
import { secretsContract } from "./contract.ts";

secretsContract("memory", { open: () => open(configUrl("memory:")), hidden: () => [] });
