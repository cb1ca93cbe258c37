"""A warm-up in Prometheus' words, for the textfile collector of node_exporter and for a Pushgateway.

Without timestamps, one file for each playbook, complete or absent. The time of the last success outlives a failure.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from dbtune.core.errors import ChangeFailed
from dbtune.core.warm_report import WarmReport

_LAST_SUCCESS = "dbtune_warm_last_success_timestamp_seconds"


def measured(report: WarmReport, last_success_s: float | None = None) -> CollectorRegistry:
    """`last_success_s` is the Unix time of an earlier success, for a run that is none."""
    registry = CollectorRegistry()
    labels = ["playbook", "step"]

    def gauge(name: str, about: str, more: list[str] | None = None) -> Gauge:
        return Gauge(f"dbtune_warm_{name}", about, labels[:1] + (more or []), registry=registry)

    ended_s = report.started_at.timestamp() + report.duration_s
    succeeded_s = ended_s if report.exit_code == 0 else last_success_s
    gauge("last_run_timestamp_seconds", "When the last run ended.").labels(report.playbook).set(ended_s)
    success = gauge("last_success_timestamp_seconds", "When the last run ended in which nothing failed.")
    if succeeded_s is not None:
        success.labels(report.playbook).set(succeeded_s)
    gauge("success", "1 when nothing failed in the last run.").labels(report.playbook).set(report.exit_code == 0)
    gauge("exit_code", "The exit code of the last run.").labels(report.playbook).set(report.exit_code)
    is_open = gauge("circuit_open", "1 while the circuit breaker lets nobody try.")
    is_open.labels(report.playbook).set(report.circuit == "open")
    duration = gauge("duration_seconds", "How long the step's rows took in the last run.", ["step"])
    keys = gauge("keys", "Keys of the last run by what became of them.", ["step", "result"])
    size = gauge("bytes", "Bytes of the keys and values that were written in the last run.", ["step"])
    for step in report.steps:
        if step.status == "not_due":
            continue
        duration.labels(report.playbook, step.id).set(step.duration_s)
        size.labels(report.playbook, step.id).set(step.bytes)
        for result, count in (("written", step.keys), ("skipped", step.skipped), ("failed", step.failed)):
            keys.labels(report.playbook, step.id, result).set(count)
    return registry


def write_metrics(report: WarmReport, path: Path) -> None:
    """Replaces the file in one step. Raises ChangeFailed when it cannot be written."""
    try:
        write_to_textfile(str(path), measured(report, _earlier_success_s(path)))
    except OSError as error:
        raise ChangeFailed(f"the metrics cannot be written to {path}: {error.strerror}") from error


def _earlier_success_s(path: Path) -> float | None:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(rf"^{_LAST_SUCCESS}\{{[^\n]*\}} ([0-9.e+]+)$", text, re.MULTILINE)
    try:
        return min(float(found[1]), time.time()) if found else None
    except ValueError:
        return None
