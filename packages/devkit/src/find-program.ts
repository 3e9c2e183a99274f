/** Programs of the system that a test needs, and that npm does not bring. */

import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";

/** Where Debian puts programs that are not on everyone's PATH. */
const MORE_FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/lib/rabbitmq/bin"];

/**
 * One at a time, as several test processes start at once. `policy-rc.d` keeps apt from starting the service that it
 * installs: https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt
 */
const INSTALL = `
set -e
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\\nexit 101\\n' > "$policy"
  chmod 755 "$policy"
fi
install() { apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$1"; }
install "$1" || { apt-get -o DPkg::Lock::Timeout=300 update && install "$1"; } # its list was missing, or too old
`;

/**
 * The path of a program. When it is not there and this is root on a Debian, its package is installed first.
 * @param instead What else to do, for the error: "set REDIS_URL to one that runs".
 */
export async function findProgram(name: string, debianPackage: string, instead: string): Promise<string> {
  const found = onPath(name);
  if (found !== undefined) return found;
  const command = `apt-get install -y --no-install-recommends ${debianPackage}`;
  const canInstall = process.getuid?.() === 0 && onPath("apt-get") !== undefined && onPath("flock") !== undefined;
  if (!canInstall) throw new Error(`${name} is not installed: run "${command}" as root, or ${instead}`);
  const lock = join(tmpdir(), "mikcar-test-install.lock");
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  try {
    await promisify(execFile)("flock", [lock, "sh", "-c", INSTALL, "install", debianPackage], { env });
  } catch (cause) {
    throw new Error(`${name} could not be installed: see why with "${command}", or ${instead}`, { cause });
  }
  const installed = onPath(name);
  if (installed === undefined) throw new Error(`${debianPackage} was installed and brought no ${name}: ${instead}`);
  return installed;
}

/** Where a program is, or undefined. */
export function onPath(name: string): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), ...MORE_FOLDERS];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false; // not there, or not ours to run
  }
}
