"""Advice on the sample: every index of its own playbooks that serves a statement, or a better one."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import psycopg
import pytest

from dbtune.advisor.analysis import analyse
from dbtune.advisor.index import IndexDefinition, IndexKey
from dbtune.advisor.recommend import Question, recommend
from dbtune.advisor.trifles import NOTICED
from dbtune.advisor.workload import Observed, gather
from dbtune.core.resources import resource
from dbtune.demo.backend import Backend
from dbtune.demo.cache import Cache
from dbtune.demo.database import Database
from dbtune.demo.endpoints import ENDPOINTS, PROBES
from dbtune.demo.load import load as load_sample
from dbtune.demo.population import read_population
from dbtune.playbook.load import load as load_playbook
from dbtune.servers.embedded.twin import open_twin
from dbtune.servers.postgres.dump import read_source
from dbtune.servers.postgres.session import connect
from dbtune.steps.index import Index

SCALE = 0.05
REQUESTS = 3
EQUAL = 1.02
"""The planner's costs of two equally good sets differ by less."""
TRIFLE = 0.002
"""Of the whole workload: the search leaves out what brings less than a thousandth."""


@pytest.fixture
def sample(database: str) -> str:
    """Loaded, asked a few times for each of its pages as they were at first, and analyzed."""
    load_sample(database, SCALE)
    population, rng = read_population(database), Random(7)  # noqa: S311 - a repeatable workload
    with psycopg.connect(database, autocommit=True) as session:
        session.execute("create extension if not exists pg_stat_statements")
        session.execute("select pg_stat_statements_reset()")
    with psycopg.connect(database) as connection:
        for endpoint in (*ENDPOINTS, *PROBES):
            for _ in range(REQUESTS):
                endpoint.slow(Backend(Database(connection), Cache(None)), endpoint.request_for(population, rng))
        connection.rollback()
    with psycopg.connect(database, autocommit=True) as session:
        session.execute("vacuum (full, analyze)")
    return database


def _own_indexes(tables: set[str]) -> Iterator[IndexDefinition]:
    """Those of the playbooks that come with dbtune, on the sample's tables."""
    for path in sorted(resource("playbooks").glob("*.yml")):
        for one in load_playbook(path).steps:
            if isinstance(step := one.step, Index) and step.table in tables:
                keys = tuple(
                    IndexKey(
                        None if key.is_expression else key.text,
                        key.text if key.is_expression else None,
                        descending=key.descending,
                        nulls_first=key.nulls_first,
                        opclass=key.opclass,
                        collation=key.collation,
                    )
                    for key in step.keys()  # noqa: SIM118 - a method of the step
                )
                yield IndexDefinition("public", step.table, keys, step.method, step.include, step.where, step.unique)


@pytest.mark.slow(25)
@pytest.mark.pg(">= 18")
def test_the_advice_is_as_good_as_the_playbooks_for_every_statement(sample: str) -> None:
    with connect(sample) as session:
        source = read_source(session)
    workload = gather(
        Observed(one.query, "pg_stat_statements", one.calls, one.queryid, one.total_time_s, one.rows / one.calls)
        for one in source.statements
        if one.calls
    )
    own = list(dict.fromkeys(_own_indexes({table.name for table in source.tables})))
    assert len(own) > 40
    with open_twin(source) as twin:
        analyses = analyse(workload, twin, source)
        advised = [one.definition for one in recommend(Question(analyses.each, twin, source)).recommendations]
        known = [one.definition for one in twin.add(own) if one.size_bytes is not None]
        texts = [
            (variant.sql, one.statement.weight * variant.share)
            for one in analyses.each
            for variant in one.statement.variants
        ]
        bare, ours, theirs = (twin.costs([text for text, _ in texts], active=active) for active in ((), advised, known))
    whole = sum(weight * (cost.total or 0) for (_, weight), cost in zip(texts, ours, strict=True))
    worse = [
        (text, no.total, our.total, their.total)
        for (text, weight), no, our, their in zip(texts, bare, ours, theirs, strict=True)
        if our.total is not None
        and their.total is not None
        and our.total > their.total * EQUAL + NOTICED
        and weight * (our.total - their.total) > TRIFLE * whole
    ]
    assert not worse
    assert advised
