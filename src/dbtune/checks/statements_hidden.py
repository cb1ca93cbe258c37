"""Statements that could not be judged, because their texts are hidden from this role, lost or cut off.

**Why it matters.** A report that is silent about them looks complete and is not.

**What to do.** `grant pg_monitor to ROLE` (or pg_read_all_stats) shows other users' statements. Texts are lost when
the server could not keep its file of them: pg_stat_statements_reset() starts a new one. A text that ends in the
middle was cut by the server or by a proxy in front of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.statement_totals import StatementTotals
from dbtune.core.findings import Unexamined

_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|\$(\w*)\$.*?\$\1\$", re.DOTALL)


def judge(rows: Sequence[StatementTotals], server: Audited) -> Verdicts:
    """Never a finding: what was not examined, in calls and in share of time."""
    for totals in rows:
        if totals.hidden_calls:
            share = totals.hidden_ms / totals.total_ms if totals.total_ms else 0.0
            yield Unexamined(
                CHECK.code,
                f"the texts of {totals.hidden_calls} calls ({share:.0%} of the time) are hidden from {server.user}",
                "grant pg_monitor to this role",
            )
        if totals.lost_texts:
            yield Unexamined(
                CHECK.code,
                f"the server has lost the texts of {totals.lost_texts} statements",
                "select pg_stat_statements_reset() starts a new file of texts",
            )
        if cut := sum(is_cut_off(row.text) for row in totals.rows if row.text):
            yield Unexamined(CHECK.code, f"the texts of {cut} statements are cut off", "look at the application's log")


def is_cut_off(text: str) -> bool:
    """Whether quotes or parentheses are left open. Escape strings may hide a quote: those count as whole."""
    if "\\" in text:
        return False
    rest = _QUOTED.sub("", text)
    return "'" in rest or '"' in rest or "/*" in rest or rest.count("(") > rest.count(")")


CHECK = Check(
    "PG109",
    "statements-hidden",
    "info",
    "audit_statements",
    StatementTotals,
    judge,
    source="totals",
    needs="pg_stat_statements",
)
