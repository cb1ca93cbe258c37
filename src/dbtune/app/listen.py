"""`dbtune invalidate --listen`: events of PostgreSQL, invalidated as they come, and more than that after a gap.

A gap is whenever nobody listened: before the start, and until a lost connection is there again. What happened in it is
not known, so that every event is taken to have happened with every argument. It is listened to first and the gap made
good after that: what is committed in between is heard.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from dbtune.app.invalidate import FAILED_EXIT
from dbtune.cache.rules import Rule, Stale, stale, together, widened
from dbtune.core.errors import DbtuneError, Misused
from dbtune.core.invalidation import InvalidationReport
from dbtune.core.invalidation_channel import Happened
from dbtune.servers.postgres.listening import Listener, listening
from dbtune.servers.redis.errors import describe_target
from dbtune.servers.redis.invalidate import Caps, Invalidation
from dbtune.servers.redis.nodes import opened_nodes

WAIT_S = 0.5
PAUSES_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Between attempts to reach a server that went away; the last one again and again."""
UNCAPPED = Caps(keys=1 << 62, share=1.0)
"""Nobody is there to be asked, and what is stale must go."""
MOST_WAITING = 10_000
"""Events that are remembered while Redis is away; more of them are made good as a gap."""

Said = Callable[[InvalidationReport | str], None]


@dataclass(slots=True)
class Pending:
    """What is to be invalidated: `events` by name and arguments, or whatever any event could make stale."""

    events: dict[Happened, None] = field(default_factory=dict)
    gap: bool = False

    def add(self, happened: Happened) -> None:
        self.events[happened] = None
        if len(self.events) > MOST_WAITING:
            self.miss()

    def miss(self) -> None:
        self.gap = True
        self.events.clear()

    def __bool__(self) -> bool:
        return self.gap or bool(self.events)


class Listening:
    """Runs until `stop` is told. Both servers must be there at the start; later each is waited for."""

    def __init__(self, dsn: str, url: str, rules: Mapping[str, Rule], channel: str, said: Said) -> None:
        if not rules:
            raise Misused("the playbook names no events", hint="write them under cache: events:")
        self._dsn, self._url, self._rules, self._channel, self._said = dsn, url, rules, channel, said
        self._pending = Pending()

    def run(self, *, catch_up: bool = True, until: Callable[[], bool] = lambda: False) -> None:
        """Returns when `until` says so. Raises what connecting raises at the start."""
        self._pending.gap = catch_up
        started = False
        for pause_s in self._pauses():
            try:
                with listening(self._dsn, self._channel) as listener:
                    if started:
                        self._said("PostgreSQL is back: what happened meanwhile is not known")
                        self._pending.miss()
                    else:
                        self._said(f"listening on {self._channel}")
                        self._settle(patiently=False)
                    started = True
                    self._heed(listener, until)
                    return
            except DbtuneError as error:
                if not started:
                    raise
                self._said(f"{error.message}; trying again")
                self._pending.miss()
                time.sleep(pause_s)
            if until():
                return

    def _pauses(self) -> Iterator[float]:
        yield from PAUSES_S
        while True:
            yield PAUSES_S[-1]

    def _heed(self, listener: Listener, until: Callable[[], bool]) -> None:
        while not until():
            # While Redis is away the events are still taken in, so that PostgreSQL's queue does not grow.
            for payload in listener.payloads(WAIT_S):
                self._take(payload)
            self._settle()

    def _take(self, payload: str) -> None:
        try:
            happened = Happened.parse(payload)
        except ValueError as error:
            self._said(f"not understood: {error}")
            return
        if happened.event not in self._rules:
            self._said(f'there is no event "{happened.event}" in the playbook')
            return
        self._pending.add(happened)

    def _settle(self, *, patiently: bool = True) -> None:
        """Invalidates what is pending. It stays so while Redis is away."""
        if not self._pending:
            return
        gap, events = self._pending.gap, tuple(self._pending.events)
        try:
            report = self._invalidate(events, gap=gap)
        except DbtuneError as error:
            if not patiently:
                raise
            waiting = "1 event waits" if len(events) == 1 else f"{len(events):,} events wait"
            self._said(f"{error.message}; {waiting}")
            time.sleep(PAUSES_S[-2])
            return
        self._said(report)
        if report.exit_code == 0:
            self._pending = Pending()
        else:
            time.sleep(PAUSES_S[-2])

    def _invalidate(self, events: Sequence[Happened], *, gap: bool) -> InvalidationReport:
        started_at, clock = datetime.now(UTC), time.monotonic()
        with opened_nodes(self._url) as nodes:
            invalidation = Invalidation(nodes, UNCAPPED)
            what = self._whole(invalidation, [*self._rules.values()]) if gap else Stale()
            rows = invalidation.run(together([what, *(self._of(event, invalidation) for event in events)]))
        return InvalidationReport(
            target=describe_target(self._url),
            started_at=started_at,
            duration_s=time.monotonic() - clock,
            steps=rows,
            events=("whatever was missed",) if gap else tuple(_words(event) for event in events),
            keyspace=invalidation.keyspace,
            exit_code=FAILED_EXIT if any(row.failed or row.error for row in rows) else 0,
        )

    def _of(self, happened: Happened, invalidation: Invalidation) -> Stale:
        """What is stale; without its arguments, whatever they may have been."""
        rule = self._rules[happened.event]
        arguments = {name: os.fsencode(value) for name, value in happened.arguments}
        if not happened.everything:
            try:
                return stale(rule, arguments)
            except ValueError as error:
                self._said(f"{error}: everything that {rule.event} could concern goes")
        return self._whole(invalidation, [rule])

    def _whole(self, invalidation: Invalidation, rules: Sequence[Rule]) -> Stale:
        parts = []
        for rule in rules:
            wide = widened(rule)
            tags = tuple(tag for pattern in wide.tag_patterns for tag in invalidation.tags_like(pattern))
            parts.append(replace(wide.stale, tags=wide.stale.tags + tags))
            for text in wide.unbounded:
                self._said(f"{rule.event}: which keys {text} was cannot be found out; they live until they expire")
        return together(parts)


def _words(happened: Happened) -> str:
    return " ".join([happened.event, *(f"{name}={value}" for name, value in happened.arguments)])
