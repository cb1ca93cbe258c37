"""How much there is of everything, and who has most of it.

Popularity follows Zipf and Mandelbrot: of `n` ranks the first `r` have the share ln(1 + r/shift) / ln(1 + n/shift),
so a small shift favours the top. Ranks are spread over the ids by a multiplication modulo `n`, so that popular rows
do not lie side by side on disk.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

# A prime above every count here: coprime to it, so that the multiplication is a permutation.
SPREAD = 2_147_483_647
LESSONS_PER_COURSE = 60
DATA_END = "2026-01-01 00:00:00+00"
"""The newest row's time: data that depend on the clock would differ from run to run."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Rows of the tables whose number depends on the scale; 1.0 is the default scale."""

    scale: float = 1.0

    def _rows(self, at_scale_1: int, least: int = 1) -> int:
        return max(least, round(at_scale_1 * self.scale))

    @property
    def users(self) -> int:
        return self._rows(20_000, 200)

    @property
    def revoked_tokens(self) -> int:
        return self._rows(60_000, 1_000)

    @property
    def contents(self) -> int:
        return self._rows(200_000, 2_000)

    @property
    def courses(self) -> int:
        return self._rows(200, 4)

    @property
    def enrolments(self) -> int:
        return self._rows(400, 12)

    @property
    def interactions(self) -> int:
        return self._rows(2_000_000, 20_000)

    @property
    def subscriptions(self) -> int:
        return self.users

    @property
    def invoices(self) -> int:
        return self._rows(100_000, 1_000)

    @property
    def products(self) -> int:
        return self._rows(10_000, 500)

    @property
    def orders(self) -> int:
        return self._rows(80_000, 1_000)

    @property
    def bookings(self) -> int:
        return self._rows(50_000, 1_000)

    @property
    def payments(self) -> int:
        return self.invoices + self._rows(40_000, 500)

    @property
    def videos(self) -> int:
        return self._rows(40_000, 500)


ROLES = 40
CATEGORIES = 50
TAGS = 500


def rank_at(share: float, count: int, shift: float) -> int:
    """The popularity rank, from 0, below which `share` (0 to 1) of all events lie."""
    return min(count - 1, int(shift * (math.exp(share * math.log1p(count / shift)) - 1)))


def id_of_rank(rank: int, count: int) -> int:
    """The id, from 1, of the row with this popularity rank, from 0."""
    return rank * SPREAD % count + 1


def sql_share(number: str, seed: int) -> str:
    """SQL for a value in [0, 1) that depends only on an integer expression and the seed."""
    return (
        f"((hashint8extended(({number})::bigint, {seed}) & 9223372036854775807)::float8 / 9223372036854775808::float8)"
    )


def sql_rank(number: str, seed: int, count: int, shift: float) -> str:
    """SQL for `rank_at` at a hashed share."""
    factor = math.log1p(count / shift)
    return f"least({count - 1}, floor({shift} * (exp({sql_share(number, seed)} * {factor!r}) - 1))::bigint)"


def sql_id_of_rank(rank: str, count: int) -> str:
    return f"(({rank}) * {SPREAD} % {count} + 1)"


def sql_pick(number: str, seed: int, *values: str) -> str:
    """SQL for one of the values; name one several times to make it likelier."""
    array = ", ".join(f"'{value}'" for value in values)
    return f"(array[{array}])[1 + floor({sql_share(number, seed)} * {len(values)})::int]"
