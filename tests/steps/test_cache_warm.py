from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from dbtune.core.actions import ForgetKeys, WarmKeys
from dbtune.core.questions import CachedValue, Explained, Facts, Failed, Question, Server
from dbtune.core.warm_marker import WarmMarker
from dbtune.steps.cache_warm import CacheWarm
from dbtune.steps.step import Plan

WRITTEN = {"key": "rec:{id}", "query": "select id from contents; -- the best", "ttl": "24h", "tags": ["contents"]}
WARMED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def step(**changes: Any) -> CacheWarm:
    return CacheWarm.model_validate({**WRITTEN, **changes})


def facts(
    asked: CacheWarm, marker: str | Failed | None, plan: object = None, *, has_redis: bool = True, database: str = "app"
) -> Facts:
    """As the app gathers them: asked in rounds until nothing new comes."""
    server = Server(
        180000, database, "app", is_superuser=False, owns_database=True, in_recovery=False, has_redis=has_redis
    )
    answers: dict[Question, Any] = {}
    known = Facts(server, answers)
    while new := [question for question in asked.questions(known) if not known.knows(question)]:
        for question in new:
            answers[question] = marker if isinstance(question, CachedValue) else plan or {"Plan": {"Plan Rows": 1000}}
    return known


def marker_of(asked: CacheWarm, database: str = "app") -> str:
    return next(q.key for q in asked.questions(facts(asked, None, database=database)) if isinstance(q, CachedValue))


def warming(plan: Plan) -> WarmKeys:
    (action,) = plan.actions
    assert isinstance(action, WarmKeys)
    return action


def left_by(asked: CacheWarm) -> str:
    """The marker as a finished run of this step leaves it."""
    return WarmMarker(warming(asked.plan(facts(asked, None))).fingerprint, 1000, WARMED_AT).dump()


def test_nothing_warmed_yet_is_a_change_with_its_undo_and_an_estimate() -> None:
    warm = step()
    plan = warm.plan(facts(warm, None))
    action = warming(plan)
    assert plan.status == "change"
    assert (action.key, action.query, action.ttl_s, action.jitter) == ("rec:{id}", WRITTEN["query"], 86400, 0.1)
    assert action.marker.startswith("dbtune:warm:")
    assert plan.undo == (ForgetKeys(action.marker, ("contents",)),)
    assert plan.notes == ("about 1,000 keys",)


def test_the_query_is_planned_with_the_columns_that_the_key_and_the_value_need() -> None:
    warm = step(key="rec:{id}:{id}", value="title")
    (explained,) = (q for q in facts(warm, None).answers if isinstance(q, Explained))
    assert explained.sql == 'select row_to_json(q.*), q."id", q."title" from (\nselect id from contents\n) as q'


def test_a_query_that_cannot_be_planned_blocks_with_the_servers_reason_and_hint() -> None:
    warm = step()
    plan = warm.plan(facts(warm, None, Failed("column q.idd does not exist", hint='Perhaps you meant "q.id".')))
    assert plan.status == "blocked"
    assert plan.reason == 'the query has no column "idd" (Perhaps you meant "id".)'


def test_without_redis_nothing_is_asked_and_the_step_is_blocked() -> None:
    warm = step()
    known = facts(warm, None, has_redis=False)
    assert known.answers == {}
    assert warm.plan(known).status == "blocked"
    assert "--redis" in str(warm.plan(known).reason)
    assert not warm.verify(known).ok


def test_a_redis_that_will_not_say_blocks() -> None:
    warm = step()
    plan = warm.plan(facts(warm, Failed("no permission", hint="ask")))
    assert (plan.status, plan.reason) == ("blocked", "no permission (ask)")


def test_a_step_whose_marker_stands_is_in_sync_verified_and_not_planned_by_postgres_again() -> None:
    warm = step()
    known = facts(warm, left_by(warm))
    plan = warm.plan(known)
    assert plan.status == "in_sync"
    assert plan.actions == ()
    assert plan.reason == "1,000 keys were warmed at 2026-01-02 03:04:05; due again at 15:04:05"
    assert warm.verify(known).ok
    assert warm.verify(known).after == {"warmed_at": WARMED_AT.isoformat(), "keys": 1000}
    assert not any(isinstance(question, Explained) for question in known.answers)


@pytest.mark.parametrize("change", [{"ttl": "12h"}, {"jitter": "20%"}, {"tags": []}, {"every": "1h"}])
def test_a_step_that_changed_since_is_warmed_again(change: dict[str, Any]) -> None:
    known = facts(step(**change), left_by(step()))
    plan = step(**change).plan(known)
    assert plan.status == "change"
    assert any("changed since" in note for note in plan.notes)
    assert not step(**change).verify(known).ok


@pytest.mark.parametrize("text", ["", "somebody's", '{"fingerprint": 1}'])
def test_a_marker_of_somebody_else_is_none(text: str) -> None:
    warm = step()
    assert warm.plan(facts(warm, text)).status == "change"
    assert warm.verify(facts(warm, text)).reason == "not warmed, or due again"


def test_markers_differ_by_key_query_value_and_database_and_by_nothing_else() -> None:
    steps = [step(), step(key="x:{id}"), step(query="select 1 as id"), step(value="id")]
    assert len({*map(marker_of, steps), marker_of(step(), database="other")}) == 5
    assert marker_of(step()) == marker_of(step(ttl="1h", jitter=0, tags=["other"], every="1min"))


def test_it_is_due_again_after_every_or_half_of_the_ttl() -> None:
    assert warming(step().plan(facts(step(), None))).fresh_for_s == 12 * 3600
    often = step(every="1h")
    assert 0.9 * 3600 < warming(often.plan(facts(often, None))).fresh_for_s < 3600


@pytest.mark.parametrize(
    ("ttl", "jitter", "warns"), [("80min", "0%", True), ("100min", "10%", False), ("100min", "50%", True)]
)
def test_a_ttl_that_leaves_a_gap_when_a_run_is_late_is_warned_of(ttl: str, jitter: str, *, warns: bool) -> None:
    warm = step(ttl=ttl, jitter=jitter, every="1h")
    assert any("leaves no gap" in note for note in warm.plan(facts(warm, None)).notes) == warns


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"key": "rec:{id"}, "unbalanced"),
        ({"key": ""}, "empty"),
        ({"key": "rec:{user id}"}, "name of a column"),
        ({"query": "delete from contents"}, "has to read"),
        ({"query": " ; "}, "empty"),
        ({"ttl": "0"}, "too short"),
        ({"ttl": "10ms"}, "too short"),
        ({"ttl": 60}, "not a duration"),
        ({"every": "24h"}, "after the keys expired"),
        ({"jitter": "60%"}, "50% is the most"),
        ({"value": ""}, "names a column"),
        ({"tags": ["a", ""]}, "a tag cannot be empty"),
        ({"keys": "x"}, "Extra inputs"),
    ],
)
def test_a_mistake_is_refused_with_its_reason(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        step(**change)
