"""Extended statistics in the twin, and what somebody has made of their stored form."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from filled import filled

from dbtune.advisor.source import Source
from dbtune.core.identifiers import quote
from dbtune.servers.embedded.twin import Twin, open_twin
from dbtune.servers.embedded.twin_combinations import Dimension, checked
from dbtune.servers.postgres.dump import read_source
from dbtune.servers.postgres.session import connect

TEXT = Dimension(25, "text", -1, by_value=False)
INT4 = Dimension(23, "int4", 4, by_value=True)
NUMERIC = Dimension(1700, "numeric", -1, by_value=False)
STATEMENTS = (
    "select * from cars where make = 'm3' and model = 'm3-1'",
    "select * from cars where make = 'm3' and year = 2003",
    "select * from cars where price = 3.5 and year = 2003",
    "select make, model, year from cars group by 1, 2, 3",
)


SCHEMA = [
    "create table cars (gone int, make text, model text, year int, price numeric)",
    """insert into cars select 1, 'm' || i % 10, 'm' || i % 10 || '-' || i % 30, 2000 + i % 10, i % 10 + 0.5
        from generate_series(1, 3000) i""",
    "alter table cars drop column gone",
    "create statistics alike (ndistinct, dependencies, mcv) on make, model, year, price from cars",
    "analyze cars",
]
DAMAGED = [
    ({"common_hex": "zz"}, "hex"),
    ({"common_hex": "00" * 40}, "list of combinations"),
    ({"distinct": json.dumps({"2, 999": 5})}, "no column 999"),
    ({"distinct": json.dumps({"2": 5})}, "statistics of 1 columns"),
    ({"dependencies": json.dumps({"-30000 => 2": 1})}, "no column -30000"),
    ({"dependencies": "[1]"}, "no object of numbers"),
]


@pytest.fixture(scope="module")
def cars_dsn(postgres_dsn: str) -> Iterator[str]:
    """Columns that follow from each other: without extended statistics every estimate here is far off."""
    with filled(postgres_dsn, SCHEMA) as dsn:
        yield dsn


@pytest.fixture(scope="module")
def cars(cars_dsn: str) -> Source:
    with connect(cars_dsn) as connection:
        return read_source(connection, statements=False)


@pytest.fixture(scope="module")
def damaged_twin(cars: Source) -> Iterator[Twin]:
    """With one that is whole after all that are not."""
    (one,) = cars.extended
    changed = [
        replace(one, name=name, definition=one.definition.replace("alike", name), **changes)  # type: ignore[arg-type]
        for name, (changes, _) in ((f"damaged_{number}", case) for number, case in enumerate(DAMAGED))
    ]
    with open_twin(replace(cars, extended=(*changed, one))) as twin:
        yield twin


def test_columns_that_follow_from_each_other_are_estimated_as_on_the_server(cars: Source, cars_dsn: str) -> None:
    with open_twin(cars) as twin:
        assert not twin.not_examined
        assert_estimated_as_on_the_server(twin, cars_dsn)


def assert_estimated_as_on_the_server(twin: Twin, dsn: str) -> None:
    with psycopg.connect(dsn) as server:
        for text in STATEMENTS:
            (row,) = server.execute(f"explain (format json) {text}".encode()).fetchall()
            assert twin.plan(text).root.planned_rows == row[0][0]["Plan"]["Plan Rows"], text


@pytest.mark.parametrize(("number", "reason"), list(enumerate(reason for _, reason in DAMAGED)))
def test_what_is_no_statistics_is_said(number: int, reason: str, damaged_twin: Twin) -> None:
    (gap,) = [one for one in damaged_twin.not_examined if f"damaged_{number}" in one.check]
    assert quote("public", f"damaged_{number}") in gap.check
    assert reason in gap.reason


def test_what_is_no_statistics_spoils_no_other(damaged_twin: Twin, cars_dsn: str) -> None:
    assert len(damaged_twin.not_examined) == len(DAMAGED)
    assert_estimated_as_on_the_server(damaged_twin, cars_dsn)


def combinations() -> bytes:
    """Two of a text and a number, as PostgreSQL would write them: `("ab", 7)` and `(NULL, 9)`."""
    return b"".join(
        [
            struct.pack("=IIIh2I", 0xE1A651C2, 1, 2, 2, 25, 23),
            struct.pack("=iiii?xxx", 1, 6, 8, -1, False),  # noqa: FBT003
            struct.pack("=iiii?xxx", 2, 8, 0, 4, True),  # noqa: FBT003
            struct.pack("=I", 2) + b"ab" + struct.pack("=ii", 7, 9),
            b"\0\0" + struct.pack("=dd2H", 0.5, 0.1, 0, 0),
            b"\1\0" + struct.pack("=dd2H", 0.4, 0.1, 0, 1),
        ]
    )


def damaged() -> Iterator[bytes]:
    """Each with one figure of its frame changed."""
    whole = combinations()
    # Header, shapes, the length of the text; of the items what says whether there is a value, and which.
    frame = [*range(39), *range(42, 58), *range(62, 66), 76, 77, *range(94, 98), 98, 99, *range(116, 120)]
    for place in frame:
        for value in {0x7F, 0xFF} - {whole[place]}:
            yield whole[:place] + bytes([value]) + whole[place + 1 :]


def test_what_postgresql_writes_is_taken_as_it_is() -> None:
    assert checked(combinations(), (TEXT, INT4)) == combinations()


def test_a_list_that_somebody_has_altered_never_reaches_the_server() -> None:
    for content in damaged():
        with pytest.raises(ValueError, match="list of combinations"):
            checked(content, (TEXT, INT4))


def test_a_list_that_is_cut_or_longer_is_refused() -> None:
    whole = combinations()
    for end in range(len(whole)):
        with pytest.raises(ValueError, match="list of combinations"):
            checked(whole[:end], (TEXT, INT4))
    with pytest.raises(ValueError, match="longer"):
        checked(whole + b"\0", (TEXT, INT4))


@pytest.mark.parametrize("types", [(INT4, TEXT), (TEXT, TEXT), (TEXT,), (TEXT, INT4, INT4), (TEXT, NUMERIC)])
def test_a_list_of_other_types_is_refused(types: tuple[Dimension, ...]) -> None:
    with pytest.raises(ValueError, match="list of combinations"):
        checked(combinations(), types)


def test_values_with_an_inner_structure_are_not_taken() -> None:
    json_like = Dimension(3802, "jsonb", -1, by_value=False)
    content = combinations().replace(struct.pack("=I", 25), struct.pack("=I", 3802), 1)
    with pytest.raises(ValueError, match="jsonb are not taken"):
        checked(content, (json_like, INT4))
