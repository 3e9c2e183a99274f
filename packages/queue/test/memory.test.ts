import { configUrl } from "@mikcar/core";
import { open } from "../src/backends/memory.ts";
import { queueContract } from "./contract.ts";

queueContract("memory", { open: () => open(configUrl("memory://?max_deliveries=3")) });
