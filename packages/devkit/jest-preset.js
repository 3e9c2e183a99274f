/** One test setting for every package: ESM, and types stripped by Node itself, so that line numbers stay the source's. */
import { fileURLToPath } from "node:url";

export default {
  testEnvironment: "node",
  testMatch: ["<rootDir>/test/**/*.test.ts"],
  extensionsToTreatAsEsm: [".ts"],
  transform: { "\\.ts$": fileURLToPath(new URL("strip-types.js", import.meta.url)) },
  testTimeout: process.env.MIKCAR_TEST_LONG === "1" ? 900_000 : 20_000,
  maxWorkers: 2,
};
