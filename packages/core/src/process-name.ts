import { readFileSync } from "node:fs";

/**
 * A process of this machine by its number and, as numbers come again, by its start: field 22 of proc(5). Where there is
 * no such folder, by its number alone. `ended` when no process has the number.
 */
export function processName(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return `${pid} ${stat.slice(stat.lastIndexOf(")")).split(" ")[20]}`;
  } catch {
    return isAlive(pid) ? String(pid) : "ended"; // no such process, or no such folder
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"; // somebody else's, and alive
  }
}
