"""The twin's server forgets what it has read, so that files may be changed beneath it."""

from __future__ import annotations

from pathlib import Path

from dbtune.servers.embedded.twin_files import BLOCK, resize
from dbtune.servers.postgres.session import Connection

_FUNCTION_SINCE = 180000
_MOST_USES = 5
"""BM_MAX_USAGE_COUNT: the clock's hand passes a page so often before it is given up."""
_READ = """/* dbtune */ select count(*) from dbtune_memory.filler
where ctid = any (array(select format('(%%s,1)', page)::tid from generate_series(0, %s - 1) as page))"""


def prepare_memory(admin: Connection, data: Path) -> None:
    """What `evict` needs, in a database whose files lie in `data`."""
    if _has_function(admin):
        admin.execute("/* dbtune */ create extension if not exists pg_buffercache with schema public")
        return
    admin.execute("/* dbtune */ create schema dbtune_memory")
    admin.execute("/* dbtune */ create table dbtune_memory.filler ()")
    row = admin.execute("/* dbtune */ select pg_relation_filepath('dbtune_memory.filler')").fetchone()
    resize(data / str(row[0] if row else ""), _filling_pages(admin))


def evict(admin: Connection) -> None:
    """Writes out and forgets every page in memory.

    Below 18 by reading others, one by one: a TID scan takes its pages by the usual way, where a whole scan would keep
    to a few of its own. A page goes when the clock's hand has passed it six times.
    """
    if _has_function(admin):
        admin.execute("/* dbtune */ select public.pg_buffercache_evict_all()")
    else:
        admin.execute(_READ, (_filling_pages(admin),))


def _has_function(admin: Connection) -> bool:
    return admin.info.server_version >= _FUNCTION_SINCE


def _filling_pages(admin: Connection) -> int:
    row = admin.execute("/* dbtune */ select pg_size_bytes(current_setting('shared_buffers'))").fetchone()
    return (_MOST_USES + 2) * int(str(row[0] if row else 0)) // BLOCK
