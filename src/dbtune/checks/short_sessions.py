"""The application connects anew for almost everything: it has no connection pool, or one that does not keep.

**Why it matters.** Each connection is a process of its own: it costs some milliseconds of the server, a login, and
empty caches (catalog, plans) to begin with. Hundreds a minute cost more than the statements that they send.

**What to do.** Use a pool in the application (psycopg_pool, HikariCP, …) that keeps its connections, or PgBouncer in
front of the server when there are many processes. Size it by what is active at once, not by what is idle: some
twice the number of processor cores is plenty.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.database_totals import DatabaseTotals
from dbtune.core.findings import Unexamined
from dbtune.core.units import format_duration

LEAST_A_MINUTE = 60.0
"""At one a second, and some 5 ms for each, half a per cent of a core goes into connecting."""
LONGEST_S = 10.0
"""A pool keeps a connection for minutes at least (HikariCP: 30 minutes)."""
LEAST_SESSIONS = 100


def judge(rows: Sequence[DatabaseTotals], server: Audited) -> Verdicts:
    """Many sessions a minute, short on average. Counted since 14."""
    for row in rows:
        if row.sessions is None or row.session_s is None:
            yield Unexamined(CHECK.code, "sessions are counted from PostgreSQL 14 on", "upgrade; log_connections helps")
            continue
        rate = row.sessions / max(row.age_s / 60.0, 1.0)
        if row.sessions < LEAST_SESSIONS or rate < LEAST_A_MINUTE:
            continue
        mean_s = row.session_s / row.sessions
        if mean_s <= LONGEST_S:
            yield CHECK.finding(
                server.database,
                f"{rate:.0f} new connections a minute, which last {format_duration(mean_s)} on average: use a pool",
                evidence={
                    "sessions": row.sessions,
                    "sessions_per_minute": round(rate, 1),
                    "mean_session_s": round(mean_s, 4),
                    "statistics_age_s": round(row.age_s),
                },
            )


CHECK = Check("PG123", "short-sessions", "warning", "audit_database", DatabaseTotals, judge)
