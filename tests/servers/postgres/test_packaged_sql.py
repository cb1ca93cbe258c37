"""The files in sql/postgres: each is used, says why it is there, and returns what its siblings return."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbtune.core.resources import resource
from dbtune.servers.postgres.queries import NAMES_ON_THE_USERS_PATH

FILES = sorted(resource("sql").joinpath("postgres").glob("*.sql"))
NAMES = {path.name.split(".")[0] for path in FILES}
SOURCES = sorted((Path(__file__).resolve().parents[3] / "src").rglob("*.py"))


def columns(sql: str) -> list[str]:
    """The names that the outermost SELECT gives its columns."""
    sql = re.sub(r"--[^\n]*|'(?:[^']|'')*'", "", sql)
    outermost = _outermost(sql)
    listed = re.findall(
        r"\bselect\b(?:\s+distinct\b(?:\s+on\s*)?)?(.*?)(?:\bfrom\b|$)", outermost, re.DOTALL | re.IGNORECASE
    )
    assert listed, "no SELECT"
    return [re.split(r"\s|\.", column.strip())[-1] for column in listed[-1].rstrip("; \n").split(",")]


def _outermost(sql: str) -> str:
    """Without what stands in parentheses."""
    depth, kept = 0, []
    for character in sql:
        depth -= character == ")"
        if depth == 0 and character not in "()":
            kept.append(character)
        depth += character == "("
    return "".join(kept)


def variants() -> Iterator[tuple[str, list[Path]]]:
    found: defaultdict[str, list[Path]] = defaultdict(list)
    for path in FILES:
        found[path.name.split(".")[0]].append(path)
    return ((name, paths) for name, paths in found.items() if len(paths) > 1)


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_a_file_is_named_as_the_rule_says_and_says_what_it_is_for(path: Path) -> None:
    assert re.fullmatch(r"[a-z0-9_]+(\.since1[4-8])?\.sql", path.name)
    assert path.read_text(encoding="utf-8").startswith("-- ")


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_statement_has_a_floor_and_somebody_who_asks_it(name: str) -> None:
    assert any(path.name == f"{name}.sql" for path in FILES), f"{name} has no variant for the oldest server"
    assert any(f'"{name}"' in path.read_text(encoding="utf-8") for path in SOURCES), f"nobody uses {name}.sql"


@pytest.mark.parametrize("paths", [paths for _, paths in variants()], ids=[name for name, _ in variants()])
def test_every_variant_returns_the_same_columns(paths: list[Path]) -> None:
    first, *others = [columns(path.read_text(encoding="utf-8")) for path in paths]
    assert all(first == other for other in others)


def test_a_statement_that_reads_a_person_s_names_says_on_whose_path() -> None:
    """Without the line names are looked up on dbtune's own path, where tables of people never are."""
    looks_up = re.compile(r"to_regclass\((?!format)|current_schemas\(|::reg(class|type)::text")
    texts = {path.name: path.read_text(encoding="utf-8") for path in FILES}
    without = {name for name, text in texts.items() if looks_up.search(text) and NAMES_ON_THE_USERS_PATH not in text}
    # Types of PostgreSQL's own only; and a comment.
    assert without == {"audit_integer_keys.sql", "journal_state.sql"}


def test_every_session_is_opened_where_it_gets_dbtune_s_own_path() -> None:
    opened = re.compile(r"psycopg\.(AsyncConnection|Connection|connect)\b[.\w]*\(")
    openers = {
        path.name for path in SOURCES if opened.search(path.read_text(encoding="utf-8")) and "demo" not in path.parts
    }
    assert openers == {"session.py"}


def test_columns_are_read_from_the_outermost_select() -> None:
    sql = "with a as (select 1 as hidden) select a.x, count(*) filter (where y) as n, (select 1) as z -- as w\nfrom a"
    assert columns(sql) == ["x", "n", "z"]
