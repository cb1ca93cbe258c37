"""What the server itself decides: whether a key may be written, in the same instant in which it is."""

from __future__ import annotations

WRITE = """
local mode, snapshot, command, field, seen, prefix = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local place, first = 8 + ARGV[7], 1

local function concerns(entry)
  local kind, what = string.match(entry, '^(%a+):(.*)$')
  if kind == 'pattern' then
    local literal = string.match(what, '^[^%*%?%[\\\\]*')
    local length = math.min(#literal, #prefix)
    return string.sub(literal, 1, length) == string.sub(prefix, 1, length)
  end
  for index = 8, 7 + ARGV[7] do
    if ARGV[index] == what then return true end
  end
  return kind ~= 'tag'
end

if seen ~= '' then
  first = 3
  local number = redis.call('GET', KEYS[1]) or '0'
  if number ~= seen then
    local missed = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. seen, '+inf')
    local oldest = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
    local whole = redis.call('ZCARD', KEYS[2]) < 1000 or tonumber(oldest) <= tonumber(seen)
    if #missed == 0 or not whole then return 'stale' end
    for _, entry in ipairs(missed) do
      if concerns(entry) then return 'stale' end
    end
  end
end

local function version(key)
  if command ~= 'SET' then return redis.pcall('HGET', key, field) end
  local stored = redis.pcall('GET', key)
  if type(stored) ~= 'string' then return stored end
  local ok, row = pcall(cjson.decode, stored)
  if not ok then ok, row = pcall(cmsgpack.unpack, stored) end
  local found = ok and type(row) == 'table' and row[field]
  if type(found) == 'number' then return string.format('%.17g', found) end
  return type(found) == 'string' and found or {err = 'unknown'}
end

local function newer(stored, given)
  if string.match(stored, '^-?%d+$') and string.match(given, '^-?%d+$') then
    local left, right = string.gsub(stored, '^-?0*', ''), string.gsub(given, '^-?0*', '')
    local below, beneath = string.sub(stored, 1, 1) == '-', string.sub(given, 1, 1) == '-'
    if below ~= beneath then return beneath end
    local larger = #left > #right or (#left == #right and left > right)
    if below then return left ~= right and not larger end
    return larger
  end
  local left, right = tonumber(stored), tonumber(given)
  if left and right then return left > right end
  return stored > given
end

local function wanted(key, tomb, given)
  if mode == 'overwrite' then return true end
  if mode == 'nx' then return redis.call('EXISTS', key) == 0 end
  if mode == 'xx' then return redis.call('EXISTS', key) == 1 end
  local buried = redis.call('GET', tomb)
  if buried and (not tonumber(buried) or tonumber(buried) >= snapshot) then return false end
  if field == '' or redis.call('EXISTS', key) == 0 then return true end
  local stored = version(key)
  return type(stored) == 'string' and not newer(stored, given)
end

local written = {}
for index = first, #KEYS, 2 do
  local key, count = KEYS[index], tonumber(ARGV[place + 2])
  local from = place + 3
  local write = wanted(key, KEYS[index + 1], ARGV[place + 1])
  if write and command == 'SET' then
    redis.call('SET', key, ARGV[from], 'PXAT', ARGV[place])
  elseif write then
    redis.call('UNLINK', key)
    for start = from, from + count - 1, 1000 do
      redis.call(command, key, unpack(ARGV, start, math.min(start + 999, from + count - 1)))
    end
    redis.call('PEXPIREAT', key, ARGV[place])
  end
  written[#written + 1] = write and 1 or 0
  place = from + count
end
return written
"""
"""KEYS: the generation's number and log where `seen` is given, then each key with its tombstone.

ARGV: mode, snapshot in ms, SET | HSET | SADD | ZADD | RPUSH, the version's field or '', the generation seen or '',
the literal prefix of the keys, the number of tags, the tags; then for each key its expiry in ms, its version, the
number of arguments, the arguments. Returns 1 or 0 for each key, or 'stale' when the generation moved because of what
concerns these keys, and nothing was written.
"""

RENEW = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0"
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('UNLINK', KEYS[1]) end return 0"
TAKE_OVER = (
    "if redis.call('GET', KEYS[1]) == ARGV[1] then"
    " return redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end return false"
)
"""A lock, held by whoever knows its token. KEYS: the lock. ARGV: tokens, then milliseconds."""
