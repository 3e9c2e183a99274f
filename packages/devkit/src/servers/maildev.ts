/** MailDev, a mail server with an inbox for programs: https://github.com/maildev/maildev. It runs as a process of its own. */

import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePort } from "../ports.ts";
import { end, launch } from "./launch.ts";

export interface MaildevServer {
  readonly host: string;
  readonly port: number;
  /** Where its inbox is. */
  readonly apiUrl: string;
  stop(): Promise<void>;
}

const VERSION = "3.0.0";
const HOST = "127.0.0.1";

/** It takes mail from `login` alone. Installed on first use, as its 265 packages would be a third of the workspace's. */
export async function startMaildev(login: { readonly user: string; readonly pass: string }): Promise<MaildevServer> {
  const [port, apiPort] = [await freePort(), await freePort()];
  const program = join(await installed(), "node_modules/maildev/dist/bin/maildev.js");
  const listening = ["--smtp", String(port), "--ip", HOST, "--web", String(apiPort), "--web-ip", HOST];
  const server = await launch({
    name: "MailDev",
    path: process.execPath,
    args: [program, ...listening, "--incoming-user", login.user, "--incoming-pass", login.pass],
    env: { PATH: process.env["PATH"] ?? "" },
    readyText: "Press Ctrl+C to stop",
    exitSignal: "SIGKILL",
  });
  return { host: HOST, port, apiUrl: `http://${HOST}:${apiPort}`, stop: () => end(server, "SIGKILL") };
}

/** Its folder, made once and kept for the next tests. Several processes may be at it: the first to finish wins. */
async function installed(): Promise<string> {
  const target = join(tmpdir(), `mikcar-test-maildev-${VERSION}`);
  if (existsSync(target)) return target;
  const unfinished = mkdtempSync(`${target}-`);
  writeFileSync(join(unfinished, "package.json"), '{"private":true}');
  const args = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-save", `maildev@${VERSION}`];
  const env = { ...process.env, NODE_OPTIONS: "" };
  try {
    await promisify(execFile)("npm", args, { cwd: unfinished, env });
    renameSync(unfinished, target);
  } catch (cause) {
    rmSync(unfinished, { recursive: true });
    if (!existsSync(target))
      throw new Error(`MailDev could not be installed: see why with "npm ${args.join(" ")}"`, { cause });
  }
  return target;
}
