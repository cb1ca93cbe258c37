from __future__ import annotations

import socket

import psycopg
import pytest
import redis

from dbtune.core.errors import ChangeFailed, Misused, Refused, Unreachable, Unsupported
from dbtune.servers.embedded.valkey import embedded_valkey
from dbtune.servers.redis import session
from dbtune.servers.redis.errors import describe_target, translated
from dbtune.servers.redis.session import connect, connect_whole, resolve_url


def test_a_session_bears_our_name_and_speaks_bytes(cache_url: str) -> None:
    with connect(cache_url) as client:
        client.set("a", "b")
        assert client.get("a") == b"b"
        assert client.client_getname() in ("dbtune", b"dbtune")


def test_the_url_that_was_named_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://environment/0")
    assert resolve_url("redis://named/0") == "redis://named/0"
    assert resolve_url(None) == "redis://environment/0"


@pytest.mark.parametrize("mark", "/?#")
def test_a_password_that_the_driver_would_misread_is_told_how_to_be_written(mark: str) -> None:
    with pytest.raises(Unreachable, match=f"has a [{mark}]") as caught:
        resolve_url(f"redis://user:hun{mark}ter2@host:6379/0")
    assert f"%{ord(mark):X}" in str(caught.value.hint)
    assert resolve_url("redis://user:hun@ter2@host:6379/0")


@pytest.mark.parametrize("database", ["x", "1/2", "²"])
def test_a_database_that_has_no_number_is_not_taken_for_the_first(database: str) -> None:
    with pytest.raises(Unreachable, match="is not the number of a database"):
        connect(f"redis://localhost:1/{database}")


def test_no_url_at_all_is_misuse() -> None:
    with pytest.raises(Misused, match="no Redis is named"):
        resolve_url(None)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:secret@cache.example:6380/3", "cache.example:6380/3"),
        ("rediss://:secret@cache.example", "cache.example:6379/0"),
        ("unix://user:secret@/run/valkey.sock?db=2&password=secret", "/run/valkey.sock/2"),
        ("redis://:secret@host:port/0", "redis"),
    ],
)
def test_a_target_is_described_without_its_password(url: str, shown: str) -> None:
    assert describe_target(url) == shown


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "unix:///nowhere/at/all.sock", "redis://h:notaport/0"])
def test_a_server_that_does_not_answer_is_unreachable(url: str) -> None:
    with pytest.raises(Unreachable) as caught:
        connect(url)
    assert caught.value.hint


@pytest.mark.parametrize("url", ["http://localhost", "localhost:6379", "amqp://host"])
def test_another_kind_of_url_is_unsupported(url: str) -> None:
    with pytest.raises(Unsupported, match="redis, rediss, unix"):
        connect(url)


def test_a_wrong_password_is_refused_and_never_shown() -> None:
    with embedded_valkey(tcp=True) as server:
        place = server.url.rpartition("@")[2]
        for wrong in (f"redis://:mistaken@{place}", f"redis://{place}"):
            with pytest.raises(Refused) as caught:
                connect(wrong)
            assert "mistaken" not in f"{caught.value} {caught.value.hint}"
        with connect(server.url) as client:
            assert client.ping()


def test_a_command_that_the_user_may_not_run_is_refused(cache_url: str) -> None:
    with connect(cache_url) as admin:
        admin.execute_command("ACL", "SETUSER", "reader", "on", "nopass", "~*", "+get", "+ping")
        try:
            with connect(cache_url) as client:
                client.execute_command("AUTH", "reader", "any")
                with pytest.raises(Refused, match="writing a key"), translated("writing a key"):
                    client.set("a", "b")
        finally:
            admin.execute_command("ACL", "DELUSER", "reader")


def test_a_user_who_may_not_name_its_connection_has_one_without_a_name(cache_url: str) -> None:
    with connect(cache_url) as admin:
        admin.execute_command("ACL", "SETUSER", "nameless", "reset", "on", ">pw", "~*", "+@all", "-client")
        url = f"unix://nameless:pw@{admin.connection_pool.connection_kwargs['path']}?db=0"
        try:
            with connect_whole(url) as client:
                client.set("a", "b")
            assert admin.get("a") == b"b"
        finally:
            admin.execute_command("ACL", "DELUSER", "nameless")


def test_a_wrong_command_is_a_failed_change_and_an_unknown_one_unsupported(cache_url: str) -> None:
    with connect(cache_url) as client:
        client.set("text", "b")
        with pytest.raises(ChangeFailed, match="counting"), translated("counting"):
            client.incr("text")
        with pytest.raises(Unsupported), translated("asking"):
            client.execute_command("NOSUCHCOMMAND")


def test_a_full_cache_says_so() -> None:
    with (
        embedded_valkey({"maxmemory": "1mb", "maxmemory-policy": "noeviction"}) as server,
        connect(server.url) as client,
    ):
        with pytest.raises(ChangeFailed) as caught, translated("filling"):  # noqa: PT012 - the first may just fit
            client.mset({str(number): b"x" * 10_000 for number in range(1000)})
            client.set("one more", "x")
        assert "maxmemory" in str(caught.value.hint)


def test_a_replica_refuses_writes_as_unsupported() -> None:
    with embedded_valkey() as server, connect(server.url) as client:
        client.replicaof("127.0.0.1", "1")
        with pytest.raises(Unsupported, match="writing"), translated("writing"):
            client.set("a", "b")


def test_a_port_of_another_protocol_is_unreachable(postgres_dsn: str) -> None:
    with psycopg.connect(postgres_dsn) as connection:
        info = connection.info
        path = f"{info.host}/.s.PGSQL.{info.port}"
        url = f"unix://{path}" if info.host.startswith("/") else f"redis://{info.host}:{info.port}/0"
    with pytest.raises(Unreachable):
        connect(url)


def test_redis_errors_outside_the_driver_pass_through() -> None:
    with pytest.raises(KeyError), translated("anything"):
        raise KeyError
    assert issubclass(redis.exceptions.ReadOnlyError, redis.RedisError)


def test_whoever_says_nothing_to_a_handshake_is_asked_once_and_told_from_one_that_is_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session, "CONNECT_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with pytest.raises(Unreachable, match="does not answer to TLS") as caught:
            connect(f"rediss://:pw@127.0.0.1:{silent.getsockname()[1]}/0")
        assert "redis://" in str(caught.value.hint)
        silent.accept()[0].close()
        silent.settimeout(0)
        with pytest.raises(BlockingIOError):
            silent.accept()
