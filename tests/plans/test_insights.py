"""Every insight on a real server: a plan in which it fires and one in which it does not, from JSON and from text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest
from patience import until_so

from dbtune.plans.insight import Insight, look_into, rules
from dbtune.plans.saved import read_plans
from dbtune.servers.postgres.explaining import surroundings
from dbtune.servers.postgres.session import Connection


@dataclass(frozen=True, slots=True)
class Shown:
    """A statement, and the settings under which PostgreSQL plans it as the case needs."""

    sql: str
    settings: str = ""
    analyze: bool = True
    first: str = ""


LOOPS = (
    "enable_hashjoin=off enable_mergejoin=off enable_material=off enable_memoize=off max_parallel_workers_per_gather=0"
)
BITMAP = "enable_seqscan=off enable_indexscan=off max_parallel_workers_per_gather=0"
IN_ORDER = "enable_seqscan=off enable_sort=off enable_bitmapscan=off"
COLLAPSE = "geqo=off join_collapse_limit=12 from_collapse_limit=12"
SERIAL = "max_parallel_workers_per_gather=0"
LITTLE, PLENTY = f"work_mem=64kB {SERIAL}", f"work_mem=256MB {SERIAL}"
SORTED = "select id, note from big order by note, k"
JOINED = "select count(*) from big x join big y on x.id = y.id and x.note = y.note"
OFTEN = "select count(*) from big t join big o on o.id = t.id where {}"

CASES: dict[str, tuple[Shown, Shown]] = {
    "PL001": (
        Shown("select sum(i) from generate_series(1, 200000) i"),
        Shown("select count(*) from (values (1), (2)) v"),
    ),
    "PL002": (Shown(SORTED, analyze=False), Shown("select * from big where id = 1", analyze=False)),
    "PL003": (
        Shown("select * from big where a = 1 and b = 1 and c = 1", SERIAL),
        Shown("select * from big where a = 1"),
    ),
    "PL004": (Shown("select * from big where b = 1", SERIAL), Shown("select * from big where b >= 0 limit 100")),
    "PL005": (
        Shown("select * from s1 join s2 on s1.a + s2.a = 5", LOOPS),
        Shown("select * from s1 join s2 on s1.a <= s2.a + 100", LOOPS),
    ),
    "PL006": (
        Shown("select * from big where k = 1", f"{BITMAP} work_mem=64kB"),
        Shown("select * from big where k = 1", f"{BITMAP} work_mem=64MB"),
    ),
    "PL007": (
        Shown("select count(id) from visited where id > 0", "enable_seqscan=off enable_bitmapscan=off"),
        Shown("select count(id) from big where id < 5000", "enable_seqscan=off enable_bitmapscan=off"),
    ),
    "PL008": (
        Shown(JOINED, f"{LITTLE} enable_mergejoin=off enable_nestloop=off"),
        Shown(JOINED, f"{PLENTY} enable_mergejoin=off"),
    ),
    "PL009": (
        Shown("select * from (select a from s1 where a = -1) x join s2 on x.a < s2.b", LOOPS),
        Shown("select * from (select a from s1 where a = 1) x join s2 on x.a < s2.b", LOOPS),
    ),
    "PL010": (
        Shown("select 1 from s1 a join s1 b using (id) join s1 c using (id) join s1 d using (id) join s1 e using (id)"
              " join s1 f using (id) join s1 g using (id) join s1 h using (id) where a.id = 1 or h.a = 3", COLLAPSE),
        Shown("select sum(i) from generate_series(1, 200000) i"),
    ),
    "PL011": (Shown("delete from parent where id < 100"), Shown("delete from lonely where id < 100")),
    "PL013": (Shown("select * from big where b = 1", SERIAL), Shown("select * from s1")),
    "PL014": (
        Shown("select count(*) from cold", "temp_buffers=800kB",
              first="create temp table cold as select i, repeat('y', 500) from generate_series(1, 10000) i"),
        Shown("select count(*) from s1"),
    ),
    "PL015": (Shown("select id from big"), Shown("select id from big limit 10")),
    "PL016": (Shown(SORTED, LITTLE), Shown(SORTED, PLENTY)),
    "PL017": (
        Shown("select * from big where a = 1 and b = 2", "enable_seqscan=off"),
        Shown("select * from big where a = 1", "enable_seqscan=off"),
    ),
    "PL018": (Shown(SORTED, LITTLE), Shown(SORTED, PLENTY)),
    "PL019": (Shown("select * from big where b = 1", SERIAL), Shown("select * from big where b < 39", SERIAL)),
    "PL020": (
        Shown("select id from big order by id limit 10 offset 5000"),
        Shown("select id from big order by id limit 10 offset 10"),
    ),
    "PL021": (
        Shown("select * from big where k = 1", f"{BITMAP} work_mem=64kB"),
        Shown("select * from big where k = 1", f"{BITMAP} work_mem=64MB"),
    ),
    "PL022": (
        Shown("select * from s1 where pg_sleep(0.003) is not null"),
        Shown("select * from s1 where a = 1"),
    ),
    "PL023": (
        Shown("select * from unseen where id = 1", analyze=False),
        Shown("select * from big where id = 1", analyze=False),
    ),
    "PL024": (Shown(OFTEN.format("t.a = 1 and t.b = 1 and t.c = 1"), LOOPS), Shown(OFTEN.format("t.a = 1"), LOOPS)),
    "PL025": (
        Shown("select * from late where kind = 'rare' order by id limit 1", IN_ORDER),
        Shown("select * from late where kind = 'common' order by id limit 1", IN_ORDER),
    ),
    "PL026": (
        Shown("select * from s1 x join s2 y on x.id = y.id where x.a = 1 or y.b = 2"),
        Shown("select * from s1 x join s2 y on x.id = y.id where (x.a = 1 or x.a = 2) and y.b = 2"),
    ),
    "PL027": (Shown(SORTED, LITTLE), Shown(SORTED, PLENTY)),
    "PL028": (Shown("select count(note) from big", SERIAL), Shown("select count(*) from s1")),
}  # fmt: skip
# The wheels' servers have no LLVM: these lines are a real server's.
COMPILED = """
 Aggregate  (cost=1.00..2.00 rows=1 width=8) (actual time={time}..{time} rows=1 loops=1)
   ->  Seq Scan on t  (cost=0.00..1.00 rows=10 width=4) (actual time=0.010..1.000 rows=10 loops=1)
 Planning Time: 0.100 ms
 JIT:
   Functions: 4
   Options: Inlining false, Optimization false, Expressions true, Deforming true
   Timing: Generation 0.500 ms, Inlining 0.000 ms, Optimization 0.900 ms, Emission 38.600 ms, Total 40.000 ms
 Execution Time: {time} ms
