"""dbtune as people run it: a process of its own, on a real server."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import forks
import psycopg
import pytest
from patience import PATIENCE_S, until_so


@dataclass(frozen=True, slots=True)
class Answer:
    """How one command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    @property
    def statuses(self) -> list[str]:
        return [step["status"] for step in self.document["steps"]]

    @property
    def errors(self) -> str:
        return " | ".join(step["error"] for step in self.document["steps"] if step["error"])

    @property
    def notes(self) -> str:
        return " | ".join(note for step in self.document["steps"] for note in step["notes"])


@dataclass(frozen=True, slots=True)
class Commands:
    """Runs `dbtune` on one database, with a home and a playbook of its own."""

    dsn: str
    home: Path
    environment: dict[str, str] = field(default_factory=dict)
    started: list[forks.Started] = field(default_factory=list)

    def playbook(self, text: str, name: str = "tune.yml") -> str:
        path = self.home / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def start(self, *arguments: str, dsn: str | None = None) -> forks.Started:
        """For what happens meanwhile."""
        process = forks.Started(arguments, env=self._environment(dsn), cwd=self.home)
        self.started.append(process)
        return process

    def run(self, *arguments: str, dsn: str | None = None) -> Answer:
        done = forks.run(arguments, env=self._environment(dsn), cwd=self.home, timeout=PATIENCE_S)
        return _sound(Answer(done.returncode, done.stdout, done.stderr), arguments)

    def end(self, process: forks.Started) -> Answer:
        out, err = process.communicate(timeout=PATIENCE_S)
        return _sound(Answer(process.wait(), out, err), process.args)

    def _environment(self, dsn: str | None) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "XDG_STATE_HOME": str(self.home / "state"),
            "DATABASE_URL": self.dsn if dsn is None else dsn,
            **self.environment,
        }

    def json(self, *arguments: str, dsn: str | None = None) -> Answer:
        return self.run(*arguments, "--format", "json", dsn=dsn)

    def apply(self, playbook: str, *more: str) -> Answer:
        return self.json("apply", playbook, "--yes", *more)

    def rollback(self, run: str = "last", *more: str) -> Answer:
        return self.json("rollback", run, "--yes", *more)

    def sql(self, text: str, dsn: str | None = None) -> list[tuple[Any, ...]]:
        with psycopg.connect(dsn or self.dsn, autocommit=True) as connection:
            cursor = connection.execute(text.encode())
            return list(cursor.fetchall()) if cursor.description else []

    def until(self, query: str) -> None:
        """Waits until the query's first value is true."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            until_so(connection, query)

    @contextlib.contextmanager
    def older_transaction(self, table: str = "items") -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """What a concurrent build has to wait for."""
        with psycopg.connect(self.dsn) as connection:
            connection.execute(f"lock table {table} in row exclusive mode".encode())
            yield connection

    def runs(self) -> list[dict[str, Any]]:
        return list(self.json("history").document["runs"])


def _sound(answer: Answer, arguments: Any) -> Answer:
    assert "Traceback" not in answer.err or "--debug" in str(arguments), answer.err
    assert "unexpectedly" not in answer.err, answer.err
    return answer


@pytest.fixture
def dbtune(database: str, tmp_path: Path) -> Iterator[Commands]:
    """An empty database. A failed test leaves no process behind."""
    commands = Commands(database, tmp_path)
    yield commands
    for process in commands.started:
        with process:
            process.kill()


@pytest.fixture
def items(dbtune: Commands) -> Commands:
    """One table with 2000 rows."""
    dbtune.sql("create table items (id bigint primary key, owner int, created_at timestamptz, note text)")
    dbtune.sql("insert into items select i, i % 100, now(), 'note ' || i from generate_series(1, 2000) i")
    dbtune.sql("analyze items")
    return dbtune


@pytest.fixture
def dump(postgres_server: Any) -> Callable[[str], str]:
    """The schema of a database as pg_dump writes it, without the journal."""
    if postgres_server.bin_dir is None or not (postgres_server.bin_dir / "pg_dump").exists():
        pytest.skip("this server comes without its pg_dump")

    def schema(dsn: str) -> str:
        command = [postgres_server.bin_dir / "pg_dump", "--create", "--schema-only", "-N", "dbtune", dsn]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
        assert done.returncode == 0, done.stderr
        # A random word against injection into psql, new each time.
        return re.sub(r"^\\(un)?restrict .*$", "", done.stdout, flags=re.MULTILINE)

    return schema
