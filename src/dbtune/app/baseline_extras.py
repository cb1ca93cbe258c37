"""What a capture gets beside counters and probes: plans of the busiest statements, the journal, HTTP endpoints."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dbtune.app.targets import OpenTargets
from dbtune.baseline.capture import Change, NamedPlan, Skipped, Timing
from dbtune.baseline.probes import Statement, into_blocks
from dbtune.core.errors import DbtuneError, Misused, TargetError
from dbtune.core.progress import Progress

if TYPE_CHECKING:
    from dbtune.core.actions import Action
    from dbtune.core.journal import JournalStep, Run

BUDGET_S = 0.3
"""All plans together: a capture takes less than a second beside its window."""
_RUNS = 50
_PLANNED = ("select", "insert", "update", "delete", "merge", "with", "values", "table")


def prepare() -> None:
    """Imports what is needed after the window while there is nothing to do but wait."""
    import importlib

    from dbtune.baseline import document

    for module in ("dbtune.app.workspace", "dbtune.servers.postgres.explaining", "dbtune.baseline.subtraction"):
        importlib.import_module(module)
    document.prepare()


def explain_all(dsn: str, statements: Sequence[Statement]) -> tuple[list[NamedPlan], list[Skipped]]:
    """A statement that cannot be explained is skipped with its reason: the rest of the capture is worth having."""
    from dbtune.core.questions import Explained, Failed
    from dbtune.servers.postgres.answers import answer
    from dbtune.servers.postgres.session import connect

    plans: list[NamedPlan] = []
    skipped: list[Skipped] = []
    if not statements:
        return plans, skipped
    with contextlib.closing(connect(dsn)) as connection:
        for statement in statements:
            question = Explained(statement.sql)
            found: Any = answer(connection, [question])[question]
            if isinstance(found, Failed):
                skipped.append(Skipped(f"plan of {statement.name}", found.reason, found.hint))
            else:
                plans.append(NamedPlan(statement.name, statement.sql, found))
    return plans, skipped


def explain_busiest(dsn: str, statements: Sequence[Statement]) -> tuple[list[NamedPlan], list[Skipped]]:
    """Generic plans of normalized texts, by queryid, as far as the time allows. None of them is executed.

    Planning runs code of a statement's role: with that role's rights, where these are not the session's own.
    """
    from dbtune.servers.postgres.acting import acting_role, statement_roles
    from dbtune.servers.postgres.explaining import Execution, plan_statement
    from dbtune.servers.postgres.session import Limits, connect

    wanted = [one for one in statements if one.sql.lstrip("( \n\t").lower().startswith(_PLANNED)]
    if not wanted:
        return [], []
    plans, reasons, clock = [], [], time.monotonic()
    with contextlib.closing(connect(dsn, limits=Limits(work_s=BUDGET_S))) as session:
        roles = statement_roles(session, [user for one in wanted for user in one.users])
        for place, statement in enumerate(wanted):
            if time.monotonic() - clock > BUDGET_S:
                reasons.append(f"{len(wanted) - place} were left out after {BUDGET_S} s")
                break
            try:
                role = acting_role(statement.users, roles)
                found, _ = plan_statement(session, statement.sql, (), Execution(timeout_s=BUDGET_S, role=role))
                plans.append(NamedPlan(statement.name, statement.sql, found, queryid=statement.name))
            except TargetError as error:
                reasons.append(error.message)
                if session.closed:
                    break
            except DbtuneError as error:
                reasons.append(error.message)
    if not reasons:
        return plans, []
    return plans, [Skipped("plans of statements", f"{len(wanted) - len(plans)} of {len(wanted)}: {reasons[0]}", None)]


def known_changes(targets: OpenTargets) -> tuple[list[Change], list[Skipped]]:
    """What the journal says was applied and not taken back. Nothing where there is no journal."""
    from dbtune.app.workspace import opened

    try:
        with opened(OpenTargets(targets.postgres, None)) as workspace:
            journal = workspace.readable_journal()
            if journal is None:
                return [], []
            runs = [run for run in journal.runs(_RUNS) if run.command == "apply"]
            return [change for run in runs for change in _changes(run, journal.steps(run.run_id))], []
    except DbtuneError as error:
        return [], [Skipped("journal", error.message, error.hint)]


def _changes(run: Run, steps: Sequence[JournalStep]) -> Iterator[Change]:
    for step in steps:
        if step.status != "applied" or step.ended_at is None:
            continue
        size = step.after.get("size_bytes")
        yield Change(
            run_id=run.run_id,
            playbook=run.playbook,
            step=step.name,
            kind=step.kind,
            ended_at=step.ended_at,
            objects=tuple(name for action in step.actions for name in _objects(action)),
            sql=step.sql,
            size_bytes=size if isinstance(size, int) else None,
            duration_s=(step.ended_at - step.started_at).total_seconds() if step.started_at else None,
        )


def _objects(action: Action) -> Iterator[str]:
    # Only imported where there is a journal: building the schema of all actions takes a while.
    from dbtune.core.actions import Analyze, CreateIndex, SetSetting

    match action:
        case CreateIndex():
            yield f"{action.index.table.schema}.{action.index.name}"
        case SetSetting():
            yield action.name
        case Analyze():
            yield from map(str, action.tables)


def time_url(name: str, url: str, repeat: int, progress: Progress) -> Timing:
    """GET, one after the other over one connection. What is no 2xx or 3xx is an error, and not timed."""
    from dbtune.servers.endpoint import time_endpoint

    if not url.startswith(("http://", "https://")):
        raise Misused(f"{url} is no address of an HTTP endpoint", hint="write --http feed=http://localhost:8000/feed")
    values, errors = time_endpoint(url, repeat=repeat, name=name, progress=progress)
    return Timing(name, into_blocks(values), "probe:http", errors=errors)
