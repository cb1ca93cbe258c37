"""From advice to a playbook that `validate`, `plan` and `apply` accept: its indexes, with what they serve."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from dbtune.advisor.advice import Advice, Drop, Recommendation
from dbtune.advisor.index import IndexDefinition, IndexKey
from dbtune.app.fix_playbook import as_item
from dbtune.core.units import format_size
from dbtune.render.advice_outline import brief, facts, gain, served, short
from dbtune.render.text import one_line

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_LONGEST_TEXT, _LONGEST_TITLE = 150, 80


def advice_playbook(advice: Advice) -> str | None:
    """None where nothing is advised: a playbook has steps. Drops are comments, for a person to judge."""
    if not advice.recommendations:
        return None
    return "".join(
        (*_head(advice), *(part for one in advice.recommendations for part in _index(one, advice)), *_drops(advice))
    )


def index_step(definition: IndexDefinition, name: str | None = None) -> dict[str, Any]:
    """The value of an `index` step."""
    step: dict[str, Any] = {"schema": definition.schema, "table": _table(definition.table)}
    if name is not None:
        step["name"] = name
    step["columns"] = [_key(key) for key in definition.keys]
    if definition.method != "btree":
        step["method"] = definition.method
    if definition.unique:
        step["unique"] = True
    if definition.include:
        step["include"] = list(definition.include)
    if definition.where is not None:
        step["where"] = definition.where
    if definition.options:
        step["with"] = dict(definition.options)
    return step


def _table(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def _key(key: IndexKey) -> str | dict[str, str]:
    """As in SQL where that is plain, else as a mapping."""
    nulls = None if key.nulls_first is None else "first" if key.nulls_first else "last"
    if key.column is not None and _PLAIN.fullmatch(key.column) and key.opclass is None and key.collation is None:
        words = [key.column, "desc" if key.descending else "", f"nulls {nulls}" if nulls else ""]
        return " ".join(filter(None, words))
    long = {"name": key.column} if key.column is not None else {"expression": str(key.expression)}
    long |= {"order": "desc"} if key.descending else {}
    for word, value in (("nulls", nulls), ("opclass", key.opclass), ("collation", key.collation)):
        if value is not None:
            long[word] = value
    return long


def _head(advice: Advice) -> Iterator[str]:
    yield "# Indexes that `dbtune advise` found: look at `dbtune plan` of this file before `dbtune apply`.\n"
    yield f"# {one_line(advice.target)}, {advice.started_at:%Y-%m-%d %H:%M} UTC, statements: {advice.statements}\n"
    yield f"version: 1\nname: advice-{advice.started_at:%Y-%m-%d}\nsteps:\n"


def _index(one: Recommendation, advice: Advice) -> Iterator[str]:
    yield f"  # {facts(one, advice)}: {one_line(one.why)}\n"
    for each in one.queries:
        yield f"  # {gain(each)}: {brief(each)[:_LONGEST_TEXT]}\n"
    if one.parts is None:
        yield as_item({"name": _title(one.definition, one), "index": index_step(one.definition, one.name)})
        return
    yield "  # one partition after the other, since no partitioned table is indexed CONCURRENTLY as a whole\n"
    for name, leaf in one.parts.leaves:
        yield as_item({"name": _title(leaf, one), "index": index_step(leaf, name)})
    whole = {"apply": ";\n".join(one.parts.joins), "verify": one.parts.is_joined, "rollback": one.parts.takes_back}
    yield as_item({"name": f"All parts as one: {_title(one.definition, one)}", "sql": whole})


def _title(index: IndexDefinition, one: Recommendation) -> str:
    """What reports call the step: the index, and the statement that gains most by it."""
    first, *rest = [brief(each) for each in served(one)] or [one_line(one.why)]
    text = first if len(first) <= _LONGEST_TITLE else f"{first[: _LONGEST_TITLE - 1]}…"
    return f"{short(index)}, for {text}" + (f" and {len(rest)} more" if rest else "")


def _drops(advice: Advice) -> Iterator[str]:
    if advice.drops:
        yield "# Nothing would miss these, as far as is known; judge them yourself:\n"
    for drop in advice.drops:
        yield f"#   {one_line(drop.ddl)};  -- {format_size(drop.size_bytes)}, {one_line(_reason(drop))}\n"


def _reason(drop: Drop) -> str:
    return f"{drop.reason} ({drop.confidence})"
