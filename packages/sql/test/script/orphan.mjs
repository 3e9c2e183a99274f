// A sidecar that dies while its script runs: prints the children's ids, then waits to be killed.
import { createEngine } from "../../src/script/sandbox.ts";

const engine = createEngine({ children: 2 });
const job = { input: "{}", caller: "orphan", memoryMb: 32, log() {}, signal: new AbortController().signal };
const sql = async () => {
  process.stdout.write("in sql\n");
  return new Promise(() => undefined);
};
void engine.run({ ...job, source: "sql.query('SELECT 1')", timeoutMs: 60_000, sql });
void engine.run({ ...job, source: "for (;;);", timeoutMs: 1500, sql }).catch(() => undefined);
