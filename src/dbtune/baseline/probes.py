"""Timed probes as people name them: on the command line, or in a YAML file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

from dbtune.core.errors import Misused

BLOCKS = 6
_PER_BLOCK = 8
_FEWEST = 3


@dataclass(frozen=True, slots=True)
class Probe:
    """A SQL statement with the values of `$1`…, or a Python flow `module:function`; None repeats as often as asked."""

    name: str
    sql: str | None = None
    flow: str | None = None
    params: tuple[Any, ...] = ()
    repeat: int | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement whose plan is captured under a name. `users` are the oids of the roles that have run it."""

    name: str
    sql: str
    users: tuple[int, ...] = ()


def parse_pair(text: str, option: str) -> tuple[str, str]:
    """`"feed=select 1"` → `("feed", "select 1")`. Raises Misused."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip() or not value.strip():
        raise Misused(f"{option} {text!r} is not NAME=SQL", hint=f"write {option} 'feed=select 1'")
    return name.strip(), value.strip()


def parse_probes(text: str, source: str) -> tuple[Probe, ...]:
    """A YAML document `probes: [{name, sql | flow, params, repeat}]`. Raises Misused, naming `source`."""
    import yaml

    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise Misused(f"{source} is not YAML: {' '.join(str(error).split())}") from error
    entries = document.get("probes") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not entries:
        raise Misused(f"{source} names no probes", hint="write `probes: [{name: feed, sql: select 1}]`")
    return tuple(_probe(entry, f"{source}: probe {number}") for number, entry in enumerate(entries, 1))


def _probe(entry: object, place: str) -> Probe:
    if not isinstance(entry, dict):
        raise Misused(f"{place} is not a mapping", hint="write {name: feed, sql: select 1}")
    unknown = sorted(set(map(str, entry)) - {"name", "sql", "flow", "params", "repeat"})
    if unknown:
        raise Misused(f"{place} has an unknown key: {', '.join(unknown)}", hint="name, sql, flow, params, repeat")
    name, sql, flow = entry.get("name"), entry.get("sql"), entry.get("flow")
    params, repeat = entry.get("params", []), entry.get("repeat")
    if not isinstance(name, str) or not name:
        raise Misused(f"{place} has no name")
    if not isinstance(sql, str | None) or not isinstance(flow, str | None) or (sql is None) == (flow is None):
        raise Misused(f"{place} ({name}) needs either `sql` or `flow: module:function`")
    if not isinstance(params, list):
        raise Misused(f"{place} ({name}): params is not a list")
    if repeat is not None and (not isinstance(repeat, int) or isinstance(repeat, bool) or repeat < 1):
        raise Misused(f"{place} ({name}): repeat is not a positive number")
    return Probe(name, sql, flow, tuple(params), repeat)


def check_names(probes: Sequence[Probe]) -> None:
    """Raises Misused for a name that stands twice."""
    seen: set[str] = set()
    for probe in probes:
        if probe.name in seen:
            raise Misused(f"two probes are called {probe.name!r}", hint="give each probe a name of its own")
        seen.add(probe.name)


def block_sizes(repeat: int) -> tuple[int, ...]:
    """So many repetitions as up to six blocks of at least eight: neighbours share what disturbs them.

    Three blocks of four, where there are no more: with fewer blocks nothing shows how the level moves.
    """
    count = min(BLOCKS, repeat // _PER_BLOCK)
    if count < _FEWEST:
        count = _FEWEST if repeat >= _FEWEST * _PER_BLOCK // 2 else 1
    edges = [round(place * repeat / count) for place in range(count + 1)]
    return tuple(end - start for start, end in pairwise(edges))


def into_blocks(values_s: Sequence[float]) -> tuple[tuple[float, ...], ...]:
    """Consecutive repetitions, cut into blocks."""
    edges = [0, *accumulate(block_sizes(len(values_s)))]
    return tuple(tuple(values_s[start:end]) for start, end in pairwise(edges))
