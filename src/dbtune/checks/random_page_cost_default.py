"""random_page_cost has its default of 4, which is made for spinning disks.

**Why it matters.** The planner takes a page fetched by an index for four times as dear as one read in order, and
chooses sequential scans where an index would be faster. On SSDs and on network storage both cost nearly the same.

**What to do.** 1.1 suits SSDs; keep 4 on spinning disks. SQL cannot see the disk: judge that yourself, and compare
before with after (`dbtune baseline`), since many plans change at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.settings import Setting, advise, find, not_shown

FOR_SSD = "1.1"
"""PgTune's figure for SSDs."""
SPINNING_DISK = 4.0
"""seq_page_cost is 1: the documentation calls 4 a mix of a cache and a disk forty times slower at random."""


def judge(rows: Sequence[Setting], server: Audited) -> Verdicts:
    """At the built-in default or above; a table space may have a value of its own."""
    setting = find(rows, "random_page_cost")
    if setting is None:
        yield not_shown(CHECK.code, "random_page_cost")
    elif setting.number >= SPINNING_DISK:
        yield CHECK.finding(
            "random_page_cost",
            f"random_page_cost is {setting.value}, which suits spinning disks only; {FOR_SSD} suits SSDs",
            evidence={"value": setting.number},
            fix=advise("random_page_cost", FOR_SSD, scope="database", database=server.database),
            confidence="heuristic",
        )


CHECK = Check("PG144", "random-page-cost-default", "info", "audit_settings", Setting, judge)
