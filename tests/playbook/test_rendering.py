"""What an expression may do, and what it may not."""

from __future__ import annotations

from typing import Any

import pytest

from dbtune.playbook.complaints import Complaints
from dbtune.playbook.rendering import Renderer
from dbtune.playbook.tree import parse, plain

VARS: dict[str, Any] = {"top": 100, "name": "contents", "on": True, "tables": ["a", "b"], "deep": {"a": {"b": 7}}}
ENV = {"STAGE": "dev", "HOME_DIRECTORY": "/x"}


def render(text: str, variables: dict[str, Any] = VARS) -> tuple[Any, list[str]]:
    """The value of a YAML document, and what was complained about."""
    complaints = Complaints("p.yml")
    renderer = Renderer(complaints, text, {"vars": variables, "env": ENV})
    rendered = renderer.render(parse("p.yml", text)[0])
    return plain(rendered), [str(problem).removeprefix("p.yml:") for problem in complaints.problems]


def refusal(expression: str) -> str:
    _, problems = render(f"- |\n  {{{{ {expression} }}}}\n")
    assert len(problems) == 1
    assert problems[0].startswith("2:3: ")
    return problems[0].removeprefix("2:3: ")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("limit {{ vars.top }}", "limit 100"),
        ("{{ vars.top }}", 100),
        ("{{ vars.top * 2 + 1 }}", 201),
        ("{{vars.tables}}", ["a", "b"]),
        ("{{ vars.tables[1] }}", "b"),
        ("{{ vars.deep.a['b'] }}", 7),
        ("{{ vars.on }}!", "true!"),
        ("{{ vars.tables | join(', ') }}", "a, b"),
        ("{{ vars.nope | default('x') }}", "x"),
        ("{{ vars.nope is defined }}", False),
        ("{{ 'big' if vars.top >= 100 else 'small' }}", "big"),
        ("{{ env.STAGE | upper }}", "DEV"),
        ("{{ 'a' ~ 1 }}{{ 'b' }}", "a1b"),
        ("{{ - 1 }}", -1),
        ("{{ 1.26 | round(1) }}", 1.3),
        ("{{ 'a-b' | replace('-', '_') }}", "a_b"),
        ("{{ 'x}}y' }}", "x}}y"),
        ("rec:{id}", "rec:{id}"),
        ("{{ vars.name }}:{id}", "contents:{id}"),
        ("'{#' {{ 1 }}", "'{#' 1"),
    ],
)
def test_an_expression_is_replaced_by_its_value(text: str, value: object) -> None:
    assert render(f"- >-\n  {text}\n") == ([value], [])


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("''.__class__", 'the attribute "__class__" cannot be reached'),
        ("''['__class__']", 'the attribute "__class__" cannot be reached'),
        ("vars.__class__", 'the attribute "__class__" cannot be reached'),
        ("vars.name.__init__.__globals__", 'the attribute "__globals__" cannot be reached'),
        ("vars.name.upper", 'vars.name is text and has no "upper"'),
        ("vars.name.upper()", "functions and methods cannot be called"),
        ("''.join", "attributes cannot be reached"),
        ("vars[vars.name]", "only a name or a number can stand between [ and ]"),
        ("range(10)", "functions and methods cannot be called"),
        ("lipsum", 'unknown name "lipsum": write vars.NAME or env.NAME'),
        ("self", 'unknown name "self"'),
        ("env", "write env.NAME: env as a whole cannot be read"),
        ("vars | string", "write vars.NAME: vars as a whole cannot be read"),
        ("vars.tables[0:1]", "slices are not allowed"),
        ("{'a': 1}", "a mapping cannot be written"),
        ("2 ** 99999999", "** is not allowed"),
        ("'a' * 100000000", "* takes two numbers here, and this is text and a number"),
        ("[1] * 100000000", "* takes two numbers here, and this is a list and a number"),
        ("'%0999999999d' % 1", "% takes two numbers here"),
        ("vars.tables | map('upper')", 'unknown filter "map"'),
        ("vars.name | attr('x')", 'unknown filter "attr"'),
        ("vars.tables | join(attribute='x')", 'the filter "join" takes no named arguments'),
        ("1 is callable", 'unknown test "callable"'),
        ("vars.tpo", 'the playbook has no variable "tpo"; did you mean "top"?'),
        ("vars.deep.a.c", 'vars.deep.a has no "c"'),
        ("env.STAEG", 'the environment has no variable "STAEG"; did you mean "STAGE"?'),
        ("vars.top +", "this is not an expression: "),
        ("vars.top vars.top", 'unexpected "vars" in the expression'),
        ("1 / 0", "the expression fails: "),
        ("1e400", "a number of the expression is too large"),
        ("1e300 * 1e300", "the expression yields no finite number"),
        ("'a' if false", "the expression is undefined"),
        ("'" + "x" * 2000 + "'", "the expression is longer than 1,000 characters"),
        ("(" * 400 + "1" + ")" * 400, "the expression is nested too deeply"),
        ("vars.name | replace('', 'x' * 9)", "* takes two numbers here"),
        ("1 | round(999999999) | round(-999999999, 'ceil')", "the expression fails: "),
        ("", "there is no expression between {{ and }}"),
    ],
)
def test_an_expression_that_reaches_too_far_is_one_problem(expression: str, expected: str) -> None:
    assert refusal(expression).startswith(expected)


