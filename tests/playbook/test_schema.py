"""The JSON Schema says what `load` says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from dbtune.core.resources import resource
from dbtune.playbook.schema import schema
from dbtune.playbook.tree import parse, plain
from dbtune.steps.step import kinds

SCHEMA = schema()
VALIDATOR = Draft202012Validator(SCHEMA)


def accepts(step: str) -> bool:
    document = plain(parse("p.yml", f"version: 1\nname: x\nsteps:\n- {step}\n")[0])
    return bool(VALIDATOR.is_valid(document))


def test_it_is_a_schema_of_draft_2020_12() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("path", sorted(resource("playbooks").glob("*.yml")), ids=lambda path: path.stem)
def test_a_shipped_playbook_satisfies_it(path: Path) -> None:
    document = plain(parse(str(path), path.read_text(encoding="utf-8"))[0])
    assert [error.message for error in VALIDATOR.iter_errors(document)] == []


@pytest.mark.parametrize(
    "step",
    [
        "analyze: {tables: [a]}",
        "analyze: {tables: a, stale: 20%}",
        'analyze: {tables: "{{ vars.tables }}", stale: "{{ vars.stale }}"}',
        'index: {table: t, columns: [a, {name: b, order: desc}], unique: "{{ vars.unique }}"}',
        "index: {table: t, columns: a, unique: yes}",
        'setting: {name: jit, value: off, scope: "{{ vars.scope }}"}',
        "{name: n, id: i, tags: [a], when: vars.x, timeout: 5min, sql: {apply: select 1, verify: select true}}",
    ],
)
def test_it_accepts_what_load_accepts(step: str) -> None:
    assert accepts(step)


@pytest.mark.parametrize(
    "step",
    [
        "{name: no kind}",
        "{analyze: {tables: [a]}, sql: {apply: select 1}}",
        "analyze: {tables: [a], stael: 20%}",
        "indx: {table: t}",
        "index: {table: t, columns: [a], unique: perhaps}",
        "setting: {name: jit, value: off, scope: everywhere}",
        "analyze: {}",
        "5",
    ],
)
def test_it_refuses_what_load_refuses(step: str) -> None:
    assert not accepts(step)


def test_every_kind_and_option_is_described() -> None:
    step = SCHEMA["$defs"]["Step"]
    assert set(kinds()) < set(step["properties"])

    def undescribed(name: str, body: dict[str, Any]) -> bool:
        return "description" not in body and "$ref" not in body and name != "title"

    assert [name for name, body in step["properties"].items() if undescribed(name, body)] == []
