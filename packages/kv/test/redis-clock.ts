/** Redis has its own clock, which no test can stop. What a test can do is to bring every expiry nearer. */

import { until } from "@mikcar/devkit";
import { redisCommand } from "@mikcar/devkit/redis";
import type { OwnClock } from "./clock.ts";

/** Replies how many keys are due now: they have a millisecond left, as a deadline in the past would be a deletion. */
const MOVE = `
local due = 0
for _, key in ipairs(redis.call('KEYS', '*')) do
  local left = redis.call('PTTL', key) - ARGV[1]
  if left + ARGV[1] >= 0 then redis.call('PEXPIRE', key, math.max(1, left)) end
  if left + ARGV[1] >= 0 and left <= 1 then due = due + 1 end
end
return due`;

/** @param urls Of the databases that are open: each is moved. */
export function redisClock(urls: () => readonly string[]): OwnClock {
  const moveOne = async (url: string, milliseconds: number): Promise<void> => {
    const move = (by: number): Promise<unknown> => redisCommand(url, ["EVAL", MOVE, "0", String(by)]);
    if ((await move(milliseconds)) !== 0) await until("what was due has expired", async () => (await move(0)) === 0);
  };
  return {
    toleranceMs: 700,
    move: async (milliseconds) => void (await Promise.all(urls().map((url) => moveOne(url, milliseconds)))),
  };
}
