export {
  type Draft,
  Environment,
  type EnvironmentOptions,
  openEnvironment,
  type Range,
  type Table,
} from "./environment.ts";
