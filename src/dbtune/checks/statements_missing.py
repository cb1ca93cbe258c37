"""pg_stat_statements does not count here, or less than it could.

**Why it matters.** Without it nobody can say which statements take the time: half of this audit, the baselines and
the advice on indexes rest on it. It costs a few per cent at most.

**What to do.** It comes with PostgreSQL (Debian: in the server's package; elsewhere postgresql-contrib). Name it in
shared_preload_libraries, restart, and create the extension in the database. After an upgrade of the server, `alter
extension pg_stat_statements update` brings the newer columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.core.findings import Fix

SUBJECT = "pg_stat_statements"
CREATE = "create extension pg_stat_statements;"


@dataclass(frozen=True, slots=True)
class Extension:
    """`version` None: not created in this database. `preloaded` None: this role may not read that parameter."""

    available: bool
    loaded: bool
    version: str | None
    newest_version: str | None
    track: str | None
    preloaded: str | None


def judge(rows: Sequence[Extension], server: Audited) -> Verdicts:
    """The first thing that is in the way; an old version of the extension is information."""
    for row in rows:
        evidence = {"loaded": row.loaded, "version": row.version, "available": row.available, "track": row.track}
        if not row.available and row.version is None:
            message = "pg_stat_statements is not installed: get PostgreSQL's contrib package"
            yield CHECK.finding(SUBJECT, message, evidence=evidence)
        elif not row.loaded:
            message = "pg_stat_statements is not loaded: it has to be in shared_preload_libraries, and takes a restart"
            yield CHECK.finding(SUBJECT, message, evidence=evidence, fix=_preload(row))
        elif row.version is None:
            message = "pg_stat_statements is loaded, and not created in this database"
            step = {"sql": {"apply": "create extension if not exists pg_stat_statements", "verify": _VERIFY}}
            yield CHECK.finding(SUBJECT, message, evidence=evidence, fix=Fix(sql=(CREATE,), step=step))
        elif row.track == "none":
            message = "pg_stat_statements.track is none: nothing is counted"
            fix = Fix(sql=("alter system set pg_stat_statements.track = 'top';", "select pg_reload_conf();"))
            yield CHECK.finding(SUBJECT, message, evidence=evidence, fix=fix)
        elif row.newest_version is not None and row.version != row.newest_version:
            message = f"pg_stat_statements is of version {row.version}; this server has {row.newest_version}"
            fix = Fix(sql=("alter extension pg_stat_statements update;",))
            yield CHECK.finding(SUBJECT, message, severity="info", evidence=evidence, fix=fix)


_VERIFY = "select exists (select from pg_extension where extname = 'pg_stat_statements')"


def _preload(row: Extension) -> Fix:
    """Beside what is loaded already, where that can be read: overwriting it would unload the others."""
    create = (CREATE,) if row.version is None else ()
    if row.preloaded is None:
        words = "-- add pg_stat_statements to shared_preload_libraries, and restart"
        return Fix(sql=(words, *create))
    names = [*(part.strip().strip("'\"") for part in row.preloaded.split(",") if part.strip()), SUBJECT]
    libraries, quoted = ", ".join(names), ", ".join(f"'{name}'" for name in names)
    return Fix(
        sql=(f"alter system set shared_preload_libraries = {quoted}; -- takes effect at a restart", *create),
        step={"setting": {"name": "shared_preload_libraries", "value": libraries, "scope": "system"}},
    )


CHECK = Check("PG107", "statements-missing", "warning", "audit_statements_extension", Extension, judge)
