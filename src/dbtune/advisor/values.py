"""Typical values for `$1`: a generic plan hides skew, the beginning of a pattern, and how small a LIMIT is.

pg_stat_statements keeps no values. The planner's statistics know what values there are: a common one, one from the
middle, a rare one, each planned as a variant beside the generic plan.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from dbtune.advisor.access import Access, Condition
from dbtune.advisor.arrays import array_literal
from dbtune.advisor.keys import PATTERNS
from dbtune.advisor.source import ColumnStatistics, Source, Table
from dbtune.advisor.texts import count_parameters, limit_parameters, with_values
from dbtune.advisor.workload import Statement, Variant

Level = Literal["common", "median", "rare"]
LEVELS: tuple[Level, ...] = ("common", "median", "rare")
SELECTED: Mapping[Level, float] = MappingProxyType({"common": 0.5, "median": 0.1, "rare": 0.01})
"""The share of rows within a range: nobody knows the true one, so a wide, a usual and a narrow range are planned."""
_UPPER_END = 0.95
"""Where ranges with two ends stop: people ask for recent rows, and the last of all may be outliers."""
DEFAULT_LIMIT = 10
"""Rows of a page, where the counters do not tell how many a call returns."""
MOST_LIMIT = 1000
_LISTED = 3
_LOWER, _UPPER = (">", ">="), ("<", "<=")
_GUESSED = ("@@", "@@@", "@>", "<@", "&&", "?", "?|", "?&", "%", "<%", "%>", "<<%", "%>>", *PATTERNS)
"""Operators of which the planner can only guess how many rows they find, as long as it does not know the value.

