"""A load as the document `dbtune.load/1`, which `dbtune load --merge` reads again."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from dbtune.baseline.histogram import Histogram, quantile
from dbtune.baseline.load_result import LoadResult
from dbtune.core.formats import Screen
from dbtune.core.reports import envelope
from dbtune.load.document import SCHEMA
from dbtune.load.judgement import ThresholdOutcome
from dbtune.load.report import LoadOutcome, LoadReport, StageFigures
from dbtune.load.sampling import sampling_interval
from dbtune.render.document import to_json


def render(report: LoadReport, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    document = envelope(SCHEMA, report.target, report.started_at, report.duration_s)
    document |= {
        "playbook": report.playbook,
        "verdict": report.verdict,
        "interrupted": report.interrupted,
        "worker": f"{report.worker[0]}/{report.worker[1]}" if report.worker else None,
        "merged": report.merged,
        "steps": [_load(outcome) for outcome in report.loads],
    }
    return to_json(document)


def _load(outcome: LoadOutcome) -> dict[str, Any]:
    result = outcome.result
    return {
        "id": outcome.id,
        "name": outcome.name,
        "verdict": outcome.verdict,
        "engine": result.engine,
        "engine_version": outcome.engine_version,
        "mode": result.mode,
        "profile": result.profile,
        "workers": result.workers,
        "started_at": outcome.started_at,
        "duration_s": result.duration_s,
        "requests": result.sent,
        "failed": result.failed,
        "dropped": result.dropped,
        "throughput_per_s": _per_s(result.sent - result.failed, result.duration_s),
        "errors_rate": result.failed / result.sent if result.sent else None,
        "sampling": _sampling(result),
        "latency": figures(result.response),
        "service": figures(result.service) if result.service is not None else None,
        "errors": [{"message": message, "count": count} for message, count in result.errors.items()],
        "scripts": [_stream(result, number) for number in range(len(result.streams))],
        "stages": [_stage(stage) for stage in outcome.stages],
        "thresholds": [_threshold(found) for found in outcome.thresholds],
        "broken": list(outcome.broken),
        "notes": list(outcome.notes),
        "series": [asdict(moment) for moment in result.series],
        "expectations": [asdict(expected) for expected in outcome.expectations],
        "blocks": [asdict(block) for block in result.blocks],
        "streams": [asdict(stream) for stream in result.streams],
        "cells": {str(place): {str(us): n for us, n in cell.items()} for place, cell in outcome.cells.items()},
    }


def figures(histogram: Histogram) -> dict[str, Any]:
    """Seconds."""
    filled = histogram.count > 0
    return {
        "count": histogram.count,
        "mean_s": histogram.mean_s if filled else None,
        "min_s": histogram.low_s if filled else None,
        "p50_s": quantile(histogram, 0.5),
        "p90_s": quantile(histogram, 0.9),
        "p95_s": quantile(histogram, 0.95),
        "p99_s": quantile(histogram, 0.99),
        "p99_9_s": quantile(histogram, 0.999),
        "max_s": histogram.high_s if filled else None,
    }


def _sampling(result: LoadResult) -> dict[str, Any] | None:
    """Where only a sample was timed: of how many, and between which seconds the percentiles of all lie, at 95 %."""
    if result.timed is None:
        return None
    shares = {"p50_s": 0.5, "p90_s": 0.9, "p95_s": 0.95, "p99_s": 0.99}
    intervals = {name: sampling_interval(result, share) for name, share in shares.items()}
    return {"timed": result.timed, "of": result.sent - result.failed, **intervals}


def _per_s(count: float, seconds: float) -> float | None:
    return count / seconds if seconds > 0 else None


def _stream(result: LoadResult, number: int) -> dict[str, Any]:
    stream = result.streams[number]
    sent = sum(block.sent for block in stream.blocks)
    failed = sum(block.failed for block in stream.blocks)
    return {
        "name": stream.name,
        "requests": sent,
        "failed": failed,
        "throughput_per_s": _per_s(sent - failed, result.duration_s),
        "latency": figures(stream.response),
    }


def _stage(stage: StageFigures) -> dict[str, Any]:
    return {
        "title": stage.title,
        "duration_s": stage.duration_s,
        "clients": stage.clients,
        "requests": stage.sent,
        "failed": stage.failed,
        "dropped": stage.dropped,
        "throughput_per_s": _per_s(stage.sent - stage.failed, stage.duration_s),
        "latency": figures(stage.response),
    }


def _threshold(found: ThresholdOutcome) -> dict[str, Any]:
    gate = found.gate
    return {
        "metric": found.key,
        "expression": gate.expression,
        "ok": gate.ok,
        "value": gate.value,
        "unit": gate.unit,
        "limit": gate.limit,
        "baseline": gate.before,
        "reason": gate.reason,
        "aborted": found.aborted,
    }
