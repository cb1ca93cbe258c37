"""What an invalidation would remove: counted and weighed, without a key or the server's hits and misses moving.

MEMORY USAGE tells whether a key is there and what it takes; unlike EXISTS it is no look-up in the server's statistics.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from redis import exceptions

from dbtune.cache.tags import tag_key
from dbtune.core.invalidation import Removal
from dbtune.core.progress import Progress
from dbtune.servers.redis.nodes import Nodes
from dbtune.servers.redis.removals import samples, shown
from dbtune.servers.redis.wire import CHUNK_KEYS

WEIGHED = 100
"""Keys of a pattern or tag whose memory is asked for; the others are taken to weigh the same."""


def weights(nodes: Nodes, keys: Sequence[bytes]) -> dict[bytes, int]:
    """Bytes of those that are there; nothing where the user may not ask."""
    replies = nodes.send([(key, (b"MEMORY", b"USAGE", key)) for key in keys])
    return {key: reply for key, reply in zip(keys, replies, strict=True) if isinstance(reply, int)}


def there(nodes: Nodes, keys: Sequence[bytes]) -> dict[bytes, int]:
    """As `weights`; a user who may not ask for the memory sees 0 bytes, and EXISTS is counted as a look-up."""
    replies = nodes.send([(key, (b"MEMORY", b"USAGE", key)) for key in keys])
    refused = [key for key, reply in zip(keys, replies, strict=True) if isinstance(reply, exceptions.ResponseError)]
    found = {key: reply for key, reply in zip(keys, replies, strict=True) if isinstance(reply, int)}
    known = nodes.send([(key, (b"EXISTS", key)) for key in refused])
    return found | {key: 0 for key, reply in zip(refused, known, strict=True) if reply == 1}


def look_at_key(nodes: Nodes, key: bytes) -> Removal:
    clock = time.monotonic()
    found = there(nodes, [key])
    row = Removal(f"key {shown(key)}", len(found), found.get(key, 0), 1 - len(found), sample=samples([*found]))
    return replace(row, duration_s=time.monotonic() - clock)


def look_at_tag(nodes: Nodes, row: Removal, tag: str, size: int, progress: Progress) -> Removal:
    """Every member is asked for: what expired, or was removed by other means, would not go."""
    clock, key = time.monotonic(), tag_key(tag)
    count = size_bytes = 0
    sample: tuple[str, ...] = ()
    for start in range(0, size, CHUNK_KEYS):
        (members,) = nodes.send([(key, (b"ZREVRANGE", key, b"%d" % start, b"%d" % (start + CHUNK_KEYS - 1)))])
        found = there(nodes, members if isinstance(members, list) else [])
        count, size_bytes = count + len(found), size_bytes + sum(found.values())
        sample = sample or samples([*found])
        progress(f"{count:,} keys of {row.name} are there", min(1.0, (start + CHUNK_KEYS) / size))
    skipped, duration_s = max(0, size - count), time.monotonic() - clock
    return replace(row, keys=count, size_bytes=size_bytes, skipped=skipped, sample=sample, duration_s=duration_s)


def look_at_pattern(nodes: Nodes, row: Removal, found: Sequence[bytes]) -> Removal:
    """Of those that `found` are the names of, some are weighed."""
    known = weights(nodes, found[:WEIGHED])
    size_bytes = round(sum(known.values()) / len(known) * len(found)) if known else 0
    return replace(row, keys=len(found), size_bytes=size_bytes, sample=samples(found))
