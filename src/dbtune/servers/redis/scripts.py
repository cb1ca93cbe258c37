"""What the server itself decides: whether a key may be written, in the same instant in which it is."""

from __future__ import annotations

from dbtune.cache.generations import TOMBSTONE_MS

MOVED = """
local function moved(seen, prefix, place, tags)
  local number = redis.call('GET', KEYS[1]) or '0'
  if number == seen then return false end
  local missed = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. seen, '+inf')
  local oldest = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
  local whole = redis.call('ZCARD', KEYS[2]) < 1000 or tonumber(oldest) <= tonumber(seen)
  if #missed == 0 or not whole then return true end
  for _, entry in ipairs(missed) do
    local kind, what = string.match(entry, '^(%a+):(.*)$')
    if kind == 'pattern' then
      local literal = string.match(what, '^[^%*%?%[\\\\]*')
      local length = math.min(#literal, #prefix)
      if string.sub(literal, 1, length) == string.sub(prefix, 1, length) then return true end
    elseif kind ~= 'tag' then
      return true
    end
    for index = place, place + tags - 1 do
      if kind == 'tag' and ARGV[index] == what then return true end
    end
  end
  return false
end
"""
"""KEYS: the generation's number and log. Whether something was invalidated after `seen` that concerns keys of this
`prefix` and of the `tags` arguments from `place` on; what is no longer told counts as concerning.
"""

ANNOUNCE = (
    MOVED
    + """
local seen, prefix, token, now, life, tags = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local stale = moved(seen, prefix, 7, tags)
redis.call('UNLINK', KEYS[4])
if stale or #ARGV == 6 + tags then
  redis.call('ZREM', KEYS[3], token)
  return stale and 'stale' or 'OK'
end
for start = 7 + tags, #ARGV, 1000 do
  redis.call('RPUSH', KEYS[4], unpack(ARGV, start, math.min(start + 999, #ARGV)))
end
redis.call('PEXPIRE', KEYS[4], life)
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
redis.call('ZADD', KEYS[3], now + life, token)
redis.call('PEXPIRE', KEYS[3], life)
return 'OK'
"""
)
"""In a cluster, where WRITE cannot see the generation. KEYS: the generation's number and log, the list of runs, this
run's list of keys. ARGV: the generation seen, the literal prefix of the keys, this run's token, the time and the list's
life in ms, the number of tags, the tags; then the keys that it is about to write, none when it is done. Returns 'stale'
when the generation moved because of what concerns these keys.
"""

WRITE = (
    MOVED
    + """
local mode, snapshot, command, field, seen, prefix = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local place, first = 8 + ARGV[7], 1

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if mode == 'newer' and now - snapshot > LIFE then return 'stale' end
if seen ~= '' then
  first = 3
  if moved(seen, prefix, 8, tonumber(ARGV[7])) then return 'stale' end
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
).replace("LIFE", str(TOMBSTONE_MS))
"""KEYS: the generation's number and log where `seen` is given, then each key with its tombstone.

ARGV: mode, snapshot in ms, SET | HSET | SADD | ZADD | RPUSH, the version's field or '', the generation seen or '',
the literal prefix of the keys, the number of tags, the tags; then for each key its expiry in ms, its version, the
number of arguments, the arguments. Returns 1 or 0 for each key, or 'stale' when the generation moved because of what
concerns these keys, or the snapshot is older than tombstones live, and nothing was written.
"""

RENEW = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0"
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('UNLINK', KEYS[1]) end return 0"
TAKE_OVER = (
    "if redis.call('GET', KEYS[1]) == ARGV[1] then"
    " return redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end return false"
)
"""A lock, held by whoever knows its token. KEYS: the lock. ARGV: tokens, then milliseconds."""
