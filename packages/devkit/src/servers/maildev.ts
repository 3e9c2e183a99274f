/** MailDev, a mail server with an inbox for programs: https://github.com/maildev/maildev. It runs as a process of its own. */

import { join } from "node:path";
import { npmPackage } from "../npm.ts";
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
  const program = join(await npmPackage("maildev", VERSION), "node_modules/maildev/dist/bin/maildev.js");
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
