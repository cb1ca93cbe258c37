"""A/A tests on a target: does dbtune keep its promise there, and how much does a run's level vary?"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from dbtune.app.baseline import DEFAULT_REPEAT, NO_WINDOW, Window, capture
from dbtune.app.probing import part_of
from dbtune.app.targets import OpenTargets
from dbtune.baseline.capture import Capture
from dbtune.baseline.probes import Probe
from dbtune.baseline.selfcheck import SelfCheck, judge_pairs
from dbtune.baseline.verdict import DEFAULT_MARGIN
from dbtune.core.errors import Misused
from dbtune.core.progress import Progress, silent

CALIBRATION = 10
"""The fewest captures from which the noise is measured. They lie between the pairs, and are judged themselves never."""
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
    """`runs` pairs of captures of one and the same state. Nothing is stored, nothing changed. Raises Misused.

    Before each pair a capture is made that only tells the noise: measured once at the beginning it would know nothing
    of what a machine does later.
    """
    if not 1 <= runs <= _MOST:
        raise Misused(f"--runs {runs} is not between 1 and {_MOST}")
    started_at, clock = datetime.now(UTC), time.monotonic()
    wanted = tuple(probes) or PROBES
    total = max(CALIBRATION, runs) + 2 * runs
    captures: list[Capture] = []

    def measure() -> Capture:
        number = len(captures)
        within = part_of(progress, number, 1, total)
        within(f"measuring, {number + 1} of {total}", 0.0)
        captures.append(
            capture(f"aa-{number}", targets, window=window, probes=wanted, repeat=repeat, plans=0, directory=None)
        )
        return captures[-1]

    calibration = [measure() for _ in range(CALIBRATION - runs)]
    pairs = []
    for _ in range(runs):
        calibration.append(measure())
        pairs.append((measure(), measure()))
    return judge_pairs(
        calibration,
        pairs,
        margin=margin,
        started_at=started_at,
        duration_s=time.monotonic() - clock,
    )
