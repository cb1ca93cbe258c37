"""The row that the checks about statements share: pg_stat_statements since its last reset."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dbtune.core.findings import Unexamined

LONGEST_SUBJECT = 80
"""Characters of a statement that name it in a report."""
_QUERIES = ("select", "with", "insert", "update", "delete", "merge", "values", "table", "(")
_BLANK = re.compile(r"\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/", re.DOTALL)
_LIKE = re.compile(r"(?:\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class StatementTotal:
    """One statement, all users and all lengths of its lists of constants added together.

    `text` None: the server has lost it. `toplevel` False: called inside a function (known since extension 1.9).
    `max_ms` is a maximum since the reset, `stddev_ms` the population's.
    `temp_written_bytes` went into files of sorts, hashes and the like. `jit_…`: what was compiled just in time, over
    all calls; 0 as well where that is not counted (see `counts_jit`).
    """

    queryid: str
    text: str | None
    toplevel: bool
    calls: int
    rows: int
    exec_ms: float
    max_ms: float
    stddev_ms: float
    temp_written_bytes: int
    jit_functions: int = 0
    jit_ms: float = 0.0

    @property
    def mean_ms(self) -> float:
        return self.exec_ms / max(self.calls, 1)

    @property
    def is_query(self) -> bool:
        """Whether it reads or writes rows, and so can be tuned; VACUUM, COPY, BEGIN and the like cannot."""
        if self.text is None:
            return False
        blank = _LIKE.match(self.text)
        return self.text[blank.end() if blank else 0 :].lower().startswith(_QUERIES)

    @property
    def subject(self) -> str:
        """The statement on one line; one that is cut says its id, to keep it apart from others."""
        line = _BLANK.sub(" ", self.text or "").strip()
        if len(line) <= LONGEST_SUBJECT:
            return line or f"statement {self.queryid}"
        return f"{line[: LONGEST_SUBJECT - 1]}… ({self.queryid})"

    @property
    def evidence(self) -> dict[str, Any]:
        return {
            "queryid": self.queryid,
            "query": self.text,
            "calls": self.calls,
            "rows": self.rows,
            "total_ms": round(self.exec_ms, 3),
            "mean_ms": round(self.mean_ms, 3),
            "max_ms": round(self.max_ms, 3),
        }


@dataclass(frozen=True, slots=True)
class StatementTotals:
    """pg_stat_statements for this database, without dbtune's own statements.

    `entries` counts all databases; `dealloc` and `age_s` (since the reset) are None before extension 1.9.
    `hidden_*`: other users' statements that this role may not see. `lost_texts` are those with a row and no text.
    `counts_jit` from extension 1.10 on.
    """

    rows: tuple[StatementTotal, ...]
    entries: int
    entries_max: int | None
    dealloc: int | None
    age_s: float | None
    hidden_calls: int
    hidden_ms: float
    lost_texts: int
    work_mem_bytes: int
    cache_bytes: int
    max_connections: int
    counts_jit: bool = False

    @property
    def total_ms(self) -> float:
        """Nested statements are a part of those that called them, and do not count twice."""
        return sum(row.exec_ms for row in self.rows if row.toplevel) + self.hidden_ms

    def unseen(self, code: str, user: str) -> Iterable[Unexamined]:
        """One where not a single text is visible: a check over nothing must not look like a clean bill."""
        if self.hidden_calls and not self.rows:
            yield Unexamined(code, f"every statement is hidden from {user}", "grant pg_monitor to this role")

    def queries(self) -> Iterable[StatementTotal]:
        """Those that can be tuned, the longest total first."""
        return sorted((row for row in self.rows if row.is_query), key=lambda row: -row.exec_ms)
