"""Measured advice: what the planner promises is tried, on indexes that are really built."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime

import psycopg
import pytest
from filled import copied, filled

from dbtune.advisor.advice import Advice, Drop, Recommendation, Served
from dbtune.advisor.index import IndexDefinition, IndexKey
from dbtune.advisor.states import Limits
from dbtune.app import advise_timings
from dbtune.app.advise_measured import measured
from dbtune.app.advise_timings import NOTABLE, Runnable
from dbtune.core.errors import Refused
from dbtune.core.progress import silent
from dbtune.servers.postgres.trial import Run, Trial

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


@pytest.fixture(scope="module")
def jobs(postgres_dsn: str) -> Iterator[str]:
    """For all tests that leave it as they found it, as measuring does."""
    with filled(postgres_dsn, SCHEMA.split(";")) as dsn:
        yield dsn


@pytest.fixture
def own_jobs(jobs: str, postgres_dsn: str) -> Iterator[str]:
    """For a test that changes the table."""
    with copied(postgres_dsn, jobs) as dsn:
        yield dsn


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


def _size_bytes(dsn: str, ddl: str, name: str) -> int:
    with psycopg.connect(dsn, autocommit=True) as session:
        session.execute(ddl.encode())
        (size,) = session.execute("select pg_relation_size(%s::regclass)", (name,)).fetchone() or (0,)
        session.execute(f"drop index {name}".encode())
    return int(size)


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
    assert any(note.startswith("sizes and times to build are those") for note in found.notes)
    assert {one.query for one in found.timings} == {LOOK_UP, NEWEST_RARE}
    assert _indexes(jobs) == before


def test_an_index_on_a_partitioned_table_is_known_by_its_parts(own_jobs: str) -> None:
    with psycopg.connect(own_jobs, autocommit=True) as owner:
        owner.execute("alter table jobs drop constraint jobs_pkey")
        owner.execute("alter table jobs rename to jobs_1")
        owner.execute("create table jobs (like jobs_1) partition by range (id)")
        owner.execute("alter table jobs attach partition jobs_1 for values from (0) to (1000000)")
    before = _indexes(own_jobs)
    found = _measured(own_jobs, _advice({_index("owner"): LOOK_UP, _index("pad"): LOOK_UP}), LOOK_UP)
    assert [one.definition for one in found.recommendations] == [_index("owner")]
    assert [one.definition for one in found.rejected] == [_index("pad")]
    assert found.size_bytes == _size_bytes(own_jobs, "create index on jobs_1 (owner)", "jobs_1_owner_idx")
    assert _indexes(own_jobs) == before


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
    tried = (replace(drop, confidence="measured"),)
    assert _measured(jobs, _advice({_index("owner"): LOOK_UP}, (drop,)), LOOK_UP).drops == tried
    assert not _measured(jobs, _advice({_index("owner"): LOOK_UP}, (drop,)), LOOK_UP, MINE).drops


def test_a_statement_that_is_two_or_writes_is_never_run(jobs: str) -> None:
    hostile = "select 1; drop table jobs"
    found = _measured(jobs, _advice({_index("owner"): LOOK_UP}), LOOK_UP, hostile, "delete from jobs returning id")
    assert any("not measured" in note and "2 of 3" in note for note in found.notes)
    with psycopg.connect(jobs) as session:
        assert session.execute("select count(*) from jobs").fetchone() == (150_000,)
    with pytest.raises(Refused, match="nothing to measure"):
        _measured(jobs, _advice({_index("owner"): LOOK_UP}), hostile)


def test_sizes_and_times_to_build_are_those_of_what_was_built(jobs: str) -> None:
    advice = replace(_advice({_index("owner"): LOOK_UP}), limits=Limits(budget_bytes=8192))
    found = _measured(jobs, advice, LOOK_UP)
    (kept,) = found.recommendations
    assert kept.size_bytes == _size_bytes(jobs, "create index as_advised on jobs (owner)", "as_advised")
    assert 0.0 < kept.build_s != advice.recommendations[0].build_s
    assert any("more than the budget of 8.00 kB" in note for note in found.notes)


BOTH = "select (select count(*) from jobs where owner = 42), (select count(*) from jobs where made = 7)"
OF_OWNER = "select max(pad) from jobs where owner = 5"
OF_DAY = "select max(pad) from jobs where made = 9"


def _takes(seconds: Callable[[str, frozenset[str]], float], monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans are those of the server, which time they take is given: by the statement and the indexes of its plan."""

    def time(
        trial: Trial, text: str, without: Collection[tuple[str, str]] = (), *, limit_s: float | None = None
    ) -> Run:
        planned = trial.planned(text, without)
        assert planned is not None
        found, most = seconds(text, frozenset(name for _, name in planned.indexes)), limit_s or trial.timeout_s
        return Run(min(found, most), timed_out=found > most)

    monkeypatch.setattr(Trial, "time", time)


def test_the_cure_is_the_one_that_costs_the_other_statements_least_whatever_follows_from_it(
    jobs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, day, wide = _index("owner"), _index("made"), _index("owner", "pad")

    def seconds(text: str, used: frozenset[str]) -> float:
        """Without `day` nothing is slower any more, but its own statement loses all. Without `owner` `wide` harms."""
        if text == BOTH:
            return 2.0 if {owner.name, day.name} <= used else 1.0
        if text == OF_OWNER:
            return 3.0 if wide.name in used else 0.9 if owner.name in used else 1.0
        return 0.01 if day.name in used else 5.0

    _takes(seconds, monkeypatch)
    found = _measured(jobs, _advice({owner: OF_OWNER, day: OF_DAY, wide: OF_OWNER}), BOTH, OF_OWNER, OF_DAY)
    assert [one.definition for one in found.recommendations] == [day]
    assert {one.definition: "slower" in one.reason for one in found.rejected} == {owner: True, wide: True}


def test_what_no_plan_used_comes_back_once_what_was_in_its_way_is_gone(
    jobs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow, wide = _index("owner"), _index("owner", "pad")
    _takes(lambda _text, used: 0.01 if wide.name in used else 1.0, monkeypatch)
    found = _measured(jobs, _advice({narrow: LOOK_UP, wide: LOOK_UP}), LOOK_UP)
    assert [one.definition for one in found.recommendations] == [wide]
    assert [one.definition for one in found.rejected] == [narrow]


def test_a_covering_index_that_harms_loses_the_columns_by_which_it_does(
    own_jobs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = replace(_index("made"), include=("kind", "owner"))
    harmed = "select count(kind), sum(owner) from jobs where made > 30000 and owner % 7 = 3"
    served = "select made from jobs where made between 100 and 120"
    with psycopg.connect(own_jobs, autocommit=True) as session:
        session.execute("alter table jobs set (parallel_workers = 0)")
    before = _indexes(own_jobs)

    def seconds(text: str, used: frozenset[str]) -> float:
        if text == harmed:
            return 2.0 if whole.name in used else 1.0
        return 0.01 if used & {whole.name, _index("made").name} else 1.0

    _takes(seconds, monkeypatch)
    found = _measured(own_jobs, _advice({whole: served}), harmed, served)
    assert [one.definition for one in found.recommendations] == [_index("made")]
    (gone,) = found.rejected
    assert gone.definition == whole
    assert _index("made").name in gone.reason
    assert _indexes(own_jobs) == before
