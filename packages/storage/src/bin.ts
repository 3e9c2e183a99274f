#!/usr/bin/env node
import "@mikcar/core/node-version"; // first: it says so when Node is too old for the rest
import "@mikcar/core/compile-cache"; // the rest is imported after it, so that it starts from the cache

const { runService } = await import("@mikcar/core");
const { StorageService } = await import("./service.ts");
await runService(StorageService, import.meta.url);
