/** `npm start [-- options]`: sets up, builds, and runs the sidecar; every service on port 3001 unless options say otherwise. */

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { environment, execute, main, root } from "./execute.mjs";
import { setup } from "./setup.mjs";

/** Options that say which services run, or run none; a configuration file says it too. */
const CHOICE = /^(?:--(?:all|help|version|storage|kv|sql|queue|secrets|email|config(?:=.*)?)|-h|-v)$/;

await main(async () => {
  await setup();
  await execute("turbo", ["run", "build", "--filter=@mikcar/supercar...", "--output-logs=errors-only"], {
    quiet: true,
  });

  const given = process.argv.slice(2);
  const isChosen = given[0] === "init" || given.some((option) => CHOICE.test(option));
  const args = [fileURLToPath(new URL("apps/supercar/dist/bin.js", root)), ...(isChosen ? [] : ["--all"]), ...given];
  const child = spawn("node", args, { cwd: root, env: environment(), stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
  child.once("exit", (code, signal) => process.exit(code ?? (signal === null ? 1 : 128)));
});
