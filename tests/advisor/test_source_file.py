from __future__ import annotations

import gzip
import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from dbtune.advisor import source_file
from dbtune.advisor.source import Column, ColumnStatistics, ExtendedStatistics, Index, KeyRow, Source, Statement, Table
from dbtune.advisor.source_file import from_bytes, to_bytes
from dbtune.core.errors import Misused
from dbtune.core.findings import Unexamined

STATISTICS = ColumnStatistics("a", False, 0.1, 4, -0.5, most_common_vals='{1,"ä"}', most_common_freqs=(0.2, 0.1))  # noqa: FBT003
COLUMN = Column("a", 1, "integer", "pg_catalog", "int4", "int4", "b", 4, "i", True, statistics=(STATISTICS,))  # noqa: FBT003
KEY = KeyRow("a", None, 0, "int4_ops", True, None, False)  # noqa: FBT003
INDEX = Index(
    oid=2, schema="s", name="i", table_schema="s", table="t", method="btree", definition="create …", keys=(KEY,),
    include=(), predicate=None, is_unique=False, nulls_not_distinct=False, is_valid=True, is_replica_identity=False,
    is_clustered=False, constraint=None, constraint_name=None, constraint_definition=None, is_referenced=False,
    parent=None, pages=2, relpages=2, rows=3.0, kind="i",
)  # fmt: skip
SOURCE = Source(
    version=150004,
    database="app",
    taken_at="2025-01-01T00:00:00+00:00",
    is_c_collation=False,
    search_path="public",
    tables=(Table(1, "s", "t", "r", (COLUMN,), pages=3, parents=(("s", "p"),)),),
    indexes=(INDEX,),
    extended=(ExtendedStatistics("s", "e", "s", "t", "create …", ("d",), ("a", "b"), distinct='{"1, 2": 3}'),),
    settings=(("work_mem", "4096"),),
    statements=(Statement("-123", "select $1", 7, 0.5),),
    not_examined=(Unexamined("x", "y"),),
)


def dumped(*, compressed: bool = False) -> bytes:
    at = datetime(2025, 1, 1, tzinfo=UTC)
    return to_bytes(SOURCE, target="app@db", started_at=at, duration_s=0.1, compressed=compressed)


@pytest.mark.parametrize("compressed", [True, False])
def test_what_is_written_is_read_again(compressed: bool) -> None:  # noqa: FBT001
    assert from_bytes(dumped(compressed=compressed), "file") == SOURCE


def test_a_file_says_what_it_is_and_what_it_holds() -> None:
    document = json.loads(dumped())
    assert list(document)[:5] == ["schema", "dbtune", "target", "started_at", "duration_s"]
    assert document["schema"] == "dbtune.twin/1"
    assert document["holds"] == {"rows": False, "values": True, "tables": 1, "indexes": 1, "statements": 1}


def changed(**changes: Any) -> bytes:
    return json.dumps(json.loads(dumped()) | changes).encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a complete dump"),
        (dumped()[:-40], "not a complete dump"),
        (dumped(compressed=True)[:-40], "cut off"),
        (dumped(compressed=True)[:30] + b"xx" + dumped(compressed=True)[32:], "complete dump|damaged"),
        (b"\x00\xff\xfe", "not a complete dump"),
        (b"[1]", "not a dump"),
        (b"{}", "not a dump"),
        (b"[" * 100_000, "not a complete dump"),
        (changed(schema="dbtune.baseline/1"), "not a dump"),
        (changed(schema="dbtune.twin/2"), "this dbtune reads dbtune.twin/1"),
        (dumped().replace(b'"pages": 3', b'"pages": 4'), "damaged"),
        (changed(source=[]), "damaged"),
        (gzip.compress(b"hello", mtime=0), "not a complete dump"),
    ],
)
def test_a_file_that_is_damaged_foreign_or_newer_is_one_clear_error(content: bytes, message: str) -> None:
    with pytest.raises(Misused, match=message) as caught:
        from_bytes(content, "app.twin")
    assert caught.value.message.startswith("app.twin")
    assert caught.value.hint


MADE_UP: dict[str, list[object]] = {
    "tables.0.pages": ["many", -1, 2**31, 1e300],
    "tables.0.rows": [1e12, -2, float("nan"), float("inf")],
    "tables.0.visible_pages": [-1],
    "tables.0.columns.0.length": [0, -3, 2**40],
    "tables.0.columns.0.statistics.0.null_frac": [-0.1, 1.1, float("nan")],
    "tables.0.columns.0.statistics.0.avg_width": [-1, 2**40],
    "tables.0.columns.0.statistics.0.n_distinct": [-2, float("inf")],
    "tables.0.columns.0.statistics.0.most_common_freqs": [[0.1, float("nan")]],
    "indexes.0.relpages": [-2],
    "indexes.0.keys.0": [asdict(replace(KEY, expression="b")), asdict(replace(KEY, column=None))],
    "extended.0.distinct": ["{", "[]", '{"1, 2": "3"}', '{"1, x": 3}', '{"1, 2": NaN}', '{"1, 2": -1}'],
    "statements.0": [asdict(replace(SOURCE.statements[0], calls=-1))],
    "taken_at": ["", "yesterday", "2025-01-01"],
    "statistics_since": ["", "never"],
}


@pytest.mark.parametrize(("place", "value"), [(place, value) for place in MADE_UP for value in MADE_UP[place]])
def test_a_figure_that_no_server_could_have_said_is_refused_with_its_place(place: str, value: object) -> None:
    with pytest.raises(Misused, match=rf"damaged at {place}\b"):
        from_bytes(altered(place, value), "app.twin")


@pytest.mark.parametrize("text", ["\0", "\ud800", "\\u0000\0"])
def test_characters_that_no_database_can_hold_are_refused(text: str) -> None:
    with pytest.raises(Misused, match="characters"):
        from_bytes(altered("tables.0.name", text), "app.twin")


def test_odd_characters_are_names_like_others() -> None:
    assert from_bytes(altered("tables.0.name", "\\u0000 😀 \n"), "app.twin").tables[0].name == "\\u0000 😀 \n"


def altered(place: str, value: object) -> bytes:
    """The file as somebody would write it who knows how to reckon its checksum."""
    document = json.loads(dumped())
    *way, last = place.split(".")
    at: Any = document["source"]
    for step in way:
        at = at[int(step) if step.isdigit() else step]
    at[int(last) if last.isdigit() else last] = value
    document["checksum"] = source_file._checksum(document["source"])
    return json.dumps(document).encode()
