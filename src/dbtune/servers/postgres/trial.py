"""Indexes built for a trial, and statements timed with them: on a server that may be changed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from dbtune.servers.postgres.errors import translated
from dbtune.servers.postgres.session import UNBOUNDED, Connection, Limits, connect


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds of one execution with all rows fetched; one ended at the limit counts as the limit."""

    seconds: float
    timed_out: bool = False


class Trial:
    """`time` reads only, whatever the statement is; `build` and `drop` change the server."""

    def __init__(self, reader: Connection, builder: Connection, timeout_s: float) -> None:
        self._reader = reader
        self._builder = builder
        self._timeout_s = timeout_s

    def time(self, text: str, runs: int) -> list[Run]:
        """None where it cannot be run by a reader; after one that was ended at the limit there is no second."""
        found: list[Run] = []
        for _ in range(runs):
            start = time.perf_counter()
            try:
                self._reader.execute(text.encode()).fetchall()
            except psycopg.errors.QueryCanceled:
                return [Run(self._timeout_s, timed_out=True)]
            except psycopg.OperationalError:
                raise
            except psycopg.Error:
                return []
            found.append(Run(time.perf_counter() - start))
        return found

    def indexes(self, text: str) -> frozenset[str]:
        """The names of those that the plan uses."""
        with translated("planning a statement of the workload"):
            row = self._reader.execute(f"/* dbtune */ explain (format json) {text}".encode()).fetchone()
        document: Any = row[0] if row else [{"Plan": {}}]
        return frozenset(_index_names(document[0]["Plan"]))

    def build(self, ddl: str) -> None:
        """Blocks writers of the table meanwhile: the server is disposable."""
        with translated("building an advised index"):
            self._builder.execute(f"/* dbtune */ {ddl}".encode())

    def drop(self, schema: str, name: str) -> None:
        """What is gone already is no error."""
        with translated(f"dropping the index {name}"):
            self._builder.execute(sql.SQL("drop index if exists {}").format(sql.Identifier(schema, name)))


@contextlib.contextmanager
def open_trial(dsn: str, timeout_s: float) -> Iterator[Trial]:
    """Raises what connecting raises."""
    with (
        contextlib.closing(connect(dsn, limits=Limits(work_s=timeout_s))) as reader,
        contextlib.closing(connect(dsn, read_only=False, limits=UNBOUNDED)) as builder,
    ):
        yield Trial(reader, builder, timeout_s)


def _index_names(node: Mapping[str, Any]) -> Iterator[str]:
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if "Index Name" in one:
            yield str(one["Index Name"])
        waiting.extend(one.get("Plans", ()))
