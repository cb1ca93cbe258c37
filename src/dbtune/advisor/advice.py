"""What is advised: indexes to make, indexes to drop, for which statements, at what price."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dbtune.advisor.candidates import Confidence
from dbtune.advisor.index import IndexDefinition
from dbtune.advisor.partitioned import Parts
from dbtune.advisor.states import NO_LIMITS, Limits
from dbtune.advisor.workload import NotExamined
from dbtune.core.findings import Confidence as Proof
from dbtune.core.findings import Unexamined
from dbtune.plans.plan import Plan


@dataclass(frozen=True, slots=True)
class Served:
    """A statement that an index serves. Costs are the planner's for one call; `calls` its weight.

    `before_s` and `after_s` are medians, where the advice was measured; `is_cut` says that it was not run to its end
    before, and takes at least so long.
    """

    query: str
    calls: float
    cost_before: float
    cost_after: float
    queryid: str | None = None
    place: str | None = None
    before_s: float | None = None
    after_s: float | None = None
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One index. `benefit` is what the workload would cost more without it, `write_cost` what its writers pay.

    Both in the planner's units, over all calls. `build_s` is a rough estimate of the time to build it. `parts` says how
    it is made on a partitioned table, None on any other.
    """

    definition: IndexDefinition
    name: str
    size_bytes: int
    build_s: float
    write_cost: float
    benefit: float
    queries: tuple[Served, ...]
    why: str
    confidence: Proof | Confidence
    parts: Parts | None = None

    @property
    def statements(self) -> tuple[str, ...]:
        """What makes it without a lock that blocks, in this order."""
        if self.parts is not None:
            return self.parts.statements
        return (self.definition.ddl(name=self.name, concurrently=True),)


@dataclass(frozen=True, slots=True)
class Drop:
    """An existing index that nothing would miss. `replaced_by` is the index that does its work."""

    schema: str
    name: str
    table: str
    ddl: str
    size_bytes: int
    reason: str
    confidence: Proof
    replaced_by: str | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """An index that looked good and did not stand the measurement."""

    definition: IndexDefinition
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Timing:
    """A statement as it was measured: one call without any advised index, and with those that stayed.

    `is_cut` as in Served. `calls` is its weight.
    """

    query: str
    calls: float
    before_s: float
    after_s: float
    is_cut: bool = False
    queryid: str | None = None
    place: str | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """One statement that an advised index serves: its plan without that index, and with it."""

    index: str
    query: str
    before: Plan
    after: Plan


@dataclass(frozen=True, slots=True)
class Advice:
    """The answer. Costs are sums over the workload, each statement by its weight; the indexes' writes are in them.

    `not_examined` are statements, `gaps` what could not be carried over of the database itself, `notes` for a person.
    `timings` are there where the advice was measured, the statement that gains most first.
    """

    target: str
    started_at: datetime
    duration_s: float
    recommendations: tuple[Recommendation, ...]
    drops: tuple[Drop, ...]
    cost_before: float
    cost_after: float
    statements: int
    examined_share: float
    limits: Limits = NO_LIMITS
    not_examined: tuple[NotExamined, ...] = ()
    gaps: tuple[Unexamined, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    timings: tuple[Timing, ...] = ()
    explanations: tuple[Explanation, ...] = ()
    notes: tuple[str, ...] = ()
    is_complete: bool = True

    @property
    def size_bytes(self) -> int:
        return sum(one.size_bytes for one in self.recommendations)
