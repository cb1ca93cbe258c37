"""A finished load as it is shown: figures by stage and by script, and whether its thresholds hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from dbtune.baseline.histogram import Histogram
from dbtune.baseline.load_result import LoadBlock, LoadResult
from dbtune.load.judgement import Expectation, ThresholdOutcome
from dbtune.load.sampling import describe_sample

LoadVerdict = Literal["passed", "failed", "measured"]


@dataclass(frozen=True, slots=True)
class StageFigures:
    """One stage. `title` says what was asked for, `clients` how many worked on average."""

    title: str
    duration_s: float
    clients: float | None
    sent: int
    failed: int
    dropped: int
    response: Histogram


@dataclass(frozen=True, slots=True)
class LoadOutcome:
    """One load of a playbook. `broken` says why it was not the load that was asked for: then the verdict is failed.

    `cells` are coarse counts of microseconds by second, kept by a worker so that streams can be merged.
    """

    id: str
    name: str
    result: LoadResult
    stages: tuple[StageFigures, ...]
    thresholds: tuple[ThresholdOutcome, ...] = ()
    broken: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    engine_version: str | None = None
    started_at: datetime | None = None
    cells: Mapping[int, Mapping[int, int]] = field(default_factory=dict)
    expectations: tuple[Expectation, ...] = ()
    """The thresholds as they were asked for, for those who merge."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is to be known about the figures: the notes, and how exact a sample is."""
        sample = describe_sample(self.result)
        return self.notes if sample is None else (sample, *self.notes)

    @property
    def verdict(self) -> LoadVerdict:
        """`measured`: nothing was expected of it."""
        if self.broken or any(not outcome.gate.ok for outcome in self.thresholds):
            return "failed"
        return "passed" if self.thresholds else "measured"


@dataclass(frozen=True, slots=True)
class LoadReport:
    """The document `dbtune.load/1`. `worker` is (number, of how many), counting from 1."""

    playbook: str
    target: str
    started_at: datetime
    duration_s: float
    loads: tuple[LoadOutcome, ...]
    worker: tuple[int, int] | None = None
    merged: int = 0
    interrupted: bool = False

    @property
    def results(self) -> tuple[LoadResult, ...]:
        """Of the loads that measured anything: what a capture keeps."""
        return tuple(outcome.result for outcome in self.loads if outcome.result.blocks)

    @property
    def verdict(self) -> LoadVerdict:
        verdicts = {outcome.verdict for outcome in self.loads}
        if "failed" in verdicts or not verdicts:
            return "failed"
        return "passed" if "passed" in verdicts else "measured"

    @property
    def exit_code(self) -> int:
        if self.interrupted:
            return 130
        # A worker sees a part of the stream; whoever merges the parts judges the whole.
        if self.worker is not None:
            return 1 if any(outcome.broken for outcome in self.loads) else 0
        return 1 if self.verdict == "failed" else 0


def by_stage(result: LoadResult, titles: tuple[str, ...]) -> tuple[StageFigures, ...]:
    """The blocks of each stage together."""
    from dbtune.baseline.histogram import merge

    stages: dict[int, list[LoadBlock]] = {}
    for block in result.blocks:
        stages.setdefault(block.stage, []).append(block)
    return tuple(
        StageFigures(
            title=titles[number] if number < len(titles) else f"stage {number + 1}",
            duration_s=sum(block.duration_s for block in blocks),
            clients=_mean_clients(blocks),
            sent=sum(block.sent for block in blocks),
            failed=sum(block.failed for block in blocks),
            dropped=sum(block.dropped for block in blocks),
            response=merge(block.response for block in blocks),
        )
        for number, blocks in sorted(stages.items())
    )


def _mean_clients(blocks: list[LoadBlock]) -> float | None:
    known = [(block.clients, block.duration_s) for block in blocks if block.clients is not None]
    seconds = sum(length for _, length in known)
    total = sum(clients * length for clients, length in known)
    return round(total / seconds, 6) if seconds > 0 else None
