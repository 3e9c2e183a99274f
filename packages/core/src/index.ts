export { checkBody } from "./check.ts";
export { configJsonSchema, type NamedService } from "./config-keys.ts";
export { type ConfigUrl, configUrl, fileUrl, type Host } from "./config-url.ts";
export { type Env, readInteger, readSecret } from "./env.ts";
export {
  badRequest,
  configError,
  conflict,
  type ErrorBody,
  type ErrorCode,
  errorBody,
  type ErrorExtras,
  forbidden,
  isMikcarError,
  MikcarError,
  notFound,
  payloadTooLarge,
  preconditionFailed,
  STATUS,
  timeout,
  unauthorized,
  unavailable,
  unprocessable,
  unsupported,
} from "./errors.ts";
export { holds, type Preconditions, preconditions } from "./etag.ts";
export { eventReply, type ServerEvent } from "./events.ts";
export { type Middleware, type RouterOptions, sidecarRouter } from "./express.ts";
export { exactInteger, parseJson } from "./json.ts";
export { createLog, type Log, LOG_LEVELS, type LogLevel } from "./log.ts";
export { type Documented, openApi, type OpenApiDocument } from "./openapi.ts";
export { optional } from "./optional.ts";
export { compareUtf8 } from "./order.ts";
export { processName } from "./process-name.ts";
export type { Access, BodySpec, Call, Handler, Method, Need, Reply, Route, Routes, Spec } from "./routes.ts";
export type { Offer } from "./opening.ts";
export { type Command, type Program, run, runService } from "./run.ts";
export type { Gauge, Labels } from "./metrics.ts";
export type { Sample } from "./metrics-text.ts";
export { type Server, SidecarBuilder } from "./server.ts";
export { packageVersion } from "./version.ts";
export {
  type Backend,
  type BoundRoute,
  type Definition,
  defineService,
  type Open,
  type Service,
  type Sharing,
  type Sidecar,
  type Startable,
  urlFromEnv,
  type Warn,
} from "./service.ts";
