"""What a comparison found: finished values that renderers print."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from dbtune.baseline.capture import Better, Change
from dbtune.baseline.load_result import LoadResult
from dbtune.baseline.statistics import Interval
from dbtune.baseline.verdict import Verdict

SCHEMA = "dbtune.baseline.compare/1"

Unit = str
"""`s`, `share` (a fraction), `B`, or the plural noun of what is counted (`blocks`, `1/s`)."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure before and after.

    `change` is after / before - 1, for shares after - before; `interval` belongs to it (95 %). None is "not known",
    and `reason` says why. `p` tests "no difference", `p_beyond` "no more than the margin". `n_*` counts blocks, or
    samples for percentiles. `missing` says what would decide it.
    """

    name: str
    unit: Unit
    better: Better
    before: float | None
    after: float | None
    verdict: Verdict
    change: float | None = None
    interval: Interval | None = None
    n_before: int = 0
    n_after: int = 0
    before_interval: Interval | None = None
    after_interval: Interval | None = None
    p: float | None = None
    p_beyond: float | None = None
    reason: str | None = None
    missing: str | None = None
    exact: bool = False
    informative: bool = False
    """Shown, and left out of the verdict on the whole (a maximum)."""


@dataclass(frozen=True, slots=True)
class StatementSide:
    """One statement in one capture's window; times in seconds, `calls_per_s` over the window.

    `io_s_per_call` is None with track_io_timing off. `max_s` is a lifetime value: it is not the window's.
    """

    calls: int
    calls_per_s: float
    time_per_call_s: float
    time_per_s: float
    rows_per_call: float
    blocks_per_call: float
    temp_blocks_per_call: float
    wal_bytes_per_call: float
    io_s_per_call: float | None
    plan_s_per_call: float | None
    max_s: float
    partial: bool


@dataclass(frozen=True, slots=True)
class Split:
    """Rule 16, in seconds of execution per second: ΔT = Σ(c2 - c1)·m1 + Σ c2·(m2 - m1)."""

    volume: float
    cost: float


@dataclass(frozen=True, slots=True)
class StatementChange:
    """One statement, `time` being its metric. `queryids` may be several: IN lists of different lengths (rule 10)."""

    queryids: tuple[str, ...]
    query: str | None
    user: str
    toplevel: bool
    matched_by: Literal["queryid", "text", "none"]
    before: StatementSide | None
    after: StatementSide | None
    time: Metric
    split: Split
    plan: PlanChange | None = None
    indexes_before: tuple[str, ...] = ()
    indexes_after: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    """Steps of playbooks that explain the change, in words: the journal has them between the captures."""


@dataclass(frozen=True, slots=True)
class NewIndex:
    """An index that only the second capture has. `build_s` is known where dbtune built it; `scans` in the window."""

    table: str
    name: str
    definition: str | None
    size_bytes: int | None
    build_s: float | None
    scans: int
    playbook: str | None = None


@dataclass(frozen=True, slots=True)
class TableChange:
    """What was read from a table, per second of the window."""

    table: str
    seq_rows_before: float
    seq_rows_after: float
    index_scans_before: float
    index_scans_after: float
    new_indexes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanChange:
    """The plan of a statement, as indented lines of nodes; None where one side has none.

    `changed_before` and `changed_after` are the places of the lines that the other side does not have.
    """

    name: str
    sql: str
    before: tuple[str, ...] | None
    after: tuple[str, ...] | None
    cost_before: float | None
    cost_after: float | None
    changed_before: tuple[int, ...] = ()
    changed_after: tuple[int, ...] = ()

    @property
    def changed(self) -> bool:
        return self.before is not None and self.after is not None and self.before != self.after


@dataclass(frozen=True, slots=True)
class Note:
    """One line of the trust panel. "invalid": something was left out because of it."""

    level: Literal["invalid", "warning", "info"]
    subject: str
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Trust:
    """Why to believe it, and what not. `coverage_*`: the fraction of execution time whose statements are known."""

    notes: tuple[Note, ...]
    settings_differ: Mapping[str, tuple[str | None, str | None]]
    coverage_before: float | None
    coverage_after: float | None


@dataclass(frozen=True, slots=True)
class Gate:
    """One expression and whether it holds. `value` and `limit` are in `unit`; `before` is the baseline's value.

    `reason` says why there is no value, or what to mistrust in it.
    """

    expression: str
    ok: bool
    value: float | None
    unit: Unit | None = None
    limit: float | None = None
    before: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """One capture as the report names it."""

    name: str
    started_at: datetime
    duration_s: float
    windows: int
    window_s: float
    server_version: int
    database_size_bytes: int | None


@dataclass(frozen=True, slots=True)
class Distribution:
    """Sorted latencies of both sides for a chart, thinned to at most 200 points each."""

    name: str
    before_s: tuple[float, ...]
    after_s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class LoadPair:
    """The same load before and after, with its time series."""

    name: str
    before: LoadResult
    after: LoadResult


@dataclass(frozen=True, slots=True)
class Comparison:
    """`geometric_mean` is that of after / before over the timings' medians, and over the statements' times."""

    target: str
    started_at: datetime
    duration_s: float
    before: Side
    after: Side
    margin: float
    noise: float
    metrics: tuple[Metric, ...]
    statements: tuple[StatementChange, ...]
    tables: tuple[TableChange, ...]
    plans: tuple[PlanChange, ...]
    distributions: tuple[Distribution, ...]
    geometric_mean: Mapping[str, float]
    split: Split | None
    gates: tuple[Gate, ...]
    trust: Trust
    verdict: Verdict
    loads: tuple[LoadPair, ...] = ()
    new_indexes: tuple[NewIndex, ...] = ()
    changes: tuple[Change, ...] = ()
    """What dbtune changed between the two captures, as its journal has it."""
