/** Conditions of a writer, as stores behind a network can hold them: together with the write, and only the simple ones. */

import { conflict, type Preconditions } from "@mikcar/core";
import type { ObjectInfo } from "../../backend.ts";
import { requireHolds } from "../../conditional.ts";

/** What the store checks in one step with the write: that nothing is there (`undefined`), or this version. */
export interface Pin {
  readonly eTag: string | undefined;
}

type Head = () => Promise<ObjectInfo | undefined>;

/** Looks, so that a write whose conditions do not hold is refused before its body is read. @throws PRECONDITION_FAILED */
export async function pin(conditions: Preconditions | undefined, head: Head): Promise<Pin | undefined> {
  if (conditions === undefined) return undefined;
  const eTag = (await head())?.eTag;
  requireHolds(conditions, eTag);
  return { eTag };
}

/**
 * What to tell when the store has refused the pin, as another writer came between.
 * @throws PRECONDITION_FAILED, or CONFLICT when the conditions hold for what is there now: `If-Match: *`, say.
 */
export async function refused(conditions: Preconditions | undefined, head: Head): Promise<never> {
  requireHolds(conditions, (await head())?.eTag);
  throw conflict("another writer changed the object at the same moment; send the call again");
}
