import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll } from "@jest/globals";
import { temporaryFolder } from "@mikcar/devkit";
import { sqlContract } from "./contract.ts";

const folder = temporaryFolder();
afterAll(() => folder.remove());

let count = 0;
sqlContract("SQLite", {
  freshUrl: async () => `sqlite://${folder.path}/${count++}/test.db`,
  endless: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) AS n FROM n",
  isBusy: async () => {
    const before = childTimes();
    await sleep(50); // a span to measure over, nothing that is hoped for
    const after = childTimes();
    return [...after].some(([pid, ticks]) => ticks - (before.get(pid) ?? ticks) >= 3);
  },
});

/** Clock ticks that each child of this process has used: proc(5). */
function childTimes(): Map<number, number> {
  const times = new Map<number, number>();
  for (const pid of readdirSync("/proc").map(Number).filter(Number.isInteger)) {
    const stat = readStat(pid);
    if (stat !== undefined && Number(stat[1]) === process.pid) times.set(pid, Number(stat[11]) + Number(stat[12]));
  }
  return times;
}

/** The fields behind the name: state, parent, … */
function readStat(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined; // it has ended
  }
}
