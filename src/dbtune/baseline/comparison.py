"""Two captures, judged: metrics, statements, plans, what to trust, and one verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from dbtune.baseline.capture import Capture, Change
from dbtune.baseline.causes import explained, new_indexes
from dbtune.baseline.comparability import examine
from dbtune.baseline.corrections import corrected
from dbtune.baseline.gates import Expression, evaluate
from dbtune.baseline.latency import latency_metrics
from dbtune.baseline.loads import latency_side, load_metrics, paired_loads
from dbtune.baseline.metrics import Rules, counter_metrics, figure_metric
from dbtune.baseline.outcome import Comparison, Distribution, Gate, LoadPair, Metric, Side, StatementChange
from dbtune.baseline.plans import compare_plans
from dbtune.baseline.readings import readings
from dbtune.baseline.samples import side_of_values
from dbtune.baseline.server_metrics import server_metrics
from dbtune.baseline.statements import compare_statements, total_split, weight
from dbtune.baseline.statistics import geometric_mean
from dbtune.baseline.tables import compare_tables
from dbtune.baseline.trust import judge_trust
from dbtune.baseline.verdict import DEFAULT_MARGIN, DEFAULT_NOISE, Verdict, overall
from dbtune.baseline.windows import statement_windows

_SHARE = 0.01
"""Of the statements' time: less than this decides nothing about the whole."""


def compare(
    before: Capture,
    after: Capture,
    *,
    margin: float = DEFAULT_MARGIN,
    noise: float = DEFAULT_NOISE,
    interleaved: bool = False,
    across_servers: bool = False,
    gates: Sequence[Expression] = (),
    started_at: datetime,
) -> Comparison:
    """Judges `after` against `before`.

    `margin` is the change that does not matter, `noise` the standard deviation of a run's level from run to run;
    `interleaved` says that the blocks of both took turns, which makes `noise` irrelevant. `gates` are held against
    both. Raises Misused where the two are not comparable at all.
    """
    comparability = examine(before, after, across_servers=across_servers)
    rules = Rules(margin, 0.0 if interleaved else noise, interleaved)
    windows = statement_windows(before), statement_windows(after)
    metrics = (*_measured(before, after, rules), *counter_metrics(before, after, rules), *server_metrics(before, after))
    statements: tuple[StatementChange, ...] = ()
    if comparability.statements_why is None and all(side.invalid is None for side in windows):
        statements = compare_statements((before, windows[0]), (after, windows[1]), comparability, rules)
    changes = changes_between(before, after)
    metrics = corrected(metrics, _deciding(statements), {gate.subject for gate in gates})
    return Comparison(
        target=after.target,
        started_at=started_at,
        duration_s=0.0,
        before=_side(before),
        after=_side(after),
        margin=margin,
        noise=rules.noise,
        metrics=metrics,
        statements=explained(statements, before, after, changes),
        tables=compare_tables(before, after),
        plans=compare_plans(before.plans, after.plans),
        distributions=tuple(_distributions(before, after)),
        geometric_mean=_geometric_means(metrics, statements),
        split=total_split(statements),
        gates=check_gates(before, after, gates),
        trust=judge_trust((before, after), windows, comparability, rules),
        loads=tuple(_load_pairs(before, after)),
        new_indexes=new_indexes(before, after, changes),
        changes=changes,
        verdict=_verdict(metrics, statements),
    )


def check_gates(before: Capture, after: Capture, gates: Sequence[Expression]) -> tuple[Gate, ...]:
    now, then = readings(after), readings(before)
    return tuple(evaluate(gate, now, then) for gate in gates)


def changes_between(before: Capture, after: Capture) -> tuple[Change, ...]:
    """Steps that the journal knew at the second capture and not at the first."""
    known = {(change.run_id, change.step) for change in before.changes}
    return tuple(change for change in after.changes if (change.run_id, change.step) not in known)


def _measured(before: Capture, after: Capture, rules: Rules) -> Iterator[Metric]:
    yield from load_metrics(before, after, rules)
    later = {timing.name: timing for timing in after.timings}
    for timing in before.timings:
        if timing.name in later:
            twin = later[timing.name]
            sides = side_of_values(timing.blocks, timing.engine), side_of_values(twin.blocks, twin.engine)
            yield from latency_metrics(timing.name, *sides, rules)
    figures = {figure.name: figure for figure in after.figures}
    for figure in before.figures:
        if figure.name in figures:
            yield figure_metric(figure, figures[figure.name], rules)


def _deciding(statements: Sequence[StatementChange]) -> list[StatementChange]:
    """Statements that matter; one seen on one side only is a fact, not an open question."""
    total = sum(weight(change) for change in statements if change.toplevel)
    return [
        change
        for change in statements
        if change.before is not None and change.after is not None and weight(change) >= _SHARE * total
    ]


def _load_pairs(before: Capture, after: Capture) -> Iterator[LoadPair]:
    for prefix, old, new in paired_loads(before, after):
        yield LoadPair(prefix.removesuffix(".") or new.name, old, new)


def _verdict(metrics: Sequence[Metric], statements: Sequence[StatementChange]) -> Verdict:
    """Over all that can be judged."""
    verdicts = [metric.verdict for metric in metrics if not metric.informative]
    return overall(verdicts + [change.time.verdict for change in _deciding(statements)])


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
    for prefix, old, new in paired_loads(before, after):
        sides = latency_side(old).whole.points(), latency_side(new).whole.points()
        if all(sides):
            yield Distribution(f"{prefix}latency", *sides)
    later = {timing.name: timing for timing in after.timings}
    for timing in before.timings:
        twin = later.get(timing.name)
        if twin is not None and timing.values_s and twin.values_s:
            pair = (side_of_values(side.blocks, side.engine).whole.points() for side in (timing, twin))
            yield Distribution(timing.name, *pair)
