export {
  type Draft,
  type Entry,
  Environment,
  type EnvironmentOptions,
  openEnvironment,
  type Range,
  type Table,
} from "./environment.ts";
