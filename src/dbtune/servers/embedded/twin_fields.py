"""How wide and how different one field of jsonb documents is, from the documents that ANALYZE kept as a histogram."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from dbtune.advisor.source import Column
from dbtune.servers.embedded.twin_gin import distinct_values, documents

_FIELD = re.compile(r"""(?:\w+|"[^"]+")((?:\s*->>?\s*'(?:[^']|'')*'::text)+)(?:::[\w ]+)?""")
_KEY = re.compile(r"'((?:[^']|'')*)'::text")
_LEAST_SEEN = 3
"""Times that a value comes in the sample before its share counts."""


@dataclass(frozen=True, slots=True)
class Field:
    """`widths` of a sample with their header of one byte, `common` the shares of the most common values of all rows."""

    null_frac: float
    distinct: float
    widths: tuple[int, ...]
    common: tuple[float, ...]


def field_of(expression: str | None, column: Column, rows: float) -> Field | None:
    """What `->>` makes of a column, whatever it is cast to; None for any other expression, and where no sample is."""
    found = _FIELD.fullmatch(re.sub(r"[()]", "", expression or ""))
    stats = column.stats
    sample = list(documents(stats)) if found is not None and stats is not None and column.base == "jsonb" else []
    if found is None or stats is None or not sample:
        return None
    path = [key.replace("''", "'") for key in _KEY.findall(found[1])]
    values = Counter(value for document in sample if (value := _text(document, path)) is not None)
    if not values:
        return None
    present = (1 - stats.null_frac) * values.total() / len(sample)
    shares = sorted((seen / len(sample) for seen in values.values() if seen >= _LEAST_SEEN), reverse=True)
    return Field(
        null_frac=1 - present,
        distinct=distinct_values(values, max(rows * (1 - stats.null_frac), 1.0) / len(sample)),
        widths=tuple(len(value.encode()) + (1 if len(value.encode()) < 127 else 4) for value in values.elements()),
        common=tuple(share * (1 - stats.null_frac) for share in shares),
    )


def _text(document: object, path: Sequence[str]) -> str | None:
    for key in path:
        if not isinstance(document, dict) or key not in document:
            return None
        document = document[key]
    return document if document is None or isinstance(document, str) else json.dumps(document)
