"""Performing WarmKeys and ForgetKeys: rows of PostgreSQL into keys of Redis, and out again.

Beside the keys stand `MARKER` (written at the very end), `MARKER:keys` (what was written, so that it can be undone)
and one `dbtune:tag:NAME` for each tag. The latter are sorted sets scored by the expiry in milliseconds of the Unix
epoch: members whose key has expired are dropped by rank, a thousand at a time, and writing a key again only moves it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zlib import crc32

import redis
from redis import exceptions

from dbtune.core.actions import ForgetKeys, WarmKeys
from dbtune.core.errors import ChangeFailed, DbtuneError
from dbtune.core.key_template import KeyTemplate
from dbtune.core.warm_marker import WarmMarker
from dbtune.servers.postgres.session import Connection
from dbtune.servers.redis.errors import server_error, translated
from dbtune.servers.redis.source import Row, opened_rows
from dbtune.servers.redis.wire import CHUNK_BYTES, CHUNK_KEYS, Reply, Wire, borrowed, packed

TAG_PREFIX = "dbtune:tag:"
# What the server takes for one value unless proto-max-bulk-len was raised; above it, it hangs up.
LARGEST_VALUE = 512 << 20

Progress = Callable[[int], None]
Chunk = dict[bytes, bytes]
"""Values by their keys."""

# After these every further command would be answered alike.
_FINAL = (
    exceptions.OutOfMemoryError,
    exceptions.ReadOnlyError,
    exceptions.AuthenticationError,
    exceptions.MovedError,
    exceptions.AskError,
    exceptions.ClusterDownError,
    exceptions.MasterDownError,
)


@dataclass(frozen=True, slots=True)
class Warmed:
    """What became of a query's rows: keys + skipped + failed + duplicates. `bytes` are those of keys and values.

    `skipped` had NULL in the key or in the value; `duplicates` were overwritten by a later row of the same key;
    `failed` were refused, or got no answer.
    """

    keys: int
    bytes: int
    skipped: int
    failed: int
    duplicates: int
    duration_s: float

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know although nothing went wrong."""
        notes = []
        if not self.keys + self.skipped + self.failed:
            notes.append("the query returned no rows")
        if self.skipped:
            notes.append(f"{self.skipped:,} rows were skipped: NULL in the key or in the value")
        if self.duplicates:
            notes.append(f"{self.duplicates:,} rows had the key of another row: the last one counts")
        return tuple(notes)