@pytest.mark.parametrize("expression", ["1" + " | int" * 190, "not " * 240 + "1", "-" + " -" * 450 + "1", "[" * 300])
def test_nesting_ends_in_a_value_or_in_one_problem(expression: str) -> None:
    value, problems = render(f"- |\n  {{{{ {expression} }}}}\n")
    assert isinstance(value, list)
    assert len(problems) <= 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{% for x in [1] %}{{ x }}{% endfor %}", "{% is not allowed: only expressions in {{ }}, no statements"),
        ("{% import 'os' %}", "{% is not allowed: only expressions in {{ }}, no statements"),
        ("{{ vars.top", "this {{ is never closed by }}"),
        ("{{ 'a }}", "this {{ is never closed by }}"),
        ("{{- vars.top }}", "{{- and -}} are not supported: write {{ and }}"),
        ("a {{ vars.tables }}", "a list cannot stand inside text"),
        ("a {{ none }}", "nothing cannot stand inside text"),
    ],
)
def test_text_around_an_expression_is_checked_too(text: str, expected: str) -> None:
    _, problems = render(f"- |\n  {text}\n")
    assert len(problems) == 1
    assert problems[0].endswith(expected)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ('a: "{{ vars.x }}"', "1:5"),
        ("a: 'limit {{ vars.top }} {{ vars.x }}'", "1:26"),
        ("a:\n  - b: |\n      one\n\n      two {{ vars.x }}\n", "5:11"),
        ("a: >-\n  one\n  {{ vars.top }}\n  two {{ vars.x }}\n", "4:7"),
        ('a: "one\n  two {{ vars.x }}"\n', "2:7"),
        ("é: 'ü {{ vars.x }}'", "1:7"),
    ],
)
def test_a_problem_is_at_its_own_braces(text: str, position: str) -> None:
    assert [problem.partition(": ")[0] for problem in render(text)[1]] == [position]


def test_a_huge_result_is_refused() -> None:
    _, problems = render("- \"{{ vars.a | replace('x', vars.a) }}\"\n", {"a": "x" * 60_000})
    assert problems == ["1:4: the expression yields more than 65,536 characters"]


def test_expressions_that_together_yield_too_much_are_refused_once() -> None:
    text = "".join(f'- "{{{{ vars.a }}}}{i}"\n' for i in range(200))
    _, problems = render(text, {"a": "x" * 60_000})
    assert len(problems) == 1
    assert problems[0].endswith("the expressions of this playbook yield far more than a playbook holds")
