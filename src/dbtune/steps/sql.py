"""The step kind `sql`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import ClassVar

import sqlparse
from pydantic import Field, field_validator
from sqlparse.exceptions import SQLParseError

from dbtune.core.actions import RunSql
from dbtune.core.questions import Facts, Failed, Holds, Journaled, Question
from dbtune.core.secrets import mask_password
from dbtune.steps.step import Plan, Step, Verdict

ALONE = ("VACUUM", "CREATE DATABASE", "DROP DATABASE", "CREATE TABLESPACE", "DROP TABLESPACE", "ALTER SYSTEM")
"""Statements that PostgreSQL refuses inside a transaction block, besides everything CONCURRENTLY."""

_ENDS_TRANSACTION = re.compile(
    r"(begin|start\s+transaction|commit|end|abort|rollback(?!\s+(work\s+|transaction\s+)?to\b)|prepare\s+transaction)\b",
    re.IGNORECASE,
)
_COPIES_FROM_CLIENT = re.compile(r"copy\b.*\b(from\s+stdin|to\s+stdout)\b", re.IGNORECASE | re.DOTALL)


class Sql(Step):
    """A person's own statements, with the query that says whether they are needed and those that take them back.

    `verify` is a query whose first value is true when nothing is to be done. Without it the journal decides: the
    step runs once, and again only when its text changes. `apply` and `rollback` run in one transaction with a
    short lock_timeout and a few retries, unless a statement cannot run in a transaction (CONCURRENTLY, VACUUM).
    """

    kind: ClassVar[str] = "sql"

    apply: str = Field(min_length=1, description="the statements that make the change")
    verify_: str | None = Field(default=None, alias="verify", description="a query that returns true once it is made")
    rollback: str | None = Field(default=None, description="the statements that take it back")

    @field_validator("apply", "verify_", "rollback")
    @classmethod
    def _says_something(cls, text: str | None) -> str | None:
        found = () if text is None else statements(text)
        if text is not None and not found:
            raise ValueError("there is no statement in it")
        if ends := next((words for words in found if _ENDS_TRANSACTION.match(words)), None):
            raise ValueError(f"{ends.upper()}: dbtune makes the transaction, and ends it")
        if any(_COPIES_FROM_CLIENT.match(words) for words in found):
            raise ValueError("COPY FROM STDIN and TO STDOUT need a client that sends or takes the rows: use psql")
        return text

    @field_validator("verify_")
    @classmethod
    def _one_query(cls, text: str | None) -> str | None:
        if text is not None and len(statements(text)) != 1:
            raise ValueError("verify is one query")
        return text

    def title(self) -> str:
        first = mask_password(" ".join(statements(self.apply)[0].split()))
        return f"sql {first[:60]}{'…' if len(first) > 60 else ''}"

    def questions(self, facts: Facts) -> Iterable[Question]:
        yield self._done

    @property
    def _done(self) -> Question:
        return Journaled(self.fingerprint()) if self.verify_ is None else Holds(self.verify_)

    def plan(self, facts: Facts) -> Plan:
        done = facts[self._done]
        if done is True:
            how = "the journal says that it was applied" if self.verify_ is None else None
            return Plan("in_sync", reason=how, before={"holds": True})
        # A query over what the change has yet to create fails before it: that is no reason not to make it.
        failed = (f"verify cannot be answered yet: {done.reason}",) if isinstance(done, Failed) else ()
        undo: tuple[RunSql, ...] = ()
        if self.rollback is not None:
            undo = (RunSql(self.rollback, in_transaction=may_share_transaction(self.rollback), only_if=self.verify_),)
        notes = failed if undo else (*failed, "the step has no rollback: it stays when the run is rolled back")
        return Plan(
            "change",
            actions=(RunSql(self.apply, in_transaction=may_share_transaction(self.apply)),),
            undo=undo,
            before={"holds": False},
            notes=notes,
        )

    def verify(self, facts: Facts) -> Verdict:
        done = facts[self._done]
        if isinstance(done, Failed):
            return Verdict(ok=False, reason=f"verify failed: {done.reason}")
        what = "the journal knows of no such run" if self.verify_ is None else "its verify query does not return true"
        return Verdict(ok=done is True, reason=None if done else what, after={"holds": done})


def statements(text: str) -> tuple[str, ...]:
    """The statements of a script, without comments and empty ones. Raises ValueError for what cannot be split."""
    try:
        split = [sqlparse.format(part, strip_comments=True).strip().rstrip(";") for part in sqlparse.split(text)]
    except SQLParseError as error:
        raise ValueError("the SQL is nested too deeply, or one of its statements is too long, to be split") from error
    return tuple(part for part in split if part.strip())


def may_share_transaction(text: str) -> bool:
    """Whether every statement can run in a transaction block."""
    for statement in statements(text):
        words = " ".join(statement.upper().split())
        ddl = words.startswith(("CREATE", "DROP", "REINDEX", "ALTER TABLE", "REFRESH"))
        if words.startswith(ALONE) or (ddl and " CONCURRENTLY" in words and not words.startswith("REFRESH")):
            return False
    return True
