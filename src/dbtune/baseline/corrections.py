"""Many metrics, some of which seem to change by chance: Holm's correction over those that decide."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from dbtune.baseline.outcome import Metric, StatementChange
from dbtune.baseline.statistics import CONFIDENCE
from dbtune.baseline.verdict import holm


def corrected(
    metrics: Sequence[Metric], statements: Sequence[StatementChange], gated: Collection[str]
) -> tuple[Metric, ...]:
    """Metrics whose verdict may be chance among so many become inconclusive.

    The metrics that gates name (`gated`) were chosen beforehand and are a family of their own; the others answer for
    each other and for the statements that matter. Exact counts need no test.
    """
    tested = [metric for metric in metrics if metric.p_beyond is not None and not metric.informative]
    chosen = [metric for metric in tested if metric.name in gated]
    others = [metric for metric in tested if metric.name not in gated]
    more = [change.time.p_beyond for change in statements if change.time.p_beyond is not None]
    doubtful = {**_doubtful(chosen, []), **_doubtful(others, more)}
    return tuple(
        replace(
            metric,
            verdict="inconclusive",
            reason=f"may be chance among {doubtful[metric.name]} metrics",
            missing=metric.missing or "more blocks, or a gate that names it beforehand",
        )
        if metric.name in doubtful
        else metric
        for metric in metrics
    )


def _doubtful(metrics: Sequence[Metric], more: Sequence[float]) -> dict[str, int]:
    """Names of metrics that lose their verdict, with the number of the family."""
    values = [metric.p_beyond or 0.0 for metric in metrics]
    adjusted = holm([*values, *more])
    return {
        metric.name: len(values) + len(more)
        for metric, p in zip(metrics, adjusted, strict=False)
        if metric.verdict in ("improved", "regressed") and p > 1 - CONFIDENCE
    }
