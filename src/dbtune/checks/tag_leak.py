"""A tag whose members are no keys any more.

**Why it matters.** Tags are kept as sets of keys. When a key expires, nobody takes it out of its sets: they grow with
every key that ever was, take memory, and make each invalidation longer.

**What to do.** Drop what has gone: for dbtune's own tags `dbtune invalidate --tag NAME` does, as does every warm-up
that files under them. Keep an application's own tags as sorted sets scored by the expiry, drop the past by score
(`ZREMRANGEBYSCORE tag -inf NOW`), and let the set itself expire with its last member.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.cache_survey import CacheSurvey, Unseen
from dbtune.checks.check import Audited, Check, Verdicts

MOST_MISSING = 0.2
"""Share of the drawn members; some have always just expired (dbtune's own start)."""
LEAST_MEMBERS = 100


def judge(rows: Sequence[CacheSurvey], server: Audited) -> Verdicts:
    """Sets that look like tags, of LEAST_MEMBERS and more, of which more than MOST_MISSING are no keys."""
    for survey in rows:
        if isinstance(survey.tags, Unseen):
            yield survey.tags.for_check(CHECK.code)
            continue
        for tag in survey.tags:
            share = tag.missing / tag.drawn if tag.drawn else 0.0
            if tag.members < LEAST_MEMBERS or share <= MOST_MISSING:
                continue
            yield CHECK.finding(
                tag.name,
                f"{share:.0%} of {tag.drawn:,} members drawn from {tag.members:,} name keys that are gone",
                evidence={"members": tag.members, "drawn": tag.drawn, "missing": tag.missing, "share": share},
            )


CHECK = Check("RD019", "tag-leak", "warning", "cache_survey", CacheSurvey, judge, source="redis")
