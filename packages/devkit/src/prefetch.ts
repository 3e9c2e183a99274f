/** `node prefetch.js`: builds what takes minutes the first time, to be run while other tests are. */

import { minioProgram } from "./servers/minio.ts";

await minioProgram();
