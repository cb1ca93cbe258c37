"""One measurement of the demo: traffic in blocks, the counters around each, and probes by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dbtune.app.baseline_extras import explain_all
from dbtune.app.recording import recording
from dbtune.app.targets import OpenTargets
from dbtune.baseline.capture import Capture, Figure, Timing
from dbtune.baseline.histogram import of_values
from dbtune.baseline.histogram import quantile as histogram_quantile
from dbtune.baseline.load_result import LoadBlock, LoadMoment, LoadResult
from dbtune.baseline.probes import Statement
from dbtune.baseline.statistics import median, quantile, samples_needed
from dbtune.core.demo_report import EndpointFigures, Latencies, ProbeFigures, Stage
from dbtune.core.progress import Progress
from dbtune.demo.endpoints import ENDPOINTS, PROBES, SCORE_UPDATE, Form
from dbtune.demo.traffic import Samples, Traffic, drive, probe

ENGINE = "dbtune demo: closed loop"
BLOCKS = 6
"""Replicates: calls within one block are not independent of each other."""
MOST_BLOCKS = 18
ENOUGH_REQUESTS = samples_needed(0.99)
"""A slow application answers so little that its P99 would be a guess: it is watched for longer, within reason."""
RAMP_S = 0.3
PROBE_TIMES = 12
HEAVY_PROBE_TIMES = 3


@dataclass(frozen=True, slots=True)
class Plays:
    """What all three measurements share. `explained` are (name, SQL) of statements whose plans are kept."""

    targets: OpenTargets
    seconds: float
    clients: int
    explained: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Measurement:
    """`blocks` are one Traffic each; `probes` by the name of their endpoint."""

    capture: Capture
    blocks: tuple[Traffic, ...]
    probes: dict[str, Samples]


def measure(plays: Plays, name: str, form: Form, progress: Progress) -> Measurement:
    """Drives the same requests against the same endpoints, in the given form of their code."""
    dsn, url = plays.targets.postgres or "", plays.targets.redis
    blocks: list[Traffic] = []
    with recording(plays.targets) as record:
        while _wants_more(blocks):
            number, seconds = len(blocks) + 1, plays.seconds / BLOCKS
            progress(f"{_words(name)}: traffic, block {number}", min(number / (BLOCKS + 2), 0.8))
            record.snapshot()
            blocks.append(drive(dsn, url, form, duration_s=seconds, ramp_s=RAMP_S, clients=plays.clients, seed=number))
        record.snapshot()
        progress(f"{_words(name)}: probes", 0.85)
        probes = {
            endpoint.name: probe(
                endpoint, dsn, url, form, times=HEAVY_PROBE_TIMES if endpoint is SCORE_UPDATE else PROBE_TIMES
            )
            for endpoint in PROBES
        }
        plans, skipped = explain_all(dsn, [Statement(title, sql) for title, sql in plays.explained])
        capture = record.finish(
            name,
            "the sample of dbtune demo",
            timings=_timings(blocks, probes),
            figures=_figures(blocks),
            loads=[_load(blocks, plays)],
            plans=plans,
            skipped=skipped,
        )
    return Measurement(capture, tuple(blocks), probes)


def _wants_more(blocks: Sequence[Traffic]) -> bool:
    too_few = sum(len(block.latencies_s) for block in blocks) < ENOUGH_REQUESTS
    return len(blocks) < BLOCKS or (too_few and len(blocks) < MOST_BLOCKS)


def stage_of(measurement: Measurement, title: str) -> Stage:
    """The measurement in figures."""
    blocks = measurement.blocks
    duration_s = sum(block.duration_s for block in blocks)
    latencies_s = [latency for block in blocks for latency in block.latencies_s]
    return Stage(
        name=measurement.capture.name,
        title=title,
        duration_s=duration_s,
        overall=_latencies(latencies_s),
        endpoints=tuple(_endpoint_figures(endpoint.name, endpoint.title, blocks) for endpoint in ENDPOINTS),
        probes=tuple(
            ProbeFigures(
                name=endpoint.name,
                title=endpoint.title,
                median_s=median(sorted(measurement.probes[endpoint.name].latencies_s)),
                times=measurement.probes[endpoint.name].requests,
                statements_per_request=measurement.probes[endpoint.name].statements_per_request,
                errors=measurement.probes[endpoint.name].errors,
            )
            for endpoint in PROBES
        ),
        requests=sum(block.requests for block in blocks),
        errors=sum(block.errors for block in blocks),
        hits=sum(block.hits for block in blocks),
        misses=sum(block.misses for block in blocks),
        latencies_s=latencies_s,
    )


def _endpoint_figures(name: str, title: str, blocks: Sequence[Traffic]) -> EndpointFigures:
    samples = [block.by_endpoint[name] for block in blocks]
    requests = sum(sample.requests for sample in samples)
    return EndpointFigures(
        name=name,
        title=title,
        latencies=_latencies([latency for sample in samples for latency in sample.latencies_s]),
        requests=requests,
        requests_per_s=requests / sum(block.duration_s for block in blocks),
        errors=sum(sample.errors for sample in samples),
        statements_per_request=sum(sample.statements for sample in samples) / requests if requests else 0.0,
    )


def _latencies(values_s: Sequence[float]) -> Latencies:
    """A quantile that too few samples cannot bound is not printed (order statistics: 72 for P95, 368 for P99)."""
    ordered = sorted(values_s)

    def at(share: float) -> float | None:
        return quantile(ordered, share) if len(ordered) >= samples_needed(share) else None

    return Latencies(at(0.5), at(0.95), at(0.99))


def _timings(blocks: Sequence[Traffic], probes: dict[str, Samples]) -> list[Timing]:
    timings = [
        Timing(
            endpoint.title,
            tuple(tuple(block.by_endpoint[endpoint.name].latencies_s) for block in blocks),
            ENGINE,
            errors=sum(block.by_endpoint[endpoint.name].errors for block in blocks),
        )
        for endpoint in ENDPOINTS
    ]
    timings += [
        Timing(f"{endpoint.title}, alone", (tuple(probes[endpoint.name].latencies_s),), ENGINE,
               errors=probes[endpoint.name].errors)
        for endpoint in PROBES
    ]  # fmt: skip
    return timings


def _figures(blocks: Sequence[Traffic]) -> list[Figure]:
    hit_rates = tuple(block.hit_rate for block in blocks if block.hit_rate is not None)
    return [Figure("cache hit rate", "share", "higher", hit_rates, ENGINE)] if len(hit_rates) == len(blocks) else []


def _load(blocks: Sequence[Traffic], plays: Plays) -> LoadResult:
    """All requests together; each endpoint is a timing of its own."""
    made, offset_s = [], 0.0
    for block in blocks:
        made.append(
            LoadBlock(offset_s, block.duration_s, block.requests, block.errors, response=of_values(block.latencies_s),
                      clients=float(plays.clients))
        )  # fmt: skip
        offset_s += block.duration_s
    return LoadResult(
        name="traffic",
        engine=ENGINE,
        mode="closed",
        profile=f"{plays.clients} clients",
        blocks=tuple(made),
        series=tuple(_moment(block) for block in made),
    )


def _moment(block: LoadBlock) -> LoadMoment:
    """The blocks lie apart in time; beside each other they are the series that the report draws."""
    p50_s, p95_s, p99_s = (histogram_quantile(block.response, share) for share in (0.5, 0.95, 0.99))
    good = block.sent - block.failed
    return LoadMoment(
        block.offset_s, block.duration_s, good / block.duration_s, block.failed / block.duration_s,
        p50_s=p50_s, p95_s=p95_s, p99_s=p99_s, clients=block.clients,
    )  # fmt: skip


def _words(name: str) -> str:
    return name.removeprefix("demo-").replace("-", " ")
