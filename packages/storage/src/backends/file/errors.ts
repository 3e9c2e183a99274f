import { badRequest, configError, isMikcarError, type MikcarError, unavailable } from "@mikcar/core";

/** The `code` of an error of the system, such as `ENOENT`. */
export function systemCode(error: unknown): string | undefined {
  const isCoded = typeof error === "object" && error !== null && "code" in error && typeof error.code === "string";
  return isCoded ? (error.code as string) : undefined; // as just checked
}

/** What the file system or the index threw, as an error of ours. */
export function translate(error: unknown): unknown {
  const code = systemCode(error);
  if (isMikcarError(error) || code === undefined || !/^E[A-Z0-9]+$/.test(code)) return error;
  if (code === "ENAMETOOLONG") return badRequest("the path is longer than the file system takes", { cause: error });
  return unavailable(`the storage folder: ${String(error)}`, { cause: error });
}

/** Why a folder cannot be used, and what to do. */
export function unusable(path: string, cause: unknown): MikcarError {
  if (isMikcarError(cause)) return cause;
  const why = systemCode(cause) ?? String(cause);
  return configError(
    `cannot use the folder ${path} (${why}); it must be a folder that this user may create or write, else choose another: file:///path/to/folder`,
    { cause },
  );
}
