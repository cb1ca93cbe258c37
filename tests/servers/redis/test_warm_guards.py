"""What keeps runs apart and servers whole: the lock, the breaker's file, the pace."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis
from patience import until

from dbtune.core.errors import Busy, ChangeFailed, Interrupted, Unreachable
from dbtune.core.warming import CacheAway
from dbtune.servers.redis import lock, session
from dbtune.servers.redis.breaker import FAILURES, Breaker, read_circuit
from dbtune.servers.redis.lock import held
from dbtune.servers.redis.pace import Pace

NAME = "dbtune:lock:test"


@pytest.fixture
def client(cache_url: str) -> Iterator[redis.Redis]:
    with session.connect(cache_url) as client:
        yield client


def ignored(_: ChangeFailed) -> None:
    return


def away() -> None:
    raise CacheAway("away")


def test_a_lock_is_held_once_and_given_back_and_expires_by_itself(client: redis.Redis) -> None:
    with held(client, NAME, lost=ignored):
        assert 0 < client.pttl(NAME) <= lock.LIFE_MS
        with pytest.raises(Busy, match="process"), held(client, NAME, lost=ignored):
            pass
        assert client.exists(NAME)
    assert not client.exists(NAME)


def test_a_lock_of_somebody_elses_is_neither_renewed_nor_released(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "RENEW_S", 0.01)
    lost = threading.Event()
    with held(client, NAME, lost=lambda _: lost.set()):
        client.set(NAME, "another's", px=60_000)
        assert lost.wait(30)
    assert client.get(NAME) == b"another's"


def test_a_lock_whose_process_is_gone_is_taken_over_and_one_of_another_machine_is_not(client: redis.Redis) -> None:
    dead = lock._token().split(" ")
    client.set(NAME, " ".join((dead[0], "999999999", "1", dead[3])), px=60_000)
    with held(client, NAME, lost=ignored):
        pass
    client.set(NAME, " ".join(("elsewhere/x/1", "999999999", "1", dead[3])), px=60_000)
    with pytest.raises(Busy), held(client, NAME, lost=ignored):
        pass


def test_a_circuit_opens_after_five_failures_lets_nobody_try_and_closes_after_two_successes(tmp_path: Path) -> None:
    path, told = tmp_path / "circuit.json", list[str]()
    for _ in range(FAILURES):
        # Each as a process of its own would be: only the file is shared.
        with pytest.raises(CacheAway):
            Breaker("cache", told.append, path=path).call(away)
    assert read_circuit(path).state == "open"
    tried: list[int] = []
    with pytest.raises(Unreachable, match="circuit is open until"):
        Breaker("cache", told.append, path=path).call(lambda: tried.append(1))
    assert tried == []
    old = datetime(2026, 1, 1, tzinfo=UTC).isoformat()
    path.write_text(json.dumps({**json.loads(path.read_text()), "opened_at": old}))
    Breaker("cache", told.append, path=path).call(lambda: tried.append(1))
    assert read_circuit(path).state == "half-open"
    Breaker("cache", told.append, path=path).call(lambda: tried.append(1))
    assert (read_circuit(path).state, len(tried)) == ("closed", 2)
    assert told == ["circuit closed -> open", "circuit open -> half-open", "circuit half-open -> closed"]


def test_a_failure_while_half_open_opens_it_again(tmp_path: Path) -> None:
    path = tmp_path / "circuit.json"
    path.write_text(
        json.dumps({"state": "open", "failures": 5, "successes": 0, "opened_at": "2026-01-01T00:00:00+00:00"})
    )
    with pytest.raises(CacheAway):
        Breaker("cache", list[str]().append, path=path).call(away)
    assert read_circuit(path).state == "open"


def test_what_is_wrong_with_a_query_does_not_open_the_circuit(tmp_path: Path) -> None:
    def refused() -> None:
        raise ChangeFailed("no such column")

    for _ in range(FAILURES + 1):
        with pytest.raises(ChangeFailed):
            Breaker("cache", list[str]().append, path=tmp_path / "c.json").call(refused)
    assert read_circuit(tmp_path / "c.json").state == "closed"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"state": 1}', "\x00\xff", '{"state": "open", "failures": "x"}'])
def test_a_damaged_state_is_a_closed_circuit(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.json"
    path.write_text(text)
    assert read_circuit(path).state == "closed"


def test_a_state_that_cannot_be_kept_keeps_nobody_from_warming(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    breaker = Breaker("cache", list[str]().append, path=tmp_path / "file" / "c.json")
    with pytest.raises(CacheAway):
        breaker.call(away)
    assert breaker.call(lambda: 7) == 7


def test_a_rate_makes_the_second_wait_for_what_the_first_has_paid() -> None:
    pace = Pace(max_rate=1000)
    pace.wait(200)
    start = time.monotonic()
    pace.wait(1)
    assert time.monotonic() - start > 0.1
    assert (pace.batch_rows, pace.piece_keys) == (100, 5)


def test_a_stopped_pace_says_why_and_a_deadline_is_a_failed_change() -> None:
    pace = Pace()
    pace.stop(ChangeFailed("lost"))
    with pytest.raises(ChangeFailed, match="lost"):
        pace.check()
    plain = Pace()
    plain.stop()
    with pytest.raises(Interrupted):
        plain.wait(1)
    with pytest.raises(ChangeFailed, match="time budget"):
        Pace(deadline_s=time.monotonic() - 1).check()


# A tenth of a second or less; by counting, since a script's clock may stand still.
BUSY = "local sum = 0 for number = 1, 3000000 do sum = sum + number end return sum"


def test_a_server_that_keeps_everybody_waiting_makes_a_warm_up_pause_until_it_is_well_again(
    client: redis.Redis, cache_url: str
) -> None:
    pace, well = Pace(polite=True), threading.Event()

    def keep_busy() -> None:
        with session.connect(cache_url) as other:
            while not well.is_set():
                other.eval(BUSY, 0)

    with pace.watched(lambda: session.connect(cache_url)):
        until(lambda: pace.looks > 0, "it looks")
        # While one of them is being answered another's turn has come: there is hardly a gap between them.
        busy = [threading.Thread(target=keep_busy) for _ in range(3)]
        for one in busy:
            one.start()
        try:
            until(lambda: pace.pause_s > 0.01, "it is paced so")
        finally:
            well.set()
            for one in busy:
                one.join()
        until(lambda: pace.pause_s < 0.001, "it is paced so")


def test_a_client_that_waits_for_a_processor_does_not_take_the_server_for_slow(cache_url: str) -> None:
    pace, enough, paused = Pace(polite=True), threading.Event(), list[float]()

    def starve() -> None:
        while not enough.is_set():
            pass  # Python runs one thread at a time, and each of these takes as long as it may

    with pace.watched(lambda: session.connect(cache_url)):
        hogs = [threading.Thread(target=starve) for _ in range(4)]
        for hog in hogs:
            hog.start()
        try:
            while pace.looks < 5:
                paused.append(pace.pause_s)
                time.sleep(0.01)
        finally:
            enough.set()
            for hog in hogs:
                hog.join()
    assert set(paused) == {0.0}
