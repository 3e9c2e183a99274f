/** Scripts that hand messages out, and settle them. */

/**
 * max, visibility, max deliveries, reason, bytes; the latest time (of Redis) at which it may be done, this take and the
 * one before it whose reply has arrived; of a topic also its group, and as a third key the set of groups: what is
 * published from now on reaches it. Returns id, payload and deliveries of each, the time to the next, and the time.
 */
export const TAKE = `
local max, visibility, limit, reason, most = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
local out, deadlines, entries, taken, bytes = {}, {}, {}, 0, 0
if now > tonumber(ARGV[6]) then return redis.error_reply('LATE whoever asked has given up') end
if KEYS[3] then redis.call('SADD', KEYS[3], ARGV[9]) end
moveDue()
local function give(entry, fields, deliveries)
  local payload, id = read(fields)
  local at = taken * 3
  out[at + 1], out[at + 2], out[at + 3] = id or entry, payload, deliveries
  deadlines[taken * 2 + 1], deadlines[taken * 2 + 2] = now + visibility, entry
  taken, bytes = taken + 1, bytes + #payload
  entries[taken] = entry
end

-- Gives one out again. False: its group is gone, and with it all leases.
local function again(entry, set)
  local count = countOf(entry)
  if set == leases and count >= limit then
    bury(entry, reason)
    return true
  end
  local claimed = redis.pcall('XCLAIM', stream, 'mikcar', 'mikcar', 0, entry)
  if hasNoGroup(claimed) then
    makeGroup()
    return false
  end
  redis.call('ZREM', set, entry)
  if claimed[1] then
    redis.call('HSET', counts, entry, count + 1)
    give(entry, claimed[1][2], count + 1)
  elseif isAfter(entry, lastDelivered()) then
    redis.call('HDEL', counts, entry) -- its group was made anew, and will read it
  else
    drop(entry) -- another program has acknowledged or removed it
  end
  return true
end

local function allAgain()
  for _, set in ipairs({ nacked, leases }) do
    local due = taken < max and redis.call('ZRANGEBYSCORE', set, '-inf', now, 'LIMIT', 0, max - taken) or {}
    for _, entry in ipairs(due) do
      if bytes >= most or not again(entry, set) then return end
    end
  end
end
allAgain()

-- One by one: how large they are is known only when they are read, and what is read is taken.
local command = { 'XREADGROUP', 'GROUP', 'mikcar', 'mikcar', 'COUNT', 1, 'STREAMS', stream, '>' }
while taken < max and bytes < most do
  local found = redis.pcall(unpack(command))
  if hasNoGroup(found) and redis.call('EXISTS', stream) == 1 then
    makeGroup()
    found = redis.call(unpack(command))
  end
  if found and found.err and not hasNoGroup(found) then return found end
  local entry = found and not found.err and found[1][2][1]
  if not entry then break end
  give(entry[1], entry[2], 1)
end

-- Takes of processes that have ended, with leases that have too.
local function forgetOver(base)
  local all = redis.call('HGETALL', base)
  for i = 1, #all, 2 do
    if tonumber(string.match(all[i + 1], '^%d+')) < now then redis.call('HDEL', base, all[i]) end
  end
end

local base = KEYS[2] .. 'taken'
if ARGV[8] ~= '' then redis.call('HDEL', base, ARGV[8]) end
if taken > 0 then
  redis.call('ZADD', leases, unpack(deadlines))
  redis.call('HSET', base, ARGV[7], (now + visibility) .. ' ' .. table.concat(entries, ' '))
  redis.call('PEXPIRE', base, math.max(tonumber(visibility), redis.call('PTTL', base))) -- it has takes of others too
  if redis.call('HLEN', base) > 16 then forgetOver(base) end
end
local nextIn = -1
if taken >= max or bytes >= most then nextIn = 0
else
  for _, due in ipairs({ nacked, leases, delayed }) do
    local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')[2]
    if first and (nextIn < 0 or first - now < nextIn) then nextIn = math.max(0, first - now) end
  end
end
out[taken * 3 + 1], out[taken * 3 + 2] = nextIn, now
return out
`;

/**
 * A take whose reply has not arrived, the latest time at which it may have been done, and the channel: what it has leased,
 * and still holds, goes back uncounted. Replies 0 when it is too early to know.
 */
export const RECOVER = `
if now <= tonumber(ARGV[2]) then return 0 end
local base = KEYS[2] .. 'taken'
local found = redis.call('HGET', base, ARGV[1])
if not found then return 1 end
redis.call('HDEL', base, ARGV[1])
local deadline, entries = string.match(found, '^(%d+) (.*)$')
for entry in string.gmatch(entries, '%S+') do
  local held = redis.call('ZSCORE', leases, entry)
  if held and tonumber(held) == tonumber(deadline) then
    redis.call('ZREM', leases, entry)
    redis.call('ZADD', nacked, 0, entry)
    redis.call('HSET', counts, entry, countOf(entry) - 1)
  end
end
redis.call('PUBLISH', ARGV[3], '')
return 1
`;

/** ids */
export const ACK = `
local results, entries, own = {}, {}, {}
for i, id in ipairs(ARGV) do
  local entry = leased(id)
  results[i] = entry and 1 or 0
  if entry then
    entries[#entries + 1] = entry
    redis.call('ZREM', leases, entry)
    if entry ~= id then own[#own + 1] = id end
  end
end
if #entries > 0 then
  redis.call('XACK', stream, 'mikcar', unpack(entries))
  redis.call('XDEL', stream, unpack(entries))
  redis.call('HDEL', counts, unpack(entries))
end
if #own > 0 then redis.call('HDEL', ids, unpack(own)) end
return results
`;

/** channel, ids */
export const RELEASE = `
for i = 2, #ARGV do
  local entry = leased(ARGV[i])
  if entry then
    redis.call('ZREM', leases, entry)
    redis.call('ZADD', nacked, 0, entry)
    redis.call('HSET', counts, entry, countOf(entry) - 1)
  end
end
redis.call('PUBLISH', ARGV[1], '')
`;

/** channel, id, delay, reason, max deliveries */
export const NACK = `
local entry = leased(ARGV[2])
if not entry then return 0 end
if countOf(entry) >= tonumber(ARGV[5]) then bury(entry, ARGV[4])
else
  redis.call('ZREM', leases, entry)
  redis.call('ZADD', nacked, now + ARGV[3], entry)
end
redis.call('PUBLISH', ARGV[1], '')
return 1
`;

/**
 * Idle time, cursor. What other programs have left in the pending list can be taken again: it has no lease of ours.
 * Returns the next cursor.
 */
export const ADOPT = `
local found = redis.pcall('XAUTOCLAIM', stream, 'mikcar', 'mikcar', ARGV[1], ARGV[2], 'COUNT', 100, 'JUSTID')
if found.err then return '0-0' end
for _, entry in ipairs(found[2]) do
  if not redis.call('ZSCORE', leases, entry) and not redis.call('ZSCORE', nacked, entry) then
    redis.call('ZADD', nacked, 0, entry)
  end
end
return found[1]
`;
