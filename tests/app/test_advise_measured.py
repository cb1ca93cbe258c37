"""Measured advice: what the planner promises is tried, on indexes that are really built."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import psycopg
import pytest

from dbtune.advisor.advice import Advice, Drop, Recommendation, Served
from dbtune.advisor.index import IndexDefinition, IndexKey
from dbtune.app import advise_timings
from dbtune.app.advise_measured import measured
from dbtune.app.advise_timings import NOTABLE, Runnable
from dbtune.core.errors import Refused
from dbtune.core.progress import silent

# All rare rows were made last: an index on `made` finds none of them before it has read nearly the whole table, though
# the planner expects them evenly spread. `made` says nothing of where a row lies.
SCHEMA = """
create table jobs (id int primary key, owner int not null, made int not null, kind text not null, pad text not null);
insert into jobs
select id, id % 5000, made, case when made > 148000 then 'rare' else 'usual' end, repeat('x', 100)
from (select id, 1 + (id::bigint * 7919 % 150000)::int as made from generate_series(1, 150000) id) drawn;
create index jobs_of_kind on jobs (kind, made);
vacuum analyze jobs
"""
LOOK_UP = "select * from jobs where owner = 42"
NEWEST_RARE = "select * from jobs where kind || '' = 'rare' order by made limit 10"
MINE = "select count(*) from jobs where kind = 'rare' and made > 149000"


@pytest.fixture
def jobs(database: str) -> str:
    with psycopg.connect(database, autocommit=True) as owner:
        for statement in SCHEMA.split(";"):
            owner.execute(statement.encode())
    return database


def _index(*columns: str, expression: str | None = None) -> IndexDefinition:
    keys = tuple(IndexKey(column) for column in columns)
    return IndexDefinition("public", "jobs", keys or (IndexKey(expression=expression),))


def _advice(texts: Mapping[IndexDefinition, str], drops: tuple[Drop, ...] = ()) -> Advice:
    recommendations = tuple(
        Recommendation(one, one.name, 8192, 0.1, 0.0, 100.0 - n, (Served(text, 1.0, 100.0, 1.0),), "", "simulated")
        for n, (one, text) in enumerate(texts.items())
    )
    return Advice("", datetime.now(UTC), 0.0, recommendations, drops, 100.0, 1.0, len(texts), 1.0)


def _measured(dsn: str, advice: Advice, *texts: str) -> Advice:
    return measured(dsn, advice, {text: Runnable(text, 1.0) for text in texts}, 30.0, silent)


def _indexes(dsn: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn) as session:
        return session.execute("select indexrelid::regclass::text, indisvalid from pg_index order by 1").fetchall()


def test_what_slows_a_statement_is_left_out_and_what_helps_stays(jobs: str) -> None:
    before = _indexes(jobs)
    helps, harms, idles = _index("owner"), _index("made"), _index("pad", "made")
    found = _measured(jobs, _advice({helps: LOOK_UP, harms: NEWEST_RARE, idles: LOOK_UP}), LOOK_UP, NEWEST_RARE)
    assert [one.definition for one in found.recommendations] == [helps]
    reasons = {one.definition: one.reason for one in found.rejected}
    assert "slower" in reasons[harms]
    assert "no plan uses it" in reasons[idles]
    served = found.recommendations[0].queries[0]
    assert served.before_s is not None
    assert served.after_s is not None
    assert served.after_s < served.before_s * NOTABLE
    assert any(note.startswith("measured:") for note in found.notes)
    assert {one.query for one in found.timings} == {LOOK_UP, NEWEST_RARE}
    assert _indexes(jobs) == before


def test_an_index_on_a_partitioned_table_is_known_by_its_parts(jobs: str) -> None:
    with psycopg.connect(jobs, autocommit=True) as owner:
        owner.execute("alter table jobs drop constraint jobs_pkey")
        owner.execute("alter table jobs rename to jobs_1")
        owner.execute("create table jobs (like jobs_1) partition by range (id)")
        owner.execute("alter table jobs attach partition jobs_1 for values from (0) to (1000000)")
    before = _indexes(jobs)
    found = _measured(jobs, _advice({_index("owner"): LOOK_UP, _index("pad"): LOOK_UP}), LOOK_UP)
    assert [one.definition for one in found.recommendations] == [_index("owner")]
    assert [one.definition for one in found.rejected] == [_index("pad")]
    assert _indexes(jobs) == before


def test_what_is_slow_without_its_index_is_cut_and_the_answer_says_so(
    jobs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advise_timings, "BARE_CUT_S", 0.2)
    each = "select sum((select count(*) from jobs where owner = n)) from generate_series(1, 1000) n"
    found = _measured(jobs, _advice({_index("owner"): each}), each)
    (served,) = found.recommendations[0].queries
    assert served.is_cut
    assert served.before_s is not None
    assert served.after_s is not None
    assert served.after_s * NOTABLE < served.before_s
    assert any("at least" in note for note in found.notes)


def test_an_index_that_cannot_be_built_is_told_and_spoils_no_other(jobs: str) -> None:
    impossible, helps = _index(expression="1 / (id - 5)"), _index("owner")
    found = _measured(jobs, _advice({impossible: LOOK_UP, helps: LOOK_UP}), LOOK_UP)
    assert [one.definition for one in found.recommendations] == [helps]
    assert [one.definition for one in found.rejected] == [impossible]
    assert "division by zero" in found.rejected[0].reason


def test_a_drop_that_would_slow_a_statement_is_not_advised(jobs: str) -> None:
    drop = Drop("public", "jobs_of_kind", "jobs", "", 8192, "unused", "simulated")
    assert _measured(jobs, _advice({_index("owner"): LOOK_UP}, (drop,)), LOOK_UP).drops == (drop,)
    assert not _measured(jobs, _advice({_index("owner"): LOOK_UP}, (drop,)), LOOK_UP, MINE).drops


def test_a_statement_that_is_two_or_writes_is_never_run(jobs: str) -> None:
    hostile = "select 1; drop table jobs"
    found = _measured(jobs, _advice({_index("owner"): LOOK_UP}), LOOK_UP, hostile, "delete from jobs returning id")
    assert any("not measured" in note and "2 of 3" in note for note in found.notes)
    with psycopg.connect(jobs) as session:
        assert session.execute("select count(*) from jobs").fetchone() == (150_000,)
    with pytest.raises(Refused, match="nothing to measure"):
        _measured(jobs, _advice({_index("owner"): LOOK_UP}), hostile)
