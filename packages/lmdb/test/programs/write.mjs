/** Stores one key after the other for ever, and prints each when it is acknowledged. Arguments: file, prefix. */
import { writeSync } from "node:fs";
import { openEnvironment } from "@mikcar/lmdb";

const [path = "", prefix = ""] = process.argv.slice(2);
const environment = openEnvironment(path);
const table = environment.table("values");

let next = 0;
const work = async () => {
  for (;;) {
    const key = `${prefix}:${next++}`;
    await environment.commit((draft) => {
      draft.put(table, Buffer.from(key), Buffer.from(key.repeat(50)));
      draft.put(table, Buffer.from(`twin:${key}`), Buffer.from(key));
    });
    writeSync(1, `${key}\n`); // at once: nothing acknowledged may be left in a buffer when the end comes
  }
};
await Promise.all(Array.from({ length: 20 }, work));
