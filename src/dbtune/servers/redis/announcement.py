"""In a cluster: what a warm-up is about to write, said where whoever invalidates a pattern finds it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence

import redis

from dbtune.cache.generations import ANNOUNCED, GENERATION_KEY, GENERATION_LOG, TOMBSTONE_MS, announcement_key
from dbtune.core.actions import WarmKeys
from dbtune.core.key_template import KeyTemplate
from dbtune.servers.redis.packing import Setting
from dbtune.servers.redis.scripts import ANNOUNCE


class Announcement:
    """Of one run. Left behind by one that was killed, it expires when nothing may be written from its snapshot."""

    def __init__(self, client: redis.Redis, action: WarmKeys, setting: Setting) -> None:
        self._client = client
        self._run = secrets.token_hex(8).encode()
        self._seen = setting.generation.encode()
        self._prefix = KeyTemplate.parse(action.key).literal_prefix.encode()
        self._tags = [tag.encode() for tag in action.tags]

    def make(self, keys: Sequence[bytes]) -> bool:
        """These are next, in place of those before; none: the run is done.

        False: what concerns them was invalidated since the snapshot.
        """
        names = (GENERATION_KEY, GENERATION_LOG, ANNOUNCED, announcement_key(self._run))
        times = (b"%d" % (time.time() * 1000), b"%d" % TOMBSTONE_MS)
        arguments = (self._seen, self._prefix, self._run, *times, b"%d" % len(self._tags), *self._tags, *keys)
        reply = self._client.execute_command("EVAL", ANNOUNCE, len(names), *names, *arguments)  # type: ignore[no-untyped-call]
        return bool(reply == b"OK")
