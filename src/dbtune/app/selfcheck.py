"""A/A tests on a target: does dbtune keep its promise there, and how much does a run's level vary?"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from dbtune.app.baseline import DEFAULT_REPEAT, NO_WINDOW, Window, capture
from dbtune.app.targets import OpenTargets
from dbtune.baseline.probes import Probe
from dbtune.baseline.selfcheck import SelfCheck, judge_pairs
from dbtune.baseline.verdict import DEFAULT_MARGIN
from dbtune.core.errors import Misused
from dbtune.core.progress import Progress, silent

CALIBRATION = 10
"""Captures from which the noise is measured before anything is judged with it."""
_MOST = 1000
PROBES = (
    Probe("catalog", sql="select count(*) from pg_class c join pg_attribute a on a.attrelid = c.oid"),
    Probe("rows", sql="select sum(i) from generate_series(1, 2000) i"),
)
"""What is timed where nobody names anything: statements that every server can run, and that change nothing."""


def self_check(
    targets: OpenTargets,
    *,
    runs: int,
    probes: Sequence[Probe] = (),
    repeat: int = DEFAULT_REPEAT,
    window: Window = NO_WINDOW,
    margin: float = DEFAULT_MARGIN,
    progress: Progress = silent,
) -> SelfCheck:
    """`runs` pairs of captures of one and the same state. Nothing is stored, nothing changed. Raises Misused."""
    if not 1 <= runs <= _MOST:
        raise Misused(f"--runs {runs} is not between 1 and {_MOST}")
    started_at, clock = datetime.now(UTC), time.monotonic()
    wanted, total = tuple(probes) or PROBES, CALIBRATION + 2 * runs
    captures = []
    for number in range(total):
        progress(f"measuring, {number + 1} of {total}", number / total)
        captures.append(capture(f"aa-{number}", targets, window=window, probes=wanted, repeat=repeat, directory=None))
    judged = captures[CALIBRATION:]
    return judge_pairs(
        captures[:CALIBRATION],
        list(zip(judged[::2], judged[1::2], strict=True)),
        margin=margin,
        started_at=started_at,
        duration_s=time.monotonic() - clock,
    )
