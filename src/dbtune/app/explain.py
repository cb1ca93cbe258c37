"""One statement, or a plan that somebody saved: the tree, and what it tells."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from dbtune.app.targets import OpenTargets
from dbtune.core.errors import Misused
from dbtune.core.progress import Progress, silent
from dbtune.core.secrets import mask_password
from dbtune.plans.insight import Surroundings, look_into
from dbtune.plans.plan import Plan
from dbtune.plans.report import ExplainReport
from dbtune.plans.saved import read_plans
from dbtune.plans.shape import shape_plan


@dataclass(frozen=True, slots=True)
class Wish:
    """Either `sql` or `queryid` (of pg_stat_statements). `params` are the values of `$1`, `$2` … as text."""

    sql: str | None = None
    queryid: int | None = None
    params: tuple[str | None, ...] = ()
    analyze: bool = False
    allow_writes: bool = False
    timeout_s: float = 30.0

    def check(self) -> None:
        """Raises Misused for what cannot be: no statement, several, an EXPLAIN of an EXPLAIN."""
        if self.sql is None:
            return
        from dbtune.steps.sql import statements

        try:
            found = statements(self.sql)
        except ValueError as error:
            raise Misused(str(error), hint="explain one statement at a time") from error
        if len(found) != 1:
            raise Misused(f"explain takes one statement, not {len(found)}", hint="give them one by one")
        if found[0].lstrip("( \n\t").upper().startswith("EXPLAIN"):
            raise Misused("the statement is an EXPLAIN already", hint="leave EXPLAIN out; --analyze executes it")


def explain_saved(text: str, source: str) -> ExplainReport:
    """A plan from a file. Of several the slowest is told. Raises Misused, naming the source."""
    started_at, clock = datetime.now(UTC), time.monotonic()
    try:
        plans = read_plans(text)
    except Misused as error:
        raise Misused(f"{source}: {error.message}", hint=error.hint) from error
    plan = max(plans, key=lambda one: one.total_s or 0.0)
    notes = (f"the slowest of the {len(plans)} plans there",) if len(plans) > 1 else ()
    return _report(source, started_at, clock, plan, Surroundings(statement=plan.query), notes=notes)


def explain_statement(targets: OpenTargets, wish: Wish, progress: Progress = silent) -> ExplainReport:
    """Reads only, unless `allow_writes`; even then nothing stays. Raises Misused and TargetError."""
    from dbtune.servers.postgres.errors import describe_target
    from dbtune.servers.postgres.explaining import Execution, plan_statement, statement_text, surroundings
    from dbtune.servers.postgres.session import Limits, connect

    wish.check()
    started_at, clock = datetime.now(UTC), time.monotonic()
    dsn = targets.postgres or ""
    with contextlib.closing(connect(dsn, limits=Limits(work_s=wish.timeout_s))) as session:
        statement, role = (wish.sql, None) if wish.sql is not None else statement_text(session, wish.queryid or 0)
        if wish.analyze and _has_parameters(statement) and not wish.params:
            raise Misused(
                "the statement has parameters, and cannot be executed without their values",
                hint="give --param VALUE for $1, $2 and so on, or leave out --analyze",
            )
        progress("executing the statement" if wish.analyze else "planning the statement")
        execution = Execution(wish.analyze, wish.allow_writes, wish.timeout_s, role)
        document, writes = plan_statement(session, statement, wish.params, execution)
        plan = shape_plan(document)
        around = surroundings(session, plan, statement)
    return _report(
        describe_target(dsn), started_at, clock, plan, around, notes=tuple(_notes(wish, statement, role, writes=writes))
    )


def _report(
    target: str, started_at: datetime, clock: float, plan: Plan, around: Surroundings, *, notes: tuple[str, ...]
) -> ExplainReport:
    return ExplainReport(
        target=target,
        started_at=started_at,
        duration_s=time.monotonic() - clock,
        statement=None if around.statement is None else mask_password(around.statement),
        plan=plan,
        insights=look_into(plan, around),
        notes=notes,
    )


def _notes(wish: Wish, statement: str, role: str | None, *, writes: bool) -> Iterator[str]:
    if role is not None:
        yield f"with the rights of {role}, whose statement it is"
    if not wish.analyze:
        yield "planned, not executed: rows and costs are estimates; --analyze measures"
    elif writes:
        yield "executed in a transaction that was rolled back; sequences keep what they counted"
    if _has_parameters(statement) and not wish.params:
        yield "a generic plan: for whatever values the parameters may have; --param gives them values"


def _has_parameters(statement: str) -> bool:
    """Whether `$1` stands outside of strings and comments."""
    from sqlparse import lexer, tokens

    found = lexer.tokenize(statement)  # type: ignore[no-untyped-call]
    return any(kind in tokens.Name.Placeholder and value.startswith("$") for kind, value in found)
