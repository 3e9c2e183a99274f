/** Redis has its own clock, which no test can stop. What a test can do is to bring every expiry nearer. */

import { redisCommand } from "@mikcar/devkit/redis";
import type { OwnClock } from "./clock.ts";

const MOVE = `
for _, key in ipairs(redis.call('KEYS', '*')) do
  local left = redis.call('PTTL', key)
  if left >= 0 then redis.call('PEXPIRE', key, left - ARGV[1]) end
end`;

/** @param urls Of the databases that are open: each is moved. */
export function redisClock(urls: () => readonly string[]): OwnClock {
  return {
    toleranceMs: 700,
    move: async (milliseconds) => {
      await Promise.all(urls().map((url) => redisCommand(url, ["EVAL", MOVE, "0", String(milliseconds)])));
    },
  };
}
