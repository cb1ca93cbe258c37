"""PostgreSQL's parameters: what is laid down for them, whether it is what a step wants, and how to change it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dbtune.core.actions import Scope, SetSetting
from dbtune.core.identifiers import did_you_mean
from dbtune.core.parameter_lists import LISTS, split_list
from dbtune.core.questions import Catalog, Facts, Question
from dbtune.steps.step import Plan

_BYTES: Mapping[str, float] = {
    "B": 1,
    "kB": 1 << 10,
    "8kB": 8 << 10,
    "16kB": 16 << 10,
    "MB": 1 << 20,
    "GB": 1 << 30,
    "TB": 1 << 40,
}
_SECONDS: Mapping[str, float] = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_TRUE = ("on", "true", "yes", "1", "t", "y")
_FALSE = ("off", "false", "no", "0", "f", "n")
RESTART_CONTEXT = "postmaster"
FIXED_CONTEXTS = ("internal",)
SESSION_CONTEXTS = ("user", "superuser")
"""Contexts of pg_settings that ALTER DATABASE and ALTER ROLE accept."""


@dataclass(frozen=True, slots=True)
class ParameterRow:
    """One row of pg_settings, with what the role may do to it."""

    name: str
    type: str
    unit: str | None
    context: str
    effective: str
    default_value: str | None
    lowest: str | None
    highest: str | None
    choices: list[str] | None
    source: str
    pending_restart: bool
    may_alter_system: bool
    may_set: bool


@dataclass(frozen=True, slots=True)
class FileRow:
    """One line of a configuration file. `error` says why the server did not take it."""

    name: str
    value: str
    by_alter_system: bool
    applied: bool
    error: str | None


@dataclass(frozen=True, slots=True)
class EntryRow:
    """One entry of ALTER DATABASE or ALTER ROLE; None is "all of them"."""

    database: str | None
    role: str | None
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class NameRow:
    name: str


PARAMETER_NAMES = Catalog("parameter_names", NameRow)
ALLOW_ALTER_SYSTEM = Catalog("parameters", ParameterRow, ("allow_alter_system",))
"""From 17 on."""
ROLE_NAMES = Catalog("role_names", NameRow)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A parameter as a step wants it."""

    name: str
    value: str
    scope: Scope
    role: str | None = None

    def questions(self, facts: Facts) -> Iterable[Question]:
        names = (self.name,)
        yield Catalog("parameters", ParameterRow, names)
        yield Catalog("parameter_entries", EntryRow, names)
        if self.scope == "system":
            yield ALLOW_ALTER_SYSTEM
        if facts.server.is_superuser:
            yield Catalog("parameter_files", FileRow, names)
        if self.scope == "role":
            yield ROLE_NAMES
        if facts.knows(Catalog("parameters", ParameterRow, names)) and self._row(facts) is None:
            yield PARAMETER_NAMES

    def _row(self, facts: Facts) -> ParameterRow | None:
        rows = facts.rows(Catalog("parameters", ParameterRow, (self.name,)), ParameterRow)
        return next((row for row in rows if row.name == self.name), None)

    def plan(self, facts: Facts) -> Plan:
        row = self._row(facts)
        if reason := self._conflict(facts, row):
            return Plan("conflict", reason=reason)
        entry = self.entry(facts)
        before = {"entry": entry, "effective": row.effective if row else None, "scope": self.scope}
        if self._is_laid_down(facts, row, entry) and not self._waits_for_reload(row):
            return self._in_sync(facts, row, before)
        if reason := self._blocked(facts, row):
            return Plan("blocked", reason=reason, before=before)
        restart = row is not None and row.context == RESTART_CONTEXT
        reload = self.scope == "system"
        return Plan(
            "change",
            actions=(SetSetting(self.name, self.value, self.scope, self.role, reload=reload),),
            undo=(SetSetting(self.name, entry, self.scope, self.role, expected=self.value, reload=reload),),
            before=before,
            notes=tuple(self._notes(facts)),
            restart=restart,
        )

    def _in_sync(self, facts: Facts, row: ParameterRow | None, before: Mapping[str, object]) -> Plan:
        waiting = row is not None and self.scope == "system" and row.pending_restart
        notes = [f"{self.name} takes effect when the server restarts"] if waiting else []
        errors = [file.error for file in self._files(facts) if file.error and not file.applied and not waiting]
        return Plan("in_sync", before=before, notes=(*notes, *errors), restart=waiting)

    def _conflict(self, facts: Facts, row: ParameterRow | None) -> str | None:
        """Why the step makes no sense on this server."""
        if self.scope == "role":
            roles = [found.name for found in facts.rows(ROLE_NAMES, NameRow)]
            if self.role not in roles:
                hint = did_you_mean(self.role or "", roles)
                return f'role "{self.role}" does not exist' + (f"; {hint}" if hint else "")
        if row is None:
            # A name with a dot is an extension's or an application's own: the server accepts it unseen.
            if "." in self.name:
                return None
            hint = did_you_mean(self.name, [found.name for found in facts.rows(PARAMETER_NAMES, NameRow)])
            return f'this server has no parameter "{self.name}"' + (f"; {hint}" if hint else "")
        if row.context in FIXED_CONTEXTS:
            return f"{self.name} is fixed when the server is built or its cluster made"
        if self.scope != "system" and row.context not in SESSION_CONTEXTS:
            return f"{self.name} ({row.context}) cannot be set for a {self.scope}; use scope: system"
        return invalid_value(row, self.value)

    def _blocked(self, facts: Facts, row: ParameterRow | None) -> str | None:
        if self.scope == "system" and not (row.may_alter_system if row else facts.server.is_superuser):
            return (
                f"the role may not ALTER SYSTEM SET {self.name}; use a superuser, scope: database where the parameter"
                " allows it, or your provider's parameter group"
            )
        if self.scope == "system" and self._alter_system_is_off(facts):
            return (
                "the server forbids ALTER SYSTEM (allow_alter_system = off); use scope: database where the parameter"
                " allows it, or change the server's configuration files"
            )
        if self.scope == "database" and not facts.server.owns_database:
            return f'only the owner of database "{facts.server.database}" or a superuser may change its settings'
        if self.scope != "system" and not (row.may_set if row else True):
            return f"only a superuser (from 15 on: a role with GRANT SET ON PARAMETER) may set {self.name}"
        return None

    def _alter_system_is_off(self, facts: Facts) -> bool:
        rows = facts.rows(ALLOW_ALTER_SYSTEM, ParameterRow)
        return any(row.name == "allow_alter_system" and row.effective == "off" for row in rows)

    def entry(self, facts: Facts) -> str | None:
        """The value laid down in this very scope, or None where there is none: what an undo restores."""
        if self.scope == "system":
            own = [file.value for file in self._files(facts) if file.by_alter_system]
            return own[-1] if own else None
        rows = facts.rows(Catalog("parameter_entries", EntryRow, (self.name,)), EntryRow)
        for row in rows:
            in_scope = (
                (row.role, row.database is None) == (self.role, True) if self.scope == "role" else row.role is None
            )
            if row.name == self.name and in_scope and (self.scope == "role" or row.database is not None):
                return row.value
        return None

    def is_entry(self, facts: Facts, value: str | None) -> bool:
        """Whether `value` (None: no entry) is what this scope holds, whatever its spelling."""
        entry = self.entry(facts)
        return entry is None if value is None else entry is not None and same_value(self._row(facts), entry, value)

    def _files(self, facts: Facts) -> tuple[FileRow, ...]:
        question = Catalog("parameter_files", FileRow, (self.name,))
        rows = facts.rows(question, FileRow) if facts.knows(question) else ()
        return tuple(row for row in rows if row.name == self.name)

    def _is_laid_down(self, facts: Facts, row: ParameterRow | None, entry: str | None) -> bool:
        """For the system a line of postgresql.conf or the built-in default will do as well as an ALTER SYSTEM entry."""
        if entry is not None or self.scope != "system" or row is None:
            return entry is not None and same_value(row, entry, self.value)
        lines = [file.value for file in self._files(facts)]
        laid_down = lines[-1] if lines else row.default_value
        if not facts.server.is_superuser:
            laid_down = row.effective if row.source in ("default", "configuration file") else None
        return row.source != "command line" and laid_down is not None and same_value(row, laid_down, self.value)

    def _waits_for_reload(self, row: ParameterRow | None) -> bool:
        """Written, but not read by the server: a run was killed between ALTER SYSTEM and the reload."""
        return (
            self.scope == "system"
            and row is not None
            # The server may respell other types when it reads them.
            and row.type in ("bool", "integer", "real")
            and row.source in ("default", "configuration file")
            and not row.pending_restart
            and not same_value(row, row.effective, self.value)
        )

    def _notes(self, facts: Facts) -> Iterable[str]:
        if self.name == "log_min_duration_statement" and self._row(facts) and _is_zero(self._row(facts), self.value):
            yield "a threshold of 0 logs every statement: too much for production"
        rows = facts.rows(Catalog("parameter_entries", EntryRow, (self.name,)), EntryRow)
        for other in rows:
            narrower = other.name == self.name and other.role is not None and self.scope != "role"
            if narrower:
                yield f"sessions of role {other.role} keep their own value, {other.value}"
        if self.scope != "system":
            yield "sessions that are open now, those of a pool too, keep the value that they have"
        else:
            yield "replicas have files of their own and are not changed"


