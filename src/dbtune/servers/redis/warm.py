"""Performing WarmKeys and ForgetKeys: rows of PostgreSQL into keys of Redis, and out again.

Beside the keys stand `MARKER` (written at the very end), `MARKER:keys` (what was written, where it is to be undone),
`MARKER:at` (how far a run came: the next one goes on there) and one `dbtune:tag:NAME` for each tag. The first and the
last of these lists are sorted sets scored by the expiry in milliseconds of the Unix epoch: members whose key has
expired are dropped by rank, a thousand at a time, and writing a key again only moves it.
"""

from __future__ import annotations

from typing import cast

import redis
from redis import exceptions

from dbtune.cache.generations import GENERATION_KEY
from dbtune.cache.tags import tag_key
from dbtune.core.actions import ForgetKeys, WarmKeys
from dbtune.core.warming import Progress, Warmed, WarmStopped
from dbtune.servers.postgres.session import Connection
from dbtune.servers.redis.checkpoint import Checkpoint
from dbtune.servers.redis.errors import translated, warming
from dbtune.servers.redis.pace import Pace
from dbtune.servers.redis.packing import BATCH_ROWS, Packer, Setting
from dbtune.servers.redis.room import room_of
from dbtune.servers.redis.rows import Loader, Rows, ahead
from dbtune.servers.redis.session import has_other_servers, is_cluster, server_time
from dbtune.servers.redis.source import CURSOR, Source, opened_source
from dbtune.servers.redis.warm_run import Run, kept_under
from dbtune.servers.redis.wire import CHUNK_KEYS

__all__ = ["WarmStopped", "Warmed", "forget", "warm"]


def warm(
    connection: Connection,
    client: redis.Redis,
    action: WarmKeys,
    *,
    progress: Progress | None = None,
    pace: Pace | None = None,
    resumable: bool = False,
) -> Warmed:
    """Write one key per row of the query. `progress` gets the number of keys written so far, after each batch.

    `connection` must be in autocommit. Raises ChangeFailed and TargetError before anything is written, WarmStopped
    after that. Killed at any moment, it leaves keys that expire, that `forget` knows, and no marker; when it is
    `resumable`, also how far it came.
    """
    pace = pace or Pace()
    setting = _setting(client, action, pace)
    with opened_source(connection, action) as source:
        rows = Rows(connection, CURSOR, setting.most_rows, f"reading the rows of {action.key}")
        checkpoint = Checkpoint(client, action, setting) if resumable else None
        rows_before = _resumed(checkpoint, rows, source)
        packer, loader = Packer(action, source, setting, rows_before), Loader(connection)
        room = room_of(client, source.rows_expected) if pace.careful and not setting.in_cluster else None
        run = Run(action, client, setting, packer.latest_ms, pace, progress, checkpoint, rows_before, room)
        with (
            ahead(rows, rows.stopped, rows.cancel) as fetched,
            ahead(packer.batches(map(loader.rows, fetched)), rows.stopped, rows.cancel) as batches,
        ):
            run.warm(batches)
    return run.ledger()


def _resumed(checkpoint: Checkpoint | None, rows: Rows, source: Source) -> int:
    """How many rows an earlier run has written; the cursor is behind them."""
    if checkpoint is None:
        return 0
    done = checkpoint.resume(rows)
    if done is None:
        # Other rows than before.
        source.start_over()
    return done or 0


def _setting(client: redis.Redis, action: WarmKeys, pace: Pace) -> Setting:
    """All of it is read before the snapshot: what is invalidated from here on may be newer than what the query sees."""
    has_others = has_other_servers(client)
    with warming(f"warming {action.key}", has_others=has_others):
        generation = ""
        if action.mode == "newer":
            found = client.get(GENERATION_KEY)
            generation = found.decode() if isinstance(found, bytes) else "0"
        # Redis' own clock: a key never outlives its TTL counted from what the query saw.
        now_s, now_us = server_time(client)
        in_cluster = is_cluster(client)
        return Setting(
            snapshot_ms=now_s * 1000 + now_us // 1000,
            generation=generation,
            has_msetex=not in_cluster and _has_msetex(client),
            in_cluster=in_cluster,
            has_others=has_others,
            most_rows=min(BATCH_ROWS, pace.batch_rows or BATCH_ROWS),
            piece_keys=pace.piece_keys,
        )


def _has_msetex(client: redis.Redis) -> bool:
    """Redis 8.4 and Valkey 9.1 have it. Asked in a way that sets nothing, since not every user may use it."""
    try:
        client.execute_command("MSETEX", "0", "dbtune:none", "")  # type: ignore[no-untyped-call]
    except exceptions.NoPermissionError:
        return False
    except exceptions.ResponseError as error:
        return "unknown command" not in str(error).lower()
    return True


def forget(client: redis.Redis, action: ForgetKeys) -> int:
    """Unlink what was warmed under this marker; how many of the keys still lived.

    The marker goes first and a key leaves the list after it is gone: interrupted, it can be done again.
    """
    kept = kept_under(action.marker).encode()
    lists = (*map(tag_key, action.tags), kept)
    removed = 0
    with translated(f"forgetting the keys of {action.marker}"):
        client.unlink(action.marker)
        while True:
            keys = cast("list[bytes]", client.zrange(kept, 0, CHUNK_KEYS - 1))
            if not keys:
                return removed
            removed += sum(int(client.unlink(key)) for key in keys) if is_cluster(client) else client.unlink(*keys)
            for index in lists:
                client.zrem(index, *keys)
