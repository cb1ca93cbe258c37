"""Whether what is to be written will fit, judged by what the first keys took."""

from __future__ import annotations

import redis

from dbtune.core.errors import ChangeFailed, Refused
from dbtune.core.units import format_size
from dbtune.servers.redis.errors import warming

ENOUGH_KEYS = 1000


def room_of(client: redis.Redis, rows: int) -> Room | None:
    """None where the user may not ask."""
    try:
        return Room(client, rows)
    except Refused:
        return None


class Room:
    """Of one server, as it was before the first key."""

    def __init__(self, client: redis.Redis, rows: int) -> None:
        self._client, self._rows = client, rows
        self._used_bytes, _ = self._memory()

    def check(self, keys: int, resumed: int) -> None:
        """Raises ChangeFailed when the rest, each key as large as the first `keys`, does not fit below maxmemory."""
        used_bytes, most_bytes = self._memory()
        each_bytes = max(0, used_bytes - self._used_bytes) / keys
        needed_bytes = each_bytes * max(0, self._rows - keys - resumed)
        if most_bytes and used_bytes + needed_bytes > most_bytes:
            raise ChangeFailed(
                f"about {self._rows:,} keys need {format_size(needed_bytes)} more, and the server has"
                f" {format_size(max(0, most_bytes - used_bytes))} left below its maxmemory",
                hint="raise maxmemory, warm fewer rows, or go on with --ignore-memory",
            )

    def _memory(self) -> tuple[int, int]:
        with warming("asking the server for its memory", has_others=False):
            found = self._client.info("memory")
        return int(found["used_memory"]), int(found.get("maxmemory", 0))
