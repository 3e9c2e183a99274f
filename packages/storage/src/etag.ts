import { randomBytes } from "node:crypto";

const RUN = randomBytes(8).toString("hex");
let count = 0;

/** An entity tag, without quotes, that no write has had before: here or in another process. */
export function newETag(): string {
  count += 1;
  return `${RUN}-${count.toString(36)}`;
}
