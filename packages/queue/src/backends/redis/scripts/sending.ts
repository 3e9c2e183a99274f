/** Scripts that put messages into streams. */

/** Key, and then: channel, delay, idempotency key or '', how long that lives, an id nobody has, payloads. */
export const PUSH = `
local channel, delay, key, keyLife, unique = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
if key ~= '' then
  local known = redis.call('HGET', key, 'ids')
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
if key ~= '' then
  redis.call('HSET', key, 'ids', cjson.encode(given))
  redis.call('PEXPIRE', key, keyLife)
end
redis.call('PUBLISH', channel, '')
return given
`;

/** Keys: the set of groups, the base of the topic. Arguments as \`PUSH\`. */
export const PUBLISH = `
local channel, delay, key, keyLife, unique = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local groups, topic = KEYS[1], KEYS[2]
if key ~= '' then
  local known = redis.call('HGET', key, 'ids')
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
if key ~= '' then
  redis.call('HSET', key, 'ids', cjson.encode(given))
  redis.call('PEXPIRE', key, keyLife)
end
return given
`;
