/**
 * `npm test`: sets up what is missing, then format, lint, build, types, and every test of every package. The last line
 * counts the tests from jest's own reports. `--long` makes the random tests run longer and the crash tests more often.
 */

import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { execute, main, root } from "./execute.mjs";
import { setup } from "./setup.mjs";

const isLong = process.argv.includes("--long");

await main(setup);
for (const report of reports()) rmSync(report);

const failures = [];
await step("format", "prettier", ["--check", "--log-level", "warn", "."]);
await step("lint", "oxlint", ["--deny-warnings"]);
await step("build and types", "turbo", ["run", "build", "typecheck", "--output-logs=errors-only"]);
const prefetching = execute("node", ["packages/devkit/dist/prefetch.js"], { quiet: true }).catch((error) =>
  console.error(`what the storage tests need could not be built ahead: ${error.message}`),
);
// Storage comes last, as it needs that.
for (const filter of ["!@mikcar/storage", "@mikcar/storage"]) {
  await step(
    `tests: ${filter}`,
    "turbo",
    ["run", "test", `--filter=${filter}`, "--concurrency=2", "--continue", "--output-logs=full"],
    isLong ? { MIKCAR_TEST_LONG: "1" } : {},
  );
}

await prefetching;
const counts = count();
if (counts.skipped > 0) failures.push(`${counts.skipped} tests skipped`);
for (const failure of failures) console.error(`FAILED: ${failure}`);
console.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exit(failures.length > 0 || counts.failed > 0 || counts.passed === 0 ? 1 : 0);

async function step(name, program, args, env = {}) {
  console.log(`\n== ${name}`);
  try {
    await execute(program, args, { env });
  } catch (error) {
    failures.push(`${name}: ${error.message}`);
  }
}

/** Where each package's jest leaves its report. */
function reports() {
  const folders = ["packages/", "apps/"].map((name) => new URL(name, root));
  const files = folders.flatMap((folder) =>
    readdirSync(folder).map((name) => new URL(`${name}/.test-results.json`, folder)),
  );
  return files.filter((file) => existsSync(file));
}

function count() {
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const file of reports()) {
    const report = JSON.parse(readFileSync(file, "utf8"));
    total.passed += report.numPassedTests;
    total.failed += report.numFailedTests + report.numRuntimeErrorTestSuites;
    total.skipped += report.numPendingTests + report.numTodoTests;
  }
  return total;
}
