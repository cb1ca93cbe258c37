"""Counters being watched: snapshots of them, and the capture that they become."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dbtune import __version__
from dbtune.app.baseline_extras import explain_busiest, known_changes, prepare
from dbtune.baseline.capture import OWN_MARK, SCHEMA, Capture, Figure, Fingerprint, NamedPlan, Skipped, Snapshot, Timing
from dbtune.baseline.document import catalog_json, check_name, snapshot_json
from dbtune.baseline.probes import Statement
from dbtune.core.errors import Refused, Unsupported

if TYPE_CHECKING:
    from dbtune.app.targets import OpenTargets
    from dbtune.baseline.load_result import LoadResult
    from dbtune.servers.postgres.counters import Counters
    from dbtune.servers.postgres.surroundings import Surroundings
    from dbtune.servers.redis.info import Info

DEFAULT_PLANS = 20


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
        self._fingerprint: Fingerprint | None = None
        self._definitions: Mapping[str, str] | None = None
        self.written: dict[int, bytes] = {}
        """Snapshots that are JSON already, by their `id()`."""
        self.started_at = datetime.now(UTC)

    def snapshot(self, *, catalog: bool = True) -> None:
        """All counters at this moment; well under a second. Those of tables and indexes (`catalog`) may wait."""
        pieces = self._counters.read()
        info = self._info()
        self._redis = info.version if info is not None else None
        found = self._counters.catalog() if catalog else None
        self._snapshots.append(
            Snapshot(
                at=datetime.now(UTC),
                offset_s=time.monotonic() - self._started,
                statements=pieces.statements,
                database=pieces.database,
                tables=found.tables if found else (),
                indexes=found.indexes if found else (),
                instance=pieces.instance,
                redis=info.counters if info else None,
                redis_run_id=info.run_id if info else None,
                io=self._surroundings.io(),
                sessions=self._surroundings.sessions(),
                redis_commands=info.commands if info else {},
            )
        )

    def begin_window(self) -> float:
        """After the first snapshot: what need not be read at the very edge. Returns the catalog's seconds."""
        prepare()
        start = time.monotonic()
        self._snapshots[0] = self._with_catalog(self._snapshots[0])
        self.write()
        seconds = time.monotonic() - start
        self._fingerprint = self._counters.fingerprint(None)
        self._definitions = self._surroundings.definitions()
        return seconds

    def write(self) -> None:
        """The newest snapshot as JSON, while there is time."""
        self.written[id(self._snapshots[-1])] = snapshot_json(self._snapshots[-1])

    def end_window(self, wait: Callable[[], None]) -> None:
        """The last snapshot, after `wait`, and tables and indexes before: they count over their own time."""
        early = self._with_catalog(self._snapshots[-1])
        catalog = catalog_json(early)
        wait()
        self.snapshot(catalog=False)
        last = replace(
            self._snapshots[-1],
            tables=early.tables, indexes=early.indexes, catalog_offset_s=early.catalog_offset_s,
        )  # fmt: skip
        self._snapshots[-1] = last
        self.written[id(last)] = snapshot_json(last, catalog)

    def _known_definitions(self) -> Mapping[str, str]:
        """As read when the window began, unless an index was made since."""
        if self._definitions is not None:
            first, last = ({row.indexrelid for row in self._snapshots[place].indexes} for place in (0, -1))
            if last <= first:
                return self._definitions
        return self._surroundings.definitions()

    def _with_catalog(self, shot: Snapshot) -> Snapshot:
        found = self._counters.catalog()
        offset_s = time.monotonic() - self._started
        return replace(shot, tables=found.tables, indexes=found.indexes, catalog_offset_s=offset_s)

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
        spent: dict[str, dict[int, float]] = {}
        for key, delta in subtract(shots[0], shots[-1], own).deltas.items():
            by_user = spent.setdefault(key.queryid, {})
            by_user[key.userid] = by_user.get(key.userid, 0.0) + delta.exec_ms
        ordered = sorted(spent, key=lambda queryid: sum(spent[queryid].values()), reverse=True)
        return [
            Statement(queryid, text, tuple(sorted(spent[queryid], key=lambda user: -spent[queryid][user])))
            for queryid in ordered[:most]
            if (text := texts.get(queryid)) is not None
        ]

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
            fingerprint=replace(self._fingerprint or self._counters.fingerprint(None), redis=self._redis),
            snapshots=tuple(_without_catalog(self._snapshots)),
            texts={queryid: text for queryid, text in texts.items() if queryid in queryids},
            users=self._counters.users(row.userid for row in rows),
            plans=(*plans, *generic),
            timings=tuple(timings),
            figures=tuple(figures),
            loads=tuple(loads),
            changes=tuple(changes),
            definitions=self._known_definitions(),
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
        unread = place in (0, last) or not (shot.tables or shot.indexes)
        yield shot if unread else replace(shot, tables=(), indexes=())


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
