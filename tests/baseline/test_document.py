from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from dbtune.baseline.capture import SCHEMA, Capture, Fingerprint, Snapshot, StatementRow, Statements, Timing
from dbtune.baseline.document import catalog_json, check_name, from_json, pieces, snapshot_json, to_json
from dbtune.baseline.rows import TableRow
from dbtune.core.errors import Misused

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PRINT = Fingerprint(180006, "app", 5, "7" * 19, NOW, 1 << 30, "1.12", {"work_mem": "4MB"})
ROW = StatementRow(10, 5, "-9123456789012345678", toplevel=True, calls=3, exec_ms=1.25, stats_since=NOW)
CAPTURE = Capture(
    SCHEMA, "0.1.0", "before", "app@db:5432", NOW, 30.0, PRINT,
    snapshots=(
        Snapshot(NOW, 0.0, Statements((ROW,), 1, 5000, 0, NOW)),
        Snapshot(NOW, 5.0, Statements((replace(ROW, calls=9),), 1, 5000, 0, NOW), redis={"keyspace_hits": 4.0}),
    ),
    texts={"-9123456789012345678": "select \x1b[31m '<script>' | $1\n", "2": None},
    timings=(Timing("feed", ((0.001, 0.002),), "probe:sql"),),
)  # fmt: skip


def changed(**changes: Any) -> str:
    return json.dumps({**json.loads(to_json(CAPTURE)), **changes})


def test_a_capture_survives_being_stored() -> None:
    assert from_json(to_json(CAPTURE), "x") == CAPTURE


def test_snapshots_written_before_the_rest_make_the_same_capture() -> None:
    first, last = CAPTURE.snapshots
    last = replace(last, tables=(TableRow(1, "public", "t", seq_scan=3),), catalog_offset_s=4.5)
    made = replace(CAPTURE, snapshots=(first, last))
    for written in (
        {id(first): snapshot_json(first)},
        {id(first): snapshot_json(first), id(last): snapshot_json(last, catalog_json(last))},
        {id(first): snapshot_json(first, catalog_json(first))},
    ):
        assert from_json(b"".join(pieces(made, written)), "x") == made


def test_ids_of_64_bits_are_strings_and_zeros_are_left_out() -> None:
    row = json.loads(to_json(CAPTURE))["snapshots"][0]["statements"]["rows"][0]
    assert row["queryid"] == "-9123456789012345678"
    assert "shared_read" not in row


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (to_json(CAPTURE)[:-40], "not a complete JSON document"),
        ("", "not a complete JSON document"),
        ("[1]", "not a baseline"),
        ('{"schema": "k6"}', "not a baseline"),
        (changed(schema="dbtune.baseline/2"), "newer dbtune|dbtune.baseline/2"),
        (changed(started_at="yesterday"), "damaged at started_at"),
        (changed(timings=[{"name": "a", "engine": "e", "blocks": [[-1.0]]}]), "cannot be"),
        (changed(duration_s=1).replace('"duration_s": 1', '"duration_s": NaN'), "NaN"),
        (changed(duration_s=1).replace('"duration_s": 1', '"duration_s": -Infinity'), "-Infinity"),
        (
            changed(timings=[{"name": "a", "engine": "e", "blocks": [[1.0]]}]).replace("[[1.0]]", "[[1e999]]"),
            "cannot be",
        ),
        (
            changed(figures=[{"name": "a", "unit": "s", "better": "lower", "blocks": [7.5], "engine": "e"}]).replace(
                "[7.5]", "[-1e999]"
            ),
            "not finite",
        ),
        ("[" * 100_000, "not a complete JSON document"),
    ],
)
def test_what_is_no_baseline_is_one_clear_error(text: str, words: str) -> None:
    with pytest.raises(Misused, match=words) as error:
        from_json(text, "old.json")
    assert "old.json" in error.value.message
    assert error.value.exit_code == 2


def test_bytes_that_are_no_text_are_one_clear_error() -> None:
    with pytest.raises(Misused, match="not a complete JSON document"):
        from_json(b"\xff\xfe\x00\x01", "old.json")


def test_snapshots_that_run_backwards_are_refused() -> None:
    backwards = replace(CAPTURE, snapshots=tuple(reversed(CAPTURE.snapshots)))
    with pytest.raises(Misused, match="order of time"):
        from_json(to_json(backwards), "old.json")


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "", "a b", "x" * 101, "a\x00"])
def test_a_name_that_could_be_a_path_is_refused(name: str) -> None:
    with pytest.raises(Misused, match="not a name"):
        check_name(name)
