"""A foreign key whose referencing columns no index supports.

**Why it matters.** Every delete of a referenced row, and every update of its key, searches the referencing table for
rows that point to it: without an index it reads the whole table, once per row, and holds locks meanwhile. Joins along
the key and "all children of" queries have the same need.

**What to do.** Index the columns. An index helps when it *begins* with them (in any order among themselves), as keys
and not in INCLUDE or inside an expression, with an operator class that knows the key's equality and the column's own
collation, over all rows or over those that are not null. Small tables are read fast enough without; those findings are
information only. Leave the index out where referenced rows are never deleted and nothing joins along the key.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import Any

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.core.findings import Finding, Fix
from dbtune.core.identifiers import quote, shorten

SMALL_ROWS = 1_000
"""Our judgement: a table of a few pages is read as fast as an index on it."""
SMALL_BYTES = 1 << 20
"""Rows are unknown before the first ANALYZE: a table of this size is not small, whatever the count says."""
PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """One foreign key without a supporting index. `root_…` is the partitioned table that the table is a part of.

    `rows` is an estimate; `referenced_changes` counts deletes and updates of referenced rows since statistics began.
    """

    name: str
    schema: str
    table: str
    columns: list[str]
    referenced_schema: str
    referenced_table: str
    root_schema: str | None
    root_table: str | None
    rows: int
    size_bytes: int
    referenced_changes: int
    index_names: list[str]


def judge(rows: Sequence[ForeignKey], server: Audited) -> Verdicts:
    """One finding a key; the partitions of one table share theirs, and so do keys over the same columns."""
    groups: dict[tuple[object, ...], list[ForeignKey]] = defaultdict(list)
    for row in rows:
        where = (row.schema, row.table) if row.root_table is None else (row.root_schema, row.root_table)
        groups[(*where, *row.columns)].append(row)
    for group in groups.values():
        yield _finding(group)


def _finding(group: Sequence[ForeignKey]) -> Finding:
    first = group[0]
    tables = {(row.schema, row.table): row for row in group}
    row_count = sum(row.rows for row in tables.values())
    schema, table = first.root_schema or first.schema, first.root_table or first.table
    size_bytes = sum(row.size_bytes for row in tables.values())
    is_small = row_count < SMALL_ROWS and size_bytes < SMALL_BYTES
    columns = ", ".join(first.columns)
    partitions = f" in {len(tables)} partitions" if first.root_table is not None else ""
    return CHECK.finding(
        f"{schema}.{table}.{first.name}" if first.root_table is None else f"{schema}.{table} ({columns})",
        f"no index begins with {columns}, which references {first.referenced_table}; {row_count:,} rows{partitions}",
        severity="info" if is_small else CHECK.severity,
        evidence={
            "columns": list(first.columns),
            "constraints": sorted({row.name for row in group}),
            "references": sorted({f"{row.referenced_schema}.{row.referenced_table}" for row in group}),
            "rows": row_count,
            "size_bytes": size_bytes,
            "referenced_changes": max(row.referenced_changes for row in group),
        },
        fix=_fix(first, safe=not is_small)
        if first.root_table is None
        else _partitioned_fix(first, list(tables.values())),
    )


def _fix(row: ForeignKey, *, safe: bool) -> Fix:
    name = _free_name(row)
    step: dict[str, Any] = {
        "table": quote(row.schema, row.table),
        "columns": [_step_column(column) for column in row.columns],
        "name": name,
    }
    if PLAIN_NAME.fullmatch(row.schema) and PLAIN_NAME.fullmatch(row.table):
        step["table"] = f"{row.schema}.{row.table}"
    return Fix(sql=(_create(row, name),), step={"index": step}, safe=safe)


def _partitioned_fix(first: ForeignKey, rows: Sequence[ForeignKey]) -> Fix:
    """Each partition without blocking writers; then the partitioned table, which adopts what it finds at once."""
    columns = quote_list(first.columns)
    name = shorten("_".join((first.root_table or "", *first.columns)), "_idx")
    whole = f"create index {quote(name)} on {quote(first.root_schema or '', first.root_table or '')} ({columns});"
    return Fix(sql=(*(_create(row, _free_name(row)) for row in rows), whole))


def _create(row: ForeignKey, name: str) -> str:
    return f"create index concurrently {quote(name)} on {quote(row.schema, row.table)} ({quote_list(row.columns)});"


def quote_list(columns: Sequence[str]) -> str:
    return ", ".join(quote(column) for column in columns)


def _step_column(column: str) -> str | Mapping[str, str]:
    """The long form where the short one would be read as SQL (`a desc`, `lower(a)`)."""
    return column if PLAIN_NAME.fullmatch(column) else {"name": column}


def _free_name(row: ForeignKey) -> str:
    """As PostgreSQL would call it, unless an index that does not help has that name already."""
    base = "_".join((row.table, *row.columns))
    suffixes = chain(("_idx", "_fk_idx"), (f"_fk_idx{number}" for number in count(1)))
    return next(name for name in (shorten(base, suffix) for suffix in suffixes) if name not in row.index_names)


CHECK = Check("PG007", "missing-foreign-key-index", "warning", "audit_foreign_keys", ForeignKey, judge)
