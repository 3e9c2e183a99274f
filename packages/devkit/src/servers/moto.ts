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

/** As moto starts itself, but for one request at a time: side by side they trip over each other, and it answers 500. */
const PROGRAM = `
import sys
from werkzeug.serving import run_simple
from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
app = DomainDispatcherApplication(create_backend_app)
run_simple("127.0.0.1", int(sys.argv[1]), app, threaded=False, request_handler=MotoRequestHandler)
`;

/** Starts one on a free port; it keeps what it has in memory. */
export async function startMoto(): Promise<MotoServer> {
  const requirements = [`moto[secretsmanager,s3]==${VERSION}`, "flask==3.1.3", "flask-cors==6.0.5"];
  const packages = await pythonPackages(`moto-${VERSION}-s3`, requirements);
  const path = await findProgram("python3", "python3", "install Python 3");
  const port = await freePort();
  const server = await launch({
    name: "moto",
    path,
    args: ["-c", PROGRAM, String(port)],
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
