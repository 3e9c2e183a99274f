/**
 * What Redis does in one step. A queue is the stream of its name, read through the group `mikcar`; a topic has such a
 * stream for each group. Beside it, under a base that no name can spell (names have no control characters):
 *
 * - `leases`: who may still acknowledge, entry id to deadline. It, not the age of the pending list, is the truth: `XCLAIM`
 *   cannot put a message's own deadline into that list.
 * - `nacked`: given back, entry id to when it may be taken again. Such entries stay in the pending list.
 * - `counts`: entry id to how often it was handed out, where that is not once.
 * - `delayed` and `bodies`: pushed with a delay, own id to due time and to payload.
 * - `ids`: own id to entry id, for those that came late into their stream, or lie in several.
 * - `dead`: a stream of its own.
 *
 * Times are those of Redis. Every script takes the stream and the base as its keys; the others follow from the base.
 */

import { type Script, script } from "@mikcar/redis";

const PRELUDE = `
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local stream, leases, nacked, counts, delayed, bodies, ids, dead
local function open(name, base)
  stream, leases, nacked, counts = name, base .. 'leases', base .. 'nacked', base .. 'counts'
  delayed, bodies, ids, dead = base .. 'delayed', base .. 'bodies', base .. 'ids', base .. 'dead'
end
open(KEYS[1], KEYS[2])

local function read(fields)
  local payload, id
  for i = 1, #fields, 2 do
    if fields[i] == 'payload' then payload = fields[i + 1]
    elseif fields[i] == 'mikcar_id' then id = fields[i + 1] end
  end
  if payload then return payload, id end
  local all = {}
  for i = 1, #fields, 2 do all[fields[i]] = fields[i + 1] end
  return cjson.encode(all), nil
end

local function add(payload, id)
  if not id then return redis.call('XADD', stream, '*', 'payload', payload) end
  redis.call('HSET', ids, id, redis.call('XADD', stream, '*', 'payload', payload, 'mikcar_id', id))
end

local function moveDue()
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'LIMIT', 0, 100)) do
    add(redis.call('HGET', bodies, id), id)
    redis.call('ZREM', delayed, id)
    redis.call('HDEL', bodies, id)
  end
end

local function drop(entry, id)
  redis.call('ZREM', leases, entry)
  redis.call('ZREM', nacked, entry)
  redis.call('HDEL', counts, entry)
  redis.call('XACK', stream, 'mikcar', entry)
  redis.call('XDEL', stream, entry)
  if id then redis.call('HDEL', ids, id) end
end

local function countOf(entry) return tonumber(redis.call('HGET', counts, entry) or 1) end

local function bury(entry, reason)
  local found = redis.call('XRANGE', stream, entry, entry)[1]
  if not found then return drop(entry) end
  local payload, id = read(found[2])
  redis.call('XADD', dead, '*', 'payload', payload, 'id', id or entry, 'deliveries', countOf(entry), 'reason', reason)
  drop(entry, id)
end

local function buryExpired(limit, reason)
  for _, entry in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, 1000)) do
    if countOf(entry) >= limit then bury(entry, reason) end
  end
end

local function leased(id)
  local entry = id
  local deadline = redis.call('ZSCORE', leases, id)
  if not deadline then
    entry = redis.call('HGET', ids, id)
    deadline = entry and redis.call('ZSCORE', leases, entry)
  end
  if deadline and tonumber(deadline) > now then return entry end
end

local function lastDelivered()
  local groups = redis.pcall('XINFO', 'GROUPS', stream)
  for _, group in ipairs(groups) do
    local at = {}
    for i = 1, #group, 2 do at[group[i]] = group[i + 1] end
    if at.name == 'mikcar' then return at['last-delivered-id'] end
  end
  return '0-0'
end
`;

