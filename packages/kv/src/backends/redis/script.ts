/** Scripts that Redis runs as one step: https://redis.io/docs/latest/develop/programmability/eval-intro/ */

import { runScript, type Script, script, type Words } from "@mikcar/redis";
import type { Servers } from "./servers.ts";

/**
 * A transaction. As `plan.ts` does for other backends, it works out what would become of every key, and then writes each once.
 * KEYS: each key once. ARGV: how many conditions; for each its key's number and two lists of tags (`-`: not asked, `*`,
 * or a count and the tags); then operations: `s` key value ms, `d` key, `i` key by ms, `e` key ms. No ms: an empty word.
 * Replies one result per operation, 0 or 1 or the digits of a sum; or -1, what failed, and the number of it.
 * Numbers are added in two halves of ten digits, as Lua's own are exact to 53 bits only.
 */
export const TRANSACT: Script = script(`
local at = 0
local function word()
  at = at + 1
  return ARGV[at]
end

local function halves(text)
  local sign, digits = string.match(text, '^(-?)(%d+)$')
  if not digits or #digits > 19 then return nil end
  digits = string.rep('0', 19 - #digits) .. digits
  local high, low = tonumber(string.sub(digits, 1, 9)), tonumber(string.sub(digits, 10))
  if sign == '-' then return -high, -low end
  return high, low
end

local function isInRange(high, low)
  if high == 922337203 then return low <= 6854775807 end
  if high == -922337203 then return low >= -6854775808 end
  return high > -922337203 and high < 922337203
end

local function sum(aHigh, aLow, bHigh, bLow)
  local high, low = aHigh + bHigh, aLow + bLow
  if low >= 1e10 then high, low = high + 1, low - 1e10 end
  if low <= -1e10 then high, low = high - 1, low + 1e10 end
  if high > 0 and low < 0 then high, low = high - 1, low + 1e10 end
  if high < 0 and low > 0 then high, low = high + 1, low - 1e10 end
  return high, low
end

local function digits(high, low)
  local sign = (high < 0 or low < 0) and '-' or ''
  high, low = math.abs(high), math.abs(low)
  if high == 0 then return sign .. string.format('%.0f', low) end
  return sign .. string.format('%.0f%010.0f', high, low)
end

local entries = {}
for number, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'string' and kind ~= 'none' then return {-1, 'type', number} end
  entries[number] = {isThere = kind == 'string', keepsExpiry = true, key = key}
end

local function value(entry)
  if entry.isThere and not entry.value then entry.value = redis.call('GET', entry.key) end
  return entry.value
end

local function isAmong(entry)
  local count = word()
  if count == '*' then return entry.isThere end
  local tag, found = entry.isThere and redis.sha1hex(value(entry)), false
  for _ = 1, tonumber(count) do
    if word() == tag then found = true end
  end
  return found
end

for number = 1, tonumber(word()) do
  local entry = entries[tonumber(word())]
  local isMatched, isUnmatched = true, true
  if ARGV[at + 1] == '-' then word() else isMatched = isAmong(entry) end
  if ARGV[at + 1] == '-' then word() else isUnmatched = not isAmong(entry) end
  if not (isMatched and isUnmatched) then return {-1, 'condition', number} end
end

local function put(entry, text, ms)
  entry.isThere, entry.value, entry.isWritten = true, text, true
  if ms then entry.ms, entry.keepsExpiry = ms, false end
end

local function remove(entry)
  local wasThere = entry.isThere
  entry.isThere, entry.value, entry.isWritten, entry.keepsExpiry = false, nil, true, false
  return wasThere and 1 or 0
end

local results = {}
while at < #ARGV do
  local kind, entry, result = word(), entries[tonumber(word())], 1
  if kind == 's' then
    local text = word()
    put(entry, text, word())
  elseif kind == 'd' then
    result = remove(entry)
  elseif kind == 'i' then
    local by, ms = word(), word()
    local old = entry.isThere and value(entry) or '0'
    local high, low = halves(old)
    if not high or not isInRange(high, low) then return {-1, 'number', #results + 1} end
    high, low = sum(high, low, halves(by))
    if not isInRange(high, low) then return {-1, 'range', #results + 1, old} end
    result = digits(high, low)
    if entry.isThere then put(entry, result) else put(entry, result, ms) end
  elseif entry.isThere then
    entry.ms, entry.keepsExpiry, entry.isMoved = word(), false, true
  else
    word()
    result = 0
  end
  results[#results + 1] = result
end

for _, entry in ipairs(entries) do
  local key, ms = entry.key, entry.ms
  if not entry.isThere then
    if entry.isWritten then redis.call('UNLINK', key) end
  elseif entry.isWritten then
    if entry.keepsExpiry then redis.call('SET', key, entry.value, 'KEEPTTL')
    elseif ms == '' then redis.call('SET', key, entry.value)
    else redis.call('SET', key, entry.value, 'PX', ms) end
  elseif entry.isMoved then
    if ms == '' then redis.call('PERSIST', key) else redis.call('PEXPIRE', key, ms) end
  end
end
return results
`);

/** MGET says nothing for a key of another type, as it does for an absent one. Replies the values, or the number of such a key. */
export const GET_MANY: Script = script(`
local values = redis.call('MGET', unpack(KEYS))
for number, key in ipairs(KEYS) do
  if not values[number] and redis.call('EXISTS', key) == 1 then return number end
end
return values
`);

/** @param key Which server runs it. @param words The number of keys, the keys, and the arguments. */
export function run(servers: Servers, key: string, code: Script, words: Words): Promise<unknown> {
  return runScript((all) => servers.send(key, all), code, words);
}
