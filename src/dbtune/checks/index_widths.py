"""The row that the checks share which estimate an index from the planner's statistics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dbtune.core.findings import Unexamined

ENTRY_HEADER_BYTES, POINTER_BYTES, ALIGNMENT_BYTES = 8, 4, 8
PAGE_OVERHEAD_BYTES = 24 + 16
"""Page header and the B-tree's special space (PostgreSQL's documentation, "Database Page Layout")."""


@dataclass(frozen=True, slots=True)
class IndexWidths:
    """A B-tree of 1 MB or more. `width_bytes` sums the average widths of its columns, nulls counted as 0.

    `readable` of its `column_count` columns have statistics that the role may see; `null_share` (0 to 1) is the first
    column's, whose name is `first_column` (None: an expression). `written_name` is the name as in `definition`.
    """

    schema: str
    name: str
    table: str
    written_name: str
    definition: str
    size_bytes: int
    page_bytes: int
    entries: float
    fillfactor: int
    column_count: int
    key_count: int
    readable: int
    width_bytes: float
    null_share: float
    first_column: str | None
    is_partial: bool
    guards_data: bool
    is_attached: bool

    @property
    def is_known(self) -> bool:
        return self.readable == self.column_count

    def expected_bytes(self, fill: float) -> int:
        """Its size with pages filled to `fill` (0 to 1), without deduplication, which only makes it smaller."""
        key_bytes = math.ceil(self.width_bytes / ALIGNMENT_BYTES) * ALIGNMENT_BYTES
        entry_bytes = ENTRY_HEADER_BYTES + key_bytes + POINTER_BYTES
        room_bytes = (self.page_bytes - PAGE_OVERHEAD_BYTES) * fill
        return (1 + math.ceil(self.entries * entry_bytes / room_bytes)) * self.page_bytes


def unreadable(rows: Sequence[IndexWidths], code: str) -> Unexamined | None:
    """A word about the indexes whose columns have no statistics that the role may see."""
    count = sum(not row.is_known for row in rows)
    if not count:
        return None
    return Unexamined(
        code,
        f"{count} of {len(rows)} indexes of 1 MB or more: their columns have no statistics that this role may read",
        "run ANALYZE; grant SELECT on the tables (from 14: the role pg_read_all_data), which pg_stats asks for",
    )
