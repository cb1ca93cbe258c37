"""Results of several workers as those of one load: counts and histograms add up, so nothing is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from dbtune.baseline.histogram import merge as merge_histograms
from dbtune.baseline.load_result import LoadBlock, LoadMoment, LoadResult, LoadStream, timed
from dbtune.core.errors import Misused
from dbtune.load.judgement import judge
from dbtune.load.recorder import quantile_s
from dbtune.load.report import LoadOutcome, LoadReport, by_stage

if TYPE_CHECKING:
    from dbtune.baseline.capture import Capture

Item = TypeVar("Item")
_TOGETHER_S = 10.0


def merge_reports(reports: Sequence[LoadReport], baseline: Capture | None = None) -> LoadReport:
    """The stream of all workers, judged. Raises Misused for results that do not belong together."""
    if not reports:
        raise Misused("there is nothing to merge", hint="name the files that the workers wrote")
    _refuse_twice(reports)
    first = reports[0]
    ids = [tuple(outcome.id for outcome in report.loads) for report in reports]
    if len(set(ids)) > 1:
        raise Misused("the workers ran different loads", hint="let all run the same playbook, with the same options")
    missing = _missing(reports)
    columns = zip(*(report.loads for report in reports), strict=True)
    return LoadReport(
        playbook=first.playbook,
        target=", ".join(dict.fromkeys(report.target for report in reports)),
        started_at=min(report.started_at for report in reports),
        duration_s=max(report.duration_s for report in reports),
        loads=tuple(_merge(outcomes, missing, baseline) for outcomes in columns),
        merged=len(reports),
        interrupted=False,
    )


def _refuse_twice(reports: Sequence[LoadReport]) -> None:
    twice = [worker for worker, count in Counter(report.worker for report in reports).items() if worker and count > 1]
    if twice:
        number, total = twice[0]
        raise Misused(f"worker {number} of {total} is among the files twice", hint="name each worker's file once")
    if len({report.worker[1] for report in reports if report.worker}) > 1:
        raise Misused("the files come from groups of workers of different sizes", hint="merge one group at a time")


def _missing(reports: Sequence[LoadReport]) -> tuple[str, ...]:
    known = [report.worker for report in reports if report.worker is not None]
    if not known:
        return ()
    total = known[0][1]
    lacking = sorted(set(range(1, total + 1)) - {number for number, _ in known})
    return (f"the result of worker {', '.join(map(str, lacking))} of {total} is missing",) if lacking else ()


def _merge(outcomes: Sequence[LoadOutcome], missing: Sequence[str], baseline: Capture | None) -> LoadOutcome:
    first = outcomes[0]
    for other in outcomes[1:]:
        for what in ("engine", "mode", "profile"):
            mine, theirs = getattr(first.result, what), getattr(other.result, what)
            if mine != theirs:
                raise Misused(f"{first.id}: the workers differ in {what}: {mine} and {theirs}", hint="run them alike")
        if other.expectations != first.expectations:
            raise Misused(f"{first.id}: the workers were given different thresholds", hint="run them alike")
    result = _result(outcomes)
    titles = max((outcome.stages for outcome in outcomes), key=len)
    return replace(
        first,
        result=result,
        stages=by_stage(result, tuple(stage.title for stage in titles)),
        thresholds=judge(first.expectations, result, baseline),
        broken=tuple(dict.fromkeys((*missing, *chain.from_iterable(outcome.broken for outcome in outcomes)))),
        notes=tuple(dict.fromkeys((*_drift(outcomes), *chain.from_iterable(one.notes for one in outcomes)))),
        started_at=min((one.started_at for one in outcomes if one.started_at), default=None),
        cells={},
    )


def _drift(outcomes: Sequence[LoadOutcome]) -> Iterable[str]:
    """Workers that began far apart did not load the server together."""
    begun = [outcome.started_at for outcome in outcomes if outcome.started_at is not None]
    if begun and (apart_s := (max(begun) - min(begun)).total_seconds()) > _TOGETHER_S:
        yield f"the workers began {apart_s:.0f} s apart: the stages are laid over each other by their own clocks"


def _result(outcomes: Sequence[LoadOutcome]) -> LoadResult:
    results = [outcome.result for outcome in outcomes]
    errors: Counter[str] = Counter()
    for result in results:
        errors.update(result.errors)
    names = list(dict.fromkeys(stream.name for result in results for stream in result.streams))
    return replace(
        results[0],
        blocks=_blocks([result.blocks for result in results]),
        streams=tuple(
            LoadStream(name, _blocks([s.blocks for result in results for s in result.streams if s.name == name]))
            for name in names
        ),
        series=_series(outcomes),
        errors=dict(errors.most_common()),
        workers=len(results),
    )


def _together(parts: Iterable[Sequence[Item]], key: Callable[[Item], float]) -> list[list[Item]]:
    """Those of all parts at the same offset, in its order."""
    found: dict[float, list[Item]] = {}
    for item in chain.from_iterable(parts):
        found.setdefault(key(item), []).append(item)
    return [found[offset] for offset in sorted(found)]


def _blocks(parts: Sequence[Sequence[LoadBlock]]) -> tuple[LoadBlock, ...]:
    return tuple(_block(alike) for alike in _together(parts, lambda block: block.offset_s))


def _block(alike: Sequence[LoadBlock]) -> LoadBlock:
    services = [block.service for block in alike if block.service is not None]
    return replace(
        alike[0],
        duration_s=max(block.duration_s for block in alike),
        sent=sum(block.sent for block in alike),
        failed=sum(block.failed for block in alike),
        dropped=sum(block.dropped for block in alike),
        response=merge_histograms(block.response for block in alike),
        service=merge_histograms(services) if services else None,
        clients=_sum(block.clients for block in alike),
        timed=timed(alike),
    )


def _series(outcomes: Sequence[LoadOutcome]) -> tuple[LoadMoment, ...]:
    times: dict[int, Counter[int]] = {}
    for outcome in outcomes:
        for place, cell in outcome.cells.items():
            times.setdefault(place, Counter()).update(cell)
    found = []
    for alike in _together([outcome.result.series for outcome in outcomes], lambda moment: moment.offset_s):
        first = alike[0]
        counts = times.get(round(first.offset_s / max(moment.duration_s for moment in alike)), Counter())
        found.append(
            replace(
                first,
                rate=sum(moment.rate for moment in alike),
                failed_rate=sum(moment.failed_rate for moment in alike),
                dropped_rate=sum(moment.dropped_rate for moment in alike),
                # Percentiles do not add up: they come from the counts that each worker kept, or not at all.
                p50_s=quantile_s(counts, 0.5),
                p95_s=quantile_s(counts, 0.95),
                p99_s=quantile_s(counts, 0.99),
                clients=_sum(moment.clients for moment in alike),
            )
        )
    return tuple(found)


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
