"""The survey of one Redis: what it moves, what it leaves out, and what a user with few rights gets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from dbtune.checks.cache_survey import CacheSurvey, Info, Sample, Unseen
from dbtune.core.errors import Unreachable
from dbtune.servers.embedded.valkey import EmbeddedValkey, embedded_valkey
from dbtune.servers.redis import sampling
from dbtune.servers.redis.survey import opened_survey


@pytest.fixture
def server(redis_program: Path | None) -> Iterator[EmbeddedValkey]:
    with embedded_valkey(program=redis_program, tcp=True) as started:
        yield started


@pytest.fixture
def client(server: EmbeddedValkey) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.url) as connected:
        yield connected


def survey(url: str) -> CacheSurvey:
    with opened_survey(url) as take:
        return take(1.0)


def user(client: redis.Redis, server: EmbeddedValkey, *rules: str) -> str:
    client.execute_command("ACL", "SETUSER", "auditor", "reset", "on", ">secret", *rules)  # type: ignore[no-untyped-call]
    parts = urlsplit(server.url)
    return f"redis://auditor:secret@127.0.0.1:{parts.port}/0"


def test_the_look_ups_that_a_survey_adds_are_counted_exactly(client: redis.Redis, server: EmbeddedValkey) -> None:
    client.mset({f"user:{number}": "v" for number in range(700)})
    client.set("big", "v" * 300_000, ex=100)
    before = client.info("stats")
    found = survey(server.url)
    after = client.info("stats")
    assert isinstance(found.sample, Sample)
    moved = sum(after[name] - before[name] for name in ("keyspace_hits", "keyspace_misses"))
    assert moved == found.sample.lookups_added == 701 + 2 * sampling.MOST_BIG
    assert not isinstance(found.window, Unseen)
    assert found.window.lookups == 0, "none of them falls into the window"


def test_without_any_expiry_nobody_is_asked_for_one(client: redis.Redis, server: EmbeddedValkey) -> None:
    client.mset({f"user:{number}": "v" for number in range(50)})
    found = survey(server.url).sample
    assert isinstance(found, Sample)
    assert found.lookups_added == 2 * sampling.MOST_BIG, "kinds and lengths of the heaviest"
    assert found.whole


def test_a_large_keyspace_is_sampled_in_few_commands(
    client: redis.Redis, server: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "MOST_KEYS", 500)
    client.mset({f"user:{number}": "v" for number in range(5000)})
    before = client.info("commandstats")
    found = survey(server.url).sample
    assert isinstance(found, Sample)
    assert (len(found.keys), found.whole, found.key_count) == (500, False, 5000)
    assert found.words == "500 of 5,000 keys"
    after = client.info("commandstats")
    assert after["cmdstat_scan"]["calls"] == 1
    assert not {"cmdstat_keys", "cmdstat_smembers", "cmdstat_hgetall", "cmdstat_get"} & (after.keys() - before.keys())


def test_a_survey_writes_nothing(client: redis.Redis, server: EmbeddedValkey) -> None:
    client.set("a", "1", ex=100)
    before = client.info("persistence")["rdb_changes_since_last_save"]
    survey(server.url)
    assert client.info("persistence")["rdb_changes_since_last_save"] == before


def test_names_of_any_bytes_are_told_apart(client: redis.Redis, server: EmbeddedValkey) -> None:
    names = (b"\xff\xfe", b"", b"a\x00b", "schön:42".encode(), b"\x1b[31m")
    for name in names:
        client.set(name, "v")
    found = survey(server.url).sample
    assert isinstance(found, Sample)
    assert len({key.name for key in found.keys}) == len(names)
    assert "schön:*" in {key.prefix for key in found.keys}


def test_a_user_who_may_nothing_gets_a_reason_and_a_remedy_for_each_part(
    client: redis.Redis, server: EmbeddedValkey
) -> None:
    found = survey(user(client, server, "+ping"))
    for part in (found.info, found.window, found.sample, found.slow, found.latency, found.clients):
        assert isinstance(part, Unseen)
        assert "permission" in part.reason
        assert "ACL SETUSER" in str(part.hint)


def test_a_user_without_config_still_gets_the_rest(client: redis.Redis, server: EmbeddedValkey) -> None:
    client.set("a", "1", ex=100)
    found = survey(user(client, server, "~*", "+@all", "-config"))
    assert isinstance(found.info, Info)
    assert isinstance(found.sample, Sample)
    assert found.slow == ()
    assert isinstance(found.latency, Unseen)
    assert "latency-monitor-threshold" in found.latency.reason


def test_keys_that_the_user_may_not_look_at_are_left_out(client: redis.Redis, server: EmbeddedValkey) -> None:
    client.mset({"mine:1": "v", "mine:2": "v", "theirs:1": "v"})
    found = survey(user(client, server, "~mine:*", "+@all")).sample
    assert isinstance(found, Sample)
    assert {key.name for key in found.keys} == {"mine:1", "mine:2"}


def test_a_server_that_goes_away_is_unreachable(server: EmbeddedValkey, client: redis.Redis) -> None:
    with opened_survey(server.url) as take:
        client.shutdown(nosave=True)
        with pytest.raises(Unreachable):
            take(0.0)
