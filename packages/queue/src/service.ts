import { join } from "node:path";
import { defineService, fileUrl, type Open, type Service } from "@mikcar/core";
import type { QueueBackend } from "./backend.ts";
import { broker, type Broker } from "./broker.ts";
import { routes } from "./routes.ts";

type Load<B> = () => Promise<{ readonly open: Open<B> }>;

const lmdb = withWaiting(() => import("./backends/lmdb.ts"));
const redis = withWaiting(() => import("./backends/redis/index.ts"));
const amqp = withWaiting(() => import("./backends/amqp/index.ts"));

const backends = {
  memory: withWaiting(() => import("./backends/memory.ts")),
  file: lmdb,
  lmdb,
  redis,
  rediss: redis,
  amqp,
  amqps: amqp,
};

/** The queue service; see `docs/contract.md`, section 6. */
export const QueueService: Service<Broker> = defineService<Broker>({
  name: "queue",
  env: "QUEUE_URL",
  summary: "Queues and topics",
  routes,
  backends,
  embedded: (dataDir) => fileUrl(join(dataDir, "queue.lmdb")),
});

function withWaiting(load: Load<QueueBackend>): Load<Broker> {
  return async () => {
    const { open } = await load();
    return { open: async (url, warn) => broker(await open(url, warn)) };
  };
}
