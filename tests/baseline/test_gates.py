"""The one grammar of gates and thresholds: what it reads, where it refuses, and that no data is a failure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbtune.baseline.gates import GateSyntaxError, Quantity, Reading, Source, evaluate, parse


def source(**values: tuple[float, str]) -> Source:
    known = {name.replace("__", "."): Reading(*value) for name, value in values.items()}
    return lambda metric, statistic: known.get(f"{metric}.{statistic}" if statistic != "value" else metric)


def test_a_percentile_is_written_as_dbtune_or_as_k6_does() -> None:
    assert parse("latency.p95 < 300ms").subject == parse("latency.p(95)<300ms").subject == "latency.p95"
    assert parse("p(99.9) <= 1s", metric="latency").subject == "latency.p99.9"
    assert parse("med<5", metric="http_req_duration").subject == "http_req_duration.med"


def test_units_end_in_seconds_fractions_and_bytes() -> None:
    quantities = {text: parse(f"a.p95 < {text}").limit.offset for text in ("300ms", "0.1%", "2min", "64MB", "5/s")}
    assert quantities == {
        "300ms": Quantity(0.3, "time"),
        "0.1%": Quantity(0.001, "share"),
        "2min": Quantity(120, "time"),
        "64MB": Quantity(64 << 20, "size"),
        "5/s": Quantity(5, "rate"),
    }


@pytest.mark.parametrize(
    ("text", "value", "before", "ok"),
    [
        ("a.p95 < baseline * 0.5", 0.4, 1.0, True),
        ("a.p95 < baseline * 0.5", 0.5, 1.0, False),
        ("a.p95 <= baseline / 2", 0.5, 1.0, True),
        ("a.p95 < 2 * baseline + 5ms", 2.004, 1.0, True),
        ("a.p95 < baseline - 100ms", 0.95, 1.0, False),
        ("a.p95 === baseline", 1.0, 1.0, True),
        ("a.p95 != baseline", 1.0, 1.0, False),
        ("a.p95 > -1s", 0.0, 1.0, True),
        ("a.p95 < 300", 0.2, 1.0, True),
    ],
)
def test_a_gate_is_held_against_the_baseline(text: str, value: float, before: float, ok: bool) -> None:  # noqa: FBT001
    gate = evaluate(parse(text), source(a__p95=(value, "s")), source(a__p95=(before, "s")))
    assert gate.ok is ok
    assert gate.value == value


@pytest.mark.parametrize(
    ("text", "column", "expected"),
    [
        ("", 1, "a metric"),
        ("latency.p95", 12, "one of"),
        ("latency.p95 =< 3", 13, "one of"),
        ("latency.p95 < ", 15, "a number"),
        ("latency.p95 < baselin * 2", 15, "a number or baseline"),
        ("latency.p95 < 3 parsecs", 17, "unknown unit parsecs"),
        ("latency.p95 < baseline * x", 26, "a number"),
        ("latency.p95 < baseline / 0", 26, "other than 0"),
        ("latency.p95 < 3 4", 17, "the end"),
        ("latency.p(101) < 3", 8, "between 0 and 100"),
        ("latency.p95 < 3 * before", 19, "baseline"),
    ],
)
def test_what_does_not_parse_is_refused_with_its_column(text: str, column: int, expected: str) -> None:
    with pytest.raises(GateSyntaxError) as refusal:
        parse(text)
    assert refusal.value.column == column
    assert expected in refusal.value.message


def test_a_threshold_begins_with_its_statistic() -> None:
    with pytest.raises(GateSyntaxError, match="expected a statistic"):
        parse("latency < 3", metric="latency")


def test_a_name_with_signs_in_it_stands_in_quotes() -> None:
    assert parse('"a < b".p95 < 3ms').metric == "a < b"
    assert parse('"a \\"b\\"".p95 < 3ms').metric == 'a "b"'


def test_no_data_fails_where_k6_passes() -> None:
    gate = evaluate(parse("latency.p95 < 3ms"), source(), None)
    assert (gate.ok, gate.value) == (False, None)
    assert gate.reason is not None
    assert "no data" in gate.reason


def test_a_relative_gate_without_a_baseline_fails() -> None:
    gate = evaluate(parse("a.p95 < baseline"), source(a__p95=(1.0, "s")), None)
    assert (gate.ok, gate.value, gate.reason) == (False, 1.0, "there is no baseline")


def test_a_time_is_not_held_against_a_percentage() -> None:
    gate = evaluate(parse("a.p95 < 5%"), source(a__p95=(1.0, "s")), None)
    assert not gate.ok
    assert gate.reason == "a share is no limit for a.p95, which counts s"


@given(st.text(alphabet='latency.p95<>=!"{} *(+)-/baseline0%ms', max_size=40))
def test_any_text_is_read_or_refused_within_itself(text: str) -> None:
    try:
        read, column = parse(text).text, 1
    except GateSyntaxError as refusal:
        read, column = text.strip(), refusal.column
    assert read == text.strip()
    assert 1 <= column <= len(text) + 1
