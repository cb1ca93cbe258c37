"""An audit: every distinct query once, every check over its rows, and a word about what could not be looked at."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from dbtune.app.aside import Aside
from dbtune.app.audit_cache import judged_caches, traces, watched
from dbtune.app.targets import OpenTargets
from dbtune.checks.check import SLOW_S, Audited, Check, checks
from dbtune.checks.statement_totals import StatementTotals
from dbtune.core.errors import ChangeFailed, DbtuneError, Misused, Refused, TargetError, Unsupported
from dbtune.core.findings import SEVERITIES, AuditReport, Finding, Unexamined
from dbtune.core.identifiers import did_you_mean
from dbtune.core.progress import Progress, silent

ROOM_TIMEOUT_S = 5.0
Rows = Mapping[tuple[str, type[Any]], Sequence[Any] | DbtuneError]


@dataclass(frozen=True, slots=True)
class Wish:
    """Which checks, by code or name; `window_s` of watching in `parts` sub-windows for evidence over time.

    A statement is slow from `slow_s` on. `log`: of the server, to confirm an N+1.
    """

    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    window_s: float = 0.0
    parts: int | None = None
    slow_s: float = SLOW_S
    log: Path | None = None

    def chosen(self) -> tuple[Check, ...]:
        """Raises Misused for a code or a name that no check has."""
        known = checks().values()
        names = {name for check in known for name in (check.code, check.name)}
        for name in (*self.only, *self.skip):
            if name not in names:
                raise Misused(f'there is no check "{name}"', hint=did_you_mean(name, names) or "see `dbtune rule`")
        return tuple(
            check
            for check in known
            if (not self.only or {check.code, check.name} & set(self.only))
            and not {check.code, check.name} & set(self.skip)
        )


@dataclass(frozen=True, slots=True)
class _ServerRow:
    database: str
    user: str
    is_superuser: bool
    is_replica: bool
    statistics_age_s: float | None


def audit(targets: OpenTargets, wish: Wish, progress: Progress) -> AuditReport:
    """Reads only. Raises TargetError when a server cannot be reached at all; everything smaller is `skipped`."""
    started_at, clock = datetime.now(UTC), time.monotonic()
    chosen = wish.chosen()
    with watched(targets.redis, chosen, wish.window_s) as finish:
        server, rows = _ask_postgres(targets.postgres, chosen, wish, progress)
        cache = finish(progress)
        rows = {**rows, **cache.rows}
    findings, skipped = _judge_all(chosen, rows, server, _cache_of(targets))
    return AuditReport(
        target=_describe(targets),
        started_at=started_at,
        duration_s=time.monotonic() - clock,
        findings=tuple(sorted(findings, key=_worst_first)),
        skipped=(*cache.away, *skipped),
        examined=tuple(check.code for check in chosen if check.code not in {one.check for one in skipped}),
        notes=traces(rows),
    )


def _describe(targets: OpenTargets) -> str:
    names = []
    if targets.postgres is not None:
        from dbtune.servers.postgres.errors import describe_target

        names.append(describe_target(targets.postgres))
    if targets.redis is not None:
        names.append(_cache_of(targets))
    return " and ".join(names)


def _cache_of(targets: OpenTargets) -> str:
    """What findings about the whole cache call it."""
    if targets.redis is None:
        return ""
    from dbtune.servers.redis.errors import describe_target

    return describe_target(targets.redis)


def _ask_postgres(dsn: str | None, chosen: Sequence[Check], wish: Wish, progress: Progress) -> tuple[Audited, Rows]:
    """Who answered, and every distinct query once; nobody and nothing when no PostgreSQL is named.

    The catalog has a connection of its own, since the server is busy with it while we are busy with the statements.
    """
    from dbtune.servers.postgres.session import connect

    if dsn is None:
        nobody = Audited(0, "", "", False, False, None, window_s=wish.window_s, slow_s=wish.slow_s)  # noqa: FBT003
        return nobody, {}
    catalog = [check for check in chosen if check.source == "postgres"]
    others = [check for check in chosen if check.source in ("totals", "statements")]
    with contextlib.closing(connect(dsn)) as session:
        aside = Aside(lambda: _catalog(dsn, catalog, progress)) if catalog and others else None
        server = _look_at(session, wish)
        statements = _Statements(session)
        rows = {**_fetch_all(session, others if aside else chosen, silent if aside else progress, statements)}
        rows |= _watch_statements(statements, chosen, wish, progress)
    if aside is not None:
        try:
            rows |= aside.answer()
        except TargetError:
            rows |= _catalog_after_all(dsn, catalog, progress)
    return server, rows


def _catalog_after_all(dsn: str, chosen: Sequence[Check], progress: Progress) -> Rows:
    """There was no room for a second connection. The server may take a moment to see that the first one ended."""
    deadline = time.monotonic() + ROOM_TIMEOUT_S
    while time.monotonic() < deadline:
        with contextlib.suppress(TargetError):
            return _catalog(dsn, chosen, progress)
        time.sleep(0.1)
    return _catalog(dsn, chosen, progress)


def _catalog(dsn: str, chosen: Sequence[Check], progress: Progress) -> Rows:
    from dbtune.servers.postgres.session import connect

    with contextlib.closing(connect(dsn)) as session:
        return _fetch_all(session, chosen, progress)


def _look_at(session: Any, wish: Wish | None = None) -> Audited:  # noqa: ANN401 - a driver's session
    from dbtune.servers.postgres.queries import fetch

    wish = wish or Wish()
    row = fetch(session, "audit_server", _ServerRow)[0]
    return Audited(
        version=session.info.server_version,
        database=row.database,
        user=row.user,
        is_superuser=row.is_superuser,
        is_replica=row.is_replica,
        statistics_age_s=row.statistics_age_s,
        window_s=wish.window_s,
        slow_s=wish.slow_s,
    )


def _worst_first(found: Finding) -> tuple[int, str, str]:
    return SEVERITIES.index(found.severity), found.code, found.object


class _Statements:
    """pg_stat_statements, read when it is first asked for: totals and windows begin with the same rows."""

    def __init__(self, session: Any) -> None:  # noqa: ANN401 - a driver's session
        self.session = session

    @cached_property
    def read(self) -> Any:  # noqa: ANN401 - what only servers know
        """Raises Unsupported where it is missing or may not be read."""
        from dbtune.servers.postgres.totals import read_statements

        return read_statements(self.session)

    def totals(self) -> tuple[StatementTotals]:
        from dbtune.servers.postgres.totals import totals

        return (totals(self.session, self.read),)


def _fetch_all(
    session: Any,  # noqa: ANN401 - a driver's session
    chosen: Sequence[Check],
    progress: Progress,
    statements: _Statements | None = None,
) -> Rows:
    """Each distinct query once. A privilege or a time-out that is missing costs its checks, not the audit."""
    from dbtune.servers.postgres.queries import fetch

    statements = statements or _Statements(session)
    found: dict[tuple[str, type[Any]], Sequence[Any] | DbtuneError] = {}
    distinct = dict.fromkeys((check.query, check.row) for check in chosen if check.source in ("postgres", "totals"))
    for place, (query, row) in enumerate(distinct):
        progress(f"reading {query.removeprefix('audit_').replace('_', ' ')}", place / len(distinct))
        try:
            found[query, row] = statements.totals() if row is StatementTotals else fetch(session, query, row)
        except (Refused, ChangeFailed, Unsupported) as error:
            found[query, row] = error
    return found


def _watch_statements(statements: _Statements, chosen: Sequence[Check], wish: Wish, progress: Progress) -> Rows:
    """The sub-windows of pg_stat_statements, for the checks that want them."""
    watching = [check for check in chosen if check.source == "statements"]
    if not watching:
        return {}
    from dbtune.app.log_sample import with_sample
    from dbtune.app.statement_windows import sub_windows, watch

    answer: Sequence[Any] | DbtuneError
    try:
        parts = wish.parts or sub_windows(wish.window_s)
        seen = watch(statements.session, wish.window_s, parts, begin=statements.read, progress=progress)
        answer = (with_sample(seen, wish.log) if wish.log else seen,)
    except (Refused, ChangeFailed, Unsupported) as error:
        answer = error
    return {(check.query, check.row): answer for check in watching}


def _judge_all(
    chosen: Sequence[Check], rows: Rows, server: Audited, cache: str = ""
) -> tuple[list[Finding], list[Unexamined]]:
    findings: list[Finding] = []
    skipped: list[Unexamined] = []
    for check in chosen:
        answer = rows.get((check.query, check.row))
        if answer is None:
            skipped.append(_not_asked(check))
        elif isinstance(answer, DbtuneError):
            skipped.append(Unexamined(check.code, answer.message, answer.hint))
        else:
            is_cache = check.source == "redis"
            found = judged_caches(check, cache, answer, server) if is_cache else check.judge(answer, server)
            for verdict in found:
                (findings if isinstance(verdict, Finding) else skipped).append(verdict)  # type: ignore[arg-type]
    return findings, skipped


def _not_asked(check: Check) -> Unexamined:
    """Nobody was named whom the check could ask."""
    if check.source == "redis":
        return Unexamined(check.code, "no Redis or Valkey is named", "give --redis URL, or set REDIS_URL")
    return Unexamined(check.code, "no PostgreSQL is named", "give --postgres URL, or set DATABASE_URL")
