"""How long an index takes to build: a rough figure, by what each access method spends most on.

The figures are those of one core of a server in the cloud, measured with half a million rows in memory and 64 MB of
maintenance_work_mem on PostgreSQL 15, each beside a B-tree on an integer. They hold within a factor of about three, and
say rather too much: a table that lies in memory is read in a fraction of the time that is reckoned for it.
"""

from __future__ import annotations

import math
import re

from dbtune.advisor.index import IndexDefinition
from dbtune.advisor.keys import BYTE_ORDERS, TEXTS, sorts_by_bytes
from dbtune.advisor.source import Source, Table
from dbtune.advisor.what_if import Candidate

_SCAN_BYTES_PER_S = 400e6
_COMPARISONS_PER_S = 30e6
"""Of keys that a machine word tells apart: TPC-H at scale factor 1."""
_COLLATED = 4.0
"""Comparing texts by a collation's rules takes so many times as long: 3 with libc's C.UTF-8, 4 with ICU's root."""
_HASHED = 2.5
_BYTES_PER_S = 10e6
"""What GIN writes: 15 MB/s of arrays, 10 of trigrams, 6 of words and of jsonb."""
_INSERTS_PER_S = {"gist": 60e3, "spgist": 250e3}
"""Rows that go down the tree one by one: trigrams 75,000, ranges 40,000 to 60,000; points and texts in SP-GiST."""
_RANGES = ("int4range", "int8range", "numrange", "daterange", "tsrange", "tstzrange")
_SORTED = {"point": 14, **dict.fromkeys(_RANGES, 18)}
"""Since when GiST sorts such rows before it builds."""
_SORTED_ROWS_PER_S = 500e3
_TEXT = re.compile(r"(?i)(lower|upper|initcap|btrim|ltrim|rtrim|trim|substring|substr|left|right|md5|concat)\(|.*->>")
"""Expressions that are known to be texts."""


def build_time_s(candidate: Candidate, source: Source) -> float:
    """Seconds; 0 for a table that is not in the source."""
    definition = candidate.definition
    table = source.by_name.get((definition.schema, definition.table))
    if table is None:
        return 0.0
    rows = candidate.rows if candidate.rows is not None else table.live_rows
    return table.pages * 8192 / _SCAN_BYTES_PER_S + _making_s(
        definition, rows, candidate.size_bytes or 0, source, table
    )


def _making_s(definition: IndexDefinition, rows: float, size_bytes: int, source: Source, table: Table) -> float:
    """What comes after the table is read."""
    method = definition.method
    if method == "brin":
        return 0.0
    if method == "gin":
        return size_bytes / _BYTES_PER_S
    if method == "gist" and _is_sorted(definition, source, table):
        return rows / _SORTED_ROWS_PER_S
    if method in _INSERTS_PER_S:
        return rows / _INSERTS_PER_S[method]
    slower = _HASHED if method == "hash" else _COLLATED if _is_collated(definition, source, table) else 1.0
    return rows * math.log2(max(rows, 2.0)) / _COMPARISONS_PER_S * slower


def _is_collated(definition: IndexDefinition, source: Source, table: Table) -> bool:
    """Whether texts are compared by a collation's rules: those of the first key, which decides most comparisons."""
    key = definition.keys[0]
    column = table.column(key.column) if key.column is not None else None
    is_text = column.base in TEXTS if column is not None else _TEXT.match(key.text) is not None
    if not is_text or (key.opclass or "").endswith("_pattern_ops"):
        return False
    return key.collation not in BYTE_ORDERS if key.collation else not sorts_by_bytes(source, column)


def _is_sorted(definition: IndexDefinition, source: Source, table: Table) -> bool:
    column = table.column(definition.keys[0].text) if len(definition.keys) == 1 else None
    since = _SORTED.get(column.base) if column is not None else None
    return since is not None and source.version // 10_000 >= since
