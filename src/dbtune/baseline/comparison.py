"""Two captures, judged: metrics, statements, plans, what to trust, and one verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Literal

from dbtune.baseline.capture import Capture
from dbtune.baseline.comparability import Comparability, examine
from dbtune.baseline.metrics import Rules, counter_metrics, figure_metric, timing_metrics
from dbtune.baseline.outcome import Comparison, Distribution, Metric, Note, Side, StatementChange, Trust
from dbtune.baseline.plans import compare_plans
from dbtune.baseline.statements import compare_statements, total_split, weight
from dbtune.baseline.statistics import geometric_mean
from dbtune.baseline.tables import compare_tables
from dbtune.baseline.verdict import DEFAULT_MARGIN, DEFAULT_NOISE, Verdict, overall
from dbtune.baseline.windows import StatementWindows, database_windows, redis_hit_rates, statement_windows

_POINTS = 200
_SHARE = 0.01
"""Of the statements' time: less than this decides nothing about the whole."""
Level = Literal["invalid", "warning", "info"]


def compare(
    before: Capture,
    after: Capture,
    *,
    margin: float = DEFAULT_MARGIN,
    noise: float = DEFAULT_NOISE,
    interleaved: bool = False,
    across_servers: bool = False,
    started_at: datetime,
) -> Comparison:
    """Judges `after` against `before`.

    `margin` is the change that does not matter, `noise` the standard deviation of a run's level from run to run;
    `interleaved` says that the blocks of both took turns, which makes `noise` irrelevant.
    Raises Misused where the two are not comparable at all.
    """
    comparability = examine(before, after, across_servers=across_servers)
    rules = Rules(margin, 0.0 if interleaved else noise, interleaved)
    windows = statement_windows(before), statement_windows(after)
    metrics = (*_measured(before, after, rules), *counter_metrics(before, after, rules))
    statements: tuple[StatementChange, ...] = ()
    if comparability.statements_why is None and all(side.invalid is None for side in windows):
        statements = compare_statements((before, windows[0]), (after, windows[1]), comparability, rules)
    return Comparison(
        target=after.target,
        started_at=started_at,
        duration_s=0.0,
        before=_side(before),
        after=_side(after),
        margin=margin,
        noise=rules.noise,
        metrics=metrics,
        statements=statements,
        tables=compare_tables(before, after),
        plans=compare_plans(before.plans, after.plans),
        distributions=tuple(_distributions(before, after)),
        geometric_mean=_geometric_means(metrics, statements),
        split=total_split(statements),
        gates=(),
        trust=_trust((before, after), windows, comparability, rules),
        verdict=_verdict(metrics, statements),
    )


def _measured(before: Capture, after: Capture, rules: Rules) -> Iterator[Metric]:
    later = {timing.name: timing for timing in after.timings}
    for timing in before.timings:
        if timing.name in later:
            yield from timing_metrics(timing, later[timing.name], rules)
    figures = {figure.name: figure for figure in after.figures}
    for figure in before.figures:
        if figure.name in figures:
            yield figure_metric(figure, figures[figure.name], rules)


def _verdict(metrics: Sequence[Metric], statements: Sequence[StatementChange]) -> Verdict:
    """Over all that can be judged; a statement seen on one side only is a fact, not an open question."""
    verdicts = [metric.verdict for metric in metrics if not metric.informative]
    total = sum(weight(change) for change in statements if change.toplevel)
    verdicts += [
        change.time.verdict
        for change in statements
        if change.before is not None and change.after is not None and weight(change) >= _SHARE * total
    ]
    return overall(verdicts)


def _geometric_means(metrics: Sequence[Metric], statements: Sequence[StatementChange]) -> dict[str, float]:
    """Of after / before; a mean of fewer than two ratios says nothing new."""
    medians = [1 + metric.change for metric in metrics if metric.name.endswith(".p50") and metric.change is not None]
    times = [1 + change.time.change for change in statements if change.toplevel and change.time.change is not None]
    found = {"timings": medians, "statements": times}
    means = {name: geometric_mean(ratios) for name, ratios in found.items() if len(ratios) > 1}
    return {name: value for name, value in means.items() if value is not None}


