"""The statistics twin: a private PostgreSQL that believes it holds the source's data, and plans as the source would.

Nothing is executed there. Indexes that are not there are built on empty tables, stretched to their estimated size, and
switched on and off in the catalog; existing ones can be switched off.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg

from dbtune.advisor.index import IndexDefinition
from dbtune.advisor.source import Source
from dbtune.advisor.texts import count_parameters
from dbtune.advisor.what_if import Candidate, ExistingIndex, StatementCost, TableFacts
from dbtune.core.errors import DbtuneError, Misused
from dbtune.core.findings import Unexamined
from dbtune.core.identifiers import quote
from dbtune.core.progress import Progress, silent
from dbtune.core.questions import Explained
from dbtune.plans.plan import Plan
from dbtune.plans.shape import shape_plan
from dbtune.servers.embedded.process import preparing
from dbtune.servers.embedded.twin_candidates import Candidates
from dbtune.servers.embedded.twin_load import load, oids_by_name
from dbtune.servers.embedded.twin_server import PLANNING_TIMEOUT_S, open_admin, open_session, twin_server
from dbtune.servers.embedded.twin_sessions import OWNER, Sessions
from dbtune.servers.embedded.twin_settings import behave_like
from dbtune.servers.embedded.twin_source import existing_indexes, table_facts
from dbtune.servers.postgres.answers import explain_once
from dbtune.servers.postgres.errors import translated
from dbtune.servers.postgres.explaining import Execution, plan_with_types

MANY_TABLES = 40
"""From so many on a second connection, which costs 20 ms, makes half of them."""
_GENERIC_PLAN_SINCE = 16
_PREPARED = "dbtune_what_if"
_SWITCH = "/* dbtune */ update pg_index set indisvalid = not indisvalid where indexrelid = any (%s::bigint[]::oid[])"
_SEEN = """/* dbtune */ with turned as (
 update pg_index set indislive = %s where indexrelid = any (%s::bigint[]::oid[]) returning indrelid)
