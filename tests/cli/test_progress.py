from __future__ import annotations

import sys

import pytest

from dbtune.cli.progress import say, shown


def test_a_pipe_sees_no_progress_and_no_message(capsys: pytest.CaptureFixture[str]) -> None:
    with shown() as tell:
        tell("building", 0.5)
    say("done")
    assert capsys.readouterr() == ("", "")


def test_a_terminal_sees_both_on_standard_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with shown() as tell:
        tell("building [red]a[/red]", None)
        tell("building [red]a[/red]", 0.5)
        tell("building [red]a[/red]", 1)
    say("done on postgresql://ann:hunter2@db/app")
    seen = capsys.readouterr()
    assert seen.out == ""
    assert "done on postgresql://ann:***@db/app" in seen.err


def test_quiet_is_quiet_on_a_terminal_too(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with shown(quiet=True) as tell:
        tell("building", 0.5)
    say("done", quiet=True)
    assert capsys.readouterr().err == ""