class WarmStopped(ChangeFailed):
    """Some keys may have been written, `warmed` says how many; the marker was not, so the next run warms again."""

    def __init__(self, message: str, warmed: Warmed, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.warmed = warmed


def warm(connection: Connection, client: redis.Redis, action: WarmKeys, *, progress: Progress | None = None) -> Warmed:
    """Write one key per row of the query. `progress` gets the number of keys written so far, after each chunk.

    `connection` must be in autocommit. Raises ChangeFailed and TargetError before anything is written, WarmStopped
    after that. Killed at any moment, it leaves keys that expire, that `forget` knows, and no marker.
    """
    doing = f"warming {action.key}"
    with translated(doing):
        # Redis' own clock, read before the snapshot: a key never outlives its TTL counted from what the query saw.
        now_s, now_us = client.time()
    snapshot_ms = now_s * 1000 + now_us // 1000
    with opened_rows(connection, action) as batches, borrowed(client) as wire:
        run = _Run(action, wire, snapshot_ms, progress)
        run.warm(batches)
    return run.ledger()


def forget(client: redis.Redis, action: ForgetKeys) -> int:
    """Unlink what was warmed under this marker; how many of the keys still lived.

    The marker goes first and a key leaves the list after it is gone: interrupted, it can be done again.
    """
    kept = _kept_under(action.marker)
    removed = 0
    with translated(f"forgetting the keys of {action.marker}"):
        client.unlink(action.marker)
        while keys := client.zrange(kept, 0, CHUNK_KEYS - 1):
            removed += int(client.unlink(*keys))
            for index in (*map(_tag, action.tags), kept):
                client.zrem(index, *keys)
    return removed


class _Run:
    """One warm-up under way. A key counts as failed from when it is tried until Redis has said OK."""

    def __init__(self, action: WarmKeys, wire: Wire, snapshot_ms: int, progress: Progress | None) -> None:
        self._action = action
        self._wire = wire
        self._snapshot_ms = snapshot_ms
        self._progress = progress
        self._template = KeyTemplate.parse(action.key)
        self._indexes = tuple(name.encode() for name in (_kept_under(action.marker), *map(_tag, action.tags)))
        self._started_s = time.monotonic()
        self._keys = self._bytes = self._skipped = self._failed = self._duplicates = 0
        self._refusal: exceptions.ResponseError | None = None

    def ledger(self) -> Warmed:
        duration_s = time.monotonic() - self._started_s
        return Warmed(self._keys, self._bytes, self._skipped, self._failed, self._duplicates, duration_s)

    def warm(self, batches: Iterator[tuple[Row, ...]]) -> None:
        try:
            self._all([packed(b"UNLINK", self._action.marker.encode())])
            self._drop_expired()
            for chunk in self._chunks(batches):
                self._write(chunk)
                if self._progress is not None:
                    self._progress(self._keys)
            if self._refusal is None:
                self._mark()
        except exceptions.RedisError as error:
            raise self._stopped(server_error(error, "writing")) from error
        except DbtuneError as error:
            raise self._stopped(error) from error
        if self._refusal is not None:
            raise self._stopped(server_error(self._refusal, "writing")) from self._refusal

    def _stopped(self, cause: DbtuneError) -> DbtuneError:
        """The cause itself when nothing had been tried yet."""
        if not self._keys + self._failed:
            return cause
        told = f"{self._keys:,} keys were written, {self._failed:,} failed"
        return WarmStopped(f"warming {self._action.key}: {told}: {cause.message}", self.ledger(), hint=cause.hint)

    def _chunks(self, batches: Iterator[tuple[Row, ...]]) -> Iterator[Chunk]:
        """Of the rows of one key in a chunk the last stays; across chunks Redis knows which keys are there already."""
        chunk: Chunk = {}
        size_bytes = 0
        for value, *columns in (row for batch in batches for row in batch):
            if value is None or None in columns:
                self._skipped += 1
            elif len(value) > LARGEST_VALUE:
                self._failed += 1
                self._refusal = exceptions.ResponseError(f"a value of {len(value):,} bytes is above 512 MB")
            else:
                key = self._template.key([column for column in columns if column is not None])
                if key in chunk:
                    self._repeated(key)
                elif chunk and (len(chunk) == CHUNK_KEYS or size_bytes + len(value) > CHUNK_BYTES):
                    yield chunk
                    chunk, size_bytes = {}, 0
                size_bytes += len(value) - len(chunk.get(key, b""))
                chunk[key] = value
        if chunk:
            yield chunk

    def _repeated(self, key: bytes) -> None:
        if not self._template.columns:
            raise ChangeFailed(
                f"warming {self._action.key}: the key names no column, and the query returns more than one row",
                hint="put a column into the key ({id}), or make one row of them with json_agg",
            )
        self._duplicates += 1

    def _write(self, chunk: Chunk) -> None:
        if time.monotonic() - self._started_s > self._action.ttl_s * (1 - self._action.jitter):
            raise ChangeFailed("it takes longer than its keys live", hint="give them a longer ttl, or warm fewer rows")
        self._failed += len(chunk)
        expiries_ms = {key: self._expiry_ms(key) for key in chunk}
        written_before = self._file(expiries_ms)
        self._keys -= written_before
        self._duplicates += written_before
        refused: list[bytes] = []
        commands = [_set(key, value, expiries_ms[key]) for key, value in chunk.items()]
        for (key, value), reply in zip(chunk.items(), self._wire.send(commands), strict=True):
            if isinstance(reply, exceptions.ResponseError):
                refused.append(key)
                self._refusal = reply
                continue
            self._failed -= 1
            self._keys += 1
            self._bytes += len(key) + len(value)
        if refused:
            self._unfile(refused if not written_before else [])
            self._go_on_after(refused, chunk)

    def _file(self, expiries_ms: Mapping[bytes, int]) -> int:
        """List the keys before they are written; how many an earlier chunk of this run had already.

        An expiry is the same all through a run and another in every run, so that a member that did not change (CH)
        is one of this run.
        """
        members = [part for key, expiry_ms in expiries_ms.items() for part in (b"%d" % expiry_ms, key)]
        latest = b"%d" % self._latest_ms
        commands = []
        for index in self._indexes:
            commands.append(packed(b"ZADD", index, b"CH", *members))
            # GT takes a key without an expiry for one that lives for ever: NX gives it the first one.
            commands.append(packed(b"PEXPIREAT", index, latest, b"NX"))
            commands.append(packed(b"PEXPIREAT", index, latest, b"GT"))
        return len(expiries_ms) - _number(self._all(commands)[0])

    def _unfile(self, keys: Sequence[bytes]) -> None:
        """What was refused is not ours to remove."""
        if keys:
            self._all([packed(b"ZREM", index, *keys) for index in self._indexes])

    def _go_on_after(self, refused: Sequence[bytes], chunk: Chunk) -> None:
        """A server that takes nothing, or says that it will not, is left alone."""
        if self._refusal is not None and (isinstance(self._refusal, _FINAL) or len(refused) == len(chunk)):
            raise self._refusal

    def _drop_expired(self) -> None:
        """Members whose key is gone are the first by rank; a thousand at a time keeps the server answering others."""
        for index in self._indexes:
            (count,) = self._all([packed(b"ZCOUNT", index, b"-inf", b"%d" % self._snapshot_ms)])
            for done in range(0, _number(count), CHUNK_KEYS):
                last = min(CHUNK_KEYS, _number(count) - done) - 1
                self._all([packed(b"ZREMRANGEBYRANK", index, b"0", b"%d" % last)])

    def _mark(self) -> None:
        warmed_at = datetime.fromtimestamp(self._snapshot_ms / 1000, UTC)
        marker = WarmMarker(self._action.fingerprint, self._keys, warmed_at).dump()
        due_ms = self._snapshot_ms + round(self._action.fresh_for_s * 1000)
        self._all([_set(self._action.marker.encode(), marker.encode(), due_ms)])

    def _all(self, commands: Sequence[bytes]) -> list[Reply]:
        """The replies. Raises the first error among them, after the last has been read."""
        replies = list(self._wire.send(commands))
        for reply in replies:
            if isinstance(reply, exceptions.ResponseError):
                raise reply
        return replies

    def _expiry_ms(self, key: bytes) -> int:
        """The same for a key in every run of one snapshot: ttl × (1 ± jitter), spread by a hash of the key."""
        spread = 2 * crc32(key) / 0xFFFFFFFF - 1
        return self._snapshot_ms + round(self._action.ttl_s * 1000 * (1 + self._action.jitter * spread))

    @property
    def _latest_ms(self) -> int:
        return self._snapshot_ms + round(self._action.ttl_s * 1000 * (1 + self._action.jitter))


def _set(key: bytes, value: bytes, expiry_ms: int) -> bytes:
    # Packed in one go: this is what every row passes through.
    expiry = b"%d" % expiry_ms
    return b"*5\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n$4\r\nPXAT\r\n$%d\r\n%b\r\n" % (
        len(key),
        key,
        len(value),
        value,
        len(expiry),
        expiry,
    )


def _number(reply: Reply) -> int:
    """Replies that are counts by the command's definition."""
    return reply if isinstance(reply, int) else 0


def _kept_under(marker: str) -> str:
    return f"{marker}:keys"


def _tag(tag: str) -> str:
    return f"{TAG_PREFIX}{tag}"
