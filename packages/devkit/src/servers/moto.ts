/** moto: a stand-in for AWS that speaks its protocol, from the Python package index. */

import { findProgram } from "../find-program.ts";
import { pythonPackages } from "../pip.ts";
import { freePort } from "../ports.ts";
import { end, launch } from "./launch.ts";

export interface MotoServer {
  readonly url: string;
  /** Forgets everything. */
  reset(): Promise<void>;
  /** Makes it answer nothing until `thaw`, with its connections open. */
  freeze(): void;
  thaw(): void;
  remove(): Promise<void>;
}

const VERSION = "5.2.5";

/** Starts one on a free port; it keeps what it has in memory. */
export async function startMoto(): Promise<MotoServer> {
  const requirements = [`moto[secretsmanager,s3]==${VERSION}`, "flask==3.1.3", "flask-cors==6.0.5"];
  const packages = await pythonPackages(`moto-${VERSION}-s3`, requirements);
  const path = await findProgram("python3", "python3", "install Python 3");
  const port = await freePort();
  const server = await launch({
    name: "moto",
    path,
    args: ["-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", String(port)],
    env: { ...process.env, PYTHONPATH: packages } as Record<string, string>, // no variable is undefined in it
    readyText: "Running on http",
    exitSignal: "SIGKILL",
  });
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    reset: async () => void (await fetch(`${url}/moto-api/reset`, { method: "POST" })),
    freeze: () => void server.kill("SIGSTOP"),
    thaw: () => void server.kill("SIGCONT"),
    remove: () => end(server, "SIGKILL"),
  };
}
