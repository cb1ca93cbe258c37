"""What an invalidation leaves for warm-ups under way: the generation and tombstones of `dbtune.cache.generations`."""

from __future__ import annotations

from collections.abc import Sequence

from redis import exceptions

from dbtune.cache.generations import (
    ANNOUNCED,
    GENERATION_KEY,
    GENERATION_LOG,
    LOGGED,
    RAISE,
    TOMBSTONE_MS,
    announcement_key,
    pattern_entry,
    tag_entry,
    tombstone_key,
)
from dbtune.cache.patterns import literal_prefix
from dbtune.cache.rules import Stale
from dbtune.servers.redis.errors import server_error
from dbtune.servers.redis.nodes import Command, Nodes, pipelined
from dbtune.servers.redis.wire import Reply


class Marks:
    """`refusal` is why one could not be left: what is stale goes all the same, and the person is told."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self.refusal: exceptions.ResponseError | None = None

    def raise_generation(self, stale: Stale) -> None:
        """Before any key of its tags and patterns is looked for. Raises Unsupported on a replica."""
        entries = [*map(tag_entry, stale.tags), *map(pattern_entry, stale.patterns)]
        if entries:
            numbers = (b"%d" % (2 * TOMBSTONE_MS), b"%d" % LOGGED)
            command = (b"EVAL", RAISE.encode(), b"2", GENERATION_KEY, GENERATION_LOG, *numbers, *entries)
            self._leave([(GENERATION_KEY, command)])

    def bury_announced(self, patterns: Sequence[bytes]) -> None:
        """In a cluster, what warm-ups are about to write: whatever begins as one of `patterns` does.

        After the generation was raised, before keys are looked for. Raises Unsupported on a replica.
        """
        prefixes = tuple(map(literal_prefix, patterns))
        if not (prefixes and self._nodes.is_cluster):
            return
        (runs,) = self._nodes.send([(ANNOUNCED, (b"ZRANGE", ANNOUNCED, b"0", b"-1"))])
        for run in runs if isinstance(runs, list) else []:
            name = announcement_key(run)
            (keys,) = self._nodes.send([(name, (b"LRANGE", name, b"0", b"-1"))])
            self.bury([key for key in keys if key.startswith(prefixes)] if isinstance(keys, list) else [])

    def bury(self, keys: Sequence[bytes]) -> None:
        """A tombstone for each before it goes, all of one moment. Raises Unsupported on a replica."""
        if keys:
            life = b"%d" % TOMBSTONE_MS
            now = self._now()
            marks = [tombstone_key(key) for key in keys]
            self._leave([(mark, (b"SET", mark, now, b"PX", life)) for mark in marks])

    def _now(self) -> bytes:
        """The latest of the servers' clocks; what is no number counts as later than everything."""
        clocks = [_milliseconds(pipelined(node, [(b"TIME",)])[0]) for node in self._nodes.primaries()]
        known = [clock for clock in clocks if clock is not None]
        return b"%d" % max(known) if len(known) == len(clocks) else b"unknown"

    def _leave(self, commands: Sequence[tuple[bytes, Command]]) -> None:
        for reply in self._nodes.send(commands):
            if isinstance(reply, exceptions.ReadOnlyError):
                raise server_error(reply, "invalidating")
            if isinstance(reply, exceptions.ResponseError):
                self.refusal = reply


def _milliseconds(reply: Reply) -> int | None:
    return int(reply[0]) * 1000 + int(reply[1]) // 1000 if isinstance(reply, list) else None
