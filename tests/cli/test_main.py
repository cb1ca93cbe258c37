"""The frame: what every command shares."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from dbtune import __version__
from dbtune.cli.main import COMMANDS, load


def dbtune(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dbtune", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )


def every_command() -> Iterator[tuple[str, Any]]:
    """Commands and, in their place, those of a group, by the words that call them."""
    for name in COMMANDS:
        command = load(name)
        children = getattr(command, "commands", None)
        if children:
            yield from ((f"{name} {child}", found) for child, found in children.items())
        else:
            yield name, command


@pytest.mark.parametrize("name", COMMANDS)
def test_a_summary_is_the_first_line_of_the_command_s_help(name: str) -> None:
    assert (load(name).help or "").splitlines()[0] == COMMANDS[name][1]


def test_every_command_has_help_and_an_example() -> None:
    for name, command in every_command():
        text = command.help or ""
        assert "\nExample" in text, f"dbtune {name} --help lacks an example"
        assert f"dbtune {name}" in text.partition("\nExample")[2], f"the example of dbtune {name} does not call it"


def test_every_option_is_explained() -> None:
    for name, command in every_command():
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"dbtune {name} {parameter.name} lacks help"


def test_an_example_keeps_its_lines() -> None:
    assert "\n  dbtune plan " in dbtune("plan", "--help").stdout.replace("\n    dbtune", "\n  dbtune")


def test_without_arguments_it_shows_help() -> None:
    shown = dbtune()
    assert shown.returncode == 0
    assert all(name in shown.stdout for name in COMMANDS)
    assert shown.stderr == ""


def test_it_says_its_version() -> None:
    assert dbtune("--version").stdout == f"dbtune {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [("plann",), ("plan",), ("plan", "a.yml", "--nope"), ("plan", "a.yml", "--format", "pdf"), ("history", "x", "y")],
)
def test_wrong_usage_is_one_error_with_a_hint(arguments: tuple[str, ...]) -> None:
    shown = dbtune(*arguments)
    assert shown.returncode == 2
    assert shown.stdout == ""
    assert shown.stderr.startswith("error: ")
    assert "\nhint: dbtune" in shown.stderr
    assert "Traceback" not in shown.stderr


def test_a_command_that_is_nearly_right_is_suggested() -> None:
    assert "Did you mean 'verify'" in dbtune("verfiy").stderr


def test_a_password_in_a_misplaced_argument_is_not_repeated() -> None:
    shown = dbtune("history", "a", "postgresql://ann:hunter2@db/app", "x")
    assert shown.returncode == 2
    assert "hunter2" not in shown.stderr


def test_help_imports_none_of_what_commands_need() -> None:
    probe = (
        "import sys; sys.argv = ['dbtune', '--help']\n"
        "from dbtune.__main__ import main\n"
        "main(); print(sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=True
    ).stderr
    for heavy in ("pydantic", "psycopg", "redis", "jinja2", "yaml", "sqlparse", "rich"):
        assert f"'{heavy}'" not in loaded


def test_a_reader_that_goes_away_is_no_error() -> None:
    shown = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m dbtune --help | true; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert shown.stderr == ""
    assert shown.stdout.strip() == "0"


@pytest.mark.parametrize(
    ("closed", "shown"), [(">&-", ""), ("2>&-", f"dbtune {__version__}\n"), ("<&-", f"dbtune {__version__}\n")]
)
def test_a_standard_stream_that_is_closed_is_no_failure(closed: str, shown: str) -> None:
    answer = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m dbtune --version {closed}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert (answer.stdout, answer.stderr) == (shown, "")
