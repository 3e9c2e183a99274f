/** A container without an engine: the same root file system, read-only, in namespaces of its own, with a user that owns nothing. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Image } from "./dockerfile.ts";
import { until } from "@mikcar/devkit";

/** `ROOT`, `DATA` and `USER_IDS` come as variables, the command as arguments. An engine mounts the same. */
const ENTER = `
set -e
mount --bind "$ROOT" "$ROOT"
mount -t tmpfs tmpfs "$ROOT/dev"
for device in null zero random urandom; do
  touch "$ROOT/dev/$device"
  mount --bind "/dev/$device" "$ROOT/dev/$device"
done
mount -t proc proc "$ROOT/proc"
mount --bind "$DATA" "$ROOT/data"
if [ -n "$TMP" ]; then mount -t tmpfs -o mode=1777 tmpfs "$ROOT/tmp"; fi
mount -o remount,bind,ro "$ROOT"
if [ -n "$USER_IDS" ]; then set -- --userspec="$USER_IDS" "$ROOT" "$@"; else set -- "$ROOT" "$@"; fi
root="$ROOT"
unset ROOT DATA USER_IDS TMP
exec chroot "$@"
`;

export interface Container {
  /** Resolves when its log has this; rejects when it ends before. @returns The match. */
  says(pattern: RegExp): Promise<RegExpExecArray>;
  /** A signal to its first process, if it still runs. */
  kill(signal: NodeJS.Signals): void;
  readonly ended: Promise<{ readonly code: number | null; readonly output: string }>;
}

export interface Mounts {
  /** The root file system. */
  readonly root: string;
  /** For the volume. */
  readonly data: string;
  /** Whether there is a `/tmp` to write to. */
  readonly hasTmp?: boolean;
}

const isRoot = process.getuid?.() === 0;

/** Runs a command in an image. Without root's rights the user is the one of the test, mapped to root in there. */
export function runContainer(
  image: Image,
  mounts: Mounts,
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Container {
  const flags = ["--mount", "--pid", "--fork", "--kill-child", ...(isRoot ? [] : ["--user", "--map-root-user"])];
  const settings = {
    ROOT: mounts.root,
    DATA: mounts.data,
    TMP: mounts.hasTmp ? "1" : "",
    USER_IDS: isRoot ? image.user : "",
  };
  const child = spawn("unshare", [...flags, "sh", "-c", ENTER, "sh", ...command], {
    env: { PATH: process.env["PATH"], ...image.env, ...env, ...settings },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (output += chunk));
  let hasEnded = false;
  const ended = once(child, "close").then(([code]) => {
    hasEnded = true;
    return { code: code as number | null, output };
  });
  return {
    ended,
    kill: (signal) => {
      if (!hasEnded) process.kill(firstProcess(child), signal);
    },
    says: async (pattern) => {
      await until(`it says ${pattern}: ${output}`, () => hasEnded || pattern.test(output));
      const match = pattern.exec(output);
      if (match === null) throw new Error(`the container ended: ${output}`);
      return match;
    },
  };
}

/** That of the namespace, which `unshare` has started and waits for. */
function firstProcess({ pid = 0 }: ChildProcess): number {
  const children = readFileSync(join("/proc", String(pid), "task", String(pid), "children"), "utf8").trim();
  return Number(children) || pid; // not started yet: then `unshare` itself, which takes it along
}
