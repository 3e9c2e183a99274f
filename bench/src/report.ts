/** Results as a file, a Markdown table and a chart. */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";

export interface Measured {
  readonly row: string;
  readonly goal: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuMicros: number;
  /** CPU per request over that of the floor, measured just before and after. */
  readonly floors: number;
  readonly peakMemoryMib: number;
  readonly errors: number;
}

export interface Results {
  readonly at: string;
  readonly machine: string;
  readonly mode: string;
  /** The median of all floors of the run. */
  readonly floorMicros: number;
  readonly rows: readonly Measured[];
}

const FOLDER = new URL("../results/", import.meta.url);

export function describeMachine(): string {
  return `${cpus().length} cores, ${cpus()[0]?.model ?? "unknown"}, Node ${process.versions.node}`;
}

/** Writes `NAME.json`, `NAME.md` and `NAME.svg`. @returns the table. */
export function save(name: string, results: Results): string {
  mkdirSync(FOLDER, { recursive: true });
  const table = markdown(results);
  writeFileSync(new URL(`${name}.json`, FOLDER), `${JSON.stringify(results, undefined, 2)}\n`);
  writeFileSync(new URL(`${name}.md`, FOLDER), table);
  writeFileSync(new URL(`${name}.svg`, FOLDER), chart(results));
  return table;
}

export function read(file: string): Results {
  return JSON.parse(readFileSync(file, "utf8")) as Results; // written by save()
}

export function markdown({ floorMicros, machine, at, mode, rows }: Results): string {
  const lines = rows.map(
    (row) =>
      `| ${row.row} | ${row.floors.toFixed(2)} | ${row.goal} | ${row.cpuMicros.toFixed(0)} | ${row.perSecond.toFixed(0)} | ${row.p50Ms} | ${row.p99Ms} | ${row.peakMemoryMib.toFixed(0)} | ${row.errors === 0 ? "0" : `${row.errors} (void)`} |`,
  );
  return [
    `${at.slice(0, 10)}, ${machine}, ${mode}; a floor was ${floorMicros.toFixed(0)} µs (median).`,
    "",
    "| row | floors | goal | CPU µs | req/s | p50 ms | p99 ms | peak MiB | errors |",
    "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ...lines,
    "",
  ].join("\n");
}

/** Puts the table between the marks of the README. */
export function showInReadme(table: string, mark = "bench"): void {
  const readme = new URL("../../README.md", import.meta.url);
  const text = readFileSync(readme, "utf8");
  const place = new RegExp(`(<!-- ${mark} -->\n).*?(<!-- /${mark} -->)`, "s");
  writeFileSync(
    readme,
    text.replace(place, (_, start, end) => `${start}\n${table}\n${end}`),
  );
}

/** Ratios of B to A; under 1.3 either way counts as equal, as runs on a busy machine differ by that. */
export function compare(a: Results, b: Results): string {
  const lines = b.rows.flatMap((row) => {
    const before = a.rows.find((other) => other.row === row.row);
    if (before === undefined) return [];
    const ratio = row.floors / before.floors;
    const verdict = ratio > 1.3 ? "dearer" : ratio < 1 / 1.3 ? "cheaper" : "equal";
    return [
      `| ${row.row} | ${before.floors.toFixed(2)} | ${row.floors.toFixed(2)} | ${ratio.toFixed(2)} | ${verdict} |`,
    ];
  });
  return ["| row | A floors | B floors | B/A | |", "|---|---:|---:|---:|---|", ...lines, ""].join("\n");
}

/** One bar per row on a logarithmic scale, with a tick at the goal. */
function chart({ rows, floorMicros, at }: Results): string {
  const height = 26;
  const scale = (floors: number): number => 240 + Math.max(0, Math.log2(floors / 0.5)) * 70;
  const bars = rows.map((row, index) => {
    const y = 40 + index * height;
    const color = row.floors <= row.goal ? "#2a9d5c" : "#c9722b";
    return (
      `<text x="230" y="${y + 13}" text-anchor="end">${row.row}</text>` +
      `<rect x="240" y="${y}" width="${(scale(row.floors) - 240).toFixed(1)}" height="17" fill="${color}"/>` +
      `<text x="${(scale(row.floors) + 6).toFixed(1)}" y="${y + 13}">${row.floors.toFixed(2)}</text>` +
      `<path d="M${scale(row.goal).toFixed(1)} ${y - 3}v23" stroke="#333" stroke-width="2"/>`
    );
  });
  const size = 50 + rows.length * height;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="760" height="${size}" font-family="sans-serif" font-size="13">
<rect width="100%" height="100%" fill="white"/><text x="12" y="22">CPU per request in floors (a floor was ${floorMicros.toFixed(0)} µs), tick = goal, ${at.slice(0, 10)}</text>
${bars.join("\n")}
</svg>
`;
}
