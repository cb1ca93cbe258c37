"""Whether two captures may be compared at all, and what must be left out (rules 9 and 12)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dbtune.baseline.capture import Capture, Fingerprint
from dbtune.baseline.outcome import Note
from dbtune.core.errors import Misused

_STATEMENTS = ("pg_stat_statements.track", "pg_stat_statements.track_utility", "compute_query_id")
_PLANNING = "pg_stat_statements.track_planning"
_IO_TIMING = "track_io_timing"
_GROWTH = 0.2
"""A database that grew by more than a fifth explains a slower statement better than most changes do."""


@dataclass(frozen=True, slots=True)
class Comparability:
    """`*_why` is None where that kind of metric may be compared; `ids` says whether queryids mean the same."""

    ids: bool
    statements_why: str | None
    io_timing: bool
    planning: bool
    settings_differ: Mapping[str, tuple[str | None, str | None]]
    notes: tuple[Note, ...]


def examine(before: Capture, after: Capture, *, across_servers: bool = False) -> Comparability:
    """Raises Misused for captures of different databases or servers, unless `across_servers`."""
    old, new = before.fingerprint, after.fingerprint
    same_major = old.server_version // 10000 == new.server_version // 10000
    if not across_servers:
        _refuse_strangers(old, new, before.name, after.name, same_major=same_major)
    differ = _differences(old.settings, new.settings)
    tracking = [name for name in _STATEMENTS if name in differ and None not in differ[name]]
    why = None
    if tracking:
        why = "different statements were counted: " + ", ".join(_say(name, differ) for name in tracking)
    known = old.system_identifier is not None and old.system_identifier == new.system_identifier
    return Comparability(
        ids=same_major and known and old.database_oid == new.database_oid,
        statements_why=why,
        io_timing=old.settings.get(_IO_TIMING) == new.settings.get(_IO_TIMING) == "on",
        planning=old.settings.get(_PLANNING) == new.settings.get(_PLANNING) == "on",
        settings_differ=differ,
        notes=tuple(_notes(before, after, why, same_major=same_major)),
    )


def _refuse_strangers(old: Fingerprint, new: Fingerprint, before: str, after: str, *, same_major: bool) -> None:
    hint = "capture both on the same database, or say --across-servers to compare what can be"
    if 0 in (old.server_version, new.server_version) and old.server_version != new.server_version:
        stranger, other = (before, after) if old.server_version == 0 else (after, before)
        raise Misused(f"{stranger} was imported from another tool, {other} captured from a server", hint=hint)
    if old.database != new.database:
        raise Misused(f"{before} and {after} are of different databases: {old.database} and {new.database}", hint=hint)
    # An upgrade makes a new cluster with a new identifier: across major versions the database's name has to do.
    if same_major and old.system_identifier != new.system_identifier:
        if None in (old.system_identifier, new.system_identifier):
            return
        raise Misused(
            f"{before} and {after} are of different servers"
            f" (system identifiers {old.system_identifier} and {new.system_identifier})",
            hint=hint,
        )


def _differences(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, tuple[str | None, str | None]]:
    pairs = {name: (old.get(name), new.get(name)) for name in sorted({*old, *new})}
    return {name: pair for name, pair in pairs.items() if _canonical(name, pair[0]) != _canonical(name, pair[1])}


def _canonical(name: str, value: str | None) -> str | None:
    """pg_stat_statements turns `auto` on."""
    return "on" if name == "compute_query_id" and value == "auto" else value


def _say(name: str, differ: Mapping[str, tuple[str | None, str | None]]) -> str:
    return f"{name} was {differ[name][0]}, then {differ[name][1]}"


def _notes(before: Capture, after: Capture, why: str | None, *, same_major: bool) -> Iterable[Note]:
    old, new = before.fingerprint, after.fingerprint
    if why is not None:
        yield Note("invalid", "statements", f"not comparable: {why}", "set them alike and capture again")
    if not same_major:
        yield Note(
            "warning",
            "versions",
            f"PostgreSQL {old.server_version // 10000}, then {new.server_version // 10000}:"
            " statements are matched by their text alone",
        )
    if old.extension_version != new.extension_version:
        yield Note("info", "extension", f"pg_stat_statements {old.extension_version or 'missing'}, then"
                   f" {new.extension_version or 'missing'}")  # fmt: skip
    if old.postmaster_started_at != new.postmaster_started_at:
        yield Note("info", "restart", "the server was restarted between the captures: its caches began cold")
    sizes = (old.database_size_bytes, new.database_size_bytes)
    if sizes[0] and sizes[1] and abs(sizes[1] / sizes[0] - 1) > _GROWTH:
        yield Note("warning", "size", f"the database's size changed by {sizes[1] / sizes[0] - 1:+.0%}")
    for capture in (before, after):
        for skipped in capture.skipped:
            yield Note("warning", f"{skipped.check} of {capture.name}", skipped.reason, skipped.hint)
