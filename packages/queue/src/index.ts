export type { Counts, DeadMessage, Message, QueueBackend, Sending, Source, StopListening, Taken } from "./backend.ts";
export { DEFAULT_GROUP, EXPIRED, TAKE_BYTES } from "./backend.ts";
export { broker, type Broker } from "./broker.ts";
export { QueueService } from "./service.ts";
