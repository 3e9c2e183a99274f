#!/usr/bin/env node
import { packageVersion, run } from "@mikcar/core";
import { services } from "./services.ts";

await run({ name: "mikcar", version: packageVersion(import.meta.url), offers: services });
