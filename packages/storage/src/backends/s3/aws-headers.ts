/** Headers of an object as the AWS SDK has them. */

import { badRequest } from "@mikcar/core";
import type { ObjectHeaders } from "../../backend.ts";
import { tagOf } from "../cloud/headers.ts";
import type { Pin } from "../cloud/pin.ts";
import type { Found } from "./bucket.ts";

interface AwsFound {
  readonly ETag?: string | undefined;
  readonly LastModified?: Date | undefined;
  readonly ContentType?: string | undefined;
  readonly CacheControl?: string | undefined;
  readonly Metadata?: Readonly<Record<string, string>> | undefined;
}

export function foundOf({ ETag, LastModified, ContentType, CacheControl, Metadata }: AwsFound, size: number): Found {
  return {
    size,
    lastModified: inSeconds(LastModified),
    eTag: tagOf(ETag),
    contentType: ContentType ?? "application/octet-stream",
    ...(CacheControl === undefined || CacheControl === "" ? {} : { cacheControl: CacheControl }),
    metadata: Metadata ?? {},
  };
}

/** Some servers list with fractions of a second, which a header cannot tell. */
export function inSeconds(time = new Date(0)): Date {
  return new Date(Math.floor(time.getTime() / 1000) * 1000);
}

/** @throws BAD_REQUEST for the one name that the SDK loses when it reads. */
export function sent({ contentType, cacheControl, metadata }: ObjectHeaders): object {
  if (Object.hasOwn(metadata, "__proto__"))
    throw badRequest("X-Meta-__proto__: the S3 client cannot give it back; name it otherwise");
  return {
    ContentType: contentType,
    ...(cacheControl === undefined ? {} : { CacheControl: cacheControl }),
    Metadata: metadata as Record<string, string>, // the SDK only reads it
  };
}

export function pinned(pin: Pin | undefined): object {
  if (pin === undefined) return {};
  return pin.eTag === undefined ? { IfNoneMatch: "*" } : { IfMatch: `"${pin.eTag}"` };
}
