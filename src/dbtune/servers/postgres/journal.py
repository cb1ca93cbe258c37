"""The journal as tables in schema `dbtune` of the target: it travels with the database that it describes."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from dbtune import __version__
from dbtune.core.actions import Action, actions_adapter
from dbtune.core.errors import Refused
from dbtune.core.journal import JournalStep, Run, RunStatus, StepState
from dbtune.servers.postgres.errors import translated
from dbtune.servers.postgres.queries import fetch, statement
from dbtune.servers.postgres.session import Connection


@dataclass(frozen=True, slots=True)
class JournalState:
    """What this role finds and may do. `system` is the cluster's identifier.

    `suspects` are what could run somebody else's code with this role's rights, in words; `repairs` end that.
    """

    present: bool
    readable: bool | None
    writable: bool
    creatable: bool
    system: str
    suspects: list[str]
    repairs: list[str]


@dataclass(frozen=True, slots=True)
class _StepRow:
    """A row of dbtune.step, its actions still JSON."""

    run_id: str
    place: int
    step_id: str
    kind: str
    name: str
    fingerprint: str
    status: str
    actions: list[Any]
    undo: list[Any]
    sql: list[str]
    before: dict[str, Any]
    after: dict[str, Any]
    started_at: datetime
    ended_at: datetime | None
    error: str | None

    def step(self) -> JournalStep:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return JournalStep(
            **values
            | {
                "actions": actions_adapter().validate_python(self.actions),
                "undo": actions_adapter().validate_python(self.undo),
                "sql": tuple(self.sql),
            }
        )


@dataclass(frozen=True, slots=True)
class _Fingerprint:
    fingerprint: str


def journal_state(session: Connection) -> JournalState:
    """Asked of the catalogs alone, before anything of the journal is read or written.

    Raises Refused where a role whom this one must not serve made the journal, or has attached something to it.
    """
    state = fetch(session, "journal_state", JournalState)[0]
    if state.suspects:
        raise Refused(
            "the journal is not touched, since others could run code there with the rights of this role:"
            f" {'; '.join(state.suspects)}",
            hint=f"look at what is there, and what its `undo` would do; then, as a superuser, begin anew:"
            f" drop schema dbtune cascade; or keep it: {'; '.join(state.repairs)};",
        )
    return state


def make_tables(session: Connection) -> None:
    """Creates what is missing; harmless when nothing is. Raises Refused where others were quicker."""
    with translated("making the journal in schema dbtune"):
        session.execute(statement("journal_schema", session.info.server_version).encode())
    journal_state(session)


class TableJournal:
    """Reads and writes over one session, which is the one that holds the lock."""

    place = "schema dbtune of the target"
    commits_with_the_change = True

    def __init__(self, session: Connection) -> None:
        self._session = session

    def begin(self, run: Run) -> None:
        self._execute(
            "journal_begin",
            run_id=run.run_id,
            command=run.command,
            playbook=run.playbook,
            playbook_hash=run.playbook_hash,
            reverts=run.reverts,
            host=run.host,
            client_pid=run.client_pid,
            dbtune=__version__,
        )

    def intend(self, step: JournalStep) -> None:
        self._execute(
            "journal_intend",
            run_id=step.run_id,
            place=step.place,
            step_id=step.step_id,
            kind=step.kind,
            name=step.name,
            fingerprint=step.fingerprint,
            actions=_json(step.actions),
            undo=_json(step.undo),
            sql=list(step.sql),
            before=Jsonb(dict(step.before)),
        )

    def conclude(
        self,
        step: JournalStep,
        status: StepState,
        *,
        undo: tuple[Action, ...] | None = None,
        after: Mapping[str, Any] | None = None,
        error: str | None = None,
    ) -> None:
        conclude_in(self._session, step, status, undo=undo, after=after, error=error)

    def end(self, run_id: str, status: RunStatus) -> None:
        self._execute("journal_end", run_id=run_id, status=status)

    def runs(self, most: int = 100) -> tuple[Run, ...]:
        return fetch(self._session, "journal_runs", Run, {"most": most})

    def steps(self, run_id: str) -> tuple[JournalStep, ...]:
        return tuple(row.step() for row in fetch(self._session, "journal_steps", _StepRow, {"run_id": run_id}))

    def applied(self, fingerprints: Collection[str]) -> frozenset[str]:
        rows = fetch(self._session, "journal_applied", _Fingerprint, {"fingerprints": list(fingerprints)})
        return frozenset(row.fingerprint for row in rows)

    def _execute(self, query: str, **values: object) -> None:
        _execute(self._session, query, values)


def conclude_in(
    session: Connection,
    step: JournalStep,
    status: StepState,
    *,
    undo: tuple[Action, ...] | None = None,
    after: Mapping[str, Any] | None = None,
    error: str | None = None,
) -> None:
    """The conclusion written over any session: over the one that makes the change, it commits together with it."""
    values = {
        "run_id": step.run_id,
        "place": step.place,
        "status": status,
        "undo": None if undo is None else _json(undo),
        "after": None if after is None else Jsonb(dict(after)),
        "error": error,
    }
    _execute(session, "journal_conclude", values)


def _execute(session: Connection, name: str, values: Mapping[str, object]) -> None:
    with translated("writing the journal"):
        session.execute(statement(name, session.info.server_version).encode(), values)


def _json(actions: tuple[Action, ...]) -> Jsonb:
    return Jsonb(json.loads(actions_adapter().dump_json(actions)))
