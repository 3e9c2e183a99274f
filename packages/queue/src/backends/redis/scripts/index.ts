/** All scripts, each with what they share. */

import { type Script, script } from "@mikcar/redis";
import { COUNT, LAST_IDS, LIST_DEAD, PEEK, PURGE, REDRIVE } from "./looking.ts";
import { PUBLISH, PUSH } from "./sending.ts";
import { ACK, ADOPT, NACK, RECOVER, RELEASE, TAKE } from "./taking.ts";
import { PRELUDE } from "./prelude.ts";

const withPrelude = (body: string): Script => script(PRELUDE + body);

export const scripts = {
  push: withPrelude(PUSH),
  publish: withPrelude(PUBLISH),
  take: withPrelude(TAKE),
  recover: withPrelude(RECOVER),
  ack: withPrelude(ACK),
  release: withPrelude(RELEASE),
  nack: withPrelude(NACK),
  count: withPrelude(COUNT),
  peek: withPrelude(PEEK),
  purge: withPrelude(PURGE),
  listDead: withPrelude(LIST_DEAD),
  redrive: withPrelude(REDRIVE),
  adopt: withPrelude(ADOPT),
  lastIds: script(LAST_IDS),
} as const;
