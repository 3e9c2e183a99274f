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
 * - `taken`: what each take has leased, until it is known that its reply has arrived.
 *
 * Times are those of Redis. Every script takes the stream and the base as its keys; the others follow from the base.
 */

export const PRELUDE = `
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

-- Somebody has removed the group, and with it the list of what is pending: what is still in the stream is new again.
local function makeGroup()
  redis.call('DEL', leases, nacked, counts)
  if redis.call('EXISTS', stream) == 0 then redis.call('DEL', ids) end
  redis.call('XGROUP', 'CREATE', stream, 'mikcar', '0', 'MKSTREAM')
end

local function hasNoGroup(reply)
  return type(reply) == 'table' and reply.err and string.find(reply.err, 'NOGROUP', 1, true)
end

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

local function isAfter(entry, other)
  local time, number = string.match(entry, '^(%d+)-(%d+)$')
  local otherTime, otherNumber = string.match(other, '^(%d+)-(%d+)$')
  if tonumber(time) ~= tonumber(otherTime) then return tonumber(time) > tonumber(otherTime) end
  return tonumber(number) > tonumber(otherNumber)
end
`;
