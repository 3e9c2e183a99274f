export { ErrorReply } from "@redis/client";
export { type Client, makeClient, type Words } from "./client.ts";
export { Connection } from "./connection.ts";
export { inTime } from "./deadline.ts";
export { runScript, type Script, script } from "./script.ts";
export { Subscriber } from "./subscriber.ts";
export { away, foreignType, translate } from "./translate.ts";
export { readRedisUrl, type RedisConfig } from "./url.ts";