"""


@pytest.fixture
def session(workload: str) -> Iterator[Connection]:
    with psycopg.connect(workload, autocommit=True) as session:
        yield session


def insights(session: Connection, shown: Shown, form: str) -> tuple[Insight, ...]:
    # 18 would see through these plain self-joins, and leave nothing to look at.
    for setting in f"{shown.settings} enable_self_join_elimination=off".split():
        name, _, value = setting.partition("=")
        known = session.execute("select count(*) from pg_settings where name = %s", (name,)).fetchone()
        if known == (1,):
            session.execute("select set_config(%s, %s, false)", (name, value))
    if shown.first:
        session.execute(f"drop table if exists cold; {shown.first}".encode())
    options = f"verbose, format {form}" + (", analyze, buffers" if shown.analyze else "")
    with session.transaction(force_rollback=True):
        printed = session.execute(f"explain ({options}) {shown.sql}".encode()).fetchall()
    text = "\n".join(str(line) if form == "text" else json.dumps(line) for (line,) in printed)
    plan = read_plans(text)[0]
    return look_into(plan, surroundings(session, plan, shown.sql))


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize("code", CASES)
def test_an_insight_fires_where_it_should(session: Connection, code: str, form: str) -> None:
    if code == "PL023":
        until_so(session, "select n_mod_since_analyze > 0 from pg_stat_user_tables where relname = 'unseen'")
    found = [one for one in insights(session, CASES[code][0], form) if one.code == code]
    assert found, code
    for one in found:
        assert one.value > one.threshold or code == "PL009"
        assert one.message
        assert one.action


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize("code", CASES)
def test_an_insight_stays_quiet_where_nothing_is_wrong(session: Connection, code: str, form: str) -> None:
    found = insights(session, CASES[code][1], form)
    assert code not in {one.code for one in found}, found


@pytest.mark.parametrize(("time_ms", "severity"), [("42.000", "critical"), ("99.000", "warning"), ("900.000", None)])
def test_compilation_is_told_by_its_share_of_the_time(time_ms: str, severity: str | None) -> None:
    found = [one for one in look_into(read_plans(COMPILED.format(time=time_ms))[0]) if one.code == "PL012"]
    assert [one.severity for one in found] == ([severity] if severity else [])


def test_every_rule_has_a_case_and_a_documentation() -> None:
    assert set(rules()) == {*CASES, "PL012"}
    for rule in rules().values():
        assert "**Why it matters.**" in rule.documentation
        assert "**What to do.**" in rule.documentation


@pytest.mark.parametrize("code", ["PL004", "PL017", "PL019", "PL003", "PL007"])
def test_the_sql_of_an_action_can_be_run(session: Connection, code: str) -> None:
    found = [one for one in insights(session, CASES[code][0], "json") if one.code == code]
    assert found[0].sql
    for statement in found[0].sql:
        session.execute(statement.replace("create index concurrently on", "create index dbtune_try on").encode())
    session.execute("drop index if exists dbtune_try")
