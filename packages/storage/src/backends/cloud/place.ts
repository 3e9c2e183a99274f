/** Where in a store the objects are: `scheme://bucket[/prefix]`. */

import { badRequest, configError, type ConfigUrl } from "@mikcar/core";
import { pathFault } from "../../path.ts";

const MAX_NAME_BYTES = 1024;

/** Names of objects in a bucket, of which those below a prefix are ours. */
export class Place {
  readonly bucket: string;
  /** Empty, or with a slash at its end. */
  readonly base: string;

  /** @throws CONFIG_ERROR when the path of the URL is no prefix, or the URL holds a login. */
  constructor(url: ConfigUrl) {
    const prefix = url.path.replaceAll(/^\/|\/$/g, "");
    const fault = prefix === "" ? undefined : pathFault(prefix);
    if (fault !== undefined) throw configError(`${url.scheme}://${url.host}/…: the prefix ${fault}`);
    if (url.credentials !== undefined) {
      throw configError(`${url.scheme}://…: no login belongs before the ${url.host}; see the parameters and variables`);
    }
    this.bucket = url.host;
    this.base = prefix === "" ? "" : `${prefix}/`;
  }

  /** @throws BAD_REQUEST for one that is too long together with the prefix. */
  nameOf(path: string): string {
    const name = this.base + path;
    if (Buffer.byteLength(name) <= MAX_NAME_BYTES) return name;
    const room = MAX_NAME_BYTES - Buffer.byteLength(this.base);
    throw badRequest(`the path is longer than the ${room} bytes there are below the prefix of this store`);
  }

  /** Undefined for a name that is not below the prefix, or that no path leads to. */
  pathOf(name: string): string | undefined {
    const path = name.slice(this.base.length);
    return name.startsWith(this.base) && pathFault(path) === undefined ? path : undefined;
  }
}
