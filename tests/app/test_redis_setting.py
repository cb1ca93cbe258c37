"""A setting of Redis as a step: planned, applied, journaled and taken back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from topologies import plain_server

from dbtune.app.apply import Order, apply_playbook
from dbtune.app.plan import make_plan
from dbtune.app.rollback import roll_back
from dbtune.app.selection import Selection
from dbtune.app.targets import OpenTargets
from dbtune.app.verify import verify_playbook
from dbtune.app.workspace import opened
from dbtune.core.progress import silent
from dbtune.core.reports import RunReport
from dbtune.playbook.model import Playbook, PlaybookStep, Position
from dbtune.steps.redis_setting import RedisSettingStep, same


@pytest.fixture
def server(redis_program: Path | None) -> Iterator[str]:
    with plain_server(redis_program) as (_, port):
        yield f"redis://127.0.0.1:{port}/0"


def playbook(**setting: object) -> Playbook:
    step = RedisSettingStep.model_validate(setting)
    made = PlaybookStep("one", step.title(), step.kind, step, Position(1, 1), step.fingerprint())
    return Playbook("test.yml", "test", "hash", (made,))


def apply(database: str, url: str | None, made: Playbook) -> RunReport:
    with opened(OpenTargets(database, url)) as workspace:
        return apply_playbook(workspace, Order(made), silent)


def rollback(database: str, url: str | None, run_id: str | None) -> str:
    with opened(OpenTargets(database, url)) as workspace:
        return roll_back(workspace, run_id or "", silent).steps[0].status


def test_a_setting_is_changed_found_so_the_second_time_and_taken_back(database: str, server: str) -> None:
    made = playbook(name="maxmemory_policy", value="allkeys-lru")
    with redis.Redis.from_url(server, decode_responses=True) as client:
        report = apply(database, server, made)
        assert report.steps[0].status == "applied", report.steps
        assert report.steps[0].before == {"value": "noeviction"}
        assert report.steps[0].sql == ("CONFIG SET maxmemory-policy allkeys-lru",)
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "allkeys-lru"}
        assert apply(database, server, made).steps[0].status == "unchanged"
        with opened(OpenTargets(database, server)) as workspace:
            assert verify_playbook(workspace, made, Selection(), silent).exit_code == 0
        assert rollback(database, server, report.run_id) == "reverted"
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_what_somebody_changed_since_is_kept(database: str, server: str) -> None:
    report = apply(database, server, playbook(name="maxmemory", value="100mb"))
    with redis.Redis.from_url(server, decode_responses=True) as client:
        client.config_set("maxmemory", 7 << 20)
        assert rollback(database, server, report.run_id) == "kept"
        assert client.config_get("maxmemory") == {"maxmemory": str(7 << 20)}
    assert rollback(database, None, report.run_id) == "kept"


def test_it_persists_where_the_server_has_a_file_to_keep_it_in(database: str, server: str) -> None:
    assert apply(database, server, playbook(name="maxmemory", value="64mb", persist=True)).exit_code == 0
    with redis.Redis.from_url(server, decode_responses=True) as client:
        text = Path(str(client.info("server")["config_file"])).read_text()
    assert f"maxmemory {64 << 20}" in text or "maxmemory 64mb" in text


def test_a_setting_that_the_server_does_not_know_is_a_conflict(database: str, server: str) -> None:
    with opened(OpenTargets(database, server)) as workspace:
        planned = make_plan(workspace, playbook(name="maxmemry", value="1gb"), Selection()).steps[0]
    assert (planned.status, planned.error) == ("conflict", "this server has no setting maxmemry: see CONFIG GET *")


def test_a_value_that_the_server_does_not_take_fails_and_changes_nothing(database: str, server: str) -> None:
    report = apply(database, server, playbook(name="maxmemory", value="lots"))
    assert (report.steps[0].status, report.exit_code) == ("failed", 4)
    assert rollback(database, server, report.run_id) == "nothing_to_do"


def test_where_config_is_forbidden_the_plan_is_refused(database: str, server: str) -> None:
    with redis.Redis.from_url(server) as client:
        client.acl_setuser(
            "tenant", enabled=True, passwords=["+pw"], categories=["+@all"], commands=["-config"], keys=["*"]
        )
    url = server.replace("redis://", "redis://tenant:pw@")
    with opened(OpenTargets(database, url)) as workspace:
        planned = make_plan(workspace, playbook(name="maxmemory", value="1gb"), Selection()).steps[0]
    assert planned.status == "blocked"
    assert "managed services" in (planned.error or "")


def test_without_redis_the_plan_is_refused(database: str) -> None:
    with opened(OpenTargets(database, None)) as workspace:
        planned = make_plan(workspace, playbook(name="maxmemory", value="1gb"), Selection()).steps[0]
    assert (planned.status, "no Redis is named" in (planned.error or "")) == ("blocked", True)


@pytest.mark.parametrize("name", ["dir", "requirepass", "replicaof", "a b", "maxmemory\r\nFLUSHALL", ""])
def test_settings_that_decide_about_files_and_access_are_not_for_playbooks(name: str) -> None:
    with pytest.raises(ValueError, match=r"not for a playbook|no name of a setting|at least 1 character"):
        RedisSettingStep(name=name, value="x")


@pytest.mark.parametrize(
    ("wanted", "found", "equal"),
    [
        ("100mb", "104857600", True), ("1k", "1000", True), ("1kb", "1024", True), ("YES", "yes", True),
        ("1gb", "1000000000", False), ("allkeys-lru", "allkeys-lfu", False), ("900 1", "900 1", True),
    ],
)  # fmt: skip
def test_a_size_is_the_same_in_any_unit(wanted: str, found: str, equal: object) -> None:
    assert same(wanted, found) is equal
