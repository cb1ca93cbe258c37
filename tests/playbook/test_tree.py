"""YAML that is broken, or made to break its reader."""

from __future__ import annotations

import pytest

from dbtune.core.errors import InvalidPlaybook
from dbtune.playbook.tree import parse, plain


def value_of(text: str) -> object:
    root, problems = parse("p.yml", text)
    assert not problems
    return plain(root)


def fatal(text: str) -> str:
    with pytest.raises(InvalidPlaybook) as raised:
        parse("p.yml", text)
    assert len(raised.value.problems) == 1
    return f"{raised.value}" + (f" | {raised.value.hint}" if raised.value.hint else "")


def complaints(text: str) -> list[str]:
    return [str(problem) for problem in parse("p.yml", text)[1]]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(
            (word, word)
            for word in ("on", "off", "yes", "no", "y", "n", "0777", "12:30:00", "2024-01-01", "1_000", ".inf")
        ),
        *(("true", True), ("False", False), ("null", None), ("~", None), ("''", "")),
        *(("0", 0), ("-12", -12), ("1.5", 1.5), ("1e3", 1000.0), (".5", 0.5)),
        *(("'1'", "1"), ('"true"', "true"), ("!!str 1", "1"), ("!!float 1", 1.0), ("!!int 7", 7), ("! 1", "1")),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_a_scalar_means_what_yaml_1_2_says_and_nothing_surprising(text: str, value: object) -> None:
    assert value_of(f"a: {text}") == {"a": value}


def test_anchors_aliases_and_merge_keys_work() -> None:
    text = "base: &base {a: 1, b: 2}\none: {<<: *base, b: 3}\ntwo: {<<: [{c: 4}, *base]}\nlist: [*base]\n"
    assert value_of(text) == {
        "base": {"a": 1, "b": 2},
        "one": {"a": 1, "b": 3},
        "two": {"a": 1, "b": 2, "c": 4},
        "list": [{"a": 1, "b": 2}],
    }


def test_a_key_that_stands_twice_is_complained_about_at_the_second() -> None:
    assert complaints("a: 1\nb:\n  c: 1\n  c: 2\na: 3\n") == [
        'p.yml:4:3: the key "c" stands here twice, first in line 3',
        'p.yml:5:1: the key "a" stands here twice, first in line 1',
    ]


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system", "!custom", "!!binary", "!!timestamp", "!!set"])
def test_only_standard_tags_are_allowed(tag: str) -> None:
    found = complaints(f"a: {tag} {'{}' if tag == '!!set' else 'x'}\n")
    assert found == [f'p.yml:1:4: the tag "{tag}" is not allowed in a playbook']


def test_a_value_that_is_not_of_its_tag_is_complained_about() -> None:
    assert complaints("a: !!int x\n") == ['p.yml:1:4: "x" is not a value of type int']


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [1\nb: 2\n", "p.yml:2:2: this is not YAML: "),
        ("a: 'x", "p.yml:1:6: this is not YAML: "),
        ("a:\n\t- x", "p.yml:2:1: this is not YAML: "),
        ("a: \x07\n", "p.yml:1:4: a control character is not allowed in YAML"),
        ("a: 1\n---\nb: 1\n", "p.yml:2:1: a playbook is one YAML document, and a second one begins here"),
        ("# nothing but a comment\n", "p.yml:1:1: the file is empty"),
        ("a: *b\n", 'p.yml:1:4: there is no anchor "&b" before this alias'),
        ("a: &a [*a]\n", 'p.yml:1:8: the alias "*a" stands inside its own anchor'),
        ("a: &a {b: {<<: *a}}\n", 'p.yml:1:16: the alias "*a" stands inside its own anchor'),
    ],
)
def test_what_cannot_be_read_is_one_problem(text: str, expected: str) -> None:
    assert fatal(text).startswith(expected)


def test_an_expression_without_quotes_gets_the_hint_to_quote_it() -> None:
    assert complaints("a: {{ vars.x }}\n") == [
        'p.yml:1:5: a key must be text; quote a value that holds an expression: "{{ … }}"'
    ]
    assert 'Quote a value that holds an expression: "{{ … }}".' in fatal("a: {{ vars.x }} rows\n")


def test_a_tab_gets_the_hint_to_use_spaces() -> None:
    assert "never with tabs" in fatal("a:\n\t- x")


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_deep_nesting_is_refused_early(opening: str) -> None:
    assert "nested more than 50 levels deep" in fatal(opening * 200_000)


def test_fifty_levels_are_read() -> None:
    assert value_of("[" * 50 + "]" * 50)


def test_aliases_do_not_hide_the_depth() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 60)]
    assert "nested more than 50 levels deep" in fatal("\n".join(lines))


def test_an_alias_bomb_is_refused_before_it_is_expanded() -> None:
    """A billion laughs: 10 to the power of 30 values in 30 lines."""
    lines = ["a0: &a0 [lol]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 30)]
    assert "the aliases in here expand to far more than a playbook holds" in fatal("\n".join(lines))


def test_an_alias_bomb_of_one_long_text_is_refused() -> None:
    text = f"a: &a {'x' * 100_000}\nb: [{', '.join(['*a'] * 1000)}]\n"
    assert "the aliases in here expand to far more than a playbook holds" in fatal(text)


def test_an_alias_bomb_of_merge_keys_is_refused() -> None:
    keys = ", ".join(f"k{i}: 1" for i in range(1000))
    text = f"a: &a {{{keys}}}\nb:\n" + "".join(f"  - {{<<: [{', '.join(['*a'] * 50)}]}}\n" for _ in range(50))
    assert "the aliases in here expand to far more than a playbook holds" in fatal(text)


def test_too_many_values_are_refused() -> None:
    assert "more than 100,000 values" in fatal("[" + "1," * 200_000 + "]")
