"""The step kind `analyze`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from pydantic import Field, field_validator

from dbtune.core import actions
from dbtune.core.questions import Catalog, Facts, Question
from dbtune.core.units import Share
from dbtune.steps import relations
from dbtune.steps.step import Plan, Step

AUTOVACUUM_BASE_ROWS = 50
"""autovacuum_analyze_threshold: so many changed rows are too few to matter, whatever the table's size."""


@dataclass(frozen=True, slots=True)
class StatisticsRow:
    """How fresh one table's statistics are: `modified` rows since `analyzed_at` (None: never)."""

    given: str
    schema: str
    name: str
    kind: str
    row_count: float
    analyzed_at: datetime | None
    modified: int
    owned: bool


class Analyze(Step):
    """Fresh planner statistics for some tables.

    A table is analyzed when it never was, or when more than `stale` of its rows changed since; otherwise there is
    nothing to do. There is nothing to roll back.
    """

    kind: ClassVar[str] = "analyze"

    tables: tuple[str, ...] = Field(min_length=1, description="the tables, with their schema if need be")
    stale: Share = Field(default=0.1, description="the share of changed rows from which statistics are stale")

    @field_validator("tables", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

    def title(self) -> str:
        return f"analyze {', '.join(self.tables)}"

    @property
    def _question(self) -> Catalog:
        return Catalog("table_statistics", StatisticsRow, tuple(relations.as_regclass(table) for table in self.tables))

    def questions(self, facts: Facts) -> Iterable[Question]:
        yield self._question
        if facts.knows(self._question) and len(self._rows(facts)) < len(self.tables):
            yield relations.RELATION_NAMES

    def _rows(self, facts: Facts) -> dict[str, StatisticsRow]:
        wanted = {relations.as_regclass(table): table for table in self.tables}
        return {wanted[row.given]: row for row in facts.rows(self._question, StatisticsRow) if row.given in wanted}

    def plan(self, facts: Facts) -> Plan:
        rows = self._rows(facts)
        missing = [relations.missing_table(facts, table) for table in self.tables if table not in rows]
        if missing:
            return Plan("conflict", reason="; ".join(missing))
        stale = [row for row in rows.values() if self._is_stale(row)]
        before = {f"{row.schema}.{row.name}": _state(row) for row in rows.values()}
        if not stale:
            return Plan("in_sync", before=before)
        foreign = [row.name for row in stale if not row.owned]
        if foreign:
            return Plan("blocked", reason=f"only the owner may analyze {', '.join(foreign)}", before=before)
        tables = tuple(actions.Relation(row.schema, row.name) for row in stale)
        return Plan("change", actions=(actions.Analyze(tables),), before=before, lock="SHARE UPDATE EXCLUSIVE")

    def _is_stale(self, row: StatisticsRow) -> bool:
        return row.analyzed_at is None or row.modified > AUTOVACUUM_BASE_ROWS + self.stale * row.row_count


def _state(row: StatisticsRow) -> dict[str, object]:
    when = None if row.analyzed_at is None else row.analyzed_at.isoformat()
    return {"analyzed_at": when, "modified_rows": row.modified}
