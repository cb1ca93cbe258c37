"""Dumps of a twin: schema and statistics in a file, to advise elsewhere."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dbtune.advisor.narrowing import only_named
from dbtune.advisor.source import Source
from dbtune.advisor.source_file import MOST_BYTES, from_bytes, to_bytes
from dbtune.advisor.source_report import DumpReport
from dbtune.app.streams import is_stream, read_at_most
from dbtune.core.errors import Misused, Refused
from dbtune.core.progress import Progress, silent

# CREATE TABLE and its like touch nothing that an index could help.
_PLANNED = re.compile(
    r"(?:\s|/\*.*?\*/|--[^\n]*\n|\()*(?:select|insert|update|delete|merge|with|values|table)\b",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Wish:
    """`tables` None are all; `touched` keeps only those that the statements of pg_stat_statements name."""

    tables: tuple[str, ...] | None = None
    touched: bool = False
    values: bool = True
    statements: bool = True


def dump(dsn: str, path: Path, wish: Wish, progress: Progress = silent) -> DumpReport:
    """Reads the server and writes the file, whole or not at all. Raises Misused, and what connecting raises."""
    from dbtune.servers.postgres.dump import read_source
    from dbtune.servers.postgres.errors import describe_target
    from dbtune.servers.postgres.session import connect

    started_at, clock = datetime.now(UTC), time.monotonic()
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise Misused(f"{path} cannot be written", hint="name a file in a directory that exists")
    with connect(dsn) as connection:
        source = read_source(
            connection,
            wish.tables,
            values=wish.values,
            statements=wish.statements or wish.touched,
            **({"keep": _only_touched} if wish.touched else {}),
            progress=progress,
        )
    target = describe_target(dsn)
    content = to_bytes(
        source,
        target=target,
        started_at=started_at,
        duration_s=time.monotonic() - clock,
        compressed=path.suffix == ".gz",
    )
    _write(path, content)
    return DumpReport(target, started_at, time.monotonic() - clock, str(path), len(content), source)


def read_dump(path: Path) -> Source:
    """Raises Misused for a file that is not there, damaged, foreign or newer."""
    try:
        content = read_at_most(path, MOST_BYTES)
    except OSError as error:
        raise Misused(f"{path} cannot be read: {error.strerror}", hint="name a file of `dbtune twin dump`") from error
    if content is None:
        raise Misused(f"{path} is larger than a dump can be", hint="name a file of `dbtune twin dump`")
    return from_bytes(content, str(path))


def _only_touched(source: Source) -> Source:
    if not source.statements:
        reason = next((one.reason for one in source.not_examined if one.check == "statements"), "there are none")
        raise Refused(f"the workload is not known: {reason}", hint="leave out --touched, or name tables with --table")
    return only_named(source, [one.query for one in source.statements if _PLANNED.match(one.query)])


def _write(path: Path, content: bytes) -> None:
    """Beside the file and renamed: nobody ever reads half of it. Values of columns may be in it: for its owner only."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        if is_stream(path):
            with path.open("ab") as stream:
                stream.write(content)
            return
        beside.touch(mode=0o600)
        beside.write_bytes(content)
        beside.replace(path)
    except OSError as error:
        raise Misused(f"{path} cannot be written: {error.strerror}", hint="is the disk full?") from error
    finally:
        beside.unlink(missing_ok=True)
