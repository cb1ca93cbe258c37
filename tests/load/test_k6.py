from __future__ import annotations

import json

import pytest

from dbtune.load.k6_output import needed_lines, parse_point
from dbtune.load.k6_script import k6_script
from dbtune.load.model import Endpoint
from dbtune.load.stages import Stage, segments


def line(metric: str = "http_req_duration", value: object = 12.5, **tags: str) -> bytes:
    data = {"time": "2026-11-23T03:43:37.123456789Z", "value": value, "tags": tags}
    return json.dumps({"metric": metric, "type": "Point", "data": data}, separators=(",", ":")).encode()


def test_a_request_is_read_with_its_moment_and_its_name() -> None:
    point = parse_point(line(name="feed", expected_response="true", status="200"))
    assert point is not None
    assert (point.metric, point.value, point.name, point.error) == ("http_req_duration", 12.5, "feed", None)
    assert point.at % 60 == pytest.approx(37.123456789)


def test_an_offset_of_the_clock_is_counted_in() -> None:
    utc, berlin = (
        parse_point(line().replace(b"Z", zone).replace(b"T03", hour))
        for zone, hour in ((b"Z", b"T03"), (b"+01:00", b"T04"))
    )
    assert utc is not None
    assert berlin is not None
    assert utc.at == berlin.at


def test_a_failed_request_says_why() -> None:
    wrong = parse_point(line(expected_response="false", status="500"))
    refused = parse_point(line(expected_response="false", error="dial: connection refused"))
    assert (wrong and wrong.error, refused and refused.error) == ("status 500", "dial: connection refused")


def test_other_lines_are_passed_over() -> None:
    assert parse_point(b"") is None
    assert parse_point(b"running (0m01.0s), 2/2 VUs") is None
    assert parse_point(line("data_sent")) is None
    assert parse_point(b'{"type":"Metric","data":{"name":"http_req_duration"},"metric":"http_req_duration"}') is None


def test_of_a_stream_the_needed_lines_are_found_whole_whatever_the_order_of_their_parts() -> None:
    turned = b'{"type":"Point","data":{"time":"2026-11-23T03:43:37Z","value":2,"tags":{}},"metric":"vus"}'
    stream = b"\n".join([line("data_sent"), line(), line("http_reqs"), turned, line("dropped_iterations", 3)])
    assert needed_lines(stream) == [line(), turned, line("dropped_iterations", 3)]
    assert [point and point.value for point in map(parse_point, needed_lines(stream))] == [12.5, 2, 3]
    assert needed_lines(b"") == []


def test_blanks_between_the_parts_of_a_line_change_nothing() -> None:
    spaced = json.dumps(json.loads(line(name="feed"))).encode()
    assert spaced != line(name="feed")
    assert parse_point(spaced) == parse_point(line(name="feed"))
    assert needed_lines(b"\n".join([spaced, line("data_sent"), spaced])) == [spaced, spaced]


@pytest.mark.parametrize("value", ["NaN", "x", -1, None, [1]])
def test_a_measurement_that_cannot_be_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"k6|could not convert"):
        parse_point(line(value=value))


def test_the_script_carries_values_as_data_only() -> None:
    hostile = "');process.exit();//</script>\u2028"
    endpoint = Endpoint(url="http://x/", body=hostile, headers={"X": hostile.replace("\u2028", "")})
    script = k6_script({hostile: endpoint}, segments([Stage.model_validate({"duration": "5s", "clients": 2})]))
    start = script.index("const endpoints = ") + len("const endpoints = ")
    carried = json.loads(script[start : script.index(";\nconst total")])
    assert carried[0]["body"] == hostile
    assert "\u2028" not in script


def test_a_rate_becomes_arrivals() -> None:
    stages = [Stage.model_validate({"duration": "5s", "clients": 3, "rate": "0.5/s"})]
    script = k6_script({"a": Endpoint(url="http://x/")}, segments(stages))
    assert '"ramping-arrival-rate"' in script
    assert '"target": 1800' in script
    assert '"maxVUs": 3' in script


def test_a_mixture_of_loops_is_refused() -> None:
    stages = [Stage.model_validate({"duration": "5s", "clients": 3, "rate": rate}) for rate in ("5/s", None)]
    with pytest.raises(ValueError, match="each stage a rate"):
        k6_script({"a": Endpoint(url="http://x/")}, segments(stages))