update pg_class set relhasindex = relhasindex where oid in (select indrelid from turned)"""
"""The planner opens every index that lives before it sees whether it is switched on. What a table has is read anew when
its row in pg_class is written.
"""


@contextlib.contextmanager
def open_twin(source: Source, *, progress: Progress = silent) -> Iterator[Twin]:
    """The twin of `source`; its server has ended and its directory is gone afterwards.

    Raises Unsupported without the embedded extra, and what starting a server raises.
    """
    progress("starting a private PostgreSQL")
    with twin_server(source) as (server, admin), contextlib.ExitStack() as stack:
        with translated("preparing the twin"):
            admin.execute(f"/* dbtune */ create role {OWNER} login".encode())
        own = server.dsn.replace("postgresql://postgres@", f"postgresql://{OWNER}@", 1)
        builder = open_session(stack, own, read_only=False)
        progress("loading schema and statistics")
        data = server.directory / "data"
        with preparing("twin"), contextlib.ExitStack() as besides:
            admins, builders = [admin], [builder]
            if len(source.tables) >= MANY_TABLES:
                admins.append(open_admin(besides, server.dsn))
                builders.append(open_session(besides, own, read_only=False))
            problems = load(admins, builders, source, data)
        planner = open_session(stack, own, read_only=True)
        behave_like(planner, source)
        yield Twin(source, (*source.not_examined, *problems), Sessions(admin, builder, planner), data)


class Twin:
    """Implements dbtune.advisor.what_if.WhatIf."""

    def __init__(self, source: Source, not_examined: tuple[Unexamined, ...], sessions: Sessions, data: Path) -> None:
        self.source = source
        self.not_examined: Sequence[Unexamined] = not_examined
        self.planner_version = sessions.planner.info.server_version // 10_000
        self.tables: Sequence[TableFacts] = table_facts(source)
        self.existing: Sequence[ExistingIndex] = existing_indexes(source)
        self._sessions = sessions
        self._candidates = Candidates(source, sessions, data)
        self._existing_oids = oids_by_name(sessions.admin, source)
        self._switched: frozenset[int] = frozenset()
        self._aside: frozenset[int] = frozenset()
        self._texts: dict[str, str | Misused] = {}

    def add(self, definitions: Iterable[IndexDefinition]) -> Sequence[Candidate]:
        with preparing("twin"):
            return self._candidates.add(definitions)

    def set_aside(self, definitions: Iterable[IndexDefinition]) -> None:
        oids = frozenset(oid for definition in definitions for oid in self._candidates.oids(definition))
        self._hide(oids - self._aside, is_seen=False)

    def costs(
        self, statements: Sequence[str], active: Collection[IndexDefinition] = (), dropped: Collection[str] = ()
    ) -> Sequence[StatementCost]:
        self._switch(active, dropped)
        return [self._cost(statement) for statement in statements]

    def plan(self, statement: str, active: Collection[IndexDefinition] = (), dropped: Collection[str] = ()) -> Plan:
        self._switch(active, dropped)
        text = self._text(statement)
        try:
            with self._sessions.planner.transaction():
                return shape_plan(self._renamed(explain_once(self._sessions.planner, Explained(text))))
        except psycopg.Error as error:
            raise Misused(f"the statement cannot be planned: {_reason(error)}") from error

    def rows(self, table: str, where: str) -> float:
        """How many rows of a table (`"schema"."name"`) the planner expects to satisfy a condition. Raises Misused."""
        return float(self.plan(f"select 1 from {table} where ({where})").root.planned_rows or 0)

    def _cost(self, statement: str) -> StatementCost:
        try:
            text = self._text(statement)
            document = self._explain(text)
        except Misused as refusal:
            return StatementCost(None, reason=refusal.message)
        except psycopg.Error as error:
            if self._sessions.planner.closed or self._sessions.planner.broken:
                raise
            return StatementCost(None, reason=f"the statement cannot be planned: {_reason(error)}")
        candidates, existing = self._used(document)
        return StatementCost(float(document["Total Cost"]), candidates, existing, plan=document)

    def _text(self, statement: str) -> str:
        """With types for `$1` where PostgreSQL wants them, asked once; it is one statement, and can be planned.

        Raises Misused.
        """
        known = self._texts.get(statement)
        if known is None:
            try:
                _, known = plan_with_types(
                    self._sessions.planner, statement, (), Execution(timeout_s=PLANNING_TIMEOUT_S)
                )
            except DbtuneError as refusal:
                if self._sessions.planner.closed or self._sessions.planner.broken:
                    raise
                known = Misused(refusal.message, hint=refusal.hint)
            self._texts[statement] = known
        if isinstance(known, Misused):
            raise known
        return known

    def _explain(self, text: str) -> Mapping[str, Any]:
        cursor = self._sessions.planner.execute(_explaining(text, self.planner_version).encode())
        while cursor.nextset():
            pass
        row = cursor.fetchone()
        document: Any = row[0] if row else None
        plan: Mapping[str, Any] = document[0]["Plan"]
        return plan

    def _renamed(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Candidates under the names that they are advised under."""
        renamed = {
            key: [self._renamed(child) for child in value]
            if key == "Plans"
            else self._renamed(value)
            if key == "Plan"
            else value
            for key, value in document.items()
        }
        definition = self._candidates.named(str(document.get("Index Name")))
        return renamed if definition is None else renamed | {"Index Name": definition.name}

    def _used(self, root: Mapping[str, Any]) -> tuple[frozenset[IndexDefinition], frozenset[str]]:
        candidates, existing = set(), set()
        waiting: list[tuple[Mapping[str, Any], str]] = [(root, "")]
        while waiting:
            node, above = waiting.pop()
            # A bitmap index scan names no schema: its index lies where the table above it does.
            schema = node.get("Schema", above)
            if (name := node.get("Index Name")) is not None:
                if (definition := self._candidates.named(name)) is not None:
                    candidates.add(definition)
                else:
                    existing.add(quote(schema, name))
            waiting.extend((child, schema) for child in node.get("Plans", ()))
        return frozenset(candidates), frozenset(existing)

    def _switch(self, active: Collection[IndexDefinition], dropped: Collection[str]) -> None:
        """From what was switched last to what is wanted, in one statement."""
        wanted = frozenset(oid for definition in active for oid in self._candidates.oids(definition))
        wanted |= frozenset(oid for name in dropped for oid in self._existing_oids.get(name, ()))
        if wanted & self._aside:
            self._hide(wanted & self._aside, is_seen=True)
        changed = wanted ^ self._switched
        if changed:
            with translated("switching indexes in the twin"):
                self._sessions.admin.execute(_SWITCH, (sorted(changed),))
            self._switched = wanted

    def _hide(self, oids: frozenset[int], *, is_seen: bool) -> None:
        with translated("switching indexes in the twin"):
            self._sessions.admin.execute(_SEEN, (is_seen, sorted(oids)))
        self._aside = self._aside - oids if is_seen else self._aside | oids


@functools.lru_cache(maxsize=4096)
def _explaining(text: str, version: int) -> str:
    """Before 16 a statement with `$1` has a plan only where it was prepared: the values of an EXECUTE do not matter."""
    if "$1" not in text:
        return f"/* dbtune */ explain (verbose, format json) {text}"
    if version >= _GENERIC_PLAN_SINCE:
        return f"/* dbtune */ explain (verbose, format json, generic_plan) {text}"
    nulls = ", ".join(["null"] * count_parameters(text))
    execution = f"execute {_PREPARED} ({nulls})" if nulls else f"execute {_PREPARED}"
    # The end of a line, as a statement may end with a comment.
    return f"/* dbtune */ deallocate all; prepare {_PREPARED} as {text}\n; explain (verbose, format json) {execution}"


def _reason(error: psycopg.Error) -> str:
    return error.diag.message_primary or str(error).strip()
