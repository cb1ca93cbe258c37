"""The row that every check of Redis and Valkey judges: one survey of one server, in parts that may be missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dbtune.core.findings import Unexamined


@dataclass(frozen=True, slots=True)
class Unseen:
    """A part of the survey that could not be had, why, and how it can be."""

    reason: str
    hint: str | None = None

    def for_check(self, code: str) -> Unexamined:
        return Unexamined(code, self.reason, self.hint)


@dataclass(frozen=True, slots=True)
class Info:
    """What INFO said, by INFO's own names. `expiring` counts keys with a time to live, `keys` all of all databases."""

    values: Mapping[str, str | float]
    keys: int
    expiring: int
    replicas: tuple[Mapping[str, str], ...] = ()

    def number(self, name: str) -> float:
        """A figure; 0 where this server does not count it."""
        value = self.values.get(name, 0)
        return float(value) if isinstance(value, int | float) else 0.0

    def text(self, name: str) -> str:
        return str(self.values.get(name, ""))

    @property
    def server(self) -> str:
        """What findings about the whole server call it."""
        name = "valkey" if "valkey_version" in self.values else "redis"
        return f"{name} {self.text('valkey_version') or self.text('redis_version') or '?'}"


@dataclass(frozen=True, slots=True)
class Window:
    """How counters moved while we watched; our own commands move none of these."""

    seconds: float
    hits: float
    misses: float
    evicted: float
    expired: float

    @property
    def lookups(self) -> float:
        return self.hits + self.misses

    @property
    def hit_rate(self) -> float | None:
        """Hits per lookup, None without one."""
        return self.hits / self.lookups if self.lookups else None


@dataclass(frozen=True, slots=True)
class SampledKey:
    """`prefix` is the key's namespace, its variable parts starred. `expires_in_s` None: never."""

    name: str
    prefix: str
    size_bytes: int
    expires_in_s: float | None


@dataclass(frozen=True, slots=True)
class BigKey:
    """`elements` are characters of a string, otherwise the collection's members."""

    name: str
    kind: str
    size_bytes: int
    elements: int


@dataclass(frozen=True, slots=True)
class Sample:
    """Keys in the order of the hash table, which is a random one. `whole` when that was every key.

    `lookups_added` is by how much taking it moved keyspace_hits and keyspace_misses together, at the most.
    """

    keys: tuple[SampledKey, ...]
    big: tuple[BigKey, ...]
    whole: bool
    key_count: int
    lookups_added: int

    def by_prefix(self) -> dict[str, list[SampledKey]]:
        found: dict[str, list[SampledKey]] = {}
        for key in self.keys:
            found.setdefault(key.prefix, []).append(key)
        return found

    @property
    def size_bytes(self) -> int:
        return sum(key.size_bytes for key in self.keys)

    @property
    def words(self) -> str:
        """`1,000 keys` or `20,000 of 1,200,000 keys`."""
        return f"{len(self.keys):,} keys" if self.whole else f"{len(self.keys):,} of {self.key_count:,} keys"


@dataclass(frozen=True, slots=True)
class TagMembers:
    """A set of `members` that looks like a tag; `missing` of `drawn` ones name no key."""

    name: str
    members: int
    drawn: int
    missing: int


@dataclass(frozen=True, slots=True)
class SlowCommand:
    """One entry of the slow log. `prefix` is that of its first key, "" without one; it ran `age_s` ago."""

    command: str
    prefix: str
    duration_s: float
    age_s: float


@dataclass(frozen=True, slots=True)
class LatencyEvent:
    """One row of LATENCY LATEST. `age_s` is how long ago the last one was."""

    name: str
    latest_s: float
    worst_s: float
    age_s: float


@dataclass(frozen=True, slots=True)
class Client:
    """`address` is the host, without the port."""

    address: str
    name: str
    blocked: bool
    idle_s: float
    buffer_bytes: int


@dataclass(frozen=True, slots=True)
class CacheSurvey:
    """One server. Checks of it name the query `cache_survey`."""

    target: str
    info: Info | Unseen
    window: Window | Unseen
    sample: Sample | Unseen
    slow: tuple[SlowCommand, ...] | Unseen
    latency: tuple[LatencyEvent, ...] | Unseen
    clients: tuple[Client, ...] | Unseen
    tags: tuple[TagMembers, ...] | Unseen = ()
