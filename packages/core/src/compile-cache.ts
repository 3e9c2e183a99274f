/**
 * Keeps compiled code between starts, below the user's own cache folder: one in a shared place could be written by
 * others. Where it cannot be written the start is a little slower, nothing else.
 */

import { enableCompileCache } from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";

enableCompileCache(join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "mikcar"));
