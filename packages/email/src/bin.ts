#!/usr/bin/env node
import "@mikcar/core/compile-cache"; // the rest is imported after it, so that it starts from the cache

const { runService } = await import("@mikcar/core");
const { EmailService } = await import("./service.ts");
await runService(EmailService, import.meta.url);
