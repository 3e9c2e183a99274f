/** Writes `dist/config.schema.json`: what `--config` takes, for editors. Part of the build, so that it is what the code checks. */

import { writeFileSync } from "node:fs";
import { configJsonSchema } from "@mikcar/core";
import { services } from "./dist/index.js";

writeFileSync("dist/config.schema.json", `${JSON.stringify(configJsonSchema(services), null, 2)}\n`);
