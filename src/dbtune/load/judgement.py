"""Thresholds of a load: read, and judged against what was measured and against a baseline."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dbtune.baseline.gates import Expression, Source, evaluate, parse
from dbtune.baseline.load_result import LoadResult
from dbtune.baseline.outcome import Gate
from dbtune.load.model import Threshold

if TYPE_CHECKING:
    from dbtune.baseline.capture import Capture


@dataclass(frozen=True, slots=True)
class Expectation:
    """A threshold that was read. `key` is where it stands; `delay_s` of the load pass before it may end it."""

    key: str
    metric: str
    text: str
    aborts: bool = False
    delay_s: float = 0.0

    @property
    def expression(self) -> Expression:
        return parse(self.text, metric=self.metric)

    @property
    def relative(self) -> bool:
        return self.expression.relative


@dataclass(frozen=True, slots=True)
class ThresholdOutcome:
    """`key` is where it stands in the playbook; `aborted`: it ended the load."""

    key: str
    gate: Gate
    aborted: bool = False


def expectation(key: str, metric: str, threshold: Threshold) -> Expectation:
    """`metric` is what the key means (model.metric_of)."""
    return Expectation(key, metric, threshold.threshold, threshold.abortOnFail, threshold.delayAbortEval)


def judge(
    expectations: Iterable[Expectation],
    result: LoadResult,
    baseline: Capture | None,
    aborted: Expectation | None = None,
) -> tuple[ThresholdOutcome, ...]:
    """Each threshold with its value. No data is a failure, and so is one that ended the load, whatever came after."""
    from dbtune.baseline.readings import readings_of_load

    after = readings_of_load(result)
    found = []
    for expected in expectations:
        gate = _gate(expected, after, result, baseline)
        if expected == aborted and gate.ok:
            gate = replace(gate, ok=False, reason="it did not hold while the load ran, and ended it")
        found.append(ThresholdOutcome(expected.key, gate, aborted=expected == aborted))
    return tuple(found)


def fails(expected: Expectation, so_far: LoadResult, baseline: Capture | None) -> bool:
    """Whether a load that is under way has missed it. What has no data yet may still come."""
    from dbtune.baseline.readings import readings_of_load

    gate = evaluate(expected.expression, readings_of_load(so_far), _baseline(so_far, baseline, checked=False)[0])
    return not gate.ok and gate.value is not None and gate.limit is not None


def _gate(expected: Expectation, after: Source, result: LoadResult, baseline: Capture | None) -> Gate:
    if not expected.relative:
        return evaluate(expected.expression, after, None)
    before, problem = _baseline(result, baseline, checked=True)
    gate = evaluate(expected.expression, after, before)
    return replace(gate, ok=False, reason=problem) if problem is not None else gate


def _baseline(result: LoadResult, baseline: Capture | None, *, checked: bool) -> tuple[Source | None, str | None]:
    """The baseline's measurements of the same load, and why they cannot be compared with."""
    from dbtune.baseline.loads import engine_of
    from dbtune.baseline.readings import readings, readings_of_load

    if baseline is None:
        return None, None
    named = [load for load in baseline.loads if load.name == result.name]
    chosen = named[0] if named else baseline.loads[0] if len(baseline.loads) == 1 else None
    if chosen is None:
        return readings(baseline), None
    if checked and engine_of(chosen) != engine_of(result):
        return None, f"the baseline was made otherwise: {engine_of(chosen)}"
    return readings_of_load(chosen), None
