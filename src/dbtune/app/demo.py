"""The whole story on private servers: load the sample, measure, tune, measure, mend the code, measure."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dbtune.app.apply import Order, apply_playbook
from dbtune.app.demo_stages import Plays, measure, stage_of
from dbtune.app.targets import OpenTargets
from dbtune.app.workspace import opened
from dbtune.baseline.comparison import check_gates
from dbtune.baseline.gates import parse
from dbtune.core.demo_report import DemoReport, GateAnswer, Tuning
from dbtune.core.errors import ChangeFailed, Misused
from dbtune.core.progress import Progress
from dbtune.core.reports import RunReport
from dbtune.core.resources import resource

if TYPE_CHECKING:
    from dbtune.baseline.capture import Capture
    from dbtune.playbook.model import Playbook

PLAYBOOKS = (
    "slow-query-logging",
    "recommendation-service",
    "auth-service",
    "payment-service",
    "content-streaming",
    "course-tracking",
    "warm-cache",
)
"""In the order in which they are applied: the cache is warmed with the help of the indexes."""

GATES = (
    "latency.p50 < baseline * 0.21",
    "latency.p95 < baseline * 0.26",
    "latency.p99 < baseline * 0.35",
    '"The recommendation query, alone".p50 < baseline * 0.05',
    '"Engagement scores of 1000 contents, alone".p50 < baseline * 0.04',
    '"Course status, alone".p50 < baseline * 0.04',
    "throughput.rate >= baseline * 5",
    "cache hit rate > 80%",
    "errors.rate < 0.1%",
)
"""The targets of the demo between its first and its last measurement; `baseline compare --gate` takes them as well."""

SERVER_SETTINGS = {"shared_buffers": "512MB", "max_wal_size": "4GB", "effective_cache_size": "2GB", "jit": "off"}
"""What any administrator sets on the first day, so that the playbooks are not praised for it."""

SHARES = {
    "load": (0.0, 0.25),
    "as-found": (0.25, 0.48),
    "tune": (0.48, 0.6),
    "playbooks": (0.6, 0.8),
    "code": (0.8, 1.0),
}
"""Which part of the progress line each chapter has: measured once, roughly right anywhere."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How big, how long, how many: `seconds` of measured traffic in each of the three measurements."""

    scale: float = 1.0
    seconds: float = 15.0
    clients: int = 4

    def __post_init__(self) -> None:
        if not 0.001 <= self.scale <= 100:
            raise Misused(f"--scale {self.scale} is not between 0.001 and 100")
        if not 1 <= self.seconds <= 3600:
            raise Misused(f"--seconds {self.seconds} is not between 1 and 3600")
        if not 1 <= self.clients <= 64:
            raise Misused(f"--clients {self.clients} is not between 1 and 64")


@dataclass(frozen=True, slots=True)
class Told:
    """The report, and the captures of the three measurements, which `baseline compare` understands."""

    report: DemoReport
    captures: tuple[Capture, Capture, Capture]


def run_demo(setting: Setting, progress: Progress) -> Told:
    """Takes about three minutes at scale 1. Leaves nothing running and nothing behind.

    Raises Unsupported without the extra `embedded`; ChangeFailed when a playbook cannot be applied.
    """
    from dbtune.demo.load import load

    started_at, clock = datetime.now(UTC), time.monotonic()
    playbooks = _playbooks()
    progress("starting PostgreSQL and Valkey")
    with _servers() as targets:
        dsn = targets.postgres or ""
        chapter = _chapter("load", progress)
        loaded = load(dsn, setting.scale, progress=lambda done, total, what: chapter(what, done / total))
        plays = Plays(targets, setting.seconds, setting.clients, tuple(_explained(playbooks)))
        found = measure(plays, "demo-as-found", "slow", _chapter("as-found", progress))
        _forget_everything(targets)
        tuning = _tune(targets, playbooks, _chapter("tune", progress))
        tuned = measure(plays, "demo-after-playbooks", "slow", _chapter("playbooks", progress))
        # The third measurement begins with the same warm cache as the second.
        _forget_everything(targets)
        _apply(targets, [playbooks[-1]], _chapter("code", progress))
        mended = measure(plays, "demo-after-code-fixes", "fast", _chapter("code", progress))
    report = DemoReport(
        target=_versions(found.capture),
        started_at=started_at,
        duration_s=time.monotonic() - clock,
        scale=setting.scale,
        rows=loaded.rows,
        size_bytes=loaded.size_bytes,
        load_s=loaded.duration_s,
        clients=setting.clients,
        stages=(
            stage_of(found, "as found"),
            stage_of(tuned, "after the playbooks"),
            stage_of(mended, "after the code fixes"),
        ),
        tuning=tuning,
        gates=tuple(
            GateAnswer(gate.expression, gate.ok, gate.value, gate.limit)
            for gate in check_gates(found.capture, mended.capture, [parse(text) for text in GATES])
        ),
    )
    return Told(report, (found.capture, tuned.capture, mended.capture))


