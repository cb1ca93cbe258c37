"""Keys and values of any bytes: what an application's own client reads is what PostgreSQL had, in every encoding."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any, cast

import msgpack  # type: ignore[import-untyped]
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbtune.core.actions import WarmKeys
from dbtune.servers.postgres import session as postgres
from dbtune.servers.redis import session
from dbtune.servers.redis.warm import warm

BYTES = st.binary(max_size=40)
# PostgreSQL holds every text but NUL; lone surrogates are no text.
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
FEW = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
MODES = ("overwrite", "newer")


@pytest.fixture
def connection(postgres_dsn: str) -> Iterator[postgres.Connection]:
    with postgres.connect(postgres_dsn) as connection:
        yield connection


@pytest.fixture
def client(cache_url: str) -> Iterator[redis.Redis]:
    with session.connect(cache_url) as client:
        yield client


def bytea(value: bytes) -> str:
    return f"decode('{value.hex()}', 'hex')"


def text(value: str) -> str:
    return f"convert_from({bytea(value.encode())}, 'UTF8')"


def texts(values: list[str]) -> str:
    return f"array[{', '.join(map(text, values))}]::text[]"


def warmed(
    connection: postgres.Connection, client: redis.Redis, rows: dict[bytes, str], mode: str, **changes: Any
) -> Callable[[bytes], bytes]:
    """Warms `id` and `v` of each row, and gives the key of an id. `rows` are expressions of SQL."""
    client.flushdb()
    values = ", ".join(f"({bytea(key)}, {value})" for key, value in rows.items())
    given: dict[str, Any] = {"value": "v", "jitter": 0.1, "tags": ("any",), "mode": cast("Any", mode)}
    action = WarmKeys(
        query=f"select * from (values {values}) as t (id, v)", key="any:\\\\*[{id}]", ttl_s=3600.0,
        marker="dbtune:warm:any", fingerprint="f", fresh_for_s=1800.0, **{**given, **changes},
    )  # fmt: skip
    assert warm(connection, client, action).keys == len(rows)
    return lambda key: b"any:\\\\*[" + key + b"]"


@FEW
@given(rows=st.dictionaries(BYTES, BYTES, min_size=1, max_size=12), mode=st.sampled_from(MODES))
def test_bytes_are_stored_as_they_are(
    connection: postgres.Connection, client: redis.Redis, rows: dict[bytes, bytes], mode: str
) -> None:
    key = warmed(connection, client, {name: bytea(value) for name, value in rows.items()}, mode)
    assert {name: client.get(key(name)) for name in rows} == rows
    assert set(client.zrange("dbtune:tag:any", 0, -1)) == set(map(key, rows))


READERS: dict[str, tuple[dict[str, Any], Callable[[Any], object]]] = {
    "text": ({}, lambda stored: stored.decode()),
    "gzip": ({"gzip": True}, lambda stored: gzip.decompress(stored).decode()),
    "json": ({"encoding": "json"}, json.loads),
    "msgpack": ({"encoding": "msgpack"}, msgpack.unpackb),
    "msgpack and gzip": (
        {"encoding": "msgpack", "gzip": True}, lambda stored: msgpack.unpackb(gzip.decompress(stored))
    ),
    "row": ({"value": None}, lambda stored: json.loads(stored)["v"]),
    "row as msgpack": ({"value": None, "encoding": "msgpack"}, lambda stored: msgpack.unpackb(stored)["v"]),
}  # fmt: skip


@pytest.mark.parametrize("encoding", READERS)
@FEW
@given(rows=st.dictionaries(BYTES, TEXT, min_size=1, max_size=12), mode=st.sampled_from(MODES))
def test_text_is_read_back_in_every_encoding(
    connection: postgres.Connection, client: redis.Redis, encoding: str, rows: dict[bytes, str], mode: str
) -> None:
    changes, read = READERS[encoding]
    key = warmed(connection, client, {name: text(value) for name, value in rows.items()}, mode, **changes)
    assert {name: read(client.get(key(name))) for name in rows} == rows


@pytest.mark.parametrize("form", ["list", "set"])
@FEW
@given(rows=st.dictionaries(BYTES, st.lists(TEXT, min_size=1, max_size=5), min_size=1, max_size=6))
def test_members_are_read_back(
    connection: postgres.Connection, client: redis.Redis, form: str, rows: dict[bytes, list[str]]
) -> None:
    values = {name: texts(value) for name, value in rows.items()}
    key = warmed(connection, client, values, "overwrite", form=cast("Any", form))
    for name, members in rows.items():
        expected = [member.encode() for member in members]
        if form == "list":
            assert client.lrange(key(name), 0, -1) == expected
        else:
            assert client.smembers(key(name)) == set(expected)


@FEW
@given(rows=st.dictionaries(BYTES, BYTES, min_size=1, max_size=8))
def test_fields_of_a_hash_are_read_back(
    connection: postgres.Connection, client: redis.Redis, rows: dict[bytes, bytes]
) -> None:
    values = {name: bytea(value) for name, value in rows.items()}
    key = warmed(connection, client, values, "overwrite", form="hash", value=None)
    assert {name: client.hget(key(name), "v") for name in rows} == rows
