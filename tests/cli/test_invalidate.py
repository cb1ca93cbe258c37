"""`dbtune invalidate` as people and scripts run it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

PLAYBOOK = """
version: 1
name: service
vars: {space: rec}
steps:
  - sql: {apply: select 1, verify: select true}
cache:
  events:
    content.updated:
      keys: ["{{ vars.space }}:content:{content_id}:full"]
      patterns: ["rec:list:{content_id}:*"]
      tags: [feeds]
    user.changed:
      keys: ["rec:user:{user_id}"]
"""


@pytest.fixture
def client(cache_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(cache_url) as client:
        yield client


def test_an_event_removes_what_the_playbook_says_and_answers_in_the_documented_form(
    dbtune: Any, cache_url: str, client: redis.Redis
) -> None:
    client.mset({"rec:content:42:full": 1, "rec:content:4:full": 1, "rec:list:42:a": 1, "rec:list:420:a": 1})
    answer = dbtune.json(
        "invalidate", dbtune.playbook(PLAYBOOK), "--event", "content.updated", "content_id=42", "--redis", cache_url
    )
    document = answer.document
    assert answer.code == 0
    assert document["schema"] == "dbtune.invalidate/1"
    assert document["dry_run"] is False
    assert [(step["name"], step["keys"], step["failed"]) for step in document["steps"]] == [
        ("key rec:content:42:full", 1, 0), ("tag feeds", 0, 0), ("pattern rec:list:42:*", 1, 0),
    ]  # fmt: skip
    assert set(document["steps"][0]) >= {"name", "keys", "bytes", "skipped", "failed", "duration_s", "keys_per_s"}
    assert set(client.scan_iter("rec:*")) == {b"rec:content:4:full", b"rec:list:420:a"}


def test_several_events_keys_tags_and_patterns_go_at_once(dbtune: Any, cache_url: str, client: redis.Redis) -> None:
    client.mset({"rec:content:1:full": 1, "rec:user:7": 1, "x": 1, "y:1": 1})
    answer = dbtune.json(
        "invalidate", dbtune.playbook(PLAYBOOK), "--event", "content.updated content_id=1", "--event",
        "user.changed user_id=7", "--key", "x", "--pattern", "y:*", "--redis", cache_url,
    )  # fmt: skip
    assert answer.code == 0
    assert sum(step["keys"] for step in answer.document["steps"]) == 4


@pytest.mark.parametrize("odd", ["*", "?", "[x]", "\\", "{42}", "a\nb", "$(id)", "'", "", "ключ"])
def test_an_id_may_hold_anything(odd: str, dbtune: Any, cache_url: str, client: redis.Redis) -> None:
    playbook = dbtune.playbook(PLAYBOOK)
    client.mset({f"rec:user:{odd}": 1, "rec:user:other": 1})
    answer = dbtune.json("invalidate", playbook, "--event", "user.changed", f"user_id={odd}", "--redis", cache_url)
    assert (answer.code, answer.document["steps"][0]["keys"]) == (0, 1)
    assert list(client.scan_iter("rec:user:*")) == [b"rec:user:other"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--event", "content.update", "content_id=1"], 'did you mean "content.updated"?'),
        (["--event", "nothing"], "there are content.updated, user.changed"),
        (["--event", "content.updated"], "content.updated needs content_id=…"),
        (["--event", "content.updated", "contentid=4"], '"contentid" may be meant for content_id'),
        (["--event", "content.updated", "content_id="], "content_id is empty, which would widen the pattern"),
        (["--event", "content.updated", "42"], "42 is no argument of an event"),
        (["--event", "content.updated", "content_id=1", "content_id=2"], "content_id is given twice"),
        (["content_id=1"], "is an argument of no event"),
        (["--pattern", "*"], "must begin with a literal prefix"),
        (["--pattern", "?*"], "must begin with a literal prefix"),
        (["--pattern", "dbtune:*"], "keys of dbtune itself"),
        (["--tag", ""], "--tag is empty"),
        (["--max-share", "7", "--key", "a"], "not between 0% and 100%"),
        ([], "nothing is named"),
    ],
)
def test_what_makes_no_sense_is_refused_before_a_server_is_asked(arguments: list[str], said: str, dbtune: Any) -> None:
    answer = dbtune.run("invalidate", dbtune.playbook(PLAYBOOK), *arguments, "--redis", "redis://127.0.0.1:1/0")
    assert answer.code == 2
    assert said in answer.err


def test_an_event_without_a_playbook_is_refused(dbtune: Any, cache_url: str) -> None:
    for arguments in (["--event", "content.updated"], ["content_id=42", "--event", "content.updated"]):
        answer = dbtune.run("invalidate", *arguments, "--redis", cache_url)
        assert answer.code == 2
        assert "no playbook is named" in answer.err


def test_caps_refuse_and_nothing_is_removed(dbtune: Any, cache_url: str, client: redis.Redis) -> None:
    client.mset({f"p:{number}": 1 for number in range(10)})
    for cap in (["--max-keys", "9"], ["--max-share", "50%"]):
        answer = dbtune.run("invalidate", "--pattern", "p:*", *cap, "--redis", cache_url)
        assert answer.code == 4
        assert "nothing was removed" in answer.err
    assert len(list(client.scan_iter("p:*"))) == 10


def test_a_dry_run_in_every_form(dbtune: Any, cache_url: str, client: redis.Redis) -> None:
    client.mset({"p:1": 1, "p:<b>": 1})
    for form in ("terminal", "markdown", "html", "json"):
        answer = dbtune.run("invalidate", "--pattern", "p:*", "--dry-run", "--format", form, "--redis", cache_url)
        assert answer.code == 0
        assert "p:1" in answer.out
        assert "p:<b>" not in answer.out or form in ("terminal", "json")
    assert client.dbsize() == 2


def test_nobody_answering_is_exit_3(dbtune: Any) -> None:
    assert dbtune.run("invalidate", "--key", "a", "--redis", "redis://127.0.0.1:1/0").code == 3


def test_a_tag_under_which_nothing_is_filed_is_said(dbtune: Any, cache_url: str) -> None:
    answer = dbtune.run("invalidate", "--redis", cache_url, "--tag", "contentz")
    assert (answer.code, "tag contentz: no key is filed under it" in answer.out) == (0, True)
    assert dbtune.json("invalidate", "--redis", cache_url, "--tag", "contentz").notes == "no key is filed under it"


def test_nothing_is_ever_flushed_and_no_command_walks_all_keys_at_once(
    dbtune: Any, cache_url: str, client: redis.Redis
) -> None:
    client.mset({f"p:{number}": 1 for number in range(20)})
    client.zadd("dbtune:tag:all", {"p:1": 2e12})
    client.config_resetstat()
    answer = dbtune.json(
        "invalidate", "--redis", cache_url, "--key", "p:0", "--tag", "all", "--pattern", "p:*", "--max-share", "100%"
    )
    assert (answer.code, client.dbsize() > 0, client.exists("p:2")) == (0, True, 0)
    used = {name.removeprefix("cmdstat_") for name in client.info("commandstats")}
    assert "unlink" in used
    assert not used & {"flushall", "flushdb", "keys", "del", "smembers", "swapdb"}
