"""The step kind `invalidate_on`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, WithJsonSchema, field_validator

from dbtune.core.actions import RunSql
from dbtune.core.identifiers import did_you_mean, quote, shorten, split_name
from dbtune.core.invalidation_channel import CHANNEL
from dbtune.core.questions import Facts, Holds, Question
from dbtune.steps import relations
from dbtune.steps.step import Plan, Step, Verdict

Change = Literal["insert", "update", "delete", "truncate"]
_ARGUMENTS: Mapping[str, Any] = {
    "anyOf": [
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "array", "items": {"type": "string"}},
        {"type": "string"},
    ]
}
LONGEST_PAYLOAD = 7900
"""NOTIFY takes less than 8000 bytes, and fails the application's transaction beyond."""

_PATH = "pg_catalog, pg_temp"
"""Of the function: it runs with the rights of whoever changes a row, on whose path others may have put things."""

_NOTES = ("every change of a row now sends a notification: run `dbtune invalidate PLAYBOOK --listen`",)
_PARTITIONS = (
    "a partition that is truncated by its own name, attached or detached sends none: send the event then, with"
    " `dbtune invalidate --event`"
)


class InvalidateOn(Step):
    """Triggers on a table that tell `dbtune invalidate --listen` of an event, with the changed row's columns.

    Each row that changes sends one notification when its transaction commits; of an update whose `columns` are given,
    only where one of them changed. When an argument itself changes, its old value is sent too. What is too long, and
    TRUNCATE, is sent as "all of it". Rollback drops the triggers and their function, and nothing else.
    """

    kind: ClassVar[str] = "invalidate_on"

    table: str = Field(min_length=1, description="the table, with its schema if need be")
    event: str = Field(
        min_length=1, max_length=200, description="an event of `cache: events:`, such as content.updated"
    )
    arguments: Annotated[dict[str, str], WithJsonSchema(dict(_ARGUMENTS))] = Field(
        default_factory=dict, description="the event's arguments, each from a column: `{content_id: id}`; or a list"
    )
    on: tuple[Change, ...] = Field(
        default=("insert", "update", "delete", "truncate"), min_length=1, description="which changes"
    )
    columns: tuple[str, ...] = Field(default=(), description="of an update: only where one of these changed")
    channel: str = Field(default=CHANNEL, min_length=1, max_length=63, description="where it is sent")

    @field_validator("arguments", mode="before")
    @classmethod
    def _a_list_names_both(cls, value: object) -> object:
        if isinstance(value, str):
            return {value: value}
        return {name: name for name in value} if isinstance(value, list) else value

    @field_validator("on", "columns", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

    def title(self) -> str:
        return f"invalidate_on {self.table}: {self.event}"

    def questions(self, facts: Facts) -> Iterable[Question]:
        table = relations.ask_for(self._regclass)
        yield table
        if facts.knows(table):
            yield from relations.ask_for_neighbours(facts, self._regclass)
            yield from (self._may, self._installed)

    def plan(self, facts: Facts) -> Plan:
        row = relations.find(facts, self._regclass)
        if row is None:
            return Plan("conflict", reason=relations.missing_table(facts, self.table))
        missing = [column for column in self._columns if column not in row.columns]
        if missing:
            meant = "; ".join(filter(None, (did_you_mean(column, row.columns) for column in missing)))
            return Plan(
                "conflict", reason=f"{self.table} has no column {', '.join(missing)}" + (f"; {meant}" * bool(meant))
            )
        if row.kind not in ("r", "p"):
            return Plan("conflict", reason=f"{self.table} is no table: a trigger on rows needs one")
        if facts[self._installed] is True:
            return Plan("in_sync", before={"installed": True})
        if facts[self._may] is not True:
            who = facts.server.user
            needs = "it takes TRIGGER on the table and CREATE on its schema"
            return Plan("blocked", reason=f"{who} may not make triggers on {self.table}: {needs}")
        return Plan(
            "change",
            actions=(RunSql(self.apply_sql()),),
            undo=(RunSql(self.rollback_sql(), only_if=self._installed.sql),),
            before={"installed": False},
            lock="SHARE ROW EXCLUSIVE",
            notes=_NOTES if row.kind == "r" else (*_NOTES, _PARTITIONS),
        )

    def verify_questions(self, facts: Facts) -> Iterable[Question]:
        return (self._installed,)

    def verify(self, facts: Facts) -> Verdict:
        installed = facts[self._installed] is True
        return Verdict(
            ok=installed, reason=None if installed else "it is not installed", after={"installed": installed}
        )

    # --- names: another version of the step is another function, so that neither takes the other for its own

    @property
    def _digest(self) -> str:
        return hashlib.sha256(f"1\n{self.model_dump_json()}".encode()).hexdigest()[:8]

    @property
    def _name(self) -> str:
        # Room for the other trigger's `_t`.
        whole = shorten(f"dbtune_{split_name(self.table)[1]}_{self.event}", f"_{self._digest}_t")
        return whole.removesuffix("_t")

    @property
    def _columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.arguments.values(), *self.columns)))

    @property
    def _regclass(self) -> str:
        return relations.as_regclass(self.table)

    @property
    def _triggers(self) -> Mapping[str, str]:
        """What each of the two fires on, by its name."""
        changes = [change for change in ("insert", "update", "delete") if change in self.on]
        found = {self._name: f"{' or '.join(changes)}"} if changes else {}
        return found | ({f"{self._name}_t": "truncate"} if "truncate" in self.on else {})

    # --- what is asked, on the role's search path as a person's SQL is: all but the table's name is qualified

    @property
    def _oid(self) -> str:
        return f"pg_catalog.to_regclass({_literal(self._regclass)})::pg_catalog.oid"

    @property
    def _may(self) -> Holds:
        return Holds(
            "select pg_catalog.has_table_privilege(oid, 'TRIGGER')"
            " and pg_catalog.has_schema_privilege(relnamespace, 'CREATE')"
            f" from pg_catalog.pg_class where oid operator(pg_catalog.=) {self._oid}"
        )

    @property
    def _installed(self) -> Holds:
        """All triggers, enabled, with the very function."""
        names = ", ".join(map(_literal, self._triggers))
        return Holds(
            f"select pg_catalog.count(*) operator(pg_catalog.=) {len(self._triggers)} from pg_catalog.pg_trigger"
            " join pg_catalog.pg_proc on pg_proc.oid operator(pg_catalog.=) tgfoid"
            f" where tgrelid operator(pg_catalog.=) {self._oid} and not tgisinternal"
            " and tgenabled operator(pg_catalog.=) any (array['O', 'A']::pg_catalog.\"char\"[])"
            f" and tgname operator(pg_catalog.=) any (array[{names}]::pg_catalog.name[])"
            f" and prosrc operator(pg_catalog.=) {_literal(self._body())}"
            f" and proconfig operator(pg_catalog.=) array['search_path={_PATH}']::pg_catalog.text[]"
        )

    # --- what is done

    def apply_sql(self) -> str:
        """The function and its triggers, in one transaction; what a crash left of an earlier attempt is not there.

        A function that is there is dropped, not replaced: it would stay its owner's, whoever that is.
        """
        mark = f"$dbtune_{self._digest}$"
        parts = [f"drop trigger if exists {quote(name)} on {self._regclass}" for name in self._triggers]
        parts.append(f"drop function if exists {self._function}()")
        head = f"create function {self._function}() returns trigger language plpgsql set search_path = {_PATH} as "
        parts.append(f"{head}{mark}{self._body()}{mark}")
        for name, changes in self._triggers.items():
            each = "statement" if changes == "truncate" else "row"
            parts.append(
                f"create trigger {quote(name)} after {changes} on {self._regclass}"
                f" for each {each} execute function {self._function}()"
            )
        return ";\n".join(parts)

    def rollback_sql(self) -> str:
        drops = [f"drop trigger {quote(name)} on {self._regclass}" for name in self._triggers]
        return ";\n".join([*drops, f"drop function {self._function}()"])

    @property
    def _function(self) -> str:
        schema, _ = split_name(self.table)
        return quote(*(part for part in (schema, self._name) if part is not None))

    def _body(self) -> str:
        """Nothing in it may fail: it runs within the application's transactions."""
        same = (f"old.{quote(name)}::text is not distinct from new.{quote(name)}::text" for name in self.columns)
        skip = (
            f"  if tg_op = 'UPDATE' and {' and '.join(same)} then\n    return null;\n  end if;\n"
            if self.columns
            else ""
        )
        return f"""
declare
  payload text;
begin
  if tg_op = 'TRUNCATE' then
    perform pg_catalog.pg_notify({_literal(self.channel)}, {_literal(self._everything)});
    return null;
  end if;
{skip}  if tg_op <> 'INSERT' then
{self._send("old")}
  end if;
  if tg_op <> 'DELETE' then
{self._send("new")}
  end if;
  return null;
end
"""

    @property
    def _everything(self) -> str:
        return json.dumps({"event": self.event, "all": True})

    def _send(self, row: str) -> str:
        pairs = ", ".join(f"{_literal(name)}, {row}.{quote(column)}::text" for name, column in self.arguments.items())
        short = f"pg_catalog.octet_length(payload) < {LONGEST_PAYLOAD}"
        return (
            f"    payload := pg_catalog.json_build_object('event', {_literal(self.event)},"
            f" 'arguments', pg_catalog.json_build_object({pairs}))::text;\n"
            f"    perform pg_catalog.pg_notify({_literal(self.channel)},"
            f" case when {short} then payload else {_literal(self._everything)} end);"
        )


def _literal(text: str) -> str:
    """A constant of SQL, whatever standard_conforming_strings says."""
    quoted = text.replace("'", "''")
    if "\\" not in quoted:
        return f"'{quoted}'"
    return " E'" + quoted.replace("\\", "\\\\") + "'"
