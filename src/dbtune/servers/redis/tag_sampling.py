"""Whether the members of tags still name keys: a hundred of each, drawn at random by the server."""

from __future__ import annotations

from collections.abc import Sequence

import redis

from dbtune.checks.cache_survey import Sample, TagMembers
from dbtune.servers.redis.nodes import pipelined
from dbtune.servers.redis.wire import Reply

MOST_TAGS = 20
DRAWN = 100
LOOKUPS_A_TAG = 2
_COMMANDS = {b"set": (b"SCARD", b"SRANDMEMBER"), b"zset": (b"ZCARD", b"ZRANDMEMBER")}


def sample_tags(client: redis.Redis, sample: Sample) -> tuple[tuple[TagMembers, ...], int]:
    """The heaviest sampled sets with "tag" in their names, and how many look-ups that took.

    MEMORY USAGE says whether a member is a key, and moves no hit or miss. Raises redis-py's errors.
    """
    named = sorted((key for key in sample.keys if "tag" in key.name.lower()), key=lambda key: -key.size_bytes)
    names = [key.name.encode() for key in named[:MOST_TAGS]]
    kinds = pipelined(client, [(b"TYPE", name) for name in names])
    tags = [(name, kind) for name, kind in zip(names, kinds, strict=True) if isinstance(kind, bytes)]
    found, asked = [], len(names)
    for name, commands in ((name, _COMMANDS[kind]) for name, kind in tags if kind in _COMMANDS):
        asked += LOOKUPS_A_TAG
        size, members = pipelined(client, [(commands[0], name), (commands[1], name, b"%d" % DRAWN)])
        if isinstance(size, int) and isinstance(members, list) and _are_keys(members):
            found.append(TagMembers(name.decode(), size, len(members), _missing(client, members)))
    return tuple(found), asked


def _are_keys(members: Sequence[bytes]) -> bool:
    """Members that are words or ids, as of a set of popular tags, name no keys and never did."""
    return 2 * sum(b":" in member or b"/" in member for member in members) > len(members)


def _missing(client: redis.Redis, members: Sequence[bytes]) -> int:
    replies: list[Reply] = pipelined(client, [(b"MEMORY", b"USAGE", member) for member in members])
    return sum(reply is None for reply in replies)
