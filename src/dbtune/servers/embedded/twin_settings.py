"""Settings: those of the twin's server, and those of the source that decide about plans."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import psycopg

from dbtune.advisor.source import Source
from dbtune.servers.postgres.errors import translated
from dbtune.servers.postgres.search_path import REMEMBERED
from dbtune.servers.postgres.session import Connection

LEAST_MEMORY_BYTES = 1 << 30
"""A fresh cluster takes 40 MB, each relation a few kilobytes."""
_FORGETS_SINCE = 18
"""The first version with a function that empties the memory: earlier ones are made to read more than fits."""
_SERVER: Mapping[str, str] = MappingProxyType(
    {
        "shared_preload_libraries": "",
        "track_io_timing": "off",
        # It would look at tables whose files hold nothing.
        "autovacuum": "off",
        # Nothing here outlives the server.
        "fsync": "off",
        "full_page_writes": "off",
        "synchronous_commit": "off",
        "wal_level": "minimal",
        "max_wal_senders": "0",
        "max_connections": "10",
        "max_locks_per_transaction": "2048",
        "jit": "off",
    }
)


def server_settings(major: int) -> Mapping[str, str]:
    # Little memory is soon searched for pages to forget.
    return {**_SERVER, "shared_buffers": "16MB" if major >= _FORGETS_SINCE else "2MB"}


def initdb_options(major: int, *, is_c_collation: bool) -> tuple[str, ...]:
    """Without checksums, as files are changed; a collation of which PostgreSQL knows the same as of the source's.

    The log's first file, which each start copies, is small: it was nearly half of the cluster.
    """
    plain = ("--wal-segsize=1", *(("--no-data-checksums",) if major >= 18 else ()))
    if is_c_collation:
        return (*plain, *(() if major >= 17 else ("--locale=C",)))
    return (*plain, "--locale=C.UTF-8", *(("--locale-provider=libc",) if major >= 15 else ()))


def place_in_memory() -> Path | None:
    """A file system in memory, where making a thousand files takes a quarter of the time; None where it is small."""
    memory = Path("/dev/shm")  # noqa: S108 - a server's place there is verified to be ours, as everywhere
    with contextlib.suppress(OSError):
        if shutil.disk_usage(memory).free >= LEAST_MEMORY_BYTES:
            return memory
    return None


def behave_like(planner: Connection, source: Source) -> None:
    """Settings of the source in the session that plans; what the source does not know yet is switched off."""
    known = dict(source.settings)
    with translated("copying the planner's settings"):
        ours = planner.execute(
            "/* dbtune */ select name, reset_val from pg_settings where context = 'user'"
            " and (category like 'Query Tuning%%' or name = any (%s))",
            (list(known),),
        ).fetchall()
    wanted = dict.fromkeys(("search_path", REMEMBERED), source.search_path)
    for name, value in ((str(name), str(value)) for name, value in ours):
        if name in known:
            wanted[name] = known[name]
        elif name.startswith("enable_") and value == "on" and known:
            wanted[name] = "off"
    # Where `$1` is left, whatever value it will have is meant.
    wanted["plan_cache_mode"] = "force_generic_plan"
    # Whatever was copied: the statement is only planned, and never for long.
    for name, value in wanted.items():
        try:
            planner.execute("/* dbtune */ select set_config(%s, %s, false)", (name, value))
        except psycopg.Error:
            if planner.broken:
                raise
