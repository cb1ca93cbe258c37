from __future__ import annotations

import psycopg
import pytest

from dbtune.demo.endpoints import COURSE_STATUS, ENDPOINTS, PROBES, Endpoint, Form
from dbtune.demo.load import load
from dbtune.demo.traffic import drive, probe


@pytest.mark.parametrize("form", ["slow", "fast"])
def test_every_endpoint_is_measured_without_an_error(form: Form, sample: str, cache_url: str) -> None:
    traffic = drive(sample, cache_url, form, duration_s=2, ramp_s=0.1, clients=3)
    assert set(traffic.by_endpoint) == {endpoint.name for endpoint in ENDPOINTS}
    for samples in traffic.by_endpoint.values():
        assert samples.requests == len(samples.latencies_s) > 0
        assert samples.errors == 0
        assert samples.first_error is None
        assert min(samples.latencies_s) > 0
    assert traffic.errors == 0
    assert traffic.requests == len(traffic.latencies_s)
    assert traffic.requests_per_s == traffic.requests / 2
    assert traffic.hit_rate is not None
    assert 0 < traffic.hit_rate < 1
    statements = traffic.by_endpoint["course-status"].statements_per_request
    assert statements > 100 if form == "slow" else statements <= 3


def test_without_redis_there_is_no_hit_rate(sample: str) -> None:
    traffic = drive(sample, None, "fast", duration_s=0.5, ramp_s=0)
    assert traffic.requests > 0
    assert traffic.hit_rate is None


def test_errors_are_counted_and_the_traffic_goes_on(database: str) -> None:
    load(database, 0.001)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("alter table content_tracking rename to elsewhere")
        connection.execute("create view content_tracking as select user_id from elsewhere")
    traffic = drive(database, None, "slow", duration_s=1, ramp_s=0, clients=2)
    broken = traffic.by_endpoint.pop("course-status")
    assert broken.errors == broken.requests > 0
    assert broken.first_error is not None
    assert "UndefinedColumn" in broken.first_error
    assert all(samples.errors == 0 and samples.requests > 0 for samples in traffic.by_endpoint.values())


def test_a_cache_that_is_gone_is_an_error_of_each_request_that_needs_it(sample: str) -> None:
    traffic = drive(sample, "redis://127.0.0.1:1/0", "fast", duration_s=0.5, ramp_s=0)
    assert traffic.by_endpoint["content"].errors > 0
    assert traffic.by_endpoint["course-status"].errors == 0


def test_a_server_that_is_not_there_is_an_error_of_the_whole() -> None:
    with pytest.raises(psycopg.OperationalError):
        drive("host=127.0.0.1 port=1 dbname=none", None, "fast", duration_s=0.5)


@pytest.mark.parametrize("endpoint", PROBES, ids=lambda endpoint: endpoint.name)
def test_a_probe_measures_each_repetition(endpoint: Endpoint, sample: str, cache_url: str) -> None:
    samples = probe(endpoint, sample, cache_url, "fast", times=3)
    assert len(samples.latencies_s) == 3
    assert samples.errors == 0


def test_a_probe_counts_the_statements_of_one_request(sample: str) -> None:
    assert probe(COURSE_STATUS, sample, None, "slow", times=2).statements_per_request == 122
    assert probe(COURSE_STATUS, sample, None, "fast", times=2).statements_per_request == 2


def test_a_second_run_finds_what_the_first_left_in_the_cache(sample: str, cache_url: str) -> None:
    first = drive(sample, cache_url, "fast", duration_s=1, ramp_s=0)
    second = drive(sample, cache_url, "fast", duration_s=1, ramp_s=0)
    assert first.hit_rate is not None
    assert second.hit_rate is not None
    assert second.hit_rate > first.hit_rate
