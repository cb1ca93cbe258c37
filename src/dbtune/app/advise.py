"""Advice on indexes: the workload, the twin, the search, and the answer."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dbtune.advisor.advice import Advice
from dbtune.advisor.analysis import Analyses, Analysis, analyse
from dbtune.advisor.logs import read_log
from dbtune.advisor.narrowing import narrowed, only_named
from dbtune.advisor.recommend import Question, recommend
from dbtune.advisor.referential import with_referential_checks
from dbtune.advisor.scripts import one_statement, read_script
from dbtune.advisor.source import Source, Statement
from dbtune.advisor.states import NO_LIMITS, Limits
from dbtune.advisor.texts import count_parameters
from dbtune.advisor.what_if import WhatIf
from dbtune.advisor.workload import Observed, Workload, gather
from dbtune.app.advise_why import explained, named
from dbtune.app.targets import OpenTargets
from dbtune.core.errors import Misused, Refused
from dbtune.core.progress import Progress, silent

if TYPE_CHECKING:
    from dbtune.app.advise_timings import Runnable

EFFORT_PER_S = 320.0
"""Of the search, for each second that it may take. A machine of today does four times that or more: the work ends the
search, so that the same input gives the same advice; time does only where a machine is very slow or very busy.
"""


@dataclass(frozen=True, slots=True)
class Given:
    """A file or text that statements come from, with what people call it."""

    text: str
    name: str


@dataclass(frozen=True, slots=True)
class Wish:
    """Without `sql`, `queries` and `logs` the workload is that of pg_stat_statements: all of it, or of a window.

    `dump` is a file of `dbtune twin dump`: nothing is then connected to. `max_time_s` bounds the search. `why` names
    an advised index, whose plans are then shown. `measure` builds the indexes for real, on a `disposable` server.
    """

    sql: str | None = None
    queries: tuple[Given, ...] = ()
    logs: tuple[Given, ...] = ()
    dump: Path | None = None
    window_s: float | None = None
    limits: Limits = NO_LIMITS
    max_time_s: float = 30.0
    why: str | None = None
    measure: bool = False
    statement_timeout_s: float = 60.0

    @property
    def names_statements(self) -> bool:
        return self.sql is not None or bool(self.queries or self.logs)


def advise(targets: OpenTargets, wish: Wish, progress: Progress = silent) -> Advice:
    """Raises Misused for a workload without a statement, Refused where it may not be read, and what connecting and
    starting the twin raise.
    """
    started_at, clock = datetime.now(UTC), time.monotonic()
    given = tuple(_given(wish)) if wish.names_statements else None
    left = _left_by_trials(targets) if wish.measure else ()
    target, source = _source(targets, wish, given, progress)
    workload = _workload(given, source)
    with _twin(source, workload, progress) as twin:
        analyses = analyse(workload, twin, narrowed(source, _texts(workload)), progress)
        if not analyses.each:
            reasons = sorted({one.reason for one in analyses.workload.not_examined})
            raise Misused(
                f"no statement could be examined: {'; '.join(reasons[:3])}", hint="does it run on this database?"
            )
        question = Question(analyses.each, twin, narrowed(source, _texts(workload)), wish.limits)
        advice = _advised(question, analyses, wish, progress)
        name = None if wish.why is None else named(wish.why, advice.recommendations)
        advice = replace(advice, target=target, started_at=started_at, notes=(*left, *advice.notes))
        if wish.measure and advice.recommendations:
            advice = _measured(targets.postgres or "", advice, question, wish, progress)
        explanations = () if name is None else tuple(explained(name, advice, analyses.each, twin))
    return replace(advice, explanations=explanations, duration_s=time.monotonic() - clock)


def _measured(dsn: str, advice: Advice, question: Question, wish: Wish, progress: Progress) -> Advice:
    from dbtune.app.advise_measured import measured
    from dbtune.app.advise_results import revalued

    others = frozenset[str]() if wish.names_statements else _of_others(dsn, question.source)
    ours = [one for one in question.analyses if one.statement.fingerprint not in others]
    if left := len(question.analyses) - len(ours):
        why = f"not run, as code of the roles that ran them would get the rights of this one: {left} statements"
        if not ours:
            raise Refused(why, hint="connect as the owner of the tables, or give statements: --queries FILE")
        advice = replace(advice, notes=(*advice.notes, why))
    return revalued(measured(dsn, advice, _runnable(ours), wish.statement_timeout_s, progress), question)


def _of_others(dsn: str, source: Source) -> frozenset[str]:
    """Fingerprints of what the server has counted and this session's rights must not be lent to."""
    from dbtune.servers.postgres.acting import trusted_queryids
    from dbtune.servers.postgres.session import connect

    with contextlib.closing(connect(dsn)) as connection:
        trusted = trusted_queryids(connection)
    foreign = replace(source, statements=tuple(one for one in source.statements if one.queryid not in trusted))
    return frozenset(one.fingerprint for one in gather(_observed(None, foreign)).statements)


def _source(
    targets: OpenTargets, wish: Wish, given: Sequence[Observed] | None, progress: Progress
) -> tuple[str, Source]:
    """What people call the database, and what is known of it: of a server only what the workload names."""
    if wish.dump is not None:
        from dbtune.app.twin import read_dump

        return str(wish.dump), read_dump(wish.dump)
    from dbtune.servers.postgres.dump import read_source
    from dbtune.servers.postgres.errors import describe_target
    from dbtune.servers.postgres.session import connect

    with contextlib.closing(connect(targets.postgres or "")) as connection:
        before = None
        if wish.window_s is not None and not wish.names_statements:
            before = read_source(connection, tables=(), progress=progress).statements
            _wait(wish.window_s, progress)
        source = read_source(
            connection,
            statements=not wish.names_statements,
            keep=lambda source: only_named(source, (one.text or "" for one in _observed(given, source))),
            progress=progress,
        )
    if before is not None:
        source = replace(source, statements=tuple(_grown(before, source.statements)))
    return describe_target(targets.postgres or ""), source


