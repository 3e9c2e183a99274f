/**
 * zod, as the services use it. The build makes one file of it: its hundred small ones cost 50 ms more at every start.
 * https://zod.dev
 */
export { toJSONSchema, z } from "zod";
