"""How many different values a column has at least: what its unique keys know, and a sample does not."""

from __future__ import annotations

import math
from collections.abc import Mapping

from dbtune.advisor.source import Source, Table


def least_distinct(source: Source, table: Table, *, alone: bool) -> Mapping[str, float]:
    """For columns of unique keys of several columns: ANALYZE takes a clustered column for less varied than it is.

    With 6,000,000 rows, and 7 values in the other column, there are at least 6,000,000 / 7 in this one; and where one
    of those 7 is in a quarter of the rows, 1,500,000, since it comes but once with each value of this one. That counts
    where the column is `alone` in a key: columns of a longer one are taken as independent, which counts too many.
    """
    least: dict[str, float] = {}
    for index in source.indexes_of(table):
        columns = [table.column(key.column) for key in index.keys if key.column is not None]
        stats = [column.stats if column is not None else None for column in columns]
        if not index.is_unique or index.predicate is not None or len(stats) < 2 or len(stats) < len(index.keys):
            continue
        known = [one for one in stats if one is not None]
        if len(known) == len(stats):
            whole = math.prod(one.distinct(table.live_rows) for one in known)
            for one in known:
                bound = table.live_rows / max(whole / one.distinct(table.live_rows), 1.0)
                if alone and len(known) == 2:
                    other = known[one is known[0]]
                    bound = max(bound, table.live_rows * max(other.most_common_freqs or (0.0,)))
                least[one.column] = max(bound, least.get(one.column, 1.0))
    return least
