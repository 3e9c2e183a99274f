export type {
  DeleteReport,
  FoundObject,
  ListedObject,
  ListQuery,
  ObjectBody,
  ObjectHeaders,
  ObjectInfo,
  Page,
  RangeSpec,
  ReadConditions,
  ReadRequest,
  Slice,
  StorageBackend,
} from "./backend.ts";
export { StorageService } from "./service.ts";
