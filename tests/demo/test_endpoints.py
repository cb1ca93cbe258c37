from __future__ import annotations

from collections.abc import Iterator
from random import Random

import psycopg
import pytest
import redis

from dbtune.demo import recommendations
from dbtune.demo.backend import Backend
from dbtune.demo.cache import Cache
from dbtune.demo.courses import Enrolment
from dbtune.demo.database import Database, connect
from dbtune.demo.endpoints import (
    CONTENT,
    COURSE_STATUS,
    ENDPOINTS,
    PERMISSIONS,
    PROBES,
    RECOMMENDATIONS,
    SCORE_UPDATE,
    Endpoint,
)
from dbtune.demo.permissions import Bearer
from dbtune.demo.population import Population, read_population

READS = [endpoint for endpoint in dict.fromkeys((*ENDPOINTS, *PROBES)) if endpoint is not SCORE_UPDATE]


@pytest.fixture
def backend(sample: str) -> Iterator[Backend]:
    """Without a cache."""
    with connect(sample) as connection:
        yield Backend(Database(connection))


@pytest.fixture
def cached(sample: str, cache_url: str) -> Iterator[Backend]:
    with connect(sample) as connection, redis.Redis.from_url(cache_url) as client:
        yield Backend(Database(connection), Cache(client))


@pytest.fixture
def population(sample: str) -> Population:
    return read_population(sample)


@pytest.mark.parametrize("endpoint", READS, ids=lambda endpoint: endpoint.name)
def test_both_forms_answer_alike(endpoint: Endpoint, backend: Backend, cached: Backend, population: Population) -> None:
    rng, answers = _rng(5), []
    for _ in range(25):
        request = endpoint.request_for(population, rng)
        slow = endpoint.slow(backend, request)
        assert endpoint.fast(backend, request) == slow
        assert endpoint.fast(cached, request) == slow, "on a miss"
        assert endpoint.fast(cached, request) == slow, "on a hit"
        answers.append(slow)
    assert sum(bool(answer) for answer in answers) > 20, "comparing nothing with nothing proves nothing"


def test_both_forms_write_the_same_scores(sample: str, population: Population) -> None:
    batch = SCORE_UPDATE.request_for(population, _rng(5))
    assert len(batch) == 1000
    scores = "select id, engagement_score from contents where id = any(%s) order by id"
    with psycopg.connect(sample) as connection:
        before = connection.execute(scores, (list(batch),)).fetchall()
        for form in (SCORE_UPDATE.slow, SCORE_UPDATE.fast):
            connection.execute("update contents set engagement_score = -1")
            assert form(Backend(Database(connection)), batch) == 1000
            assert connection.execute(scores, (list(batch),)).fetchall() == before
            assert connection.execute("select count(*) from contents where engagement_score = -1").fetchone() == (3000,)
            connection.rollback()


@pytest.mark.parametrize(
    ("endpoint", "slow", "fast"),
    [(CONTENT, 2, 1), (RECOMMENDATIONS, 11, 1), (COURSE_STATUS, 122, 2), (SCORE_UPDATE, 1020, 1)],
    ids=lambda value: value.name if isinstance(value, Endpoint) else str(value),
)
def test_the_fast_form_sends_fewer_statements(
    endpoint: Endpoint, slow: int, fast: int, backend: Backend, population: Population
) -> None:
    request = endpoint.request_for(population, _rng(5))
    assert _statements(backend, endpoint, "slow", request) == slow
    assert _statements(backend, endpoint, "fast", request) == fast


def test_permissions_climb_the_roles_one_by_one_or_in_one_statement(backend: Backend) -> None:
    bearer = Bearer("user11@example.com", "unknown")
    assert _statements(backend, PERMISSIONS, "slow", bearer) > 3
    assert _statements(backend, PERMISSIONS, "fast", bearer) == 2


def test_who_was_revoked_may_do_nothing_though_the_cache_knows_better(cached: Backend, population: Population) -> None:
    good, revoked = Bearer("User7@Example.com", "unknown"), Bearer("user7@example.com", population.revoked[0])
    assert PERMISSIONS.fast(cached, good)
    assert PERMISSIONS.fast(cached, revoked) is None
    assert PERMISSIONS.slow(cached, revoked) is None


def test_what_nobody_has_is_answered_with_nothing(backend: Backend) -> None:
    assert CONTENT.slow(backend, 10**9) is None
    assert CONTENT.fast(backend, 10**9) is None
    assert COURSE_STATUS.slow(backend, Enrolment(1, 10**9)) is None
    assert COURSE_STATUS.fast(backend, Enrolment(1, 10**9)) is None
    stranger = Enrolment(10**9, 1)
    assert COURSE_STATUS.fast(backend, stranger) == COURSE_STATUS.slow(backend, stranger)


def test_a_feed_has_nothing_that_its_user_has_seen(backend: Backend, population: Population) -> None:
    user_id = population.user_id(_rng(1))
    items = recommendations.candidates(backend.database, user_id)
    seen = backend.database.rows("select content_id from user_interactions where user_id = %s", user_id)
    assert len(items) == 10
    assert not {item["id"] for item in items} & {row["content_id"] for row in seen}


def test_content_is_cached_from_the_start_and_counted(cached: Backend) -> None:
    for _ in range(3):
        CONTENT.slow(cached, 1)
    assert (cached.cache.hits, cached.cache.misses, cached.database.statements) == (2, 1, 2)


def test_an_absence_is_not_cached(cached: Backend) -> None:
    for _ in range(2):
        assert CONTENT.fast(cached, 10**9) is None
    assert (cached.cache.hits, cached.cache.misses) == (0, 2)


def test_what_is_cached_expires(cached: Backend, cache_url: str) -> None:
    CONTENT.fast(cached, 1)
    with redis.Redis.from_url(cache_url) as client:
        ttl = client.ttl("rec:content:1:full")
    assert isinstance(ttl, int)
    assert 3500 <= ttl <= 3960


def test_requests_are_drawn_alike_from_the_same_seed_and_favour_few(population: Population) -> None:
    assert population.content_id(_rng(3)) == population.content_id(_rng(3))
    rng = _rng(1)
    asked = [population.content_id(rng) for _ in range(2000)]
    hot = sorted({*asked}, key=lambda content_id: -asked.count(content_id))[:40]
    assert sum(content_id in hot for content_id in asked) > 700


def _statements(backend: Backend, endpoint: Endpoint, form: str, request: object) -> int:
    before = backend.database.statements
    (endpoint.slow if form == "slow" else endpoint.fast)(backend, request)
    return backend.database.statements - before


def _rng(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - requests are to be predictable
