"""What to trust in a comparison, and what not: resets, evictions, coverage, clocks, dropped load, what failed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

from dbtune.baseline.capture import Capture
from dbtune.baseline.comparability import Comparability
from dbtune.baseline.metrics import Rules
from dbtune.baseline.outcome import Note, Trust
from dbtune.baseline.windows import StatementWindows, database_windows, redis_hit_rates

_JUMP_S = 1.0
_DROPPED = 0.01
"""Of the requests: a load that could not be kept up measures its generator."""
Level = Literal["invalid", "warning", "info"]


def judge_trust(
    captures: tuple[Capture, Capture],
    windows: tuple[StatementWindows, StatementWindows],
    comparability: Comparability,
    rules: Rules,
) -> Trust:
    notes = [*comparability.notes]
    for capture, side in zip(captures, windows, strict=True):
        notes.extend(_window_notes(capture, side))
        notes.extend(_clock_notes(capture))
    notes.extend(_unpaired(*captures))
    if not rules.interleaved:
        notes.append(
            Note(
                "info",
                "noise",
                f"noise between runs assumed: {rules.noise:.1%} of a run's level, or what its blocks show",
                "`dbtune baseline selfcheck` measures it; give it as --noise",
            )
        )
    return Trust(tuple(notes), comparability.settings_differ, windows[0].coverage, windows[1].coverage)


def _window_notes(capture: Capture, side: StatementWindows) -> Iterator[Note]:
    # Without a snapshot (an import, blocks that took turns) nobody wanted counters.
    if side.invalid is not None and capture.snapshots:
        level: Level = "info" if capture.windows == 0 else "invalid"
        hint = "capture with --window 30s --windows 6" if capture.windows == 0 else "capture again"
        yield Note(level, f"statements of {capture.name}", side.invalid, hint)
    if side.dealloc > 0:
        yield Note(
            "warning",
            f"evictions of {capture.name}",
            f"pg_stat_statements evicted entries {side.dealloc} times: rare statements are missing or partial",
            "raise pg_stat_statements.max (a restart), or capture shorter windows",
        )
    elif side.evicted:
        yield Note("warning", f"evictions of {capture.name}", f"{len(side.evicted)} statements went within the window")
    if side.coverage is not None and side.coverage < 1:
        yield Note(
            "warning",
            f"coverage of {capture.name}",
            f"{side.coverage:.0%} of the execution time is of statements that this role may see",
            "grant pg_read_all_stats to it",
        )
    if side.windows and capture.fingerprint.settings.get("track_io_timing") == "off":
        yield Note("info", f"I/O time of {capture.name}", "n/a: track_io_timing is off")
    for reason in (database_windows(capture)[1], redis_hit_rates(capture)[1] if capture.fingerprint.redis else None):
        if reason is not None and "within the window" in reason:
            yield Note("invalid", f"counters of {capture.name}", reason, "capture again")
    yield from _loads(capture)


def _loads(capture: Capture) -> Iterator[Note]:
    """Rule 11: failures are in no statement's counters."""
    for timing in capture.timings:
        if timing.errors:
            yield Note("warning", f"{timing.name} of {capture.name}", f"{timing.errors} calls failed and are not timed")
    waiting = max((shot.sessions.waiting_for_lock for shot in capture.snapshots if shot.sessions), default=0)
    if waiting:
        yield Note("info", f"locks of {capture.name}", f"up to {waiting} sessions waited for a lock")
    yield from _load_notes(capture)
    deltas, _ = database_windows(capture)
    failed = sum(delta.rollbacks for delta in deltas)
    if failed:
        yield Note(
            "info",
            f"rollbacks of {capture.name}",
            f"{failed} transactions were rolled back; failed statements are not in pg_stat_statements",
        )


def _load_notes(capture: Capture) -> Iterator[Note]:
    for load in capture.loads:
        subject = f"{load.name} of {capture.name}"
        if load.failed:
            kinds = ", ".join(f"{count} {kind}" for kind, count in load.errors.items())
            share = load.failed / max(load.sent, 1)
            yield Note(
                "warning", subject, f"{load.failed} of {load.sent} requests failed ({share:.2%})"
                + (f": {kinds}" if kinds else "") + "; their times are not among the latencies",
            )  # fmt: skip
        due = load.sent + load.dropped
        if load.dropped:
            yield Note(
                "warning" if load.dropped >= _DROPPED * due else "info", subject,
                f"{load.dropped} of {due} requests were due and never sent: nobody was free",
                "more clients, or a lower rate",
            )  # fmt: skip
        if load.mode == "closed":
            yield Note(
                "info", subject,
                "a closed loop: a client that waits sends nothing, so that stalls hide in the percentiles",
                "give the load a rate",
            )  # fmt: skip
        elif load.mode == "unknown":
            yield Note(
                "info", subject,
                "its file does not say whether requests came due on a schedule or waited for each other; in such a"
                " closed loop stalls hide in the percentiles",
            )  # fmt: skip


def _clock_notes(capture: Capture) -> Iterator[Note]:
    """Windows are cut by a clock that cannot jump; a wall clock that did makes the times of day wrong."""
    for early, late in pairwise(capture.snapshots):
        jump = (late.at - early.at).total_seconds() - (late.offset_s - early.offset_s)
        if abs(jump) > _JUMP_S:
            yield Note(
                "warning", f"clock of {capture.name}",
                f"it jumped by {jump:+.0f} s within the window; durations are not affected, times of day are",
            )  # fmt: skip
            return


def _unpaired(before: Capture, after: Capture) -> Iterator[Note]:
    alone_allowed = len(before.loads) == len(after.loads) == 1
    for one, other in ((before, after), (after, before)):
        known = _names(other)
        alone = [name for name in _names(one) if name not in known]
        alone += [load.name for load in one.loads if load.name not in {twin.name for twin in other.loads}
                  and not alone_allowed]  # fmt: skip
        if alone:
            yield Note("warning", "measured once", f"only in {one.name}: {', '.join(alone)}")


def _names(capture: Capture) -> list[str]:
    return [timing.name for timing in capture.timings] + [figure.name for figure in capture.figures]
