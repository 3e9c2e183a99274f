export { temporaryFolder } from "./folder.ts";
export { findProgram } from "./find-program.ts";
export { type Answer, ask, type Ask } from "./http.ts";
export { freePort } from "./ports.ts";
export { type Certificate, LOCALHOST } from "./servers/certificate.ts";
export { type Proxy, startProxy } from "./servers/proxy.ts";
export { type Ending, type Launch, type RunningProgram, runProgram, startProgram } from "./program.ts";
export { type Readme, readReadme } from "./readme.ts";
export { until } from "./wait.ts";
