"""Blocks with and without a step, in turns: what is found, what is refused, and that the server is as before."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from dbtune.app.apply import Order, apply_playbook
from dbtune.app.interleaved import Turns, interleave
from dbtune.app.targets import OpenTargets
from dbtune.app.workspace import opened
from dbtune.baseline.probes import Probe
from dbtune.core.errors import ChangeFailed, DbtuneError, Misused
from dbtune.core.progress import silent
from dbtune.playbook.load import load
from dbtune.playbook.model import Playbook, PlaybookStep

BOOK = """
version: 1
name: tune
steps:
  - id: by_group
    index: {table: t, columns: [g]}
  - id: memory
    setting: {name: work_mem, value: 64kB, scope: database}
  - id: fresh
    analyze: {tables: [t]}
"""
PROBE = Probe("by_g", sql="select count(*) from t where g = $1", params=(7,))
TURNS = Turns(blocks=4, repeat=10, seed=1, disposable=True)


@pytest.fixture
def book(tmp_path: Path) -> Playbook:
    (tmp_path / "book.yml").write_text(BOOK)
    return load(tmp_path / "book.yml")


@pytest.fixture
def prepared(database: str) -> str:
    with psycopg.connect(database, autocommit=True) as app:
        app.execute("create table t as select i as id, i % 500 as g from generate_series(1, 20000) i; analyze t")
        app.execute("create table p (id int primary key)")
    return database


def one(book: Playbook, name: str) -> list[PlaybookStep]:
    return [step for step in book.steps if step.id == name]


def build(dsn: str, book: Playbook) -> None:
    with opened(OpenTargets(dsn, None)) as workspace:
        report = apply_playbook(workspace, Order(book), silent)
    assert report.exit_code == 0


def valid(dsn: str) -> bool:
    with psycopg.connect(dsn) as app:
        row = app.execute("select bool_and(indisvalid) from pg_index where indrelid = 't'::regclass").fetchone()
        return bool(row and row[0])


def test_an_index_is_hidden_and_shown_in_turns_and_is_there_afterwards(prepared: str, book: Playbook) -> None:
    build(prepared, book)
    found = interleave(OpenTargets(prepared, None), one(book, "by_group"), [PROBE], TURNS)
    assert (found.before.name, found.after.name) == ("without", "with")
    assert found.plans[0].changed
    assert any("Seq Scan" in line for line in found.plans[0].before or ())
    median = next(metric for metric in found.metrics if metric.name == "by_g.p50")
    assert median.verdict in ("improved", "inconclusive")
    assert median.change is not None
    assert median.change < 0
    assert valid(prepared)


def test_an_index_is_not_hidden_on_a_server_in_production(prepared: str, book: Playbook) -> None:
    build(prepared, book)
    with pytest.raises(Misused, match="hides it from every session"):
        interleave(OpenTargets(prepared, None), one(book, "by_group"), [PROBE], Turns())


def test_a_failure_in_between_shows_the_index_again(prepared: str, book: Playbook) -> None:
    build(prepared, book)
    wrong = Probe("wrong", sql="select 1 / (select count(*) from t where g = -1)")
    with pytest.raises(DbtuneError):
        interleave(OpenTargets(prepared, None), one(book, "by_group"), [wrong], TURNS)
    assert valid(prepared)


def test_a_setting_is_made_in_the_session_alone(prepared: str, book: Playbook) -> None:
    turns = Turns(blocks=4, repeat=5, seed=1)
    found = interleave(OpenTargets(prepared, None), one(book, "memory"), [PROBE], turns)
    assert found.metrics
    with psycopg.connect(prepared) as app:
        assert app.execute("show work_mem").fetchone() != ("64kB",)


def test_a_setting_that_every_session_has_makes_no_difference(prepared: str, book: Playbook) -> None:
    build(prepared, book)
    with pytest.raises(Misused, match="in every session"):
        interleave(OpenTargets(prepared, None), one(book, "memory"), [PROBE], TURNS)


def test_what_cannot_be_switched_is_refused(prepared: str, book: Playbook, tmp_path: Path) -> None:
    target = OpenTargets(prepared, None)
    with pytest.raises(Misused, match="cannot be switched on and off"):
        interleave(target, one(book, "fresh"), [PROBE], TURNS)
    with pytest.raises(Misused, match="is not there"):
        interleave(target, one(book, "by_group"), [PROBE], TURNS)
    with pytest.raises(Misused, match="need SQL"):
        interleave(target, one(book, "by_group"), [], TURNS)
    needed = tmp_path / "needed.yml"
    needed.write_text(
        "version: 1\nname: n\nsteps:\n  - index: {table: p, columns: [id], unique: true, name: p_pkey}\n"
        "  - setting: {name: shared_buffers, value: 64MB, scope: system}\n"
    )
    steps = load(needed).steps
    with pytest.raises(Misused, match="constraint needs it"):
        interleave(target, steps[:1], [PROBE], TURNS)
    with pytest.raises(ChangeFailed):
        interleave(target, steps[1:], [PROBE], TURNS)