def keep(told: Told, report_path: Path, directory: Path) -> Told:
    """Stores the captures, and notes in the report where everything lies. Raises Misused when it cannot be written."""
    from dbtune.app.baseline_store import save

    for capture in told.captures:
        save(capture, directory)
    names = tuple(capture.name for capture in told.captures)
    return replace(told, report=replace(told.report, report_path=str(report_path.absolute()), baselines=names))


@contextlib.contextmanager
def _servers() -> Iterator[OpenTargets]:
    from dbtune.servers.embedded.postgres import embedded_postgres
    from dbtune.servers.embedded.valkey import embedded_valkey

    with embedded_postgres(SERVER_SETTINGS) as postgres, embedded_valkey() as valkey:
        yield OpenTargets(postgres.dsn, valkey.url)


def _versions(capture: Capture) -> str:
    major, minor = divmod(capture.fingerprint.server_version, 10000)
    return f"PostgreSQL {major}.{minor} and {capture.fingerprint.redis}"


def _playbooks() -> list[Playbook]:
    from dbtune.playbook.load import load

    return [load(resource("playbooks") / f"{name}.yml") for name in PLAYBOOKS]


def _explained(playbooks: Sequence[Playbook]) -> Iterator[tuple[str, str]]:
    """The statements that the playbooks promise something of: (name, SQL)."""
    from dbtune.steps.explain import Explain

    for playbook in playbooks:
        for step in playbook.steps:
            if isinstance(step.step, Explain):
                yield step.name, step.step.sql


def _tune(targets: OpenTargets, playbooks: Sequence[Playbook], progress: Progress) -> Tuning:
    reports = _apply(targets, playbooks, progress)
    built = [step for report in reports for step in report.steps if step.kind == "index" and step.status == "applied"]
    warmed = [step for report in reports for step in report.steps if step.kind == "cache_warm"]
    return Tuning(
        indexes=len(built),
        index_build_s=sum(step.duration_s or 0 for step in built),
        index_size_bytes=sum(int(step.after.get("size_bytes", 0)) for step in built),
        warmed_keys=sum(int(step.after.get("keys", 0)) for step in warmed),
        warm_s=sum(step.duration_s or 0 for step in warmed),
        playbooks=tuple((report.playbook, report.duration_s) for report in reports),
    )


def _apply(targets: OpenTargets, playbooks: Sequence[Playbook], progress: Progress) -> list[RunReport]:
    reports = []
    with opened(targets) as workspace:
        for place, playbook in enumerate(playbooks):
            part = _within(progress, place / len(playbooks), (place + 1) / len(playbooks))
            report = apply_playbook(workspace, Order(playbook), part)
            failed = next((step for step in report.steps if step.status == "failed"), None)
            if failed is not None:
                raise ChangeFailed(f'{playbook.name}: step "{failed.name}" failed: {failed.error}', hint=failed.hint)
            reports.append(report)
    return reports


def _forget_everything(targets: OpenTargets) -> None:
    """An empty cache; the server is ours alone."""
    from dbtune.servers.redis.session import connect

    with contextlib.closing(connect(targets.redis or "")) as client:
        client.flushall()


def _chapter(name: str, progress: Progress) -> Progress:
    return _within(progress, *SHARES[name])


def _within(progress: Progress, start: float, end: float) -> Progress:
    """The same line, of which this part goes from `start` to `end`."""

    def tell(text: str, fraction: float | None = None) -> None:
        progress(text, start if fraction is None else start + (end - start) * min(fraction, 1.0))

    return tell
