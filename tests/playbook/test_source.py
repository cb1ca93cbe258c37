"""Files that are no playbooks, through the library and through the command line."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import forks
import pytest

from dbtune.core.errors import InvalidPlaybook
from dbtune.playbook.load import load

VALID = "version: 1\nname: x\nsteps: [analyze: {tables: a}]\n"


def dbtune(*arguments: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return forks.run(arguments, env={**os.environ, **environ}, timeout=60)


def a_directory(path: Path) -> None:
    path.mkdir()


def a_bomb(path: Path) -> None:
    lines = ["a0: &a0 [lol]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 30)]
    path.write_text("\n".join(lines))


def bytes_of(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "a directory": (a_directory, "1:1: this is a directory, not a playbook"),
    "nothing": (lambda _: None, "1:1: there is no such file"),
    "an empty file": (bytes_of(b""), "1:1: the file is empty"),
    "blank lines": (bytes_of(b" \n\n"), "1:1: the file is empty"),
    "a binary file": (bytes_of(b"\x7fELF\x02\x00\x01"), "1:1: this is a binary file, not a playbook"),
    "another encoding": (
        bytes_of(b"version: 1\nname: caf\xe9\n"),
        "2:10: the text is not UTF-8, or this is a binary file",
    ),
    "ten megabytes": (bytes_of(b"# x\n" * 2_621_440), "1:1: the file is larger than 1 MB, which no playbook is"),
    "an alias bomb": (a_bomb, "expand to far more than a playbook holds"),
    "an attribute": (
        bytes_of(b"version: 1\nname: \"{{ ''.__class__.__mro__ }}\"\nsteps: [analyze: {tables: a}]\n"),
        '2:8: the attribute "__mro__" cannot be reached, only vars.NAME and env.NAME',
    ),
    "deep nesting": (bytes_of(b"[" * 500_000), "nested more than 50 levels deep"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_file_that_is_no_playbook_is_one_clear_error(case: str, tmp_path: Path) -> None:
    path = tmp_path / "playbook.yml"
    BAD[case][0](path)
    shown = dbtune("validate", path)
    assert shown.returncode == 2
    assert shown.stderr == ""
    problems = [line for line in shown.stdout.splitlines() if not line.startswith("  hint: ")]
    assert len(problems) == 1
    assert problems[0].startswith(f"{path}:")
    assert problems[0].endswith(BAD[case][1])


@pytest.mark.parametrize("case", BAD)
def test_plan_refuses_it_with_the_same_words(case: str, tmp_path: Path) -> None:
    path = tmp_path / "playbook.yml"
    BAD[case][0](path)
    shown = dbtune("plan", path, "--postgres", "postgresql://127.0.0.1:1/x")
    assert (shown.returncode, shown.stdout) == (2, "")
    assert shown.stderr.startswith(f"error: {path}:")
    assert BAD[case][1] in shown.stderr
    assert "Traceback" not in shown.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "playbook.yml"
    path.write_text(VALID)
    path.chmod(0)
    with pytest.raises(InvalidPlaybook, match="the file cannot be read: Permission denied"):
        load(path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "playbook.yml"
    os.mkfifo(path)
    with pytest.raises(InvalidPlaybook, match="this is not a regular file"):
        load(path)


def test_a_byte_order_mark_and_windows_lines_are_read(tmp_path: Path) -> None:
    path = tmp_path / "playbook.yml"
    path.write_bytes(b"\xef\xbb\xbf" + VALID.replace("\n", "\r\n").encode())
    assert load(path).name == "x"


def test_several_files_are_all_checked(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yml", tmp_path / "bad.yml"
    good.write_text(VALID)
    bad.write_text(VALID + "stepz: 1\n")
    shown = dbtune("validate", bad, good)
    assert shown.returncode == 2
    assert shown.stdout.splitlines() == [
        f'{bad}:4:1: unknown option "stepz" of the playbook; did you mean "steps"?',
        f"{good}: ok (1 step)",
    ]
    assert dbtune("validate", good, good).returncode == 0


def test_validate_as_json_carries_every_problem(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yml", tmp_path / "bad.yml"
    good.write_text(VALID)
    bad.write_text("version: 1\nname: x\n")
    shown = dbtune("validate", good, bad, "--format", "json")
    document = json.loads(shown.stdout)
    assert shown.returncode == 2
    assert (document["schema"], document["ok"]) == ("dbtune.validate/1", False)
    assert [(file["ok"], file["steps"]) for file in document["files"]] == [(True, 1), (False, 0)]
    assert document["files"][1]["problems"] == [{"line": 1, "column": 1, "message": 'the playbook needs "steps"'}]


def test_validate_for_github_escapes_what_its_commands_are_made_of(tmp_path: Path) -> None:
    path = tmp_path / "a,b.yml"
    path.write_text(VALID + "50%: 1\n")
    shown = dbtune("validate", path, "--format", "github")
    name = str(path).replace(",", "%2C")
    assert shown.stdout == f'::error file={name},line=4,col=1::unknown option "50%25" of the playbook\n'


def test_a_secret_is_neither_in_the_output_nor_in_a_trace(tmp_path: Path) -> None:
    path = tmp_path / "playbook.yml"
    path.write_text(VALID + "  # \ncache: {events: {e: {keys: ['{{ env.TICKET }}{']}}}\n")
    shown = dbtune("plan", path, "--debug", TICKET="hunter2-hunter2")
    assert shown.returncode == 2
    assert "does not accept the value that the environment gives" in shown.stderr
    assert "hunter2" not in shown.stdout + shown.stderr


def test_the_schema_is_printed_as_json() -> None:
    shown = dbtune("schema")
    assert shown.returncode == 0
    assert json.loads(shown.stdout)["title"] == "dbtune playbook"
