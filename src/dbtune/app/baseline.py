"""Capture measurements, and compare two of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dbtune.app.baseline_extras import explain_all, time_url
from dbtune.app.baseline_store import DIRECTORY, load, save
from dbtune.app.probing import load_flow, time_probes
from dbtune.app.recording import DEFAULT_PLANS, Recording, recording
from dbtune.baseline.capture import Capture
from dbtune.baseline.document import check_name
from dbtune.baseline.probes import Probe, Statement, check_names
from dbtune.baseline.verdict import DEFAULT_MARGIN, DEFAULT_NOISE
from dbtune.core.errors import AnswerIsNo, Interrupted, Misused
from dbtune.core.progress import Progress, silent

if TYPE_CHECKING:
    from dbtune.app.load import LoadOrder
    from dbtune.app.targets import OpenTargets
    from dbtune.baseline.gates import Expression
    from dbtune.baseline.load_result import LoadResult
    from dbtune.baseline.outcome import Comparison

DEFAULT_REPEAT = 50
_MAX_REPEAT = 100_000


@dataclass(frozen=True, slots=True)
class Window:
    """How long counters are watched, in how many sub-windows. Zero seconds: one snapshot."""

    seconds: float = 0.0
    parts: int = 6

    def __post_init__(self) -> None:
        if self.seconds < 0 or self.parts < 1 or self.parts > 1000:
            raise Misused("the window must be positive and have 1 to 1000 sub-windows")
        if 0 < self.seconds < self.parts * 0.1:
            raise Misused("a sub-window would be shorter than 100 ms", hint="a longer --window or fewer --windows")


NO_WINDOW = Window()


def capture(
    name: str,
    targets: OpenTargets,
    *,
    window: Window = NO_WINDOW,
    probes: Sequence[Probe] = (),
    statements: Sequence[Statement] = (),
    repeat: int = DEFAULT_REPEAT,
    allow_writes: bool = False,
    plans: int = DEFAULT_PLANS,
    urls: Sequence[tuple[str, str]] = (),
    load: LoadOrder | None = None,
    directory: Path | None = DIRECTORY,
    progress: Progress = silent,
) -> Capture:
    """Watches the counters for the window, then captures plans and times the probes; stores it unless `directory`
    is None.

    `plans` of the busiest statements are kept; `urls` are (name, URL) of endpoints to time. A `load` is run and watched
    in place of the window: raises what it raises, AnswerIsNo where it measured nothing, Interrupted where a person
    ended it.

    Probes come after the window, so that the counters show the application's traffic and not ours.
    """
    from dbtune.servers.postgres.errors import describe_target

    check_name(name)
    check_names(probes)
    if not 1 <= repeat <= _MAX_REPEAT:
        raise Misused(f"--repeat {repeat} is not between 1 and {_MAX_REPEAT}")
    if load is not None and window.seconds:
        raise Misused("a load is watched as long as it lasts", hint="leave out --window")
    flows = {probe.name: load_flow(probe.flow, targets) for probe in probes if probe.flow is not None}
    with recording(targets) as record:
        loads = _watch_load(record, targets, load, progress) if load is not None else ()
        if load is None:
            _watch(record, window, progress)
        kept, skipped = explain_all(targets.postgres or "", statements)
        timings = time_probes(
            targets.postgres or "", probes, flows, repeat, allow_writes=allow_writes, progress=progress
        )
        timings += [time_url(label, url, repeat, progress) for label, url in urls]
        found = record.finish(
            name, describe_target(targets.postgres or ""),
            timings=timings, loads=loads, plans=kept, busiest=plans, skipped=skipped,
        )  # fmt: skip
    if directory is not None:
        save(found, directory, record.written)
    return found


def compare(
    before: str | Capture,
    after: str | Capture,
    *,
    directory: Path = DIRECTORY,
    margin: float = DEFAULT_MARGIN,
    noise: float = DEFAULT_NOISE,
    interleaved: bool = False,
    across_servers: bool = False,
    gates: Sequence[Expression] = (),
) -> Comparison:
    """Judges `after` against `before`, each a capture or the name of a stored one. Raises Misused."""
    from dbtune.baseline.comparison import compare as compare_captures

    started_at, start = datetime.now(UTC), time.monotonic()
    old = load(before, directory) if isinstance(before, str) else before
    new = load(after, directory) if isinstance(after, str) else after
    found = compare_captures(
        old, new,
        margin=margin, noise=noise, interleaved=interleaved, across_servers=across_servers, gates=gates,
        started_at=started_at,
    )  # fmt: skip
    return replace(found, duration_s=time.monotonic() - start)


def _watch(record: Recording, window: Window, progress: Progress) -> None:
    """As little as can be is read outside the window: what is many is read just within its edges."""
    if not window.seconds:
        record.snapshot()
        return
    record.snapshot(catalog=False)
    start = time.monotonic()
    lead_s = 1.5 * record.begin_window()

    def wait(part: int, before_s: float = 0.0) -> None:
        while (left := start + window.seconds * part / window.parts - before_s - time.monotonic()) > 0:
            progress("watching the counters", 1 - (start + window.seconds - time.monotonic()) / window.seconds)
            time.sleep(min(left, 0.2))

    for part in range(1, window.parts):
        wait(part)
        record.snapshot(catalog=False)
        record.write()
    wait(window.parts, before_s=lead_s)
    record.end_window(lambda: wait(window.parts))


def _watch_load(
    record: Recording, targets: OpenTargets, order: LoadOrder, progress: Progress
) -> tuple[LoadResult, ...]:
    """The traffic of a playbook's loads, snapshots taken between its blocks."""
    from dbtune.app.load import run_as_traffic

    report = run_as_traffic(targets, order, progress, record)
    if report.interrupted:
        raise Interrupted("the load was interrupted: nothing is stored", hint="run it again")
    if not report.results:
        why = next((text for outcome in report.loads for text in outcome.broken), "no request was answered")
        raise AnswerIsNo(f"the load measured nothing: {why}", hint="try it with `dbtune load` first")
    return report.results
