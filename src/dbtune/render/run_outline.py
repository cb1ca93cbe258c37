"""What every form of a run's report says, in which order: grouped steps, and what there is to say about each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dbtune.core.reports import RunReport, StepReport, StepStatus
from dbtune.core.units import format_duration, format_size
from dbtune.render.text import one_line, plain

Tone = Literal["good", "bad", "same", "open"]

# What wants attention first. The order within a group is the playbook's.
ORDER: Mapping[str, tuple[StepStatus, ...]] = {
    "plan": ("blocked", "conflict", "change", "in_sync"),
    "apply": ("failed", "not_run", "applied", "skipped", "unchanged"),
    "verify": ("failed", "skipped", "ok"),
    "rollback": ("failed", "kept", "reverted", "nothing_to_do"),
}
CHANGED: tuple[StepStatus, ...] = ("change", "applied", "reverted")
"""What was so before and is so now is news only for these."""
TONES: Mapping[StepStatus, Tone] = {
    "in_sync": "same",
    "unchanged": "same",
    "nothing_to_do": "same",
    "change": "good",
    "applied": "good",
    "ok": "good",
    "reverted": "good",
    "conflict": "bad",
    "blocked": "bad",
    "failed": "bad",
    "skipped": "open",
    "not_run": "open",
    "kept": "open",
}


@dataclass(frozen=True, slots=True)
class Group:
    status: StepStatus
    tone: Tone
    steps: tuple[StepReport, ...]

    @property
    def title(self) -> str:
        return f"{status_words(self.status)} ({len(self.steps)})"


def groups(report: RunReport) -> tuple[Group, ...]:
    """The steps by status, without empty groups; a status that the order does not know comes last."""
    statuses = dict.fromkeys((*ORDER[report.command], *(step.status for step in report.steps)))
    found = ((status, tuple(step for step in report.steps if step.status == status)) for status in statuses)
    return tuple(Group(status, TONES[status], steps) for status, steps in found if steps)


def status_words(status: str) -> str:
    """`in_sync` → "in sync"."""
    return status.replace("_", " ")


def summary(report: RunReport) -> str:
    """`3 steps: 1 change, 2 in sync. Took 120ms.`"""
    counts = ", ".join(f"{len(group.steps)} {status_words(group.status)}" for group in groups(report))
    steps = "1 step" if len(report.steps) == 1 else f"{len(report.steps)} steps"
    return f"{steps}{': ' + counts if counts else ''}. Took {format_duration(report.duration_s)}."


def shows_sql(report: RunReport, step: StepReport, *, verbose: bool) -> bool:
    """A plan is its SQL; afterwards only the SQL of what went wrong is news."""
    return bool(step.sql) and (verbose or report.command == "plan" or step.status == "failed")


def details(step: StepReport, *, verbose: bool = False) -> tuple[tuple[str, str], ...]:
    """(label, text) pairs, the most important first. Texts are plain and may have several lines."""
    found = [("error", step.error), ("why", step.reason), ("hint", step.hint)]
    if step.lock:
        found.append(("lock", step.lock))
    if step.size_bytes is not None:
        found.append(("adds", f"about {format_size(step.size_bytes)} on disk"))
    if step.restart:
        found.append(("restart", "takes effect only after a restart of the server"))
    found += [("waits for", blocker) for blocker in step.blockers]
    found += [("note", note) for note in step.notes]
    if verbose or step.status in CHANGED:
        found += [("state", line) for line in changes(step.before, step.after, verbose=verbose)]
    if step.duration_s is not None and (verbose or step.duration_s >= 1):
        found.append(("took", format_duration(step.duration_s)))
    return tuple((label, plain(text)) for label, text in found if text)


def changes(before: Mapping[str, Any], after: Mapping[str, Any], *, verbose: bool) -> tuple[str, ...]:
    """`work_mem: 4MB -> 64MB`: what differs and is short enough to read; everything when verbose.

    What is known of one side only is told as it is: an index that was built has no former size.
    """
    lines = []
    for key in dict.fromkeys((*before, *after)):
        told = [_show(key, side[key]) for side in (before, after) if key in side]
        moved = len(told) == 2 and told[0] != told[1]
        new = key not in before and key in after
        if verbose or ((moved or new) and sum(map(len, told)) <= 60):
            lines.append(f"{one_line(_label(key))}: {' -> '.join(dict.fromkeys(told))}")
    return tuple(lines)


def _label(key: str) -> str:
    return key.removesuffix("_bytes").replace("_", " ")


def _show(key: str, value: Any) -> str:  # noqa: ANN401 - what a step found, any JSON value
    if key.endswith("_bytes") and isinstance(value, int):
        return format_size(value)
    return "none" if value is None else one_line(str(value))
