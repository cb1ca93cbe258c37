"""Twenty warm-ups, one after the other as cron starts them, while an application reads, writes and invalidates."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from typing import Any, Self

import psycopg
import pytest
from topologies import Cluster

from dbtune.cache.generations import BURY, TOMBSTONE_MS, tombstone_key
from dbtune.cache.rules import Stale
from dbtune.cache.tags import tag_key
from dbtune.servers.redis.invalidate import Caps, Invalidation
from dbtune.servers.redis.nodes import opened_nodes
from dbtune.servers.redis.session import connect_whole

ROWS = 600
RUNS = 20
EVERY_WHOLE_S = 2.5
HOT = 60
"""Ids that the application works on: few, so that every warm-up meets them."""

PLAYBOOK = """
version: 1
name: shop
steps:
  - cache_warm:
      key: "doc:{id}"
      query: select id, version, pg_sleep(0.0005) is null as slow from docs
      ttl: 1h
      tags: [docs]
      every: 1min
      mode: MODE
"""


class Application:
    """Each id has one writer. `floors` is what a reader may expect at least: raised once an invalidation has ended."""

    def __init__(self, dsn: str, url: str) -> None:
        self.dsn, self.url = dsn, url
        self.floors: Counter[int] = Counter()
        self.done: Counter[str] = Counter()
        self.stale: list[str] = []
        self.failures: list[BaseException] = []
        self._stop, self._turn = threading.Event(), threading.Lock()
        self._next_whole = 0.0
        work = [lambda first=first: self._write(range(first, HOT, 3)) for first in range(3)] + [self._read] * 2
        self._threads = [threading.Thread(target=self._guarded, args=(one,)) for one in work]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - told by the test
            self.failures.append(error)

    def _write(self, ids: range) -> None:
        chance = random.Random(ids.start)  # noqa: S311 - no secret
        with (
            psycopg.connect(self.dsn, autocommit=True) as database,
            opened_nodes(self.url) as nodes,
            closing(connect_whole(self.url)) as client,
        ):
            invalidation = Invalidation(nodes, Caps(share=1.0))
            while not self._stop.is_set():
                number = chance.choice(ids)
                row = database.execute(
                    "update docs set version = version + 1 where id = %s returning version", (number,)
                ).fetchone()
                assert row is not None
                how = self._rarely(chance) or chance.choice(("key", "write", "script"))
                key = b"doc:%d" % number
                if how == "key":
                    invalidation.run(Stale(keys=(key,)))
                elif how == "pattern":
                    invalidation.run(Stale(patterns=(key + b"*",)))
                elif how == "tag":
                    invalidation.run(Stale(tags=("docs",)))
                else:
                    # What an application does without dbtune: the documented script, and with `write` its own value.
                    client.eval(BURY, 2, key, tombstone_key(key), str(TOMBSTONE_MS))
                    if how == "write":
                        # Under its tag first, as a warm-up files it: else no one who names the tag would find it.
                        expiry_ms = int(time.time() * 1000) + 3_600_000
                        client.zadd(tag_key("docs"), {key: expiry_ms})
                        client.set(key, json.dumps({"id": number, "version": row[0]}), pxat=expiry_ms)
                self.floors[number] = row[0]
                self.done[how] += 1
                time.sleep(0.01)

    def _rarely(self, chance: random.Random) -> str | None:
        """What concerns every key makes a warm-up read anew: were it all the time, none would come to its end."""
        with self._turn:
            if time.monotonic() < self._next_whole:
                return None
            self._next_whole = time.monotonic() + EVERY_WHOLE_S
        return chance.choice(("tag", "pattern"))

    def _read(self) -> None:
        with closing(connect_whole(self.url)) as client:
            while not self._stop.is_set():
                number = random.randrange(HOT)  # noqa: S311 - no secret
                floor = self.floors[number]
                found = client.get(f"doc:{number}")
                if found is None:
                    self.done["miss"] += 1
                    continue
                self.done["hit"] += 1
                time.sleep(0.001)
                version = json.loads(str(found, "utf-8") if isinstance(found, bytes) else "{}")["version"]
                if version < floor:
                    self.stale.append(f"doc:{number} is {version}, and was {floor} before it was read")


def keep_warming(dbtune: Any, url: str, runs: int) -> None:
    dbtune.sql("create table docs (id int primary key, version bigint not null)")
    dbtune.sql(f"insert into docs select i, 1 from generate_series(0, {ROWS - 1}) i")
    playbook = dbtune.playbook(PLAYBOOK.replace("MODE", "newer\n      version: version"))
    written = whole = 0
    with Application(dbtune.dsn, url) as application:
        for _ in range(runs):
            answer = dbtune.json("warm", playbook, "--force", "--redis", url)
            (step,) = answer.document["steps"]
            # Overtaken again and again it says so, and the next run finishes the job.
            assert answer.code == 0 or "invalidated meanwhile" in step["error"], answer.out
            written += step["keys"]
            whole += answer.code == 0
    assert not application.failures
    assert application.stale == []
    # It says something only if all of them met.
    assert (written > ROWS, whole > runs / 4) == (True, True)
    assert all(application.done[how] for how in ("key", "pattern", "tag", "write", "script", "hit", "miss"))


@pytest.mark.slow(30)
@pytest.mark.timeout(600)
def test_no_reader_ever_sees_an_older_value_in_twenty_runs(dbtune: Any, cache_url: str) -> None:
    keep_warming(dbtune, cache_url, RUNS)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nor_does_a_reader_of_a_cluster(dbtune: Any, redis_cluster: Cluster) -> None:
    keep_warming(dbtune, redis_cluster.url, RUNS // 2)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_checker_sees_what_overwriting_does(dbtune: Any, cache_url: str) -> None:
    """Without `newer` the same loop finds stale reads: it is no checker that finds nothing."""
    dbtune.sql("create table docs (id int primary key, version bigint not null)")
    dbtune.sql(f"insert into docs select i, 1 from generate_series(0, {ROWS - 1}) i")
    playbook = dbtune.playbook(PLAYBOOK.replace("MODE", "overwrite"))
    with Application(dbtune.dsn, cache_url) as application:
        for _ in range(RUNS):
            assert dbtune.json("warm", playbook, "--force", "--redis", cache_url).code == 0
            if application.stale:
                break
    assert not application.failures
    assert application.stale
