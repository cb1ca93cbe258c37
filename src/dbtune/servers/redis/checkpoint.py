"""How far a warm-up came, kept beside the keys that it wrote, so that the next run goes on there.

`MARKER:at` is a list: whose run it was, then an entry for each batch (how many rows, and the last one's key), pushed
behind the batch's own commands. The server takes them in this order, and hands them to its replicas in this order:
whatever is lost with it, the list never says more than what is there.
"""

from __future__ import annotations

import json
from typing import cast

import redis

from dbtune.cache.slots import slot
from dbtune.core.actions import WarmKeys
from dbtune.servers.redis.commands import Command
from dbtune.servers.redis.errors import warming
from dbtune.servers.redis.packing import Setting
from dbtune.servers.redis.rows import Rows
from dbtune.servers.redis.wire import packed

FRESH = 0.5
"""A share of the shortest TTL: what an older run wrote is soon to expire, and is written again."""


class Checkpoint:
    """Of one step: where an earlier run stopped, and how far this one is."""

    def __init__(self, client: redis.Redis, action: WarmKeys, setting: Setting) -> None:
        self._client = client
        self._name = f"{action.marker}:at"
        self._action, self._setting = action, setting
        self._shortest_ms = action.ttl_s * 1000 * (1 - action.jitter)

    def resume(self, rows: Rows) -> int | None:
        """Rows that need not be written again, the cursor being behind them; 0: none, at the beginning.

        None: some were passed over and are not those of the earlier run; the cursor has to be opened again.
        """
        with warming(f"reading {self._name}", has_others=self._setting.has_others):
            entries = cast("list[bytes]", self._client.lrange(self._name, 0, -1))
        if not entries or not self._continues(entries[0]):
            self.clear()
            return 0
        done = 0
        for entry in entries[1:]:
            count, _, key = entry.partition(b" ")
            row = rows.skip(int(count) - done)
            done = int(count)
            if row is None or (row[0] or b"") != key:
                self.clear()
                return None
        return done

    def reached(self, rows: int, last_key: bytes) -> list[Command]:
        """The commands that say so; they follow those that write the rows."""
        name = self._name.encode()
        place = slot(name)
        commands = []
        if not self._begun:
            header = json.dumps({"fingerprint": self._action.fingerprint, "snapshot_ms": self._setting.snapshot_ms})
            commands.append(packed(b"RPUSH", name, header.encode()))
            self._begun = True
        commands.append(packed(b"RPUSH", name, b"%d %b" % (rows, last_key)))
        expiry_ms = round(self._setting.snapshot_ms + self._shortest_ms)
        commands.append(packed(b"PEXPIREAT", name, b"%d" % expiry_ms, b"NX"))
        return [Command(data, slot=place) for data in commands]

    def clear(self) -> None:
        """Nothing is to be continued."""
        with warming(f"removing {self._name}", has_others=self._setting.has_others):
            self._client.unlink(self._name)

    _begun = False

    def _continues(self, header: bytes) -> bool:
        try:
            found = json.loads(header)
            same = found["fingerprint"] == self._action.fingerprint
            age_ms = self._setting.snapshot_ms - int(found["snapshot_ms"])
        except (ValueError, TypeError, KeyError):
            return False
        self._begun = same and 0 <= age_ms < self._shortest_ms * FRESH
        return self._begun
