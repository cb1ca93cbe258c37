"""Whatever a file holds, loading it gives a playbook or InvalidPlaybook."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dbtune.core.errors import InvalidPlaybook, Problem
from dbtune.playbook.load import load
from dbtune.playbook.outline import OPTIONS
from dbtune.steps.step import kinds

FIELDS = sorted({field.alias or name for kind in kinds().values() for name, field in kind.model_fields.items()})
TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["{{ vars.a }}", "{{ env.A }}", "{{ 1 + 1 }}", "{{", "a{{ vars.b }}", "{%", "10%", "5min", "select 1", "on"]
    ),
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXTS)
KEYS = st.one_of(st.sampled_from(FIELDS), st.text(max_size=6))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)
STEPS = st.dictionaries(
    st.sampled_from([*kinds(), *OPTIONS]), st.one_of(VALUES, st.dictionaries(KEYS, VALUES, max_size=4)), max_size=3
)
PLAYBOOKS = st.fixed_dictionaries(
    {"version": st.just(1), "name": TEXTS, "steps": st.lists(STEPS, max_size=3)},
    optional={
        "vars": st.dictionaries(st.sampled_from(["a", "b", "_c"]), VALUES, max_size=2),
        "cache": VALUES,
        "description": SCALARS,
    },
)


def survives(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "playbook.yml"
        path.write_bytes(content)
        problems: tuple[Problem, ...] = ()
        try:
            playbook = load(path, environ={"A": "secret"})
        except InvalidPlaybook as invalid:
            playbook, problems = None, invalid.problems
    if playbook is None:
        assert problems
        assert all(problem.line >= 1 and problem.column >= 1 and problem.message for problem in problems)
    else:
        assert playbook.steps
        assert len({step.id for step in playbook.steps}) == len(playbook.steps)


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_any_bytes(content: bytes) -> None:
    survives(content)


@given(st.text(alphabet="-:[]{}&*!|>'\"%@`#,? \n\tab<{}", max_size=60))
@settings(deadline=None)
def test_any_punctuation(text: str) -> None:
    survives(text.encode())


@given(VALUES)
@settings(deadline=None)
def test_any_yaml(value: Any) -> None:
    survives(yaml.safe_dump(value, allow_unicode=True).encode())


@given(PLAYBOOKS)
@settings(deadline=None, max_examples=300)
def test_anything_in_the_shape_of_a_playbook(value: Any) -> None:
    survives(json.dumps(value).encode())


@given(st.text(max_size=40))
@settings(deadline=None, max_examples=200)
def test_any_expression(expression: str) -> None:
    survives(
        json.dumps({"version": 1, "name": "{{" + expression + "}}", "steps": [{"analyze": {"tables": "a"}}]}).encode()
    )


@given(st.text(alphabet="()[]{}.|~+-*/%=<>'\" 019avrsenif_", max_size=40))
@settings(deadline=None, max_examples=300)
def test_anything_that_looks_like_an_expression(expression: str) -> None:
    survives(
        json.dumps({"version": 1, "name": "{{" + expression + "}}", "steps": [{"analyze": {"tables": "a"}}]}).encode()
    )
