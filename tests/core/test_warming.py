"""The ledger of a warm-up that took several attempts."""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.core.warm_tally import Tally
from dbtune.core.warming import Warmed, whole


def attempt(sizes: Sequence[int], *, after: int = 0, answered: int, kept: int = 0) -> Warmed:
    """One that sent batches of so many rows; the last of each was skipped, and each key has two bytes."""
    tally, rows, keys = Tally(), after, 0
    for number, size in enumerate(sizes, start=1):
        rows, keys = rows + size, keys + size - 1
        tally.add(rows, keys, 2 * keys, number, 0, 0)
    tally.answer(answered, kept)
    return Warmed(
        keys=answered - kept,
        bytes=2 * answered,
        skipped=len(sizes),
        failed=keys - answered,
        duplicates=0,
        duration_s=1.0,
        kept=kept,
        resumed=after,
        tally=tally,
    )


def rows(ledger: Warmed) -> int:
    return ledger.keys + ledger.skipped + ledger.failed + ledger.duplicates + ledger.kept + ledger.resumed


def test_each_row_counts_once_whether_its_answer_was_lost_or_it_was_written_again() -> None:
    lost = attempt([10, 10, 10], answered=9)
    rest = attempt([10, 5], after=20, answered=13)
    ledger = whole([lost, rest])
    assert (ledger.keys, ledger.skipped, ledger.failed, ledger.resumed) == (9 + 9 + 13, 4, 0, 0)
    assert (ledger.bytes, rows(ledger), ledger.duration_s) == (62, 35, 2.0)
    again = attempt([15], after=10, answered=14)
    assert rows(whole([attempt([10, 10], answered=18), again])) == 25


def test_where_all_began_again_the_last_attempt_alone_counts() -> None:
    ledger = whole([attempt([10, 10], answered=18), attempt([10, 10, 10], answered=27)])
    assert (ledger.keys, ledger.skipped, rows(ledger)) == (27, 3, 30)


def test_what_an_earlier_run_had_written_stays_apart() -> None:
    ledger = whole([attempt([10, 10], after=100, answered=18), attempt([5], after=120, answered=4)])
    assert (ledger.resumed, ledger.keys, rows(ledger)) == (100, 22, 125)


def test_what_was_left_as_it_is_is_not_taken_for_written() -> None:
    ledger = whole([attempt([10, 10], answered=9, kept=4), attempt([5], after=20, answered=4, kept=1)])
    assert (ledger.keys, ledger.kept, rows(ledger)) == (18 - 4 + 3, 5, 25)