def _side(capture: Capture) -> Side:
    shots = capture.snapshots
    return Side(
        name=capture.name,
        started_at=capture.started_at,
        duration_s=capture.duration_s,
        windows=capture.windows,
        window_s=shots[-1].offset_s - shots[0].offset_s if shots else 0.0,
        server_version=capture.fingerprint.server_version,
        database_size_bytes=capture.fingerprint.database_size_bytes,
    )


def _distributions(before: Capture, after: Capture) -> Iterator[Distribution]:
    later = {timing.name: timing for timing in after.timings}
    for timing in before.timings:
        twin = later.get(timing.name)
        if twin is not None and timing.values_s and twin.values_s:
            yield Distribution(timing.name, _thinned(timing.values_s), _thinned(twin.values_s))


def _thinned(values: Iterable[float]) -> tuple[float, ...]:
    """At most 200 of the sorted values, evenly by rank, the first and the last among them."""
    ordered = sorted(values)
    if len(ordered) <= _POINTS:
        return tuple(ordered)
    return tuple(ordered[round(place * (len(ordered) - 1) / (_POINTS - 1))] for place in range(_POINTS))


def _trust(
    captures: tuple[Capture, Capture],
    windows: tuple[StatementWindows, StatementWindows],
    comparability: Comparability,
    rules: Rules,
) -> Trust:
    notes = [*comparability.notes]
    for capture, side in zip(captures, windows, strict=True):
        notes.extend(_window_notes(capture, side))
    notes.extend(_unpaired(*captures))
    if not rules.interleaved:
        notes.append(
            Note(
                "info",
                "noise",
                f"noise between runs assumed: {rules.noise:.1%} of a run's level",
                "measure it with two captures of the same state, and give it as --noise",
            )
        )
    return Trust(tuple(notes), comparability.settings_differ, windows[0].coverage, windows[1].coverage)


def _window_notes(capture: Capture, side: StatementWindows) -> Iterator[Note]:
    if side.invalid is not None:
        level: Level = "info" if capture.windows == 0 else "invalid"
        yield Note(level, f"statements of {capture.name}", side.invalid, "capture with --window 30s --windows 6")
    if side.dealloc > 0:
        yield Note(
            "warning",
            f"evictions of {capture.name}",
            f"pg_stat_statements evicted entries {side.dealloc} times: rare statements are missing or partial",
            "raise pg_stat_statements.max (a restart), or capture shorter windows",
        )
    elif side.evicted:
        yield Note("warning", f"evictions of {capture.name}", f"{len(side.evicted)} statements went within the window")
    if side.coverage is not None and side.coverage < 1:
        yield Note(
            "warning",
            f"coverage of {capture.name}",
            f"{side.coverage:.0%} of the execution time is of statements that this role may see",
            "grant pg_read_all_stats to it",
        )
    if side.windows and capture.fingerprint.settings.get("track_io_timing") == "off":
        yield Note("info", f"I/O time of {capture.name}", "n/a: track_io_timing is off")
    for reason in (database_windows(capture)[1], redis_hit_rates(capture)[1] if capture.fingerprint.redis else None):
        if reason is not None and "within the window" in reason:
            yield Note("invalid", f"counters of {capture.name}", reason, "capture again")
    yield from _loads(capture)


def _loads(capture: Capture) -> Iterator[Note]:
    """Rule 11: failures are in no statement's counters."""
    for timing in capture.timings:
        if timing.errors:
            yield Note("warning", f"{timing.name} of {capture.name}", f"{timing.errors} calls failed and are not timed")
    deltas, _ = database_windows(capture)
    failed = sum(delta.rollbacks for delta in deltas)
    if failed:
        yield Note(
            "info",
            f"rollbacks of {capture.name}",
            f"{failed} transactions were rolled back; failed statements are not in pg_stat_statements",
        )


def _unpaired(before: Capture, after: Capture) -> Iterator[Note]:
    for one, other in ((before, after), (after, before)):
        known = _names(other)
        alone = [name for name in _names(one) if name not in known]
        if alone:
            yield Note("warning", "measured once", f"only in {one.name}: {', '.join(alone)}")


def _names(capture: Capture) -> list[str]:
    return [timing.name for timing in capture.timings] + [figure.name for figure in capture.figures]
