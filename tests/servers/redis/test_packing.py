"""Packed commands say the same whichever way they were packed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbtune.core.actions import WarmKeys
from dbtune.servers.redis import packing
from dbtune.servers.redis.commands import pieces
from dbtune.servers.redis.packing import BUCKETS, SHARED_ROWS, SHORT_BYTES, Batch, Packer, Setting
from dbtune.servers.redis.rows import Row
from dbtune.servers.redis.source import Shape, Source

NOW_MS = 1_900_000_000_000
HOUR_MS = 3_600_000
ACTION = WarmKeys(
    query="select 1",
    key="{id}",
    ttl_s=3600.0,
    jitter=0.1,
    tags=("all",),
    marker="dbtune:warm:test",
    fingerprint="f",
    fresh_for_s=1800.0,
)
MANY: list[Row] = [(b"filler:%d" % number, b"x" * (number % 70)) for number in range(SHARED_ROWS)]
LONG = st.integers(SHORT_BYTES - 2, SHORT_BYTES + 2).map(lambda length: b"x" * length)
ROWS = st.lists(
    st.tuples(st.none() | st.binary(max_size=12) | LONG, st.none() | st.binary(max_size=300) | LONG), max_size=20
)

Kept = dict[bytes, tuple[bytes, int]]


def packed(rows: Sequence[Row], *, has_msetex: bool, piece_keys: int | None = None, action: WarmKeys = ACTION) -> Batch:
    source = Source(Shape(), keys_differ=False, rows_expected=len(rows), start_over=lambda: None)
    setting = Setting(NOW_MS, has_msetex=has_msetex, piece_keys=piece_keys)
    (batch,) = Packer(action, source, setting).batches([rows])
    return batch


def understood(batch: Batch) -> Kept:
    """What a server holds after these commands: value and expiry of each key."""
    kept: Kept = {}
    for command in batch.commands:
        reader = hiredis.Reader()
        reader.feed(command.data)
        found = []
        while (one := reader.gets()) is not False:
            found.append(one)
        assert len(found) == command.replies
        for name, *words in found:
            pairs = words[1:] if name == b"MSETEX" else words
            assert name in {b"MSETEX", b"SET"}
            assert pairs[-2] == b"PXAT"
            assert command.keys_each == (len(pairs) - 2) // 2 == (int(words[0]) if name == b"MSETEX" else 1)
            for key, value in zip(pairs[:-2:2], pairs[1:-2:2], strict=True):
                kept[key] = (value, int(pairs[-1]))
    return kept


def counts(batch: Batch) -> tuple[object, ...]:
    written = sum(command.replies * command.keys_each for command in batch.commands)
    size_bytes = sum(command.size_bytes for command in batch.commands)
    return written, size_bytes, batch.skipped, batch.too_large, batch.duplicates, batch.rows, sorted(batch.keys)


def last_of_each(rows: Iterable[Row]) -> dict[bytes, bytes]:
    return {key: value for key, value in rows if key is not None and value is not None}


@given(ROWS)
def test_keys_set_together_and_one_by_one_are_the_same_with_any_bytes_and_nulls(odd: list[Row]) -> None:
    rows = [*odd, *MANY, *odd[::-1]]
    together, alone = packed(rows, has_msetex=True), packed(rows, has_msetex=False)
    assert understood(together) == understood(alone)
    assert {key: value for key, (value, _) in understood(alone).items()} == last_of_each(rows)
    assert all(0.9 * HOUR_MS <= expiry - NOW_MS <= 1.1 * HOUR_MS for _, expiry in understood(alone).values())
    assert counts(together) == counts(alone)
    assert len(together.commands) <= BUCKETS


def test_a_few_keys_are_set_one_by_one() -> None:
    few = packed(MANY[:10], has_msetex=True)
    assert [command.data for command in few.commands] == [
        command.data for command in packed(MANY[:10], has_msetex=False).commands
    ]


@pytest.mark.parametrize("most_keys", [1, 3, 20])
@pytest.mark.parametrize("has_msetex", [True, False])
def test_under_a_rate_no_more_keys_go_to_the_server_at_one_moment_than_a_piece_has(
    *, has_msetex: bool, most_keys: int
) -> None:
    whole = packed(MANY, has_msetex=has_msetex)
    batch = packed(MANY, has_msetex=has_msetex, piece_keys=most_keys)
    sent = list(pieces(batch.commands, most_keys))
    assert [command for piece in sent for command in piece] == batch.commands
    assert all(0 < sum(command.key_count for command in piece) <= most_keys for piece in sent)
    assert understood(batch) == understood(whole)
    assert counts(batch) == counts(whole)


def test_a_script_writes_no_more_keys_than_a_piece_has() -> None:
    batch = packed(MANY, has_msetex=True, piece_keys=20, action=replace(ACTION, mode="nx"))
    assert max(command.key_count for command in batch.commands) == 20


def test_commands_go_all_at_once_without_a_rate_also_where_there_are_none() -> None:
    commands = packed(MANY, has_msetex=True).commands
    assert list(pieces(commands, None)) == [commands]
    assert list(pieces([], None)) == list(pieces([], 5)) == [[]]


def test_large_values_are_not_set_in_one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[Row] = [(b"%d" % number, b"x" * 5000) for number in range(SHARED_ROWS)]
    monkeypatch.setattr(packing, "MSETEX_BYTES", 8000)
    batch = packed(rows, has_msetex=True)
    assert all(command.keys_each == 1 for command in batch.commands)
    assert understood(batch).keys() == last_of_each(rows).keys()
