/** Redis has its own clock, which no test can stop. What a test can do is to bring every expiry nearer. */

import { until } from "@mikcar/devkit";
import { redisCommand } from "@mikcar/devkit/redis";
import type { OwnClock } from "./clock.ts";

const MOVE = `
for _, key in ipairs(redis.call('KEYS', '*')) do
  local left = redis.call('PTTL', key)
  if left >= 0 then redis.call('PEXPIRE', key, math.max(1, left - ARGV[1])) end
end`;

/** How many are in their last millisecond. */
const LAST = `
local count = 0
for _, key in ipairs(redis.call('KEYS', '*')) do
  local left = redis.call('PTTL', key)
  if left == 0 or left == 1 then count = count + 1 end
end
return count`;

/** @param urls Of the databases that are open: each is moved. */
export function redisClock(urls: () => readonly string[]): OwnClock {
  return {
    toleranceMs: 700,
    move: async (milliseconds) => {
      await Promise.all(urls().map((url) => redisCommand(url, ["EVAL", MOVE, "0", String(milliseconds)])));
      for (const url of urls()) {
        await until("what was due has expired", async () => (await redisCommand(url, ["EVAL", LAST, "0"])) === 0);
      }
    },
  };
}
