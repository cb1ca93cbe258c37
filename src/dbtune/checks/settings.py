"""The row that the checks about parameters share, and how they advise a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dbtune.core.findings import Fix, Unexamined
from dbtune.core.identifiers import quote

_SECONDS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True, slots=True)
class Setting:
    """One parameter as new sessions of this role begin; None where it has no value. Numbers are in `unit`."""

    name: str
    value: str | None
    default_value: str | None
    unit: str | None
    context: str
    pending_restart: bool

    @property
    def is_on(self) -> bool:
        return self.value == "on"

    @property
    def is_default(self) -> bool:
        return self.value == self.default_value

    @property
    def number(self) -> float:
        return float(self.value or "nan")

    @property
    def seconds(self) -> float:
        """Only for those with a unit of time."""
        return self.number * _SECONDS[self.unit or "s"]


def find(rows: Sequence[Setting], name: str) -> Setting | None:
    return next((row for row in rows if row.name == name), None)


def not_shown(code: str, name: str) -> Unexamined:
    """Some parameters are for pg_read_all_settings only; a fork of PostgreSQL may lack one."""
    return Unexamined(
        code, f"this role does not see the parameter {name}", "grant pg_read_all_settings or pg_monitor to this role"
    )


def advise(
    name: str,
    value: str,
    *,
    scope: Literal["system", "database"],
    database: str = "",
    safe: bool = False,
    note: str | None = None,
) -> Fix:
    """One parameter by SQL and as a step. `note` goes behind the SQL, as a restart does."""
    literal = value.replace("'", "''")
    comment = f" -- {note}" if note else ""
    step = {"setting": {"name": name, "value": value, "scope": scope}}
    if scope == "database":
        return Fix(sql=(f"alter database {quote(database)} set {name} = '{literal}';{comment}",), step=step, safe=safe)
    reload = () if note else ("select pg_reload_conf();",)
    return Fix(sql=(f"alter system set {name} = '{literal}';{comment}", *reload), step=step, safe=safe)


def log_more(step: Mapping[str, Any], name: str, value: str) -> Fix:
    """A `slow_log` step for one parameter of the log. It changes what is written to the log and nothing else."""
    return Fix(
        sql=(f"alter system set {name} = '{value}';", "select pg_reload_conf();"),
        step={"slow_log": dict(step)},
        safe=True,
    )
