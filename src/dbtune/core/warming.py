"""What became of a warm-up: the ledger, and the error that carries it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from dbtune.core.errors import ChangeFailed, DbtuneError, Unreachable
from dbtune.core.warm_tally import Tally

Progress = Callable[[int], None]
"""Gets the number of keys written so far."""


@dataclass(frozen=True, slots=True)
class Warmed:
    """What became of a query's rows: keys, skipped, failed, duplicates, kept and resumed together are all of them.

    `bytes` are those of keys and values. `skipped` had NULL in the key or in the value, or (`expired` of them) a TTL
    of zero or less; `duplicates` were overwritten by a later row of the same key; `kept` were not written because of
    the mode; `failed` were refused, or got no answer; `resumed` had been written by an earlier run that did not come
    to its end.
    """

    keys: int
    bytes: int
    skipped: int
    failed: int
    duplicates: int
    duration_s: float
    kept: int = 0
    resumed: int = 0
    expired: int = 0
    tally: Tally = field(default_factory=Tally, compare=False, repr=False)

    @property
    def is_empty(self) -> bool:
        """No row was read."""
        return not self.keys + self.skipped + self.failed + self.kept + self.resumed

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know although nothing went wrong."""
        notes = []
        if self.is_empty:
            notes.append("the query returned no rows")
        if self.skipped > self.expired:
            notes.append(f"{_were(self.skipped - self.expired, 'row')} skipped: NULL in the key or in the value")
        if self.expired:
            notes.append(f"{_were(self.expired, 'row')} skipped: a ttl of zero or less")
        if self.kept:
            notes.append(f"{_were(self.kept, 'key')} left alone, as the mode wants it")
        if self.duplicates:
            rows = "1 row" if self.duplicates == 1 else f"{self.duplicates:,} rows"
            notes.append(f"{rows} had the key of another row: the last one counts")
        if self.resumed:
            notes.append(f"{_were(self.resumed, 'row')} written by a run that was cut short: this one went on there")
        return tuple(notes)


def whole(ledgers: Sequence[Warmed]) -> Warmed:
    """One ledger of the attempts of one warm-up: each row counts where it was dealt with last.

    Of an attempt that was cut short that is what the next one went on behind, whether its answers came or were lost.
    Where a cache came back empty, and all began again, nothing is left of it.
    """
    *earlier, total = ledgers
    for ledger in reversed(earlier):
        if ledger.resumed < total.resumed:
            keys, size_bytes, skipped, expired, duplicates, kept = ledger.tally.at(total.resumed)
            total = Warmed(
                keys=keys + total.keys,
                bytes=size_bytes + total.bytes,
                skipped=skipped + total.skipped,
                failed=total.failed,
                duplicates=duplicates + total.duplicates,
                duration_s=total.duration_s,
                kept=kept + total.kept,
                resumed=ledger.resumed,
                expired=expired + total.expired,
            )
    return replace(total, duration_s=sum(ledger.duration_s for ledger in ledgers))


def _were(count: int, what: str) -> str:
    return f"1 {what} was" if count == 1 else f"{count:,} {what}s were"


class WarmStopped(ChangeFailed):
    """Some keys may have been written, `warmed` says how many; the marker was not, so the next run warms again.

    `cause` is what stopped it.
    """

    def __init__(self, message: str, warmed: Warmed, cause: DbtuneError) -> None:
        super().__init__(message, hint=cause.hint)
        self.warmed = warmed
        self.cause = cause


class Overtaken(ChangeFailed):
    """Something that concerns these keys was invalidated meanwhile: what was read is too old to be written."""


class CacheAway(Unreachable):
    """The cache does not answer, is loading, or is no primary any more: it is tried again in a moment."""


class CacheLoading(CacheAway):
    """The cache answers that it is reading its data from its disk: it is waited for, and that is no failure of it."""
