"""What an invalidation leaves behind, so that a warm-up under way never brings an older value back.

A warm-up reads Redis' clock and the generation *before* its snapshot of PostgreSQL. Whoever invalidates has committed
before. So whatever is invalidated at or after that clock may be newer than what the warm-up has read.

- **Tombstone** of one key: `dbtune:tomb:{slot}…`, in the key's own slot. Its value is Redis' clock in milliseconds,
  and it lives for `TOMBSTONE_MS`. A value that is no number counts as younger than everything. It is written *before*
  the key is removed (or before the application stores the newer value itself).
- **Generation**, for what names no keys (a tag, a pattern): `dbtune:{generation}:number` grows with each, and
  `dbtune:{generation}:log` is a sorted set of what they were, scored by that number: `tag:NAME` or `pattern:GLOB`.
  It is raised *before* the keys are looked for, as some of them may be written meanwhile.

All of it is compared by the server, in the script that writes. In a cluster that script sees the slot of its key
alone, and so the tombstones only. There a warm-up **announces** the keys of each batch beside the generation, in the
script that compares it: `dbtune:{generation}:warming` names the runs, scored by their expiry, and
`dbtune:{generation}:warming:RUN` lists the keys. Whoever invalidates a pattern raises the generation and then leaves
tombstones for what is announced, before the keys are looked for: what was announced before finds the tombstone, or was
written before it and is found; what comes after learns of the generation. (A tag needs no more than its members: they
are filed before they are announced.)
"""

from __future__ import annotations

from dbtune.cache.slots import tag_beside

TOMBSTONE_MS = 3_600_000
"""A warm-up of mode `newer` writes nothing from a snapshot that is older: tombstones may have expired since."""

TOMBSTONE_PREFIX = b"dbtune:tomb:"
GENERATION_KEY = b"dbtune:{generation}:number"
GENERATION_LOG = b"dbtune:{generation}:log"
ANNOUNCED = b"dbtune:{generation}:warming"
LOGGED = 1000
"""Entries that are kept. A warm-up that misses one of them takes it for one that concerns it."""

BURY = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('SET', KEYS[2], string.format('%.0f', now), 'PX', ARGV[1])
return redis.call('UNLINK', KEYS[1])
"""
"""KEYS: the key, its tombstone. ARGV: the tombstone's life in milliseconds. Returns how many keys went (0 or 1)."""

RAISE = """
local time = redis.call('TIME')
local number = math.max(time[1] * 1000000 + time[2], (tonumber(redis.call('GET', KEYS[1])) or 0) + 1)
local text = string.format('%.0f', number)
redis.call('SET', KEYS[1], text, 'PX', ARGV[1])
for place = 3, #ARGV do
  redis.call('ZADD', KEYS[2], text, ARGV[place])
end
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - tonumber(ARGV[2]))
redis.call('PEXPIRE', KEYS[2], ARGV[1])
return text
"""
"""KEYS: GENERATION_KEY, GENERATION_LOG. ARGV: TOMBSTONE_MS × 2, LOGGED, then one entry for each tag or pattern."""


def tombstone_key(key: bytes) -> bytes:
    """`dbtune:tomb:{KEY}`; where the key has a hash tag of its own, `dbtune:tomb:{TAG}:KEY`."""
    beside = tag_beside(key)
    return b"%b{%b}%b" % (TOMBSTONE_PREFIX, beside, b"" if beside == key else b":" + key)


def announcement_key(run: bytes) -> bytes:
    return b"%b:%b" % (ANNOUNCED, run)


def tag_entry(tag: str) -> bytes:
    return b"tag:" + tag.encode()


def pattern_entry(pattern: bytes) -> bytes:
    return b"pattern:" + pattern
