"""What the options of plan, apply, verify, rollback and history promise, on a real server."""

from __future__ import annotations

import json
from typing import Any

import pytest

BOOK = """\
version: 1
name: options
vars: {column: owner}
steps:
  - id: one
    tags: [fast]
    index: {table: items, columns: ["{{ vars.column }}"]}
  - id: two
    tags: [slow]
    index: {table: items, columns: [created_at]}
  - id: off
    when: false
    index: {table: nowhere, columns: [x]}
"""


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (("--only", "two"), ["two"]),
        (("--tags", "fast"), ["one"]),
        (("--tags", "fast,slow"), ["one", "two"]),
        (("--only", "one", "--tags", "slow"), []),
        ((), ["one", "two", "off"]),
    ],
)
def test_only_and_tags_choose_the_steps(items: Any, options: tuple[str, ...], ids: list[str]) -> None:
    answer = items.json("plan", items.playbook(BOOK), *options)
    assert [step["id"] for step in answer.document["steps"]] == ids
    assert answer.code == 0


def test_unknown_steps_tags_and_variables_are_misuse_with_the_nearest_name(items: Any) -> None:
    path = items.playbook(BOOK)
    for options, words in (
        (("--only", "onee"), 'did you mean "one"'),
        (("--tags", "fats"), 'did you mean "fast"'),
        (("--var", "colum=note"), "column"),
        (("--var", "column"), "NAME=VALUE"),
        (("--format", "sarif"), "no sarif form"),
        (("--lock-wait", "soon"), "not a duration"),
        (("--plan", "/nowhere.json"), "not a saved plan"),
    ):
        answer = items.run("apply", path, "--yes", *options)
        assert answer.code == 2, answer
        assert words in answer.err, answer.err


def test_a_pending_change_is_exit_6_until_it_is_made_and_a_variable_makes_another(items: Any) -> None:
    path = items.playbook(BOOK)
    assert items.json("plan", path, "--exit-code").code == 6
    assert items.apply(path).statuses == ["applied", "applied", "skipped"]
    assert items.json("plan", path, "--exit-code").code == 0
    assert items.json("plan", path, "--exit-code", "--var", "column=note").code == 6


def test_a_second_apply_writes_nothing_to_the_catalog(items: Any) -> None:
    path = items.playbook(BOOK)
    assert items.apply(path).code == 0
    state = (
        "select relname, xmin::text, relfilenode from pg_class where relnamespace = 'public'::regnamespace order by 1"
    )
    before = items.sql(state)
    again = items.apply(path)
    assert (again.code, again.statuses) == (0, ["unchanged", "unchanged", "skipped"])
    assert items.sql(state) == before


def test_without_a_yes_and_a_terminal_nothing_is_changed(items: Any) -> None:
    path = items.playbook(BOOK)
    for arguments in (("apply", path), ("rollback", "last")):
        answer = items.run(*arguments)
        assert answer.code == 2
        assert "--yes" in answer.err
    assert items.sql("select count(*) from pg_index where indrelid = 'items'::regclass") == [(1,)]


def test_a_saved_plan_is_done_as_it_stands_or_refused(items: Any) -> None:
    path, saved = items.playbook(BOOK), str(items.home / "plan.json")
    assert items.run("plan", path, "--output", saved).code == 0
    items.sql("create index meanwhile on items (owner)")
    refused = items.json("apply", path, "--plan", saved)
    assert refused.code == 2
    assert "no longer fits: one" in refused.err
    items.sql("drop index meanwhile")
    other = items.playbook(BOOK.replace("created_at", "note"), "other.yml")
    assert items.json("apply", other, "--plan", saved).code == 2
    assert items.json("apply", path, "--plan", saved).code == 0


def test_every_form_is_written_whole_to_its_file(items: Any) -> None:
    path = items.playbook(BOOK)
    for command, forms in (
        ("plan", ("terminal", "json", "markdown", "html", "github")),
        ("verify", ("terminal", "json", "markdown", "html", "junit", "github")),
    ):
        for form in forms:
            place = items.home / f"{command}.{form}"
            answer = items.run(command, path, "--format", form, "--output", str(place))
            assert answer.code == (1 if command == "verify" else 0), answer
            assert answer.out == ""
            assert "nowhere" in place.read_text(encoding="utf-8")
    json.loads((items.home / "verify.json").read_text(encoding="utf-8"))


def test_an_unknown_run_is_misuse_with_the_nearest_and_a_rollback_is_not_rolled_back(items: Any) -> None:
    path = items.playbook(BOOK)
    run = items.apply(path).document["run_id"]
    typo = items.rollback(run[:-1] + ("0" if run[-1] != "0" else "1"))
    assert typo.code == 2
    assert run in typo.err
    undone = items.rollback(run)
    assert undone.code == 0
    assert items.rollback(undone.document["run_id"]).code == 2
    assert items.rollback("last").code == 2
    assert [entry["status"] for entry in items.runs()] == ["applied", "rolled_back"]
