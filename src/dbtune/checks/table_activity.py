"""The row that the checks about tables share: counters, sizes, and when autovacuum would come."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dbtune.core.identifiers import quote

PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*")
OFF = re.compile(r"f|fa|fal|fals|false|of|off|n|no|0", re.IGNORECASE)
"""How PostgreSQL's parse_bool reads "no"."""


@dataclass(frozen=True, slots=True)
class TableActivity:
    """One user table. Counters are since the statistics began; `…_s_ago` is None for never.

    `options` are storage parameters (`autovacuum_enabled=off`); thresholds are the server's settings.
    `candidate_key` names a unique index over columns that are not null; `kind`, `persistence` are pg_class's letters.
    """

    schema: str
    name: str
    oid: int
    kind: str
    persistence: str
    is_partition: bool
    options: list[str]
    estimated_rows: int
    live_rows: int
    dead_rows: int
    heap_bytes: int
    size_bytes: int
    sequential_scans: int
    sequential_rows: int
    index_scans: int
    inserts: int
    updates: int
    deletes: int
    hot_updates: int
    modified: int
    inserted_since_vacuum: int
    vacuumed_s_ago: float | None
    analyzed_s_ago: float | None
    index_count: int
    has_primary_key: bool
    candidate_key: str | None
    indexes_bytes: int
    vacuum_threshold: float
    vacuum_scale_factor: float
    vacuum_max_threshold: float | None
    insert_threshold: float
    insert_scale_factor: float
    analyze_threshold: float
    analyze_scale_factor: float

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def quoted(self) -> str:
        return quote(self.schema, self.name)

    @property
    def step_name(self) -> str:
        """The table as a step of a playbook names it, quoted only where it has to be."""
        is_plain = PLAIN_NAME.fullmatch(self.schema) and PLAIN_NAME.fullmatch(self.name)
        return self.full_name if is_plain else self.quoted

    @property
    def rows(self) -> int:
        """The larger estimate: one is as old as the last ANALYZE, the other as the last reset of statistics."""
        return max(self.estimated_rows, self.live_rows)

    @property
    def writes(self) -> int:
        return self.inserts + self.updates + self.deletes

    @property
    def has_storage(self) -> bool:
        return self.kind != "p"

    def option(self, name: str) -> str | None:
        """A storage parameter of the table itself."""
        return next((text.partition("=")[2] for text in self.options if text.startswith(f"{name}=")), None)

    @property
    def autovacuum_is_off(self) -> bool:
        return OFF.fullmatch(self.option("autovacuum_enabled") or "on") is not None

    @property
    def dead_rows_for_vacuum(self) -> float:
        """PostgreSQL's documentation, "The Autovacuum Daemon": threshold + scale factor × rows, capped from 18 on."""
        limit = self._limit("autovacuum_vacuum", self.vacuum_threshold, self.vacuum_scale_factor)
        most = float(self.option("autovacuum_vacuum_max_threshold") or self.vacuum_max_threshold or -1)
        return min(limit, most) if most >= 0 else limit

    @property
    def inserts_for_vacuum(self) -> float | None:
        """Inserted rows that bring a vacuum; None where that is switched off."""
        threshold = float(self.option("autovacuum_vacuum_insert_threshold") or self.insert_threshold)
        if threshold < 0:
            return None
        return self._limit("autovacuum_vacuum_insert", self.insert_threshold, self.insert_scale_factor)

    @property
    def changes_for_analyze(self) -> float:
        return self._limit("autovacuum_analyze", self.analyze_threshold, self.analyze_scale_factor)

    def _limit(self, prefix: str, threshold: float, scale_factor: float) -> float:
        threshold = float(self.option(f"{prefix}_threshold") or threshold)
        scale_factor = float(self.option(f"{prefix}_scale_factor") or scale_factor)
        return threshold + scale_factor * self.estimated_rows
