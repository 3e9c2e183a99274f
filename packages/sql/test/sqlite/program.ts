/** A program with a backend of its own: `program.ts URL write|idle|endless`. */

import { configUrl } from "@mikcar/core";
import { open } from "../../src/backends/sqlite/index.ts";
import { call, ENDLESS, sql } from "./harness.ts";

const [url = "", task] = process.argv.slice(2);
const db = await open(configUrl(url));

async function write(caller: number): Promise<never> {
  for (let i = 0; ; i++) {
    const id = caller * 1_000_000 + i;
    await db.execute(sql("INSERT INTO t VALUES ($1)", id), call());
    process.stdout.write(`${id}\n`);
  }
}

await db.execute(sql("CREATE TABLE IF NOT EXISTS t (a INTEGER PRIMARY KEY)"), call());
await db.query(sql("SELECT 1"), call());
process.stdout.write("ready\n");
if (task === "write") await Promise.all(Array.from({ length: 8 }, (_, caller) => write(caller)));
if (task === "endless") {
  await Promise.all([db.query(sql(ENDLESS), call()), db.execute(sql(`INSERT INTO t ${ENDLESS}`), call())]);
}
