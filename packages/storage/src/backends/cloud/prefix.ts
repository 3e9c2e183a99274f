import { configError } from "@mikcar/core";
import { checkPrefix } from "../../path.ts";

/** What the keys of a bucket begin with, as in a URL. @throws CONFIG_ERROR for text that no object path can begin with. */
export function prefixOf(text: string): string {
  try {
    return checkPrefix(text);
  } catch (cause) {
    throw configError(`the prefix in the URL: ${(cause as Error).message}`, { cause });
  }
}
