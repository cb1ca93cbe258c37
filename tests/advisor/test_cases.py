"""One line each: a statement, and the indexes that are the answer, `none` where no index is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from dbtune.advisor.analysis import analyse
from dbtune.advisor.index import IndexDefinition, IndexKey
from dbtune.advisor.single import best_indexes
from dbtune.advisor.source import Source
from dbtune.advisor.workload import Observed, gather
from dbtune.servers.embedded.twin import Twin

FILES = sorted((Path(__file__).parent / "cases").glob("*.yml"))
NONE = "none"


def _cases() -> list[tuple[str, str]]:
    return [
        (statement, expected)
        for path in FILES
        for cases in yaml.safe_load(path.read_text(encoding="utf-8")).values()
        for statement, expected in cases.items()
    ]


@pytest.mark.parametrize(("statement", "expected"), _cases(), ids=[statement[:100] for statement, _ in _cases()])
def test_the_best_indexes_for_a_statement(statement: str, expected: str, shop: Source, shop_twin: Twin) -> None:
    """`a | b`: either will do. `a; b`: both together."""
    workload = gather([Observed(statement, "sql")])
    analyses = analyse(workload, shop_twin, shop)
    assert not analyses.workload.not_examined
    best = best_indexes(analyses.each[0], shop_twin)
    found = "; ".join(sorted(shown(one.definition) for one in best.indexes)) or NONE
    assert found in expected.split(" | "), (best.cost_before, best.cost_after)


def shown(index: IndexDefinition) -> str:
    """As a person writes it down."""
    method = "" if index.method == "btree" else f" {index.method}"
    include = f" include ({', '.join(map(_name, index.include))})" if index.include else ""
    where = f" where {index.where}" if index.where else ""
    return f"{_name(index.table)}{method} ({', '.join(map(_key, index.keys))}){include}{where}"


def _key(key: IndexKey) -> str:
    if key.column is not None:
        text = _name(key.column)
    else:
        is_call = re.fullmatch(r"\w+\(.*\)", str(key.expression)) is not None
        text = str(key.expression) if is_call else f"({key.expression})"
    nulls = {None: "", True: " nulls first", False: " nulls last"}[key.nulls_first]
    return f"{text}{' ' + key.opclass if key.opclass else ''}{' desc' if key.descending else ''}{nulls}"


def _name(name: str) -> str:
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'


def test_there_are_cases_enough() -> None:
    assert len(_cases()) >= 150
