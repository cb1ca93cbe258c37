"""A cluster whose keys are invalidated, and whose slots move, in the middle of a warm-up."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import pytest
import redis
from topologies import Cluster

from dbtune.cache.generations import ANNOUNCED
from dbtune.cache.rules import Stale
from dbtune.core.actions import WarmKeys
from dbtune.core.warming import Overtaken
from dbtune.servers.postgres import session as postgres
from dbtune.servers.redis import warm_run
from dbtune.servers.redis.commands import Command
from dbtune.servers.redis.invalidate import Caps, Invalidation
from dbtune.servers.redis.lines import Done, Line, opened_line
from dbtune.servers.redis.nodes import opened_nodes
from dbtune.servers.redis.warm import warm

ROWS = 900
PATIENCE_S = 60.0
ONE, ALL = b"item:7", b"item:*"

STALE = {
    "key": Stale(keys=(ONE,)),
    "tag": Stale(tags=("items",)),
    "pattern": Stale(patterns=(ALL,)),
    "narrow pattern": Stale(patterns=(b"item:[7]",)),
}


def warming(mode: str = "newer", **changes: Any) -> WarmKeys:
    given: dict[str, Any] = {
        "query": f"select id, 1 as version from generate_series(1, {ROWS}) id",
        "key": "item:{id}",
        "ttl_s": 3600.0,
        "jitter": 0.1,
        "tags": ("items",),
        "marker": "dbtune:warm:cluster",
        "fingerprint": "f",
        "fresh_for_s": 1800.0,
        "mode": mode,
    }
    return WarmKeys(**{**given, **changes})


def version_at(client: redis.Redis, key: bytes) -> int | None:
    value = cast("bytes | None", client.get(key))
    return None if value is None else int(json.loads(value)["version"])


class Between:
    """Acts before the first batch of keys leaves, when it has been announced and filed, and after it was answered."""

    def __init__(self, inner: Line, before: Callable[[], None], after: Callable[[], None]) -> None:
        self._inner, self._left = inner, [after, before]

    def send(self, commands: Sequence[Command]) -> None:
        is_batch = bool(self._left) and any(command.keys_each for command in commands)
        if is_batch:
            self._left.pop()()
        self._inner.send(commands)
        if is_batch:
            self._left.pop()()

    def settle(self) -> None:
        self._inner.settle()


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None], Callable[[], None]], None]:
    def interpose(before: Callable[[], None], after: Callable[[], None]) -> None:
        @contextmanager
        def opened(client: redis.Redis, done: Done) -> Iterator[Line]:
            with opened_line(client, done) as line:
                yield Between(line, before, after)

        monkeypatch.setattr(warm_run, "opened_line", opened)

    return interpose


def invalidate(url: str, stale: Stale, progress: Callable[[str, float | None], None] | None = None) -> None:
    def silently(text: str, fraction: float | None = None) -> None:
        if progress is not None:
            progress(text, fraction)

    with opened_nodes(url) as nodes:
        rows = Invalidation(nodes, Caps(share=1.0), progress=silently).run(stale)
    assert not [row for row in rows if row.error]


@pytest.mark.parametrize("what", STALE)
@pytest.mark.parametrize("mode", ["newer", "overwrite"])
def test_what_is_invalidated_before_a_batch_arrives_is_never_seen_with_newer_and_is_with_overwrite(
    connection: postgres.Connection, redis_cluster: Cluster, whole: redis.Redis, between: Any, *, mode: str, what: str
) -> None:
    seen: list[int | None] = []
    expected = None if mode == "newer" else 1

    between(lambda: invalidate(redis_cluster.url, STALE[what]), lambda: seen.append(version_at(whole, ONE)))
    try:
        warm(connection, whole, warming(mode))
    except Overtaken:
        assert (what, mode) != ("key", "newer")
    assert seen == [expected]
    assert version_at(whole, ONE) == expected


@pytest.mark.parametrize("what", ["tag", "pattern", "narrow pattern"])
def test_a_batch_that_arrives_while_keys_are_looked_for_is_gone_when_the_invalidation_has_ended(
    connection: postgres.Connection, redis_cluster: Cluster, whole: redis.Redis, between: Any, what: str
) -> None:
    """The first node has been looked through when the batch comes; then the warm-up stands still, as if killed."""
    ready, go, written, end = (threading.Event() for _ in range(4))

    def before() -> None:
        ready.set()
        assert go.wait(PATIENCE_S)

    def after() -> None:
        written.set()
        assert end.wait(PATIENCE_S)

    def let_it_come(text: str, _: float | None) -> None:
        go.set()
        assert written.wait(PATIENCE_S), text

    between(before, after)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            warm(connection, whole, warming())
        except BaseException as error:  # noqa: BLE001 - told by the test
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert ready.wait(PATIENCE_S)
        invalidate(redis_cluster.url, STALE[what], let_it_come)
        go.set()
        assert written.wait(PATIENCE_S)
        assert version_at(whole, ONE) is None
        if what != "narrow pattern":
            assert not [number for number in range(1, ROWS + 1) if whole.exists(f"item:{number}")]
    finally:
        go.set()
        end.set()
        thread.join()
    assert [type(error) for error in failures] == [Overtaken]
    assert warm(connection, whole, warming()).keys == ROWS
    assert not whole.exists(ANNOUNCED)


@pytest.mark.parametrize("stale", [Stale(tags=("others",)), Stale(patterns=(b"user:*",))])
def test_what_concerns_other_keys_does_not_stop_it(
    connection: postgres.Connection, redis_cluster: Cluster, whole: redis.Redis, between: Any, stale: Stale
) -> None:
    between(lambda: invalidate(redis_cluster.url, stale), lambda: None)
    warmed = warm(connection, whole, warming())
    assert (warmed.keys, warmed.kept) == (ROWS, 0)
