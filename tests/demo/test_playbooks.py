"""The playbooks that come with dbtune, applied to the sample, verified, applied again and rolled back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import psycopg
import pytest
import redis
from filled import copied

from dbtune.app.apply import Order, apply_playbook
from dbtune.app.rollback import roll_back
from dbtune.app.selection import Selection
from dbtune.app.targets import OpenTargets
from dbtune.app.verify import verify_playbook
from dbtune.app.workspace import Workspace, opened
from dbtune.core.progress import silent
from dbtune.core.resources import resource
from dbtune.demo.backend import Backend
from dbtune.demo.database import Database, connect
from dbtune.demo.endpoints import CONTENT, PERMISSIONS, RECOMMENDATIONS
from dbtune.demo.permissions import Bearer
from dbtune.demo.traffic import drive
from dbtune.playbook.load import load
from dbtune.playbook.model import Playbook
from dbtune.steps.index import Index

DONE = ("applied", "unchanged", "ok")
# A shop's catalogue is for other tables than those of the sample (tests/app/test_product_catalog.py).
PLAYBOOKS = {path.stem: path for path in sorted(resource("playbooks").glob("*.yml")) if path.stem != "product-catalog"}

# Everything that a playbook may change, but for the journal.
_STATE = """
select 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid) from pg_index
  join pg_class c on c.oid = indexrelid where relnamespace = 'public'::regnamespace
union all select 'options', oid::regclass::text, reloptions::text from pg_class
  where relnamespace = 'public'::regnamespace
union all select 'statistics', stxname::text, pg_get_statisticsobjdef(oid) from pg_statistic_ext
union all select 'entry', setrole::text, setconfig::text from pg_db_role_setting
  where setdatabase = (select oid from pg_database where datname = current_database())
union all select 'system', name, setting from pg_file_settings where sourcefile like '%postgresql.auto.conf'
order by 1, 2, 3"""

# Where the keys of one index begin another's of the same method, one of the two is superfluous.
_KEYS = """
select i.indrelid::regclass::text, i.indexrelid::regclass::text, am.amname,
  array(select pg_get_indexdef(i.indexrelid, n, false) || ' ' || (i.indoption[n - 1] & 1)
        from generate_series(1, i.indnkeyatts) n)
from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am am on am.oid = c.relam
where c.relnamespace = 'public'::regnamespace"""


@pytest.fixture
def workspace(sample_copy: str, cache_url: str) -> Iterator[Workspace]:
    """The sample as found, and an empty cache."""
    with opened(OpenTargets(sample_copy, cache_url)) as workspace:
        yield workspace


@pytest.fixture(scope="module")
def warmed(sample: str, postgres_dsn: str, redis_url: str) -> Iterator[str]:
    """The DSN of a sample with the indexes that the warm-up's queries need, whose cache is warm.

    Those who take it come one after the other at the end of this file: an empty cache is everybody else's.
    """
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    with copied(postgres_dsn, sample) as dsn:
        with opened(OpenTargets(dsn, redis_url)) as workspace:
            for name in ("recommendation-service", "warm-cache"):
                assert apply_playbook(workspace, Order(load(PLAYBOOKS[name])), silent).exit_code == 0
        yield dsn


def test_the_playbooks_are_those_that_the_sample_needs() -> None:
    assert set(PLAYBOOKS) >= {
        "auth-service",
        "content-streaming",
        "course-tracking",
        "payment-service",
        "recommendation-service",
        "slow-query-logging",
        "warm-cache",
    }
    for name, path in PLAYBOOKS.items():
        assert load(path).name == name


def test_there_are_at_least_forty_indexes_and_seven_for_courses() -> None:
    counts = {name: len(_indexes(load(path))) for name, path in PLAYBOOKS.items()}
    assert sum(counts.values()) >= 40
    assert counts["course-tracking"] == 7


def test_every_step_that_changes_something_says_what_for() -> None:
    for path in PLAYBOOKS.values():
        for step in load(path).steps:
            assert step.kind == "analyze" or step.name != step.step.title(), f"{path.name}:{step.position.line}"


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_a_playbook_converges_helps_and_is_taken_back_without_a_trace(name: str, workspace: Workspace) -> None:
    playbook, before = load(PLAYBOOKS[name]), _state(workspace)
    first = apply_playbook(workspace, Order(playbook), silent)
    assert {step.name: step.error or step.reason for step in first.steps if step.status not in DONE} == {}
    assert all(step.status == "applied" for step in first.steps if step.kind in ("index", "sql", "cache_warm"))
    assert first.exit_code == 0
    second = apply_playbook(workspace, Order(playbook), silent)
    assert {step.name: step.status for step in second.steps if step.status not in ("unchanged", "ok")} == {}
    assert second.exit_code == 0
    assert verify_playbook(workspace, playbook, Selection(), silent).exit_code == 0
    assert first.run_id is not None
    assert roll_back(workspace, first.run_id, silent).exit_code == 0
    assert _state(workspace) == before


def test_no_two_indexes_do_the_same_work(workspace: Workspace) -> None:
    for path in PLAYBOOKS.values():
        order = Order(load(path), Selection(ids=tuple(step.id for step in load(path).steps if step.kind == "index")))
        if order.selection.ids:
            assert apply_playbook(workspace, order, silent).exit_code == 0
    with psycopg.connect(workspace.dsn) as connection:
        indexes = connection.execute(_KEYS).fetchall()
    assert len(indexes) > 60
    for table, name, method, keys in indexes:
        for other in indexes:
            if other[1] != name and other[0] == table and other[2] == method:
                assert other[3][: len(keys)] != keys, f"{name} is the beginning of {other[1]}"


def test_warmed_keys_hold_what_the_application_would_have_kept(warmed: str, redis_url: str) -> None:
    answers: dict[str, Callable[[Backend, str], object]] = {
        "rec:content:*:full": lambda backend, part: CONTENT.fast(backend, int(part)),
        "rec:user:*:feed": lambda backend, part: RECOMMENDATIONS.fast(backend, int(part)),
        "auth:user:*:permissions": lambda backend, part: PERMISSIONS.fast(backend, Bearer(part, "unknown")),
    }
    with connect(warmed) as connection, redis.Redis.from_url(redis_url, decode_responses=True) as client:
        backend = Backend(Database(connection))
        for pattern, answer in answers.items():
            keys = sorted(client.scan_iter(pattern, count=1000))[::25]
            assert len(keys) > 5
            for key in keys:
                assert json.loads(str(client.get(key))) == answer(backend, key.split(":")[2]), key


def test_a_warmed_cache_answers_four_requests_in_five(warmed: str, redis_url: str) -> None:
    traffic = drive(warmed, redis_url, "fast", duration_s=1, ramp_s=0)
    assert traffic.errors == 0
    assert traffic.hit_rate is not None
    assert traffic.hit_rate > 0.8


def _indexes(playbook: Playbook) -> list[Index]:
    return [step.step for step in playbook.steps if isinstance(step.step, Index)]


def _state(workspace: Workspace) -> list[tuple[str, ...]]:
    with psycopg.connect(workspace.dsn) as connection:
        return connection.execute(_STATE).fetchall()
