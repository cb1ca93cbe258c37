"""How a command ends: the single catch of errors."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from dbtune.__main__ import main
from dbtune.core.errors import AnswerIsNo, Busy, ChangeFailed, DbtuneError, Interrupted, Misused, Refused


def run(error: BaseException | int | None, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    def app(**_: object) -> int | None:
        if isinstance(error, BaseException):
            raise error
        return error

    monkeypatch.setattr("dbtune.cli.main.app", app)
    monkeypatch.setattr(sys, "argv", ["dbtune", *arguments])
    return main()


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (AnswerIsNo, 1),
        (Misused, 2),
        (Refused, 3),
        (ChangeFailed, 4),
        (Busy, 5),
        (DbtuneError, 70),
        (Interrupted, 130),
    ],
)
def test_an_error_leaves_with_the_code_of_its_class(
    make: Callable[..., DbtuneError], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(make("what failed", hint="what to do"), monkeypatch) == code
    shown = capsys.readouterr()
    assert shown.err == "error: what failed\nhint: what to do\n"
    assert shown.out == ""


def test_a_bug_is_a_sentence_and_with_debug_a_traceback_without_passwords(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bug = ValueError("postgresql://ann:hunter2@db/app")
    assert run(bug, monkeypatch) == 70
    short = capsys.readouterr().err
    assert "--debug" in short
    assert "Traceback" not in short
    assert run(bug, monkeypatch, "--debug") == 70
    long = capsys.readouterr().err
    assert "Traceback" in long
    assert "hunter2" not in short + long


def test_an_interrupt_leaves_with_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(KeyboardInterrupt(), monkeypatch) == 130
    assert run(130, monkeypatch) == 130
    assert run(typer.Abort(), monkeypatch) == 130
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_end_interrupts_any_command(number: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(number)
    monkeypatch.setattr("dbtune.cli.main.app", lambda **_: signal.raise_signal(number))
    assert main() == 130
    assert signal.getsignal(number) is before


def test_what_a_command_returns_is_its_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [run(answer, monkeypatch) for answer in (None, 0, 6)] == [0, 0, 6]


def test_a_closed_pipe_is_quiet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(BrokenPipeError(), monkeypatch) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("arguments", [["--help"], ["warm", "--help"], ["--version"], ["schema"]], ids=" ".join)
def test_a_full_disk_under_standard_output_is_said_and_is_no_bug(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        answer = subprocess.run(
            [sys.executable, "-m", "dbtune", *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert answer.returncode == Misused.exit_code
    assert "No space left" in answer.stderr
    assert "unexpectedly" not in answer.stderr