/** Key, and then: channel, delay, idempotency key or '', how long that lives, an id nobody has, payloads. */
const PUSH = `
local channel, delay, key, keyLife, unique = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
if key ~= '' then
  local known = redis.call('GET', key)
  if known then return cjson.decode(known) end
end
moveDue()
local given = {}
for i = 6, #ARGV do
  local id = unique .. '-' .. (i - 5)
  if delay > 0 then
    redis.call('HSET', bodies, id, ARGV[i])
    redis.call('ZADD', delayed, now + delay, id)
  else
    id = add(ARGV[i])
  end
  given[#given + 1] = id
end
if key ~= '' then redis.call('SET', key, cjson.encode(given), 'PX', keyLife) end
redis.call('PUBLISH', channel, '')
return given
`;

/** Keys: the set of groups, the base of the topic. Arguments as \`PUSH\`. */
const PUBLISH = `
local channel, delay, key, keyLife, unique = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local groups, topic = KEYS[1], KEYS[2]
if key ~= '' then
  local known = redis.call('GET', key)
  if known then return cjson.decode(known) end
end
redis.call('SADD', groups, 'default')
local given = {}
for i = 6, #ARGV do given[#given + 1] = unique .. '-' .. (i - 5) end
for _, group in ipairs(redis.call('SMEMBERS', groups)) do
  local base = topic .. group .. '\\31'
  open(base .. 'stream', base)
  for i, id in ipairs(given) do
    if delay > 0 then
      redis.call('HSET', bodies, id, ARGV[i + 5])
      redis.call('ZADD', delayed, now + delay, id)
    else
      add(ARGV[i + 5], id)
    end
  end
  redis.call('PUBLISH', channel .. base, '')
end
if key ~= '' then redis.call('SET', key, cjson.encode(given), 'PX', keyLife) end
return given
`;

/**
 * max, visibility, max deliveries, reason, bytes; of a topic also its group, and as a third key the set of groups: what is
 * published from now on reaches it. Returns id, payload and deliveries of each, and last the time to the next.
 */
const TAKE = `
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
const ACK = `
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
const RELEASE = `
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
const NACK = `
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

/** max deliveries, reason. Returns waiting, leased, delayed, dead. */
const COUNT = `
moveDue()
buryExpired(tonumber(ARGV[1]), ARGV[2])
local pending = redis.pcall('XPENDING', stream, 'mikcar')
local held = pending.err and 0 or pending[1]
local expired = redis.call('ZCOUNT', leases, '-inf', now)
local back = redis.call('ZCOUNT', nacked, '-inf', now)
local later = redis.call('ZCARD', delayed) + redis.call('ZCARD', nacked) - back
local waiting = redis.call('XLEN', stream) - held + expired + back
return { waiting, redis.call('ZCARD', leases) - expired, later, redis.call('XLEN', dead) }
`;

/** max deliveries, reason, max, bytes. Returns id, payload, deliveries of each. */
const PEEK = `
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
const PURGE = `
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
const LIST_DEAD = `
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
const REDRIVE = `
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

/**
 * Idle time, cursor. What other programs have left in the pending list can be taken again: it has no lease of ours.
 * Returns the next cursor.
 */
const ADOPT = `
local found = redis.pcall('XAUTOCLAIM', stream, 'mikcar', 'mikcar', ARGV[1], ARGV[2], 'COUNT', 100, 'JUSTID')
if found.err then return '0-0' end
for _, entry in ipairs(found[2]) do
  if not redis.call('ZSCORE', leases, entry) and not redis.call('ZSCORE', nacked, entry) then
    redis.call('ZADD', nacked, 0, entry)
  end
end
return found[1]
`;

/** Keys: streams. Returns the last id of each. */
const LAST_IDS = `
local out = {}
for i, key in ipairs(KEYS) do
  local last = redis.pcall('XREVRANGE', key, '+', '-', 'COUNT', 1)
  out[i] = last[1] and last[1][1] or ''
end
return out
`;

const withPrelude = (body: string): Script => script(PRELUDE + body);

export const scripts = {
  push: withPrelude(PUSH),
  publish: withPrelude(PUBLISH),
  take: withPrelude(TAKE),
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
