"""What a step may ask a server before it judges: a small closed union of data, the counterpart of actions.

A step asks in rounds: the answers to the first questions may raise further ones (the expressions of the
indexes that were found). The app batches equal catalog questions of many steps into one statement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Catalog:
    """Run the packaged statement `sql/postgres/QUERY.sql`, its rows typed as `row`.

    `names` becomes the parameter %(names)s, an array. The names that several steps ask for are merged into one
    statement, so an answer may hold rows of other steps' names: filter by yours.
    """

    query: str
    row: type[Any]
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Normalized:
    """How PostgreSQL itself prints these expressions over a table, after folding constants.

    Two texts mean the same to the planner when this prints them the same.
    Answer: a tuple of texts in the same order, or a `Failed`.
    """

    table: tuple[str, str]
    expressions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Holds:
    """Run a person's query, read only. Answer: bool (its first value; no row is false), or a `Failed`."""

    sql: str


@dataclass(frozen=True, slots=True)
class Explained:
    """EXPLAIN one statement, with `analyze` only where it is a SELECT in a read-only transaction.

    Answer: the plan as PostgreSQL's JSON (the object with "Plan"), of `repeats` runs the one with the median
    execution time, or a `Failed`.
    """

    sql: str
    params: tuple[Any, ...] = ()
    analyze: bool = False
    repeats: int = 1


@dataclass(frozen=True, slots=True)
class Journaled:
    """Whether the journal says that a step with this fingerprint was applied and not taken back. Answer: bool."""

    fingerprint: str


@dataclass(frozen=True, slots=True)
class CachedValue:
    """A key of ours in Redis. Answer: str, None where there is none, or a `Failed`."""

    key: str


@dataclass(frozen=True, slots=True)
class Measured:
    """A stored baseline, and the one to judge: `after` by name, None for the newest made later than `before`.

    Answer: a `baseline.readings.Measured`, or a `Failed`.
    """

    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class RedisSetting:
    """CONFIG GET of one setting. Answer: str, None where the server knows none of that name, or a `Failed`."""

    name: str


Question = Catalog | Normalized | Holds | Explained | Journaled | CachedValue | RedisSetting | Measured


@dataclass(frozen=True, slots=True)
class Failed:
    """The server could not answer. `for_lack_of_privilege`: another role might have been told."""

    reason: str
    hint: str | None = None
    for_lack_of_privilege: bool = False


@dataclass(frozen=True, slots=True)
class Server:
    """What every step may know about the target without asking.

    `version` is PostgreSQL's server_version_num (180006). `user` is the session's role.
    """

    version: int
    database: str
    user: str
    is_superuser: bool
    owns_database: bool
    in_recovery: bool
    has_redis: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """The answers so far."""

    server: Server
    answers: Mapping[Question, Any] = field(default_factory=dict)

    def knows(self, question: Question) -> bool:
        return question in self.answers

    def rows(self, question: Catalog, row: type[Row]) -> tuple[Row, ...]:
        """The rows of a catalog question. Raises KeyError if it was never asked: a bug of the step."""
        return cast("tuple[Row, ...]", self.answers[question])

    def __getitem__(self, question: Question) -> Any:  # noqa: ANN401 - the type follows the kind of question
        return self.answers[question]
