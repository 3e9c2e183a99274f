#!/usr/bin/env node
import "@mikcar/core/node-version"; // first: it says so when Node is too old for the rest
import "@mikcar/core/compile-cache"; // the rest is imported after it, so that it starts from the cache

const { packageVersion, run } = await import("@mikcar/core");
const { services } = await import("./services.ts");
await run({ name: "mikcar", version: packageVersion(import.meta.url), offers: services });
