/** Scripts that hand messages out, and settle them. */

/**
 * max, visibility, max deliveries, reason, bytes; of a topic also its group, and as a third key the set of groups: what is
 * published from now on reaches it. Returns id, payload and deliveries of each, and last the time to the next.
 */
export const TAKE = `
local max, visibility, limit, reason, most = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
local out, deadlines, taken, bytes = {}, {}, 0, 0
if KEYS[3] then redis.call('SADD', KEYS[3], ARGV[6]) end
moveDue()
local function give(entry, fields, deliveries)
  local payload, id = read(fields)
  local at = taken * 3
  out[at + 1], out[at + 2], out[at + 3] = id or entry, payload, deliveries
  deadlines[taken * 2 + 1], deadlines[taken * 2 + 2] = now + visibility, entry
  taken, bytes = taken + 1, bytes + #payload
end
for _, again in ipairs({ nacked, leases }) do
  if taken < max then
    for _, entry in ipairs(redis.call('ZRANGEBYSCORE', again, '-inf', now, 'LIMIT', 0, max - taken)) do
      if bytes >= most then break end
      local count = countOf(entry)
      if again == leases and count >= limit then bury(entry, reason)
      else
        local claimed = redis.call('XCLAIM', stream, 'mikcar', 'mikcar', 0, entry)[1]
        if claimed then
          redis.call('ZREM', again, entry)
          redis.call('HSET', counts, entry, count + 1)
          give(entry, claimed[2], count + 1)
        else drop(entry) end
      end
    end
  end
end
local step, hasMore = 4, true
while hasMore and taken < max and bytes < most do
  local asked = math.min(step, max - taken)
  local command = { 'XREADGROUP', 'GROUP', 'mikcar', 'mikcar', 'COUNT', asked, 'STREAMS', stream, '>' }
  local found = redis.pcall(unpack(command))
  if found and found.err then
    if not string.find(found.err, 'NOGROUP', 1, true) then return found end
    redis.call('XGROUP', 'CREATE', stream, 'mikcar', '0', 'MKSTREAM')
    found = redis.call(unpack(command))
  end
  local entries = found and found[1][2] or {}
  for _, entry in ipairs(entries) do give(entry[1], entry[2], 1) end
  hasMore = #entries == asked
  step = 16
end
if taken > 0 then redis.call('ZADD', leases, unpack(deadlines)) end
local nextIn = -1
if taken >= max or bytes >= most then nextIn = 0
else
  for _, due in ipairs({ nacked, leases, delayed }) do
    local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')[2]
    if first and (nextIn < 0 or first - now < nextIn) then nextIn = math.max(0, first - now) end
  end
end
out[taken * 3 + 1] = nextIn
return out
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
