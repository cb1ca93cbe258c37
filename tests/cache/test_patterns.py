"""Escaping, held against a real server's own matcher."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbtune.cache.patterns import checked, escaped, fill_pattern, literal_prefix

ANY_BYTES = st.binary(max_size=12)
# Bytes that mean something to the matcher, often.
TRICKY = st.lists(st.sampled_from([b"\\", b"*", b"?", b"[", b"]", b"^", b"-", b"a", b"{", b"}", b"\n", b"\xff"])).map(
    b"".join
)


@pytest.fixture(scope="module")
def server(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client
        client.flushdb()


def matches(server: redis.Redis, pattern: bytes, *keys: bytes) -> set[bytes]:
    server.flushdb()
    server.mset(dict.fromkeys(keys, b""))
    return set(server.scan_iter(match=pattern, count=1000))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.one_of(ANY_BYTES, TRICKY), other=st.one_of(ANY_BYTES, TRICKY))
def test_an_escaped_value_matches_itself_and_nothing_else(server: redis.Redis, value: bytes, other: bytes) -> None:
    keys = {b"rec:" + value + b":full", b"rec:" + other + b":full"}
    assert matches(server, b"rec:" + escaped(value) + b":full", *keys) == {b"rec:" + value + b":full"}


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=TRICKY.filter(bool), rest=TRICKY)
def test_a_filled_pattern_matches_what_begins_with_the_value(server: redis.Redis, value: bytes, rest: bytes) -> None:
    pattern = fill_pattern("rec:{id}:*", {"id": value})
    key, stranger = b"rec:" + value + b":" + rest, b"rec:" + value + b"x:" + rest
    found = matches(server, pattern, key, stranger)
    assert key in found
    assert (stranger in found) == stranger.startswith(b"rec:" + value + b":")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pattern=TRICKY.filter(bool), key=TRICKY)
def test_every_key_that_matches_begins_with_the_literal_prefix(server: redis.Redis, pattern: bytes, key: bytes) -> None:
    for found in matches(server, pattern, key, pattern, literal_prefix(pattern)):
        assert found.startswith(literal_prefix(pattern))


@pytest.mark.parametrize("pattern", [b"*", b"**", b"?*", b"[a-z]*", b"", b"*:full"])
def test_a_pattern_without_a_literal_prefix_is_refused(pattern: bytes) -> None:
    with pytest.raises(ValueError, match="must begin with a literal prefix"):
        checked(pattern)


def test_dbtunes_own_keys_cannot_be_named_by_a_pattern() -> None:
    with pytest.raises(ValueError, match="keys of dbtune itself"):
        checked(b"dbtune:tomb:*")


def test_an_escaped_star_is_a_literal_prefix() -> None:
    assert checked(rb"\*literal*") == rb"\*literal*"


def test_an_empty_value_would_widen_the_pattern_and_is_refused() -> None:
    with pytest.raises(ValueError, match="id is empty, which would widen the pattern"):
        fill_pattern("rec:user:{id}*", {"id": b""})


@pytest.mark.parametrize("text", [r"rec:\{id}", "rec:[{id}]*", r"rec:[a\]{id}]*"])
def test_a_value_where_escaping_cannot_protect_it_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="behind a backslash or between"):
        fill_pattern(text, {"id": b"*"})


def test_an_even_number_of_backslashes_is_itself_a_literal(server: redis.Redis) -> None:
    pattern = fill_pattern("rec:\\\\{id}", {"id": b"*"})
    assert matches(server, pattern, b"rec:\\*", b"rec:\\x", b"rec:*") == {b"rec:\\*"}
