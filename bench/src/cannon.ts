/** Reads a load from standard input, runs it, and prints a LoadResult. */

import { text } from "node:stream/consumers";
import autocannon from "autocannon";
import type { Job } from "./load.ts";

const job = JSON.parse(await text(process.stdin)) as Job; // written by load.ts
const result = await autocannon({
  url: job.url,
  connections: job.connections,
  duration: job.seconds,
  ...(job.socketPath === undefined ? {} : { socketPath: job.socketPath }),
  requests: job.requests.map(({ body, ...request }) => ({
    ...request,
    ...(body === undefined ? {} : { body: Buffer.from(body, "latin1") }),
  })),
});
process.stdout.write(
  JSON.stringify({
    answered: result["2xx"],
    perSecond: result["2xx"] / result.duration,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
    errors: result.errors + result.non2xx,
  }),
);
