"""track_io_timing is off: nobody knows how much of the time is the disk's.

**Why it matters.** EXPLAIN (BUFFERS), pg_stat_statements and pg_stat_database then say how many pages were read, not
how long it took; a slow disk and a slow plan look the same.

**What to do.** Run pg_test_timing on the machine. If reading the clock costs well under 100 ns, as on all but some
virtual machines, turn it on.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.settings import Setting, advise, find, not_shown


def judge(rows: Sequence[Setting], server: Audited) -> Verdicts:
    """Off; the fix wants a look at the machine's clock first (documentation of track_io_timing)."""
    setting = find(rows, "track_io_timing")
    if setting is None:
        yield not_shown(CHECK.code, "track_io_timing")
    elif not setting.is_on:
        yield CHECK.finding(
            "track_io_timing",
            "track_io_timing is off: the time that statements wait for the disk is not measured",
            evidence={"value": setting.value},
            fix=advise("track_io_timing", "on", scope="database", database=server.database),
        )


CHECK = Check("PG146", "io-timing-off", "info", "audit_settings", Setting, judge)
