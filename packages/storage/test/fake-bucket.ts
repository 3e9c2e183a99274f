/** A server of the S3 protocol for answers that a real one does not give on demand. It knows nothing by itself. */

import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { promisify } from "node:util";

export interface Heard {
  /** Without the bucket: `PUT /x?partNumber=1`. */
  readonly line: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface FakeBucket {
  /** `127.0.0.1:port`. */
  readonly address: string;
  readonly heard: Heard[];
  /** How many are open. */
  connections(): Promise<number>;
  close(): Promise<void>;
}

export type Say = (response: ServerResponse, heard: Heard) => void;

export async function startFakeBucket(say: Say): Promise<FakeBucket> {
  const heard: Heard[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => void chunks.push(chunk));
    request.on("end", () => {
      const line = `${request.method} ${(request.url ?? "").replace(/^\/bucket/, "")}`;
      const one = { line, headers: request.headers, body: Buffer.concat(chunks).toString() };
      heard.push(one);
      say(response, one);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    heard,
    connections: promisify(server.getConnections.bind(server)),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function xml(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "Content-Type": "application/xml" });
  response.end(`<?xml version="1.0" encoding="UTF-8"?>\n${text}`);
}

export function complain(response: ServerResponse, status: number, code: string): void {
  xml(response, status, `<Error><Code>${code}</Code><Message>because</Message></Error>`);
}
