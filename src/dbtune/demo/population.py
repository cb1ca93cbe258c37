"""Who may be asked for: read from the database once, so that requests follow the data's own skew."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from dbtune.demo.courses import Enrolment
from dbtune.demo.database import Database, connect
from dbtune.demo.permissions import Bearer
from dbtune.demo.shape import id_of_rank, rank_at

# Readers favour the top more than the year's interactions do.
_CONTENT_SHIFT = 1.0
_USER_SHIFT = 5.0
_BATCH = 1000
_REVOKED_SHARE = 0.02

_COUNTS = """
select (select count(*) from users) as users, (select count(*) from contents) as contents,
  (select count(*) from contents where kind = 'course') as courses,
  (select count(distinct user_id) from content_tracking) as enrolments,
  array(select token_hash from token_blacklist order by id desc limit 100) as revoked"""


@dataclass(frozen=True, slots=True)
class Population:
    """Counts of rows; `revoked` are hashes of revoked tokens."""

    users: int
    contents: int
    courses: int
    enrolments: int
    revoked: tuple[str, ...]

    def content_id(self, rng: Random) -> int:
        return id_of_rank(rank_at(rng.random(), self.contents, _CONTENT_SHIFT), self.contents)

    def user_id(self, rng: Random) -> int:
        return id_of_rank(rank_at(rng.random(), self.users, _USER_SHIFT), self.users)

    def bearer(self, rng: Random) -> Bearer:
        """Few come with a revoked token."""
        email = f"user{self.user_id(rng)}@example.com"
        if rng.random() < _REVOKED_SHARE:
            return Bearer(email, rng.choice(self.revoked))
        return Bearer(email, f"{rng.getrandbits(128):032x}")

    def enrolment(self, rng: Random) -> Enrolment:
        """Somebody in a course of theirs: the loader enrols the users by rank, in one course after the other."""
        rank = rank_at(rng.random(), self.enrolments, _USER_SHIFT)
        return Enrolment(id_of_rank(rank, self.users), rank % self.courses + 1)

    def batch(self, rng: Random) -> tuple[int, ...]:
        """A thousand contents that follow each other, or all when there are fewer."""
        size = min(_BATCH, self.contents)
        first = rng.randrange(1, self.contents - size + 2)
        return tuple(range(first, first + size))


def read_population(dsn: str) -> Population:
    with connect(dsn) as connection:
        counts = Database(connection).rows(_COUNTS)[0]
    revoked = tuple(counts.pop("revoked"))
    return Population(**counts, revoked=revoked)
