"""What `dbtune cache` found: one window over one server, a sample of its keys, and advice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from dbtune.core.findings import Finding, Unexamined

TTL_EDGES_S = (1.0, 10.0, 60.0, 600.0, 3600.0, 21600.0, 86400.0, 604800.0)
"""A histogram of lives: up to each of these, then longer, then for ever."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """How counters moved within `seconds`, without our own commands."""

    seconds: float
    hits: int
    misses: int
    evicted: int
    expired: int
    commands: int

    @property
    def hit_rate(self) -> float | None:
        """Hits per look-up; None without one."""
        return self.hits / (self.hits + self.misses) if self.hits + self.misses else None

    @property
    def ops_per_s(self) -> float:
        return self.commands / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class Memory:
    """In bytes; `limit_bytes` 0: none. `fragmentation` is resident per used memory, None where it is not told."""

    used_bytes: int
    peak_bytes: int
    limit_bytes: int
    policy: str
    fragmentation: float | None


@dataclass(frozen=True, slots=True)
class CommandTimes:
    """Within the server, without the network. Each percentile is the upper end of a bucket, a power of two wide."""

    command: str
    calls: int
    p50_s: float
    p95_s: float
    p99_s: float


@dataclass(frozen=True, slots=True)
class PrefixUse:
    """Keys and bytes are estimates from the sample. `lives_s` is the median of those that expire.

    `misses` are those that the server announced within the window, `reads` those that MONITOR showed; None where
    nobody could tell.
    """

    prefix: str
    keys: int
    size_bytes: int
    lasting: float
    lives_s: float | None
    misses: int | None = None
    reads: int | None = None

    @property
    def hit_rate(self) -> float | None:
        if self.misses is None or not self.reads:
            return None
        return max(0.0, 1 - self.misses / self.reads)


@dataclass(frozen=True, slots=True)
class Heavy:
    """One big key. `elements` are characters of a string, else members."""

    key: str
    kind: str
    size_bytes: int
    elements: int


@dataclass(frozen=True, slots=True)
class NodeUse:
    """One primary of a cluster. `keys` is None where it was not told."""

    target: str
    keys: int | None
    traffic: Traffic | None
    memory: Memory | None


@dataclass(frozen=True, slots=True)
class CacheReport:
    """Parts that could not be had are None, and `skipped` says why. `sampled` of `keys` were looked at.

    `lives` counts sampled keys by how long they still live: up to each of TTL_EDGES_S, longer, for ever. Of a cluster
    everything is that of all its primaries, and `nodes` has a row for each.
    """

    target: str
    server: str
    started_at: datetime
    duration_s: float
    keys: int | None
    expiring: int | None
    sampled: int
    traffic: Traffic | None
    memory: Memory | None
    commands: tuple[CommandTimes, ...]
    prefixes: tuple[PrefixUse, ...]
    lives: tuple[int, ...]
    heaviest: tuple[Heavy, ...]
    findings: tuple[Finding, ...]
    skipped: tuple[Unexamined, ...]
    examined: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    nodes: tuple[NodeUse, ...] = ()


def percentile(cumulative: Mapping[int, int], share: float) -> float:
    """Seconds within which `share` of the calls ended: `cumulative` counts by microseconds, 0.0 without any."""
    if not cumulative:
        return 0.0
    total = max(cumulative.values())
    return next((edge for edge in sorted(cumulative) if cumulative[edge] >= share * total), max(cumulative)) / 1e6


def histogram(lives_s: Sequence[float | None]) -> tuple[int, ...]:
    """How many live up to each of TTL_EDGES_S, longer, and for ever (None)."""
    counts = [0] * (len(TTL_EDGES_S) + 2)
    for life_s in lives_s:
        if life_s is None:
            counts[-1] += 1
        else:
            counts[next((place for place, edge in enumerate(TTL_EDGES_S) if life_s <= edge), len(TTL_EDGES_S))] += 1
    return tuple(counts)
