#!/usr/bin/env node
import { runService } from "@mikcar/core";
import { KvService } from "./service.ts";

await runService(KvService, import.meta.url);
