from __future__ import annotations

import redis

from dbtune.core.questions import CachedValue, Failed
from dbtune.servers.redis import session
from dbtune.servers.redis.answers import answer


def test_a_value_is_text_an_absent_one_none_and_another_type_a_reason(cache_url: str) -> None:
    with session.connect(cache_url) as client:
        client.set("there", "é")
        client.rpush("list", "1")
        assert answer(client, CachedValue("there")) == "é"
        assert answer(client, CachedValue("absent")) is None
        told = answer(client, CachedValue("list"))
    assert isinstance(told, Failed)
    assert "reading list" in told.reason


def test_a_key_that_the_user_may_not_read_is_a_reason_with_a_hint(cache_url: str) -> None:
    with session.connect(cache_url) as owner:
        owner.execute_command("ACL", "SETUSER", "narrow", "on", ">secret", "~app:*", "+@all")
        try:
            with redis.Redis.from_url(cache_url, username="narrow", password="secret") as client:  # noqa: S106
                told = answer(client, CachedValue("dbtune:warm:x"))
        finally:
            owner.execute_command("ACL", "DELUSER", "narrow")
    assert isinstance(told, Failed)
    assert told.hint is not None
    assert "secret" not in told.reason
