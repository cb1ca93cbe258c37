"""Sizes of indexes on values that are not evenly spread, against those that the server itself builds."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from filled import filled

from dbtune.advisor.index import IndexDefinition, IndexKey
from dbtune.servers.embedded.twin import Twin, open_twin
from dbtune.servers.postgres.dump import read_source
from dbtune.servers.postgres.session import connect

ROWS = 90_000
SCHEMA = [
    "select setseed(0.25)",
    # Few values that are common and many that are rare: by a power of their rank, and around one that has nearly all.
    f"""create table visits as select n as id, power(10, random() * 5.5)::int as page,
        'user-' || power(10, random() * 4.5)::int as visitor, (array['paid', 'open', 'lost'])[1 + n % 3] as state,
        case when random() < 0.8 then 1 else (random() * 1e9)::int end as referrer,
        case when random() < 0.7 then null else (random() * 5000)::int end as campaign,
        timestamptz '2024-01-01' + (n / 50) * interval '1 s' as at, n / 20 as basket,
        jsonb_build_object('seat', (random() * 3000)::int) as detail
        from generate_series(1, {ROWS}) n""",
    "create extension pg_trgm",
    "create extension btree_gin",
    "create extension btree_gist",
    """create table bookings as select n as id, 'room-' || n % 500 as room, point(random(), random()) as place,
        tstzrange(at, at + (1 + random() * 100) * interval '1 h') as during
        from (select n, timestamptz '2024-01-01' + random() * interval '700 days' as at
              from generate_series(1, 30000) n) as n""",
    """create table notes as select n as id, (array['paid', 'open', 'lost'])[1 + n % 3] as state,
        (select array_agg(power(10, random() * 4)::int) from generate_series(1, 2 + n % 5) where n > 0) as tags,
        (select string_agg(substr(md5(power(10, random() * 4)::int::text), 1, 3 + i), ' ') from generate_series(1, 9) i
          where n > 0) as body,
        jsonb_build_object('owner', (random() * 5000)::int, 'kind', 'k' || n % 8, 'at', n) as detail
        from generate_series(1, 20000) n""",
    "alter table notes add words tsvector generated always as (to_tsvector('simple', body)) stored",
    "vacuum analyze",
]


@pytest.fixture(scope="module")
def skewed_dsn(postgres_dsn: str) -> Iterator[str]:
    with filled(postgres_dsn, SCHEMA) as dsn:
        yield dsn


@pytest.fixture(scope="module")
def skewed(skewed_dsn: str) -> Iterator[Twin]:
    with connect(skewed_dsn) as session:
        source = read_source(session, statements=False)
    with open_twin(source) as opened:
        yield opened


def ratio(twin: Twin, dsn: str, definition: IndexDefinition) -> float:
    """The estimated size against that of the index as the server builds it."""
    (candidate,) = twin.add([definition])
    assert candidate.size_bytes is not None, candidate.reason
    with psycopg.connect(dsn) as session:
        session.execute(definition.ddl(name="built").encode())
        row = session.execute("select pg_relation_size(to_regclass('built'))").fetchone()
        session.rollback()
    assert row is not None
    return candidate.size_bytes / int(row[0])


def on(table: str, *columns: str, where: str | None = None, method: str = "btree") -> IndexDefinition:
    return IndexDefinition("public", table, tuple(map(IndexKey, columns)), method, where=where)


@pytest.mark.parametrize(
    ("columns", "where"),
    [
        (("page",), None),
        (("visitor",), None),
        (("referrer",), None),
        (("state", "page"), None),
        (("campaign", "state"), None),
        (("referrer", "campaign"), None),
        (("at", "basket"), None),
        (("page",), "state = 'open'"),
        (("campaign",), "campaign is not null"),
        (("id",), "state = 'open'"),
    ],
)
def test_few_common_and_many_rare_values_are_seen(
    columns: tuple[str, ...], where: str | None, skewed: Twin, skewed_dsn: str
) -> None:
    assert ratio(skewed, skewed_dsn, on("visits", *columns, where=where)) == pytest.approx(1, abs=0.12)


GIN = [
    (IndexKey("tags"),),
    (IndexKey("words"),),
    (IndexKey("detail"),),
    (IndexKey("detail", opclass="jsonb_path_ops"),),
    (IndexKey("body", opclass="gin_trgm_ops"),),
    (IndexKey("state"), IndexKey("tags")),
]


@pytest.mark.parametrize("keys", GIN)
def test_the_elements_of_a_gin_index_are_counted(keys: tuple[IndexKey, ...], skewed: Twin, skewed_dsn: str) -> None:
    assert ratio(skewed, skewed_dsn, IndexDefinition("public", "notes", keys, "gin")) == pytest.approx(1, abs=0.2)


def test_whole_numbers_in_documents_are_no_more_than_fit_between_their_ends(skewed: Twin, skewed_dsn: str) -> None:
    by_seat = IndexDefinition("public", "visits", (IndexKey(None, "(detail ->> 'seat'::text)"),))
    assert ratio(skewed, skewed_dsn, by_seat) == pytest.approx(1, abs=0.15)


GIST = [
    ("bookings", (IndexKey("during"),)),
    ("bookings", (IndexKey("place"),)),
    ("bookings", (IndexKey("room"), IndexKey("during"))),
    ("visits", (IndexKey("at"),)),
    ("notes", (IndexKey("words"),)),
    ("notes", (IndexKey("body", opclass="gist_trgm_ops"),)),
]


@pytest.mark.parametrize(("table", "keys"), GIST)
def test_the_pages_of_a_gist_index_are_as_full_as_its_build_leaves_them(
    table: str, keys: tuple[IndexKey, ...], skewed: Twin, skewed_dsn: str
) -> None:
    assert ratio(skewed, skewed_dsn, IndexDefinition("public", table, keys, "gist")) == pytest.approx(1, abs=0.2)
