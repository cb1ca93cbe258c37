"""Steps switched on and off: indexes by their validity, settings in one session."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dbtune.core.errors import ChangeFailed, Refused
from dbtune.servers.postgres.errors import translated
from dbtune.servers.postgres.queries import fetch
from dbtune.servers.postgres.search_path import REMEMBERED, users_path
from dbtune.servers.postgres.session import Connection


@dataclass(frozen=True, slots=True)
class Switchable:
    """An index that is built. `needed`: a constraint relies on it."""

    index: int
    schema: str
    name: str
    valid: bool
    needed: bool


@dataclass(frozen=True, slots=True)
class _Switched:
    index: int


def find_indexes(connection: Connection, names: Sequence[str]) -> tuple[Switchable, ...]:
    """By `schema.name`."""
    return fetch(connection, "index_switchable", Switchable, {"names": list(names)})


def switch(connection: Connection, indexes: Sequence[Switchable], *, on: bool) -> None:
    """Only a superuser may. The planner of every new session sees it at once; writes maintain the index meanwhile."""
    for index in indexes:
        try:
            fetch(connection, "index_switch", _Switched, {"index": index.index, "valid": on})
        except Refused as error:
            raise Refused(
                f"index {index.schema}.{index.name} cannot be switched: {error.message}",
                hint="only a superuser may, on a server that is --disposable or --embedded",
            ) from error


@contextlib.contextmanager
def restored(connection: Connection, indexes: Sequence[Switchable]) -> Iterator[None]:
    """The indexes are valid afterwards, whatever happens inside. Raises ChangeFailed where that was not to be."""
    try:
        yield
    finally:
        try:
            switch(connection, indexes, on=True)
        except Exception as error:
            names = ", ".join(f"{index.schema}.{index.name}" for index in indexes)
            raise ChangeFailed(
                f"{names} could not be switched on again: {error}",
                hint="`dbtune apply` of the playbook builds what is invalid anew",
            ) from error


def makes_a_difference(connection: Connection, name: str, value: str) -> bool:
    """Whether a session with this setting differs from one without. Leaves it set in this session."""
    with translated(f"looking at {name}"):
        before = connection.execute("/* dbtune */ select current_setting(%s)", (_kept_in(name),)).fetchone()
        set_for_session(connection, {name: value})
        after = connection.execute("/* dbtune */ select current_setting(%s)", (_kept_in(name),)).fetchone()
    return before != after


def set_for_session(connection: Connection, settings: Mapping[str, str]) -> None:
    """Raises ChangeFailed or Refused for a parameter that a session cannot set."""
    for name, value in settings.items():
        # The value may name something (default_text_search_config), which the server looks for.
        with translated(f"setting {name} for a session"), users_path(connection):
            connection.execute("/* dbtune */ select pg_catalog.set_config(%s, %s, false)", (_kept_in(name), value))


def _kept_in(name: str) -> str:
    """Statements that are measured find the search path that is set; ours stays as it is."""
    return REMEMBERED if name == "search_path" else name
