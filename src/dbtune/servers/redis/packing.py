"""From rows to commands in the Redis protocol, a batch at a time.

Where the server has MSETEX, keys that expire together are set together: the jitter has 64 steps, and a batch is
sorted by them. Whatever has a condition, or is no string, is written by a script, some keys at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast
from zlib import crc32

from dbtune.cache.generations import GENERATION_KEY, GENERATION_LOG, tombstone_key
from dbtune.cache.slots import slot
from dbtune.core.actions import WarmKeys
from dbtune.core.errors import ChangeFailed
from dbtune.core.key_template import KeyTemplate
from dbtune.servers.redis.commands import Command
from dbtune.servers.redis.encodings import encoder
from dbtune.servers.redis.rows import Row
from dbtune.servers.redis.scripts import WRITE
from dbtune.servers.redis.source import Source

# What the server takes for one value unless proto-max-bulk-len was raised; above it, it hangs up.
LARGEST_VALUE = 512 << 20
BUCKETS = 64
BATCH_ROWS = 8192
SHARED_ROWS = 4 * BUCKETS
"""Of fewer rows hardly two would expire together."""
SET_KEYS, MSETEX_BYTES = 512, 256 << 10
SCRIPT_KEYS, SCRIPT_BYTES = 100, 64 << 10
COUNTED_KEYS = 500_000
"""Where PostgreSQL cannot prove that keys differ, duplicates are counted among this many; more would take memory."""

SHORT_BYTES = 4096
"""Keys and values below have a header that is made once."""

_SET = b"*5\r\n$3\r\nSET"
_WRITERS = {"string": "SET", "hash": "HSET", "set": "SADD", "zset": "ZADD", "list": "RPUSH"}


@dataclass(slots=True)
class Batch:
    """What is sent together. `rows` counts from the query's first row to the batch's last, whose key is `last_key`."""

    commands: list[Command]
    rows: int
    last_key: bytes
    keys: list[tuple[int, bytes]] = field(default_factory=list)
    """Expiry in milliseconds and key; only where they are to be filed."""
    skipped: int = 0
    expired: int = 0
    duplicates: int = 0
    too_large: int = 0


class _Lengths(dict[int, bytes]):
    """The header of an argument by its length. Longer ones than the server takes are not found."""

    def __missing__(self, length: int) -> bytes:
        if length > LARGEST_VALUE:
            raise KeyError(length)
        header = b"\r\n$%d\r\n" % length
        if len(self) < 65536:
            self[length] = header
        return header


@dataclass(frozen=True, slots=True)
class Setting:
    """What a run's commands depend on beside the rows. `generation` is "" where it does not matter.

    `has_others`: another server may take over from this one. `piece_keys`: no command is of more keys.
    """

    snapshot_ms: int
    generation: str = ""
    has_msetex: bool = False
    in_cluster: bool = False
    has_others: bool = False
    most_rows: int = BATCH_ROWS
    piece_keys: int | None = None


class Packer:
    """Packs the rows of one run."""

    def __init__(self, action: WarmKeys, source: Source, setting: Setting, rows_before: int = 0) -> None:
        self._action, self._shape, self._setting = action, source.shape, setting
        self._template = KeyTemplate.parse(action.key)
        self._is_plain = action.form == "string" and action.mode == "overwrite"
        self._files = bool(action.tags or action.listed)
        self._encode = encoder(action)
        self._set_keys = min(SET_KEYS, setting.piece_keys or SET_KEYS)
        self._script_keys = min(SCRIPT_KEYS, setting.piece_keys or SCRIPT_KEYS)
        self._rows = rows_before
        self._seen: set[int] | None = None if source.keys_differ else set()
        self._lengths = _Lengths()
        self._short = [self._lengths[length] for length in range(min(SHORT_BYTES, LARGEST_VALUE + 1))]
        # A script sees the slot of its keys alone.
        self._compared = "" if setting.in_cluster else setting.generation
        self._prologue = self._script_arguments()
        spread_ms = action.ttl_s * 1000 * action.jitter
        self._expiries_ms = [
            setting.snapshot_ms + round(action.ttl_s * 1000 + spread_ms * (2 * bucket / (BUCKETS - 1) - 1))
            for bucket in range(BUCKETS)
        ]
        self._ends = [_end(expiry_ms) for expiry_ms in self._expiries_ms]

    @property
    def latest_ms(self) -> int:
        """No key of this run lives longer, unless its row says so."""
        return self._expiries_ms[-1]

    def batches(self, fetched: Iterable[Sequence[Row]]) -> Iterator[Batch]:
        """One for each fetch of at least one row."""
        return map(self._batch, fetched)

    def _batch(self, rows: Sequence[Row]) -> Batch:
        if not self._template.columns and self._action.form in ("string", "hash") and self._rows + len(rows) > 1:
            raise ChangeFailed(
                f"warming {self._action.key}: the key names no column, and the query returns more than one row",
                hint="put a column into the key ({id}), or make one row of them with json_agg",
            )
        self._rows += len(rows)
        batch = Batch([], self._rows, rows[-1][0] or b"")
        if not self._is_plain or self._shape.ttl or self._encode is not None:
            self._fill(batch, rows)
        elif self._setting.in_cluster or (self._setting.has_msetex and len(rows) >= SHARED_ROWS):
            self._fill_by_bucket(batch, rows)
        else:
            self._fill_in_order(batch, rows)
        self._count_duplicates(batch, rows)
        return batch

    def _fill_by_bucket(self, batch: Batch, rows: Sequence[Row]) -> None:
        """What every row of a plain warm-up passes through: the loop that the speed depends on."""
        buckets: list[list[bytes]] = [[] for _ in range(BUCKETS)]
        # A list of headers is quicker to ask than a dict of them.
        short, expiries_ms = self._short, self._expiries_ms
        for key, value in rows:
            try:
                buckets[crc32(key) % BUCKETS] += short[len(key)], key, short[len(value)], value  # type: ignore[arg-type]
            except TypeError:
                batch.skipped += 1
            except IndexError:
                self._fill_long(batch, buckets, cast("bytes", key), value)
        for bucket, parts in enumerate(buckets):
            if parts:
                self._set(batch, parts, expiries_ms[bucket])
        if self._files:
            batch.keys += [(expiries_ms[place], key) for place, parts in enumerate(buckets) for key in parts[1::4]]

    def _fill_long(self, batch: Batch, buckets: list[list[bytes]], key: bytes, value: bytes | None) -> None:
        """One row of them whose key or value is long."""
        if value is None:
            batch.skipped += 1
            return
        lengths = self._lengths
        try:
            buckets[crc32(key) % BUCKETS] += lengths[len(key)], key, lengths[len(value)], value
        except KeyError:
            batch.too_large += 1

    def _fill_in_order(self, batch: Batch, rows: Sequence[Row]) -> None:
        """As above, where each key has a command of its own, or hardly two would share one."""
        parts: list[bytes] = []
        lengths, ends = self._lengths, self._ends
        for key, value in rows:
            try:
                parts += _SET, lengths[len(key)], key, lengths[len(value)], value, ends[crc32(key) % BUCKETS]  # type: ignore[arg-type]
            except TypeError:
                batch.skipped += 1
            except KeyError:
                batch.too_large += 1
        # So many at a time that a run which is cut short knows well what it wrote.
        for at in range(0, len(parts), 6 * self._set_keys):
            some = parts[at : at + 6 * self._set_keys]
            size_bytes = sum(map(len, some[2::6])) + sum(map(len, some[4::6]))
            batch.commands.append(Command(b"".join(some), len(some) // 6, 1, size_bytes))
        if self._files:
            batch.keys += [(self._expiries_ms[crc32(key) % BUCKETS], key) for key in parts[2::6]]

    def _set(self, batch: Batch, parts: list[bytes], expiry_ms: int) -> None:
        """Keys with one expiry: `parts` are header and key, header and value, of each."""
        if self._setting.in_cluster:
            end = _end(expiry_ms)
            for at in range(0, len(parts), 4):
                data = b"".join((_SET, *parts[at : at + 4], end))
                size = len(parts[at + 1]) + len(parts[at + 3])
                batch.commands.append(Command(data, 1, 1, size, slot(parts[at + 1])))
            return
        count = len(parts) // 4
        number = b"%d" % count
        head = b"*%d\r\n$6\r\nMSETEX\r\n$%d\r\n%b" % (2 * count + 4, len(number), number)
        end = _end(expiry_ms)
        data = b"".join((head, *parts, end))
        # By the headers, which are few: going through keys and values again would fetch all of them from memory.
        size_bytes = len(data) - len(head) - len(end) - sum(map(len, parts[::2]))
        if count > 1 and (size_bytes > MSETEX_BYTES or count > self._set_keys):
            half = count // 2 * 4
            self._set(batch, parts[:half], expiry_ms)
            self._set(batch, parts[half:], expiry_ms)
            return
        batch.commands.append(Command(data, 1, count, size_bytes))

    def _fill(self, batch: Batch, rows: Sequence[Row]) -> None:
        """Through the script, or one by one where rows have expiries of their own."""
        group: list[tuple[bytes, int, bytes, int, bytes]] = []
        group_bytes = 0
        for row in rows:
            entry = self._entry(batch, row)
            if entry is None:
                continue
            if self._files:
                batch.keys.append((entry[1], entry[0]))
            alone = self._setting.in_cluster
            if group and (alone or len(group) == self._script_keys or group_bytes + len(entry[4]) > SCRIPT_BYTES):
                batch.commands.append(self._written(group))
                group, group_bytes = [], 0
            group.append(entry)
            group_bytes += len(entry[4])
        if group:
            batch.commands.append(self._written(group))

    def _entry(self, batch: Batch, row: Row) -> tuple[bytes, int, bytes, int, bytes] | None:
        """Key, expiry in ms, version, number of arguments, and those as they go over the wire; None: skipped."""
        shape, key, value = self._shape, row[0], row[1]
        count = 1 if shape.count is None else int.from_bytes(row[shape.count] or b"", "big")
        if key is None or value is None or not count:
            batch.skipped += 1
            return None
        expiry_ms = self._expiries_ms[crc32(key) % BUCKETS]
        if shape.ttl is not None and (ttl_ms := row[shape.ttl]) is not None:
            spread = (expiry_ms - self._setting.snapshot_ms) / (self._action.ttl_s * 1000)
            expiry_ms = self._setting.snapshot_ms + round(int(ttl_ms) * spread)
            if int(ttl_ms) <= 0:
                batch.skipped += 1
                batch.expired += 1
                return None
        if shape.count is None:
            value = value if self._encode is None else self._encode(value)
            if len(value) > LARGEST_VALUE:
                batch.too_large += 1
                return None
            value = self._lengths[len(value)] + value
        version = b"" if shape.version is None else row[shape.version] or b""
        return key, expiry_ms, version, count, value

    def _script_arguments(self) -> list[bytes]:
        action, setting = self._action, self._setting
        return [
            action.mode.encode(),
            b"%d" % setting.snapshot_ms,
            _WRITERS[action.form].encode(),
            (action.version or "").encode(),
            self._compared.encode(),
            self._template.literal_prefix.encode(),
            b"%d" % len(action.tags),
            *(tag.encode() for tag in action.tags),
        ]

    def _written(self, group: Sequence[tuple[bytes, int, bytes, int, bytes]]) -> Command:
        keys: list[bytes] = [GENERATION_KEY, GENERATION_LOG] if self._compared else []
        for key, *_ in group:
            # One that is not looked at must still lie in the same slot.
            keys += (key, tombstone_key(key) if self._action.mode == "newer" else key)
        lengths = self._lengths
        parts = [b"$4\r\nEVAL"]
        for argument in (WRITE.encode(), b"%d" % len(keys), *keys, *self._prologue):
            parts += (lengths[len(argument)], argument)
        count = 3 + len(keys) + len(self._prologue)
        size_bytes = 0
        for key, expiry_ms, version, arguments, value in group:
            number, expiry = b"%d" % arguments, b"%d" % expiry_ms
            for argument in (expiry, version, number):
                parts += (lengths[len(argument)], argument)
            parts.append(value)
            count += 3 + arguments
            size_bytes += len(key) + len(value)
        data = b"*%d\r\n" % count + b"".join(parts) + b"\r\n"
        names = tuple(entry[0] for entry in group)
        return Command(data, 1, len(group), size_bytes, slot(names[0]) if self._setting.in_cluster else 0, names)

    def _count_duplicates(self, batch: Batch, rows: Sequence[Row]) -> None:
        if self._seen is None or len(self._seen) > COUNTED_KEYS:
            return
        keys = [key for key, value, *_ in rows if key is not None and value is not None]
        before = len(self._seen)
        self._seen.update(map(hash, keys))
        batch.duplicates = len(keys) - (len(self._seen) - before)


def _end(expiry_ms: int) -> bytes:
    """The last arguments of SET and MSETEX, and the command's end."""
    return b"\r\n$4\r\nPXAT\r\n$13\r\n%d\r\n" % expiry_ms
