/** Scripts that look at what lies in a queue, and those that move all of it. */

/** max deliveries, reason. Returns waiting, leased, delayed, dead. */
export const COUNT = `
moveDue()
buryExpired(tonumber(ARGV[1]), ARGV[2])
local pending = redis.pcall('XPENDING', stream, 'mikcar')
local held = pending.err and 0 or pending[1]
local expired = redis.call('ZCOUNT', leases, '-inf', now)
local back = redis.call('ZCOUNT', nacked, '-inf', now)
local due = redis.call('ZCOUNT', delayed, '-inf', now)
local later = redis.call('ZCARD', delayed) - due + redis.call('ZCARD', nacked) - back
local waiting = redis.call('XLEN', stream) - held + expired + back + due
return { waiting, redis.call('ZCARD', leases) - expired, later, redis.call('XLEN', dead) }
`;

/** max deliveries, reason, max, bytes. Returns id, payload, deliveries of each. */
export const PEEK = `
moveDue()
buryExpired(tonumber(ARGV[1]), ARGV[2])
local max, most, out, bytes = tonumber(ARGV[3]), tonumber(ARGV[4]), {}, 0
local function show(entry, deliveries)
  local payload, id = read(entry[2])
  bytes = bytes + #payload
  if #out >= max * 3 or (bytes > most and #out > 0) then return false end
  out[#out + 1], out[#out + 2], out[#out + 3] = id or entry[1], payload, deliveries
  return true
end
for _, again in ipairs({ nacked, leases }) do
  for _, entry in ipairs(redis.call('ZRANGEBYSCORE', again, '-inf', now, 'LIMIT', 0, max)) do
    local found = redis.call('XRANGE', stream, entry, entry)[1]
    if found and not show(found, countOf(entry)) then return out end
  end
end
local after = lastDelivered()
while #out < max * 3 do
  local entries = redis.call('XRANGE', stream, '(' .. after, '+', 'COUNT', 10)
  if #entries == 0 then return out end
  for _, entry in ipairs(entries) do
    if not show(entry, 0) then return out end
    after = entry[1]
  end
end
return out
`;

/** max deliveries, reason, where to end or ''. Returns how many were removed, where to end, and whether there are more. */
export const PURGE = `
local till, count = ARGV[3], 0
if till == '' then
  moveDue()
  buryExpired(tonumber(ARGV[1]), ARGV[2])
  local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  till = last and last[1] or '0-0'
end
for _, again in ipairs({ nacked, leases }) do
  for _, entry in ipairs(redis.call('ZRANGEBYSCORE', again, '-inf', now, 'LIMIT', 0, 1000)) do
    local found = redis.call('XRANGE', stream, entry, entry)[1]
    local _, id = read(found and found[2] or {})
    drop(entry, id)
    count = count + 1
  end
end
local entries = redis.call('XRANGE', stream, '(' .. lastDelivered(), till, 'COUNT', 200)
for _, entry in ipairs(entries) do
  local _, id = read(entry[2])
  redis.call('XDEL', stream, entry[1])
  if id then redis.call('HDEL', ids, id) end
end
count = count + #entries
return { count, till, count > 0 and 1 or 0 }
`;

/** max deliveries, reason, max, bytes. Returns id, payload, deliveries, reason and time of each. */
export const LIST_DEAD = `
buryExpired(tonumber(ARGV[1]), ARGV[2])
local max, most, out, bytes, after = tonumber(ARGV[3]), tonumber(ARGV[4]), {}, 0, '0-0'
while #out < max * 5 do
  local entries = redis.call('XRANGE', dead, '(' .. after, '+', 'COUNT', 10)
  if #entries == 0 then return out end
  for _, entry in ipairs(entries) do
    local at = {}
    for i = 1, #entry[2], 2 do at[entry[2][i]] = entry[2][i + 1] end
    bytes = bytes + #at.payload
    if #out >= max * 5 or (bytes > most and #out > 0) then return out end
    local n = #out
    out[n + 1], out[n + 2], out[n + 3], out[n + 4], out[n + 5] = at.id, at.payload, at.deliveries, at.reason, entry[1]
    after = entry[1]
  end
end
return out
`;

/** channel, max deliveries, reason, max. Returns how many. */
export const REDRIVE = `
buryExpired(tonumber(ARGV[2]), ARGV[3])
local entries = redis.call('XRANGE', dead, '-', '+', 'COUNT', ARGV[4])
for _, entry in ipairs(entries) do
  local at = {}
  for i = 1, #entry[2], 2 do at[entry[2][i]] = entry[2][i + 1] end
  add(at.payload, at.id)
  redis.call('XDEL', dead, entry[1])
end
redis.call('PUBLISH', ARGV[1], '')
return #entries
`;

/** Keys: streams. Returns the last id of each. */
export const LAST_IDS = `
local out = {}
for i, key in ipairs(KEYS) do
  local last = redis.pcall('XREVRANGE', key, '+', '-', 'COUNT', 1)
  out[i] = last[1] and last[1][1] or ''
end
return out
`;
