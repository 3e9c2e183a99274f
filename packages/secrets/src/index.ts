export type { Entry, Labels, Page, Secret, SecretsBackend, Version } from "./backend.ts";
export { SecretsService } from "./service.ts";
