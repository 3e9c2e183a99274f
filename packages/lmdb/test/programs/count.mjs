/** Adds one to a counter, as often as told, one commit each, several at a time. Arguments: file, times, label. */
import { openEnvironment } from "@mikcar/lmdb";

const [path = "", times = "0", label = ""] = process.argv.slice(2);
const environment = openEnvironment(path);
const table = environment.table("numbers");
const key = Buffer.from("counter");

const add = () =>
  environment.commit((draft) => {
    draft.put(table, key, Buffer.from(String(Number(draft.get(table, key) ?? 0) + 1)));
  });
let left = Number(times);
const work = async () => {
  while (left-- > 0) await add();
};
await Promise.all(Array.from({ length: 50 }, work));
await environment.commit((draft) => draft.put(table, Buffer.from(`done:${label}`), Buffer.alloc(0)));
await environment.close();
