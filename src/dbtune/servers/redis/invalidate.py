"""Removing what is stale, in an order that no warm-up under way can undo (`dbtune.cache.generations`).

The generation is raised for all tags and patterns before any key is looked for; a key that is named gets its tombstone
before it goes. Nothing is lost when this ends at any moment: a key leaves its tag only after it is gone, so that doing
it again does the rest. Chunks are so small that others hardly wait.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from redis import exceptions

from dbtune.cache.patterns import is_own
from dbtune.cache.rules import Stale
from dbtune.cache.tags import tag_key
from dbtune.core.errors import ChangeFailed
from dbtune.core.invalidation import Removal
from dbtune.core.progress import Progress, silent
from dbtune.servers.redis.errors import server_error, translated
from dbtune.servers.redis.looking import WEIGHED, look_at_key, look_at_pattern, look_at_tag, weights
from dbtune.servers.redis.marks import Marks
from dbtune.servers.redis.nodes import Nodes
from dbtune.servers.redis.removals import added, counted, refused, samples, shown
from dbtune.servers.redis.wire import CHUNK_KEYS, Reply

SCAN_COUNT = 1000
"""The knee: more a call stalls others, less costs round trips (measured: 1.9 ms for the worst call)."""

DRAIN = """
local members = redis.call('ZRANGE', KEYS[1], 0, ARGV[1] - 1)
if #members == 0 then return {0, 0} end
local gone = redis.call('UNLINK', unpack(members))
redis.call('ZREM', KEYS[1], unpack(members))
return {#members, gone}
"""
"""KEYS: a tag. ARGV: how many of its members go at once. Returns how many they were, and how many were still there.

Of one server only: in a cluster the members lie anywhere.
"""

FORGET_MEMBERS = """
local gone = 0
for place = 1, #ARGV, 2 do
  if redis.call('ZSCORE', KEYS[1], ARGV[place]) == ARGV[place + 1] then
    gone = gone + redis.call('ZREM', KEYS[1], ARGV[place])
  end
end
return gone
"""
"""KEYS: a tag. ARGV: members, each with the score that was read. Who was filed anew meanwhile stays."""


@dataclass(frozen=True, slots=True)
class Caps:
    """How much one invalidation may remove: so many `keys`, and such a `share` of the keyspace.

    Without a share of its own, a pattern may match half of the keyspace or `small` keys, whichever is more.
    """

    keys: int = 1_000_000
    share: float | None = None
    small: int = 10_000

    def share_of(self, keyspace: int, *, matched: bool) -> float:
        """How many keys the share comes to."""
        if self.share is None:
            return max(self.small, 0.5 * keyspace) if matched else float("inf")
        # All of it is no cap: the keyspace may have grown since it was counted.
        return self.share * keyspace if self.share < 1 else float("inf")


class TooMany(ChangeFailed):
    """More keys than the caps allow; nothing was removed."""


class Invalidation:
    """Raises TooMany before anything is removed, and TargetError for a server that is lost or a replica."""

    def __init__(
        self, nodes: Nodes, caps: Caps | None = None, *, dry_run: bool = False, progress: Progress = silent
    ) -> None:
        self._nodes, self._caps, self._dry_run, self._progress = nodes, caps or Caps(), dry_run, progress
        with translated("counting the keys"):
            self.keyspace = sum(int(node.dbsize()) for node in nodes.primaries())

    def run(self, stale: Stale) -> tuple[Removal, ...]:
        """Rows in the order keys, tags, patterns. Everything is counted before the first key goes."""
        marks = Marks(self._nodes)
        rows = self._run(stale, marks)
        if isinstance(marks.refusal, exceptions.OutOfMemoryError):
            # Now there is room for the marks. What a warm-up brought back meanwhile goes behind them.
            marks = Marks(self._nodes)
            again = self._run(stale, marks)
            rows = [replace(added(one, more), skipped=one.skipped) for one, more in zip(rows, again, strict=True)]
        return tuple(_told(row, marks) for row in rows)

    def tags_like(self, pattern: bytes) -> tuple[str, ...]:
        """The tags that there are whose name matches."""
        prefix = tag_key("")
        found = self._scan(prefix + pattern, own=True)
        return tuple(sorted(name.removeprefix(prefix).decode(errors="replace") for name in found))

    def _run(self, stale: Stale, marks: Marks) -> list[Removal]:
        sizes = {tag: self._size(tag) for tag in stale.tags}
        named = len(stale.keys) + sum(size for size in sizes.values() if isinstance(size, int))
        self._check(named)
        if self._dry_run:
            return [*self._look(stale, sizes)]
        marks.raise_generation(stale)
        marks.bury_announced(stale.patterns)
        clock = time.monotonic()
        matches = {pattern: self._scan(pattern) for pattern in stale.patterns}
        scan_s = (time.monotonic() - clock) / max(1, len(matches))
        self._check(sum(map(len, matches.values())), matched=True)
        self._check(named + sum(map(len, matches.values())))
        rows = self._keys(stale.keys, marks)
        rows += [self._tag(tag, size, marks) for tag, size in sizes.items()]
        for pattern, found in matches.items():
            row = self._pattern(pattern, found, marks)
            rows.append(replace(row, duration_s=row.duration_s + scan_s))
        return rows

    # --- what there is

    def _scan(self, pattern: bytes, *, own: bool = False) -> list[bytes]:
        """Every key that matches and was there all the time. A cluster that moved slots meanwhile is scanned again."""
        found: dict[bytes, None] = {}
        while True:
            slots = self._nodes.slots()
            for node in self._nodes.primaries():
                cursor = -1
                while cursor:
                    with translated(f"looking for {shown(pattern)}"):
                        cursor, keys = node.scan(max(cursor, 0), match=pattern, count=SCAN_COUNT)
                    names = (key for key in keys if isinstance(key, bytes))
                    found.update(dict.fromkeys(key for key in names if own or not is_own(key)))
                    if len(found) > self._caps.keys:
                        self._check(len(found), "more than ")
                self._progress(f"{len(found):,} keys match {shown(pattern)}")
            if self._nodes.slots() == slots:
                return list(found)

    def _size(self, tag: str) -> int | exceptions.ResponseError:
        (reply,) = self._nodes.send([(tag_key(tag), (b"ZCARD", tag_key(tag)))])
        return reply if isinstance(reply, exceptions.ResponseError) else _number(reply)

    def _check(self, count: int, more: str = "", *, matched: bool = False) -> None:
        """Raises TooMany; a dry run only counts."""
        too_many, most = count > self._caps.keys, self._caps.share_of(self.keyspace, matched=matched)
        if self._dry_run or not (too_many or count > most):
            return
        cap = f"{self._caps.keys:,}" if too_many else f"{self._caps.share or 0.5:.0%} of the keyspace"
        raise TooMany(
            f"{more}{count:,} of {self.keyspace:,} keys would go, above the cap of {cap}; nothing was removed",
            hint=f"look with --dry-run; --max-{'keys' if too_many else 'share'} raises the cap",
        )

    # --- what would go

    def _look(self, stale: Stale, sizes: Mapping[str, int | exceptions.ResponseError]) -> Sequence[Removal]:
        rows = [look_at_key(self._nodes, key) for key in stale.keys]
        for tag, size in sizes.items():
            row = _tag_row(tag, size)
            if isinstance(size, exceptions.ResponseError):
                rows.append(refused(replace(row, failed=1), size))
            else:
                rows.append(look_at_tag(self._nodes, row, tag, size, self._progress))
        for pattern in stale.patterns:
            clock = time.monotonic()
            row = look_at_pattern(self._nodes, Removal(f"pattern {shown(pattern)}"), self._scan(pattern))
            rows.append(replace(row, duration_s=time.monotonic() - clock))
        return rows

    # --- what goes

    def _keys(self, keys: Sequence[bytes], marks: Marks) -> list[Removal]:
        rows = []
        for start in range(0, len(keys), CHUNK_KEYS):
            clock, chunk = time.monotonic(), keys[start : start + CHUNK_KEYS]
            sizes = weights(self._nodes, chunk)
            marks.bury(chunk)
            replies = self._nodes.send([(key, (b"UNLINK", key)) for key in chunk])
            each_s = (time.monotonic() - clock) / len(chunk)
            for key, reply in zip(chunk, replies, strict=True):
                row = replace(counted(f"key {shown(key)}", [reply], [key]), duration_s=each_s)
                rows.append(replace(row, size_bytes=sizes.get(key, 0) if row.keys else 0))
        return rows

    def _tag(self, tag: str, size: int | exceptions.ResponseError, marks: Marks) -> Removal:
        """Until the tag is empty: a warm-up that files more meanwhile mixes them among those that were there."""
        clock, row = time.monotonic(), _tag_row(tag, size)
        if isinstance(size, exceptions.ResponseError):
            return refused(replace(row, failed=1), size)
        first = self._members(tag, WEIGHED)[::2]
        known = weights(self._nodes, first)
        drain = self._drain_scattered if self._nodes.is_cluster else self._drain
        while not row.failed and not row.error and (part := drain(tag, row, marks)):
            row = added(row, part)
            self._progress(f"{row.keys:,} keys of {row.name} are gone", min(1.0, row.keys / max(size, 1)))
        size_bytes = round(sum(known.values()) / max(len(known), 1) * row.keys)
        return replace(row, size_bytes=size_bytes, sample=samples(first), duration_s=time.monotonic() - clock)

    def _members(self, tag: str, most: int) -> list[bytes]:
        """The first to expire, each followed by its score as the server writes it."""
        key = tag_key(tag)
        (reply,) = self._nodes.send([(key, (b"ZRANGE", key, b"0", b"%d" % (most - 1), b"WITHSCORES"))])
        return reply if isinstance(reply, list) else []

    def _drain(self, tag: str, row: Removal, marks: Marks) -> Removal | None:
        """One chunk, within the server. None when there is nothing left."""
        key = tag_key(tag)
        (reply,) = self._nodes.send([(key, (b"EVAL", DRAIN.encode(), b"1", key, b"%d" % CHUNK_KEYS))])
        if isinstance(reply, exceptions.ResponseError):
            return refused(Removal(row.name, failed=1), reply)
        members, gone = reply if isinstance(reply, list) else (0, 0)
        return Removal(row.name, keys=gone, skipped=members - gone) if members else None

    def _drain_scattered(self, tag: str, row: Removal, marks: Marks) -> Removal | None:
        """As `_drain` in a cluster, where the members lie anywhere: they leave the tag once they are gone."""
        members = self._members(tag, CHUNK_KEYS)
        if not members:
            return None
        part = self._unlink(row, members[::2], marks)
        if part.failed:
            return part
        key = tag_key(tag)
        (left,) = self._nodes.send([(key, (b"EVAL", FORGET_MEMBERS.encode(), b"1", key, *members))])
        return refused(part, left) if isinstance(left, exceptions.ResponseError) else part

    def _pattern(self, pattern: bytes, found: Sequence[bytes], marks: Marks) -> Removal:
        clock, row = time.monotonic(), Removal(f"pattern {shown(pattern)}")
        for start in range(0, len(found), CHUNK_KEYS):
            row = added(row, self._unlink(row, found[start : start + CHUNK_KEYS], marks))
            self._progress(f"{row.keys:,} keys of {row.name} are gone", start / len(found))
            if row.failed:
                break
        return replace(row, duration_s=time.monotonic() - clock)

    def _unlink(self, so_far: Removal, keys: Sequence[bytes], marks: Marks) -> Removal:
        """One UNLINK for all; in a cluster one each, behind tombstones, as no script there sees the generation."""
        known = {} if so_far.keys else weights(self._nodes, keys[:WEIGHED])
        mean = sum(known.values()) / len(known) if known else so_far.size_bytes / max(so_far.keys, 1)
        if self._nodes.is_cluster:
            marks.bury(keys)
            replies: list[Reply] = self._nodes.send([(key, (b"UNLINK", key)) for key in keys])
        else:
            replies = self._nodes.send([(keys[0], (b"UNLINK", *keys))])
        row = counted(so_far.name, replies, keys)
        return replace(row, size_bytes=round(mean * row.keys))


def _told(row: Removal, marks: Marks) -> Removal:
    """The keys may be gone, and yet it is not done."""
    if marks.refusal is None or row.error:
        return row
    told = server_error(marks.refusal, "leaving a mark")
    error = f"{told.message}: warm-ups that are under way do not know, and may bring older values back"
    hint = "allow dbtune its own keys, ~dbtune:*, with +@read +@write +@scripting +time, and memory for them"
    return replace(row, error=error, hint=hint)


def _tag_row(tag: str, size: int | exceptions.ResponseError) -> Removal:
    return Removal(f"tag {tag}", notes=() if size else ("no key is filed under it",))


def _number(reply: Reply) -> int:
    return reply if isinstance(reply, int) else 0
