/** Where in a store the objects are: `scheme://bucket[/prefix]`. */

import { badRequest, configError, type ConfigUrl } from "@mikcar/core";
import { checkPrefix, pathFault } from "../../path.ts";

const MAX_NAME_BYTES = 1024; // of each cloud

/** Names of objects in a bucket, of which those below a prefix are ours. */
export class Place {
  /** Empty, or with a slash at its end. */
  readonly base: string;

  /** @param text Of the URL, without a slash before it. @throws CONFIG_ERROR for what no object path can begin with. */
  constructor(text: string) {
    this.base = prefixOf(text) === "" ? "" : `${prefixOf(text)}/`;
  }

  /** @throws BAD_REQUEST for one that is too long together with the prefix. */
  nameOf(path: string): string {
    const name = this.base + path;
    if (this.base === "" || Buffer.byteLength(name) <= MAX_NAME_BYTES) return name;
    const room = MAX_NAME_BYTES - Buffer.byteLength(this.base);
    throw badRequest(`the path is longer than the ${room} bytes there are below the prefix of this store`);
  }

  /** Undefined for a name that is not below the prefix, or that no path leads to. */
  pathOf(name: string): string | undefined {
    const path = name.slice(this.base.length);
    return name.startsWith(this.base) && pathFault(path) === undefined ? path : undefined;
  }
}

/** That of a URL whose host is the bucket. @throws CONFIG_ERROR also for a login, which belongs elsewhere. */
export function placeOf(url: ConfigUrl): Place {
  if (url.credentials !== undefined) {
    throw configError(`${url.scheme}://…: no login belongs before the ${url.host}; see the parameters and variables`);
  }
  return new Place(url.path.replace(/^\//, ""));
}

function prefixOf(text: string): string {
  try {
    return checkPrefix(text);
  } catch (cause) {
    throw configError(`the prefix in the URL: ${(cause as Error).message}`, { cause });
  }
}
