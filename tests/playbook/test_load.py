"""Loading a valid playbook, and saying what is wrong with one that is not."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from dbtune.core.errors import InvalidPlaybook
from dbtune.core.resources import resource
from dbtune.playbook.load import load
from dbtune.playbook.model import CacheEvent, Playbook, Position

Write = Callable[[str], Path]
HEAD = "version: 1\nname: sample\n"
NOTHING: Mapping[str, str] = {}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def writes(text: str) -> Path:
        path = tmp_path / "playbook.yml"
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return writes


def read(path: Path, environ: Mapping[str, str] = NOTHING, **variables: str) -> Playbook:
    return load(path, variables=variables, environ=environ)


def complaints(path: Path, environ: Mapping[str, str] = NOTHING, **variables: str) -> list[str]:
    """`line:column: message` of every problem."""
    with pytest.raises(InvalidPlaybook) as raised:
        read(path, environ, **variables)
    return [str(problem).removeprefix(f"{path}:") for problem in raised.value.problems]


def sql_of(playbook: Playbook, index: int = 0) -> str:
    return str(playbook.steps[index].step.model_dump()["apply"])


@pytest.mark.parametrize("path", sorted(resource("playbooks").glob("*.yml")), ids=lambda path: path.stem)
def test_a_shipped_playbook_is_valid(path: Path) -> None:
    assert load(path, environ={}).steps


def test_a_step_keeps_what_is_written_beside_its_kind(write: Write) -> None:
    playbook = read(
        write(
            """\
            version: 1
            name: sample
            description: What it is for
            steps:
              - name: Fresh statistics
                id: fresh
                tags: [nightly, quick]
                timeout: 10min
                analyze: {tables: [contents]}
              - analyze: {tables: [tags]}
                when: false
            """
        )
    )
    first, second = playbook.steps
    assert (playbook.name, playbook.description) == ("sample", "What it is for")
    assert (first.id, first.name, first.kind, first.tags) == (
        "fresh",
        "Fresh statistics",
        "analyze",
        ("nightly", "quick"),
    )
    assert (first.timeout_s, first.enabled, first.position) == (600.0, True, Position(5, 5))
    assert (second.id, second.name, second.enabled) == ("analyze-tags", "analyze tags", False)


def test_five_mistakes_are_five_problems_each_at_its_place(write: Write) -> None:
    path = write(
        """\
        version: 1
        name: five mistakes
        vars: {top: 100}
        steps:
          - index: {table: users, colums: [id]}
          - indx: {table: users}
          - setting:
              name: work_mem
              value: 64MB
              scope: databse
          - analyze:
              tables: [users]
              stale: "{{ vars.tpo }}"
          - index:
              table: users
              columns: [id]
              unique: perhaps
        """
    )
    assert complaints(path) == [
        '5:27: unknown option "colums" of index; did you mean "columns"?',
        '6:5: unknown step kind "indx"; did you mean "index"?',
        '10:14: setting.scope must be "system", "database" or "role", not "databse"; did you mean "database"?',
        '13:15: the playbook has no variable "tpo"; did you mean "top"?',
        '17:15: index.unique must be true or false, not "perhaps"',
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: x\nsteps: [analyze: {tables: a}]", '1:1: the playbook needs "version"'),
        ("version: 2\nname: x\nsteps: [analyze: {tables: a}]", '1:10: version must be 1, not "2"'),
        ("version: 1\nsteps: [analyze: {tables: a}]", '1:1: the playbook needs "name"'),
        (HEAD, '1:1: the playbook needs "steps"'),
        (f"{HEAD}steps: []", "3:1: steps must have at least one item"),
        (f"{HEAD}steps: analyze", '3:8: steps must be a list, not "analyze"'),
        (f"{HEAD}steps: [5]", "3:9: a step is a mapping with a kind, such as index, and this is a number"),
        (
            f"{HEAD}stepz: 1\nsteps: [analyze: {{tables: a}}]",
            '3:1: unknown option "stepz" of the playbook; did you mean "steps"?',
        ),
        (f"{HEAD}steps: [name: nothing else]", "3:9: this step has no kind: give it one of "),
        (
            f"{HEAD}steps:\n- analyze: {{tables: a}}\n  sql: {{apply: b}}",
            '5:3: a step has one kind, and this one has "analyze" and "sql"',
        ),
        (f"{HEAD}steps:\n- analyze: {{tables: a}}\n  nmae: b", '5:3: unknown key "nmae"; did you mean "name"?'),
        (f"{HEAD}steps:\n- analyze: [a]", "4:3: analyze must be a mapping, not a list"),
        (f"{HEAD}steps:\n- analyze:", '4:3: analyze needs "tables"'),
        (f"{HEAD}steps:\n- analyze: {{tables: [a, {{b: c}}]}}", "4:25: analyze.tables[2] must be text, not a mapping"),
        (f"{HEAD}steps:\n- analyze: {{tables: a}}\n  timeout: 5", "5:12: step.timeout: 5 is not a duration"),
        (f"{HEAD}steps:\n- analyze: {{tables: a}}\n  id: a b", "5:7: step.id must match pattern"),
        ("[1, 2]", "1:1: a playbook is a mapping with version, name and steps, and this is a list"),
        ("just text", "1:1: a playbook is a mapping with version, name and steps, and this is text"),
    ],
)
def test_a_wrong_shape_is_named_at_its_place(write: Write, text: str, expected: str) -> None:
    found = complaints(write(text))
    assert len(found) == 1
    assert found[0].startswith(expected)


def test_positions_are_those_of_nested_keys_and_values(write: Write) -> None:
    path = write(
        """\
        version: 1
        name: nested
        steps:
          - explain:
              sql: select 1
              expect:
                max_tim: 3ms
                max_rows_removed: -1
          - index:
              table: t
              columns:
                - a
                - {name: b, ordr: desc}
        """
    )
    assert complaints(path) == [
        '7:9: unknown option "max_tim" of explain.expect; did you mean "max_time"?',
        "8:27: explain.expect.max_rows_removed must be greater than or equal to 0",
        '13:21: unknown option "ordr" of index.columns[2]; did you mean "order"?',
    ]


def test_an_id_that_is_given_twice_is_an_error(write: Write) -> None:
    path = write(f"{HEAD}steps:\n- analyze: {{tables: a}}\n  id: one\n- analyze: {{tables: b}}\n  id: one\n")
    assert complaints(path) == ['7:7: the id "one" is given twice, first in line 5']


def test_ids_are_made_of_names_and_stay_apart(write: Write) -> None:
    path = write(
        f"{HEAD}steps:\n- {{name: A user's Newest!, analyze: {{tables: a}}}}\n"
        "- {name: a users newest, analyze: {tables: b}}\n- {id: a-users-newest-2, analyze: {tables: c}}\n"
    )
    assert [step.id for step in read(path).steps] == ["a-users-newest", "a-users-newest-3", "a-users-newest-2"]


def test_on_and_off_reach_a_setting_as_text(write: Write) -> None:
    values = ["on", "off", "yes", "no", "12:30:00", "0777", "64MB"]
    steps = "".join(f"- setting: {{name: some_setting, value: {value}, scope: database}}\n" for value in values)
    playbook = read(write(f"{HEAD}steps:\n{steps}"))
    assert [step.step.model_dump()["value"] for step in playbook.steps] == values


def test_on_is_a_truth_value_where_one_is_wanted(write: Write) -> None:
    playbook = read(write(f"{HEAD}steps:\n- index: {{table: t, columns: [a], unique: on}}\n"))
    assert playbook.steps[0].step.model_dump()["unique"] is True


def test_a_number_where_text_is_wanted_is_taken_as_written(write: Write) -> None:
    playbook = read(write("version: 1\nname: 1.10\nsteps:\n- name: 2024\n  index: {table: 7, columns: [1.50]}\n"))
    assert (playbook.name, playbook.steps[0].name) == ("1.10", "2024")
    assert playbook.steps[0].step.model_dump()["columns"] == ("1.50",)


@pytest.mark.parametrize(
    ("when", "enabled"),
    [
        ("true", True),
        ("no", False),
        ('"{{ vars.heavy }}"', False),
        ("vars.size > 10 and not vars.heavy", True),
        ("env.STAGE | default('dev') == 'prod'", False),
        ('"{{ vars.size }}"', True),
    ],
)
def test_when_decides_at_load(write: Write, when: str, enabled: bool) -> None:  # noqa: FBT001
    path = write(f"{HEAD}vars: {{heavy: false, size: 11}}\nsteps:\n- analyze: {{tables: a}}\n  when: {when}\n")
    assert read(path).steps[0].enabled is enabled


def test_when_that_is_neither_true_nor_false_is_an_error(write: Write) -> None:
    path = write(f"{HEAD}vars: {{a: maybe}}\nsteps:\n- analyze: {{tables: a}}\n  when: vars.a\n")
    assert complaints(path) == ['6:9: when must come out as true or false, not as "maybe"']


def test_a_variable_of_the_command_line_replaces_one_and_keeps_its_type(write: Write) -> None:
    path = write(
        f"{HEAD}vars: {{top: 5, label: '7', owner: '{{{{ env.NOT_THERE }}}}'}}\n"
        "steps:\n- sql: {apply: 'select {{ vars.top * 2 }}, {{ vars.label }}'}\n"
    )
    playbook = read(path, top="50", label="9", owner="given")
    assert dict(playbook.vars) == {"top": 50, "label": "9", "owner": "given"}
    assert sql_of(playbook) == "select 100, 9"


def test_an_unknown_variable_of_the_command_line_is_an_error(write: Write) -> None:
    path = write(f"{HEAD}vars: {{top: 5}}\nsteps:\n- analyze: {{tables: a}}\n")
    assert complaints(path, topp="1") == ['3:1: --var topp: the playbook has no such variable; did you mean "top"?']


def test_a_variable_may_refer_to_the_environment_and_to_nothing_else(write: Write) -> None:
    path = write(
        f"{HEAD}vars: {{a: '{{{{ env.A }}}}', b: '{{{{ vars.a }}}}'}}\n"
        "steps:\n- analyze: {tables: '{{ vars.a }}'}\n"
    )
    assert complaints(path, {"A": "t"}) == ["3:30: vars cannot be read here: a variable may refer to env only"]


def test_a_list_may_come_from_a_variable(write: Write) -> None:
    path = write(f"{HEAD}vars: {{t: [a, b]}}\nsteps:\n- analyze: {{tables: '{{{{ vars.t }}}}'}}\n")
    assert read(path).steps[0].step.model_dump()["tables"] == ("a", "b")


def test_a_secret_of_the_environment_is_in_no_message(write: Write) -> None:
    path = write(
        f"{HEAD}vars: {{password: '{{{{ env.PASSWORD }}}}'}}\n"
        "steps:\n"
        "- analyze: {tables: a, stale: '{{ env.PASSWORD }}'}\n"
        "- setting: {name: work_mem, value: 1, scope: '{{ vars.password | upper }}'}\n"
        "- analyze: {tables: a}\n  when: env.PASSWORD\n"
        "- analyze: {tables: a, stale: '{{ env.PASSWORD * 2 }}'}\n"
        "- cache_warm: {key: 'a{{ vars.password }}{', query: select 1, ttl: '{{ env.PASSWORD }}'}\n"
    )
    found = complaints(path, {"PASSWORD": "hunter2-hunter2"})
    assert len(found) == 6
    assert "hunter2" not in "\n".join(found).lower()
    assert found[0] == "5:31: analyze.stale does not accept the value that the environment gives"


def test_a_broken_variable_is_complained_about_once(write: Write) -> None:
    path = write(
        f"{HEAD}vars: {{share: '{{{{ env.NOPE }}}}'}}\n"
        "steps:\n- analyze: {tables: a, stale: '{{ vars.share }}'}\n"
    )
    assert complaints(path, {"NOPA": ""}) == ['3:16: the environment has no variable "NOPE"; did you mean "NOPA"?']


def test_cache_events_are_part_of_the_playbook(write: Write) -> None:
    path = write(
        f"{HEAD}steps:\n- analyze: {{tables: a}}\n"
        "cache:\n  events:\n    content.updated:\n"
        '      keys: ["rec:content:{content_id}:full"]\n      patterns: ["rec:recommendations:*"]\n'
        "      tags: contents\n"
    )
    assert read(path).events == (
        CacheEvent("content.updated", ("rec:content:{content_id}:full",), ("rec:recommendations:*",), ("contents",)),
    )


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ('patterns: ["*"]', '"*" matches every key of the server: begin with a literal prefix'),
        ('patterns: ["?x:*"]', '"?x:*" must begin with a literal prefix, such as "rec:"'),
        ('patterns: ["{id}:*"]', '"{id}:*" must begin with a literal prefix, such as "rec:"'),
        ('keys: ["rec:{id"]', "'rec:{id' has an unbalanced '{' at character 5"),
        ('pattern: ["rec:*"]', 'unknown option "pattern" of cache.events.e; did you mean "patterns"?'),
    ],
)
def test_a_wrong_cache_event_is_an_error(write: Write, event: str, expected: str) -> None:
    path = write(f"{HEAD}steps:\n- analyze: {{tables: a}}\ncache:\n  events:\n    e:\n      {event}\n")
    found = complaints(path)
    assert len(found) == 1
    assert found[0].startswith("8:")
    assert found[0].endswith(expected)


def test_a_hash_is_stable_and_follows_what_a_step_would_do(write: Write) -> None:
    def hashes(body: str, **environ: str) -> tuple[str, str]:
        playbook = read(write(f"{HEAD}{body}"), environ)
        return playbook.steps[0].hash, playbook.hash

    plain = hashes("steps: [{analyze: {tables: [a]}}]")
    assert hashes("# a comment\nsteps:\n- analyze:\n    tables: [a]\n") == plain
    assert hashes("vars: {t: a}\nsteps: [{analyze: {tables: ['{{ vars.t }}']}}]") == plain
    assert hashes("steps: [{analyze: {tables: ['{{ env.T }}']}}]", T="a") == plain
    assert hashes("steps: [{analyze: {tables: ['{{ env.T }}']}}]", T="b")[0] != plain[0]
    renamed = hashes("steps: [{name: x, analyze: {tables: [a]}}]")
    assert renamed[0] == plain[0]
    assert renamed[1] != plain[1]


def test_more_than_a_hundred_problems_are_cut_short(write: Write) -> None:
    found = complaints(write(f"{HEAD}steps:\n" + "- indx: {}\n" * 150))
    assert len(found) == 101
    assert found[-1] == "104:3: and 50 more problems from here on"


def test_sql_that_cannot_be_split_is_a_problem_and_no_crash(write: Write) -> None:
    path = write(f"{HEAD}steps:\n- explain:\n    sql: select {'(' * 6000}1{')' * 6000}\n")
    assert complaints(path)[0].startswith("4:3: the SQL is nested too deeply")


def test_a_list_of_wrong_items_is_not_called_empty_as_well(write: Write) -> None:
    assert complaints(write(f"{HEAD}steps:\n- analyze:\n    tables:\n      - {{a: 1}}\n")) == [
        "6:9: analyze.tables[1] must be text, not a mapping"
    ]
