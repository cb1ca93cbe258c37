"""pg_stat_statements since its last reset, with texts, as the checks about statements read it."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from dbtune.baseline.capture import OWN_MARK, StatementRow, Statements
from dbtune.checks.statement_totals import StatementTotal, StatementTotals
from dbtune.core.errors import Unsupported
from dbtune.servers.postgres.counters import Compiled, Counters
from dbtune.servers.postgres.queries import fetch
from dbtune.servers.postgres.session import Connection

COLUMNS = ("toplevel", "calls", "rows", "exec_ms", "exec_stddev_ms", "exec_max_ms", "temp_written", "stats_since")
"""What checks of statements judge; the last one tells a row that began anew within a window."""
# A list of constants; since 18 the server writes `in ($1 /*, ... */)` itself. Thousands of texts are looked through:
# this is a hundred times faster than their fingerprints.
_LIST = re.compile(r"(?<=[(\[])\s*\$\d+(?:\s*,\s*\$\d+)*(?:\s*/\*, \.\.\. \*/)?\s*(?=[)\]])")
_PARAMETER = re.compile(r"\$\d+")
_MAY_HAVE_LIST = re.compile(r"\b(?:in\s*\(|array\s*\[)\s*\$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _MemoryLimits:
    work_mem_bytes: int
    cache_bytes: int
    max_connections: int
    block_bytes: int


@dataclass(frozen=True, slots=True)
class ReadStatements:
    """pg_stat_statements at one moment with its texts, read once for everybody who judges it."""

    counters: Counters
    statements: Statements
    texts: Mapping[str, str | None]


def read_statements(connection: Connection) -> ReadStatements:
    """Raises Unsupported, with the remedy, where pg_stat_statements is missing, not loaded or not readable."""
    counters = Counters(connection, COLUMNS)
    statements = counters.statements()
    if statements is None:
        why = counters.skipped[0]
        raise Unsupported(why.reason, hint=why.hint)
    return ReadStatements(counters, statements, counters.texts())


def totals(connection: Connection, read: ReadStatements) -> StatementTotals:
    """Of what was read, without dbtune's own statements."""
    statements, texts = read.statements, read.texts
    compiled = read.counters.compiled()
    limits = fetch(connection, "audit_memory_limits", _MemoryLimits)[0]
    known = [row for row in statements.rows if OWN_MARK not in (texts.get(row.queryid) or "")]
    return StatementTotals(
        rows=tuple(_merged(known, texts, limits.block_bytes, compiled or {})),
        entries=statements.entries,
        entries_max=statements.entries_max,
        dealloc=statements.dealloc,
        age_s=_age_s(statements),
        hidden_calls=statements.hidden_calls,
        hidden_ms=statements.hidden_exec_ms,
        lost_texts=sum(texts.get(row.queryid) is None for row in statements.rows),
        work_mem_bytes=limits.work_mem_bytes,
        cache_bytes=limits.cache_bytes,
        max_connections=limits.max_connections,
        counts_jit=compiled is not None,
    )


def _age_s(statements: Statements) -> float | None:
    reset = statements.stats_reset
    return None if reset is None else max((datetime.now(UTC) - reset).total_seconds(), 0.0)


def _merged(
    rows: Iterable[StatementRow],
    texts: Mapping[str, str | None],
    block_bytes: int,
    compiled: Mapping[tuple[str, bool], Compiled],
) -> Iterable[StatementTotal]:
    """One total for all users, for one text under several ids (drivers that vary the types of parameters), and
    before 18 for lists of constants of several lengths (rule 10).
    """
    groups: defaultdict[tuple[str, bool], list[StatementRow]] = defaultdict(list)
    for row in rows:
        text = texts.get(row.queryid)
        groups[row.queryid if text is None else _folded(text), row.toplevel is not False].append(row)
    for (_, toplevel), group in groups.items():
        longest = group[0] if len(group) == 1 else max(group, key=lambda row: row.exec_ms)
        jit = [compiled[key] for key in {(row.queryid, toplevel) for row in group} if key in compiled]
        yield StatementTotal(
            queryid=longest.queryid,
            text=texts.get(longest.queryid),
            toplevel=toplevel,
            calls=sum(row.calls for row in group),
            rows=sum(row.rows for row in group),
            exec_ms=sum(row.exec_ms for row in group),
            max_ms=max(row.exec_max_ms for row in group),
            stddev_ms=_pooled_stddev(group),
            temp_written_bytes=sum(row.temp_written for row in group) * block_bytes,
            jit_functions=sum(one.functions for one in jit),
            jit_ms=math.fsum(one.ms for one in jit),
        )


def _folded(text: str) -> str:
    """The same for lists of any length, after which the parameters are numbered differently."""
    return _PARAMETER.sub("$", _LIST.sub("...", text)) if _MAY_HAVE_LIST.search(text) else text


def _pooled_stddev(group: Sequence[StatementRow]) -> float:
    """Of the union: the mean of squares is Σ n(s² + m²) / N, the mean Σ total / N."""
    if len(group) == 1:
        return group[0].exec_stddev_ms
    counted = [row for row in group if row.calls]
    calls = sum(row.calls for row in counted)
    if not calls:
        return 0.0
    squares = sum(row.calls * (row.exec_stddev_ms**2 + (row.exec_ms / row.calls) ** 2) for row in counted) / calls
    return math.sqrt(max(squares - (sum(row.exec_ms for row in counted) / calls) ** 2, 0.0))
