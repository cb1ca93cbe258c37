"""Table pages are found in PostgreSQL's cache too seldom.

**Why it matters.** A page that is not in shared_buffers is asked of the operating system, which may have to ask the
disk: a hundred times slower.

**What to do.** Look at the tables with the most reads: a missing index or bloat makes PostgreSQL read what it does not
need. Then compare shared_buffers with the size of what is used (25 % of the memory is a common start). The rate is
since the last reset of statistics; a server that started lately has not warmed up.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.hit_rate import PageHits, rate_finding

LEAST_SHARE = 0.99
"""PgHero's, pg-extras' and Heroku's limit for tables."""


def judge(rows: Sequence[PageHits], server: Audited) -> Verdicts:
    """One finding for the whole database, with the tables that read most."""
    yield from rate_finding(CHECK, server.database, LEAST_SHARE, [row for row in rows if not row.is_index])


CHECK = Check("PG009", "low-table-hit-rate", "warning", "audit_hits", PageHits, judge)
