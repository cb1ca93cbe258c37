"""What an invalidation removed, or would remove: the report that renderers read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Removal:
    """One key, tag or pattern, said by `name` (`pattern rec:user:42:*`).

    `keys` went, or would go; `skipped` were gone already; `failed` could not be removed, for `error`. `size_bytes`
    is what MEMORY USAGE says of up to a hundred of them, times their number. `sample` are a few of the keys.
    """

    name: str
    keys: int = 0
    size_bytes: int = 0
    skipped: int = 0
    failed: int = 0
    duration_s: float = 0.0
    sample: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    error: str | None = None
    hint: str | None = None

    @property
    def keys_per_s(self) -> float | None:
        return self.keys / self.duration_s if self.keys and self.duration_s else None


@dataclass(frozen=True, slots=True)
class InvalidationReport:
    """`events` as they were given; `keyspace` is how many keys the server had before (None where it was not asked)."""

    target: str
    started_at: datetime
    duration_s: float
    steps: tuple[Removal, ...]
    dry_run: bool = False
    playbook: str | None = None
    events: tuple[str, ...] = ()
    keyspace: int | None = None
    exit_code: int = 0

    @property
    def keys(self) -> int:
        return sum(step.keys for step in self.steps)
