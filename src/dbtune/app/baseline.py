"""Capture measurements, and compare two of them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dbtune import __version__
from dbtune.app.baseline_extras import explain_all, explain_busiest, known_changes, prepare, time_url
from dbtune.app.baseline_store import DIRECTORY, load, save
from dbtune.app.probing import load_flow, time_probes
from dbtune.baseline.capture import OWN_MARK, SCHEMA, Capture, Figure, NamedPlan, Skipped, Snapshot, Timing
from dbtune.baseline.document import check_name
from dbtune.baseline.probes import Probe, Statement, check_names
from dbtune.baseline.verdict import DEFAULT_MARGIN, DEFAULT_NOISE
from dbtune.core.errors import AnswerIsNo, Interrupted, Misused, Refused, Unsupported
from dbtune.core.progress import Progress, silent

if TYPE_CHECKING:
    from dbtune.app.load import LoadOrder
    from dbtune.app.targets import OpenTargets
    from dbtune.baseline.gates import Expression
    from dbtune.baseline.load_result import LoadResult
    from dbtune.baseline.outcome import Comparison
    from dbtune.servers.postgres.counters import Counters
    from dbtune.servers.postgres.surroundings import Surroundings
    from dbtune.servers.redis.info import Info

DEFAULT_REPEAT = 50
DEFAULT_PLANS = 20
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


class Recording:
    """Counters being watched by someone who makes the traffic: `snapshot()` before, between and after its blocks."""

    def __init__(
        self, targets: OpenTargets, counters: Counters, surroundings: Surroundings, read_info: Callable[[], Info] | None
    ) -> None:
        self._targets, self._counters, self._surroundings = targets, counters, surroundings
        self._read_info = read_info
        self._started = time.monotonic()
        self._snapshots: list[Snapshot] = []
        self._redis: str | None = None
        self._skipped: tuple[Skipped, ...] = ()
        self._texts: Mapping[str, str | None] | None = None
        self.started_at = datetime.now(UTC)

    def snapshot(self, *, catalog: bool = True) -> None:
        """All counters at this moment; well under a second.

        Those of tables and indexes count from the first snapshot to the last: one between them may go without
        (`catalog`), since they are many in a large catalog.
        """
        pieces = self._counters.read(catalog=catalog)
        info = self._info()
        self._redis = info.version if info is not None else None
        self._snapshots.append(
            Snapshot(
                at=datetime.now(UTC),
                offset_s=time.monotonic() - self._started,
                statements=pieces.statements,
                database=pieces.database,
                tables=pieces.tables,
                indexes=pieces.indexes,
                instance=pieces.instance,
                redis=info.counters if info else None,
                redis_run_id=info.run_id if info else None,
                io=self._surroundings.io(),
                sessions=self._surroundings.sessions(),
                redis_commands=info.commands if info else {},
            )
        )

    def _info(self) -> Info | None:
        """None, and a note, where Redis is not named or this user may not ask it."""
        if self._read_info is None:
            return None
        try:
            return self._read_info()
        except (Refused, Unsupported) as error:
            self._read_info = None
            self._skipped = (*self._skipped, Skipped("redis", error.message, error.hint))
            return None

    def busiest(self, most: int) -> list[Statement]:
        """The statements that took most time since the first snapshot, by queryid; dbtune's own are not among them."""
        from dbtune.baseline.subtraction import subtract

        shots = [shot.statements for shot in self._snapshots if shot.statements is not None]
        if len(shots) < 2:
            return []
        texts = self._texts = self._counters.texts()
        own = {queryid for queryid, text in texts.items() if text is not None and OWN_MARK in text}
        spent: dict[str, float] = {}
        for key, delta in subtract(shots[0], shots[-1], own).deltas.items():
            spent[key.queryid] = spent.get(key.queryid, 0.0) + delta.exec_ms
        ordered = sorted(spent, key=lambda queryid: spent[queryid], reverse=True)
        return [Statement(queryid, text) for queryid in ordered[:most] if (text := texts.get(queryid)) is not None]

    def finish(
        self,
        name: str,
        target: str,
        *,
        timings: Sequence[Timing] = (),
        figures: Sequence[Figure] = (),
        loads: Sequence[LoadResult] = (),
        plans: Sequence[NamedPlan] = (),
        busiest: int = DEFAULT_PLANS,
        skipped: Sequence[Skipped] = (),
    ) -> Capture:
        """The capture, with what was measured beside the counters.

        Texts are read now, once; so are the plans of the `busiest` statements, and what the journal knows.
        """
        generic, unexplained = explain_busiest(self._targets.postgres or "", self.busiest(busiest) if busiest else [])
        changes, unknown = known_changes(self._targets)
        texts = self._texts if self._texts is not None else self._counters.texts()
        rows = [row for shot in self._snapshots if shot.statements is not None for row in shot.statements.rows]
        queryids = {row.queryid for row in rows}
        return Capture(
            schema=SCHEMA,
            dbtune=__version__,
            name=check_name(name),
            target=target,
            started_at=self.started_at,
            duration_s=time.monotonic() - self._started,
            fingerprint=self._counters.fingerprint(self._redis),
            snapshots=tuple(_without_catalog(self._snapshots)),
            texts={queryid: text for queryid, text in texts.items() if queryid in queryids},
            users=self._counters.users(row.userid for row in rows),
            plans=(*plans, *generic),
            timings=tuple(timings),
            figures=tuple(figures),
            loads=tuple(loads),
            changes=tuple(changes),
            definitions=self._surroundings.definitions(),
            skipped=(
                *self._counters.skipped,
                *self._surroundings.skipped,
                *self._skipped,
                *skipped,
                *unexplained,
                *unknown,
            ),
        )


def _without_catalog(snapshots: Sequence[Snapshot]) -> Iterator[Snapshot]:
    """Tables and indexes in the first and the last only: nobody reads the others, and files would be large."""
    last = len(snapshots) - 1
    for place, shot in enumerate(snapshots):
        yield shot if place in (0, last) else replace(shot, tables=(), indexes=())


@contextlib.contextmanager
def recording(targets: OpenTargets) -> Iterator[Recording]:
    """For callers that make the traffic themselves, such as the demo: snapshots around blocks, then `finish`."""
    from dbtune.servers.postgres.counters import Counters
    from dbtune.servers.postgres.session import connect
    from dbtune.servers.postgres.surroundings import Surroundings

    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(contextlib.closing(connect(targets.postgres or "")))
        read_info = None
        if targets.redis:
            # The driver takes longer to import than the counters take to read.
            from dbtune.servers.redis.info import info_reader

            read_info = stack.enter_context(info_reader(targets.redis))
        yield Recording(targets, Counters(connection), Surroundings(connection), read_info)


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
        save(found, directory)
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
    record.snapshot()
    start = time.monotonic()
    if window.seconds:
        prepare()
    for part in range(1, window.parts + 1 if window.seconds else 1):
        while (left := start + window.seconds * part / window.parts - time.monotonic()) > 0:
            progress("watching the counters", 1 - (start + window.seconds - time.monotonic()) / window.seconds)
            time.sleep(min(left, 0.2))
        record.snapshot(catalog=part == window.parts or not window.seconds)


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
