"""One look of `dbtune cache --watch`: a panel for a terminal, a line for a pipe, a JSON document a line."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Protocol

from dbtune.core.reports import envelope
from dbtune.core.units import format_duration, format_size
from dbtune.render.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from rich.console import RenderableType

    from dbtune.core.cache_report import CommandTimes, Memory, Traffic


class Beat(Protocol):
    """As `dbtune.app.cache_watch` makes them."""

    @property
    def at(self) -> datetime: ...
    @property
    def traffic(self) -> Traffic | None: ...
    @property
    def memory(self) -> Memory | None: ...
    @property
    def clients(self) -> int: ...
    @property
    def keys(self) -> int: ...
    @property
    def commands(self) -> Sequence[CommandTimes]: ...
    @property
    def note(self) -> str | None: ...


def as_line(beat: Beat) -> str:
    """`12:00:05  hit rate 93.2%  1,204 commands/s  …`."""
    return f"{beat.at:%H:%M:%S}  " + "  ".join(f"{label} {text}" if label else text for label, text in _facts(beat))


def as_json(beat: Beat, target: str) -> str:
    """`dbtune.cache-watch/1` on one line."""
    traffic = beat.traffic
    seconds = traffic.seconds if traffic else 0.0
    return json.dumps(
        envelope("dbtune.cache-watch/1", target, beat.at, seconds)
        | {
            "hit_rate": traffic.hit_rate if traffic else None,
            "window": None if traffic is None else asdict(traffic) | {"ops_per_s": traffic.ops_per_s},
            "memory": None if beat.memory is None else asdict(beat.memory),
            "clients": beat.clients,
            "keys": beat.keys,
            "commands": [asdict(one) for one in beat.commands],
            "note": beat.note,
        }
    )


def as_panel(beat: Beat, target: str) -> RenderableType:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    facts = Table.grid(padding=(0, 2, 0, 0))
    for label, text in _facts(beat):
        facts.add_row(Text(label or "note", style="dim"), Text(text))
    times = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("command", "calls", "p50 ≤", "p95 ≤", "p99 ≤"):
        times.add_column(heading, justify="left" if heading == "command" else "right")
    for one in beat.commands:
        cells = (one_line(one.command), f"{one.calls:,}", *map(format_duration, (one.p50_s, one.p95_s, one.p99_s)))
        times.add_row(*map(Text, cells))
    head = Text.assemble(("cache", "bold"), f" {one_line(target)}  {beat.at:%H:%M:%S} UTC  Ctrl-C ends")
    return Group(head, Text(), facts, Text(), times)


def _facts(beat: Beat) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if beat.traffic is not None:
        rate = beat.traffic.hit_rate
        found += [
            ("hit rate", "-" if rate is None else f"{rate:.1%}"),
            ("commands/s", f"{beat.traffic.ops_per_s:,.0f}"),
            ("misses", f"{beat.traffic.misses:,.0f}"),
            ("evicted", f"{beat.traffic.evicted:,.0f}"),
            ("expired", f"{beat.traffic.expired:,.0f}"),
        ]
    if beat.memory is not None:
        limit = f" of {format_size(beat.memory.limit_bytes)}" if beat.memory.limit_bytes else ""
        found += [("memory", format_size(beat.memory.used_bytes) + limit), ("keys", f"{beat.keys:,}")]
        found.append(("clients", f"{beat.clients:,}"))
    if beat.note:
        found.append(("", one_line(beat.note)))
    return found
