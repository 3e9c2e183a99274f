/** Stores until a commit fails, then tells what still works, as JSON. Argument: file. Runs where files may not grow. */
import { openEnvironment } from "@mikcar/lmdb";

const environment = openEnvironment(process.argv[2] ?? "");
const table = environment.table("values");
const store = (number) =>
  environment.commit((draft) => draft.put(table, Buffer.from(String(number)), Buffer.alloc(10_000, number)));

const codes = [];
let stored = 0;
for (; codes.length === 0 && stored < 10_000; stored++) await store(stored).catch((error) => codes.push(error.code));
const together = await Promise.allSettled([store(-1), store(-2)]);
codes.push(...together.map(({ reason }) => reason?.code));
const read = table.get(Buffer.from("0"))?.length;
await environment.close();
process.stdout.write(JSON.stringify({ codes, read, isPartial: stored > 10 }));