def _left_by_trials(targets: OpenTargets) -> tuple[str, ...]:
    """What an earlier `--measure` that was killed has left is dropped, and told."""
    from dbtune.servers.postgres.trial import clear_trials

    names = ", ".join(name for _, name in clear_trials(targets.postgres or ""))
    return (f"dropped, left by a measurement that was killed: {names}",) if names else ()


def _wait(seconds: float, progress: Progress) -> None:
    start = time.monotonic()
    while (passed := time.monotonic() - start) < seconds:
        progress("watching the workload", passed / seconds)
        time.sleep(min(0.25, seconds - passed))


def _grown(before: Iterable[Statement], after: Iterable[Statement]) -> Iterator[Statement]:
    """What was called in between. A counter that fell was evicted and added again: all of it is new."""
    known = {one.queryid: one for one in before}
    for one in after:
        old = known.get(one.queryid)
        if old is None or old.calls > one.calls:
            yield one
        elif one.calls > old.calls:
            yield replace(
                one,
                calls=one.calls - old.calls,
                total_time_s=one.total_time_s - old.total_time_s,
                rows=max(one.rows - old.rows, 0),
            )


def _workload(given: Sequence[Observed] | None, source: Source) -> Workload:
    workload = gather(_observed(given, source))
    if not workload.statements:
        reasons = sorted({one.reason for one in workload.not_examined})
        known = next((one for one in source.not_examined if one.check == "statements"), None)
        if given is not None or known is None:
            told = "; ".join(reasons) or "there are none"
            raise Misused(
                f"no statement can be advised on: {told}", hint="give --queries FILE, --sql, or a database in use"
            )
        raise Refused(f"the workload is not known: {known.reason}", hint=f"{known.hint}; or give --queries FILE")
    return with_referential_checks(workload, source)


def _given(wish: Wish) -> Iterator[Observed]:
    if wish.sql is not None:
        yield from one_statement(wish.sql)
    for given in wish.queries:
        yield from read_script(given.text, given.name)
    for given in wish.logs:
        yield from read_log(given.text, given.name)


def _observed(given: Sequence[Observed] | None, source: Source) -> Iterator[Observed]:
    """What was given; where nothing was, what the server has counted."""
    if given is not None:
        yield from given
        return
    for one in source.statements:
        rows = one.rows / one.calls if one.calls else None
        yield Observed(one.query, "pg_stat_statements", float(one.calls), one.queryid, one.total_time_s, rows)


def _texts(workload: Workload) -> list[str]:
    return [variant.sql for statement in workload.statements for variant in statement.variants]


@contextlib.contextmanager
def _twin(source: Source, workload: Workload, progress: Progress) -> Iterator[WhatIf]:
    from dbtune.servers.embedded.twin import open_twin

    with open_twin(narrowed(source, _texts(workload)), progress=progress) as twin:
        yield twin


def _runnable(analyses: Iterable[Analysis]) -> dict[str, Runnable]:
    """One text without parameters for each statement that has one."""
    from dbtune.app.advise_timings import Runnable

    found: dict[str, Runnable] = {}
    for statement in (one.statement for one in analyses):
        for variant in statement.variants:
            if not count_parameters(variant.sql):
                made = Runnable(variant.sql, statement.weight, statement.queryid, statement.place)
                found.setdefault(statement.text, made)
    return found


def _advised(question: Question, analyses: Analyses, wish: Wish, progress: Progress) -> Advice:
    start = time.monotonic()

    def is_late(share: float) -> bool:
        return time.monotonic() - start > wish.max_time_s * share

    found = recommend(replace(question, is_late=is_late, most_effort=EFFORT_PER_S * wish.max_time_s), progress)
    return Advice(
        target="",
        started_at=datetime.now(UTC),
        duration_s=0.0,
        recommendations=found.recommendations,
        drops=found.drops,
        cost_before=found.cost_before,
        cost_after=found.cost_after,
        statements=len(analyses.each),
        examined_share=analyses.workload.examined_share,
        limits=wish.limits,
        not_examined=analyses.workload.not_examined,
        gaps=tuple(question.what_if.not_examined),
        notes=(*found.notes, *_notes(question.source, question.what_if.planner_version, is_late)),
        is_complete=not is_late(1.0),
    )


def _notes(source: Source, planner: int, is_late: Callable[[float], bool]) -> Iterator[str]:
    unknown = sorted(
        f"{table.schema}.{table.name}" for table in source.tables if table.kind in ("r", "m") and table.rows < 0
    )
    if unknown:
        yield f"never analyzed, so that nothing is known of their rows: {', '.join(unknown)}; run ANALYZE and ask again"
    major = source.version // 10_000
    if major != planner:
        yield (
            f"plans are those of the planner of PostgreSQL {planner}; the server is PostgreSQL {major}, which joins and"
            f" groups differently in a few cases: with the programs of PostgreSQL {major} here (DBTUNE_POSTGRES_BIN"
            " names their directory) they are its own; or see --measure"
        )
    if is_late(1.0):
        yield "the time was over before the search was; --max-time gives it more"