A pattern as well: what we put together from a typical value tells little of what people type into a search box.
"""


@dataclass(frozen=True, slots=True)
class _Use:
    """What a parameter is compared with."""

    number: int
    operator: str
    stats: ColumnStatistics
    is_array: bool = False
    has_other_end: bool = False
    place: int = 0


def with_typical_values(statement: Statement, accesses: Iterable[Access], source: Source) -> Statement:
    """The same with variants for typical values; unchanged where it has no parameter or nothing is known of them."""
    if not statement.has_parameters:
        return statement
    accesses = tuple(accesses)
    uses = {use.number: use for use in _uses(accesses, source)}
    is_guess = any(one.operator in _GUESSED and "$" in one.value for access in accesses for one in access.conditions)
    variants: dict[str, Variant] = {}
    for variant in statement.variants:
        for one in (
            _variants(variant, statement.rows, uses, is_guess=is_guess) if count_parameters(variant.sql) else (variant,)
        ):
            known = variants.get(one.sql)
            variants[one.sql] = one if known is None else replace(known, share=known.share + one.share)
    return replace(statement, variants=tuple(variants.values()))


def _variants(variant: Variant, rows: float | None, uses: Mapping[int, _Use], *, is_guess: bool) -> Iterator[Variant]:
    """With `is_guess` some values find too few rows for the LIMIT: then all of them must be found."""
    limits, offsets = limit_parameters(variant.sql)
    page = DEFAULT_LIMIT if not rows else max(1, min(round(rows), MOST_LIMIT))
    fixed = dict.fromkeys(limits, str(page)) | dict.fromkeys(offsets, "0")
    endless = fixed | dict.fromkeys(limits, "null") if is_guess else fixed
    generic = with_values(variant.sql, fixed) if fixed else variant.sql
    if not any(_is_telling(use) for use in uses.values()):
        if endless == fixed:
            yield Variant(generic, variant.share, "any value")
        else:
            yield Variant(generic, variant.share / 2, "any value")
            yield Variant(with_values(variant.sql, endless), variant.share / 2, "rare")
        return
    unfilled = _unfilled(rows)
    part = variant.share / (len(LEVELS) + 1)
    yield Variant(generic, part, "any value")
    for level in LEVELS:
        values = {number: literal for number, use in uses.items() if (literal := _value(use, level)) is not None}
        yield Variant(with_values(variant.sql, values | (endless if level in unfilled else fixed)), part, level)


def _unfilled(rows: float | None) -> tuple[Level, ...]:
    """For which values a call returns fewer rows than its LIMIT; `rows` is what calls returned on average.

    A broken average proves that some did, and one of less than half a usual page that most did.
    """
    if rows is None or rows == round(rows):
        return ("rare",)
    return LEVELS if rows < DEFAULT_LIMIT / 2 else ("median", "rare")


def _is_telling(use: _Use) -> bool:
    """An equality with evenly spread values is planned the same for any of them."""
    return use.operator != "=" or bool(use.stats.common)


def _uses(accesses: Iterable[Access], source: Source) -> Iterator[_Use]:
    for access in accesses:
        table = source.by_name.get(access.table)
        arms = (one for alternatives in access.alternatives for arm in alternatives for one in arm)
        conditions = (*access.conditions, *arms)
        for condition in conditions if table is not None else ():
            yield from _uses_in(condition, conditions, table)


def _uses_in(condition: Condition, beside: Sequence[Condition], table: Table | None) -> Iterator[_Use]:
    column = table.column(condition.key.text) if table is not None and condition.key.is_column else None
    stats = column.stats if column is not None else None
    if stats is None or condition.joins:
        return
    operator = condition.operator
    other = any(one.key == condition.key and _is_other_end(one.operator, operator) for one in beside)
    if condition.parameter is not None:
        yield _Use(condition.parameter, operator, stats, operator == "= any", other)
    elif operator == "= any" and condition.value.startswith("ARRAY["):
        for place, number in enumerate(re.findall(r"\$(\d+)", condition.value)):
            yield _Use(int(number), "=", stats, place=place)


def _is_other_end(one: str, another: str) -> bool:
    return (one in _LOWER and another in _UPPER) or (one in _UPPER and another in _LOWER)


def _value(use: _Use, level: Level) -> str | None:
    """An SQL literal, or None where the statistics hold no value."""
    if use.operator in _LOWER or use.operator in _UPPER:
        return _quoted(_end(use, level))
    if use.is_array:
        found = [value for place in range(_LISTED) if (value := _equal(use.stats, level, place)) is not None]
        return _quoted(array_literal(tuple(found))) if found else None
    value = _equal(use.stats, level, use.place)
    if value is not None and use.operator in PATTERNS:
        return _quoted(_pattern(value, use.operator, level))
    return _quoted(value) if use.operator in ("=", "<>") else None


def _equal(stats: ColumnStatistics, level: Level, place: int) -> str | None:
    common = [value for value, _ in stats.common if value is not None]
    bounds = [value for value in stats.bounds if value is not None]
    if level == "common":
        values = common or bounds[len(bounds) // 2 :]
    elif level == "median":
        values = bounds[len(bounds) // 2 :] or common[len(common) // 2 :]
    else:
        # Bounds are of values too rare to be listed; without any, the last of the list is the rarest.
        values = bounds[1 + len(bounds) // 4 :] or common[::-1]
    return values[place % len(values)] if values else None


def _end(use: _Use, level: Level) -> str | None:
    bounds = [value for value in use.stats.bounds if value is not None]
    if not bounds:
        return _equal(use.stats, level, 0)
    share = SELECTED[level]
    if use.has_other_end:
        at = _UPPER_END if use.operator in _UPPER else _UPPER_END - share
    else:
        at = share if use.operator in _UPPER else 1.0 - share
    return bounds[round(max(at, 0.0) * (len(bounds) - 1))]


def _pattern(value: str, operator: str, level: Level) -> str:
    """Somewhere inside, at the beginning, and the whole: which of them people ask for, nobody knows."""
    plain = re.sub(r"[%_\\]", "", value) or value
    if operator == "^@":
        return plain[:4]
    if operator in ("~", "~*"):
        word = re.sub(r"\W", ".", plain)
        return {"common": word[1:6], "median": f"^{word[:4]}", "rare": f"^{word}"}[level]
    return {"common": f"%{plain[1:6]}%", "median": f"{plain[:4]}%", "rare": f"{plain}%"}[level]


def _quoted(value: str | None) -> str | None:
    """A literal of unknown type, which takes that of what it is compared with."""
    if value is None:
        return None
    if "\\" in value:
        return "e'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
    return "'" + value.replace("'", "''") + "'"