def invalid_value(row: ParameterRow, value: str) -> str | None:
    """Why the server would refuse a value, in words; None where it would take it."""
    if row.type == "bool":
        known = value.lower() in (*_TRUE, *_FALSE)
        return None if known else f'{row.name} is on or off, not "{value}"'
    if row.type == "enum":
        choices = row.choices or []
        # Hidden synonyms (on for log_statement and the like) are the server's to judge.
        if value.lower() in [choice.lower() for choice in choices] or value.lower() in (*_TRUE, *_FALSE):
            return None
        hint = did_you_mean(value, choices)
        return f'{row.name} is one of {", ".join(choices)}, not "{value}"' + (f"; {hint}" if hint else "")
    if row.type in ("integer", "real"):
        number = number_in(row, value)
        if number is None:
            unit = f", with a unit such as {'MB' if row.unit in _BYTES else 'ms'}" if row.unit else ""
            return f'{row.name} is a number{unit}, not "{value}"'
        if not float(row.lowest or "-inf") <= number <= float(row.highest or "inf"):
            return (
                f"{row.name} lies between {row.lowest} and {row.highest} {row.unit or ''}".rstrip() + f', not "{value}"'
            )
    return None


def same_value(row: ParameterRow | None, one: str, other: str) -> bool:
    """Whether two spellings mean the same value of a parameter: `64MB` and `65536`, `on` and `true`."""
    if row is None:
        return one == other
    if row.name in LISTS:
        return split_list(one) == split_list(other)
    if row.type == "bool":
        return (one.lower() in _TRUE) == (other.lower() in _TRUE)
    if row.type == "enum":
        return one.lower() == other.lower()
    if row.type in ("integer", "real"):
        first, second = number_in(row, one), number_in(row, other)
        return first is not None and first == second
    return one == other


def _is_zero(row: ParameterRow | None, value: str) -> bool:
    return row is not None and number_in(row, value) == 0


def number_in(row: ParameterRow, value: str) -> float | None:
    """A value in the parameter's own unit, or None where it is no number.

    Rounded to a whole number for integers, as the server does (documentation, "Parameter Names and Values").
    """
    match = re.fullmatch(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s*([a-zA-Z]*)\s*", value)
    if match is None:
        return None
    number, unit = float(match[1]), match[2]
    if unit:
        scale = _scale(unit, row.unit)
        if scale is None:
            return None
        number *= scale
    return float(round(number)) if row.type == "integer" else number


def _scale(unit: str, own: str | None) -> float | None:
    units = next((units for units in (_BYTES, _SECONDS) if own in units and unit in units), None)
    return None if units is None or own is None else units[unit] / units[own]
