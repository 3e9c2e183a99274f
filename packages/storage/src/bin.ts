#!/usr/bin/env node
import { createRequire } from "node:module";
import { type Backend, run, type Service } from "@mikcar/core";
import { StorageService } from "./service.ts";

const { version } = createRequire(import.meta.url)("../package.json") as { version: string }; // npm requires it
const { name, env, summary } = StorageService;
const service = StorageService as unknown as Service<Backend>; // run() hands a backend only back to its own service

await run({ name: "mikcar-storage", version, offers: [{ name, env, summary, load: async () => service }] });
