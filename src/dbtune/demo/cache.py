"""Cache-aside over Redis: values are JSON objects, one a key."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable

import redis

from dbtune.demo.database import Document

_TTL_S = 3600
_JITTER_S = 360


class Cache:
    """Without a client nothing is kept. `hits` and `misses` count look-ups, not keys."""

    def __init__(self, client: redis.Redis | None = None) -> None:
        self._client = client
        self.hits = 0
        self.misses = 0

    def aside(self, key: str, load: Callable[[], Document | None]) -> Document | None:
        """The value under the key, else what `load` finds, kept from then on. An absence is not kept."""
        if self._client is None:
            return load()
        kept = self._client.get(key)
        if kept is not None:
            self.hits += 1
            document: Document = json.loads(kept)
            return document
        self.misses += 1
        found = load()
        if found is not None:
            # Keys filled together would expire together: the key itself says by how much they differ.
            self._client.set(key, json.dumps(found), ex=_TTL_S + zlib.crc32(key.encode()) % _JITTER_S)
        return found
