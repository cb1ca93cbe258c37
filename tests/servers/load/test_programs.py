"""Where the generators come from, and what is said when they are missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbtune.core.errors import Unsupported
from dbtune.servers.load import programs


def test_pgbench_comes_with_the_wheel() -> None:
    found = programs.find_pgbench()
    assert found.version >= (13,)
    assert found.path.name == "pgbench"


def test_without_pgbench_one_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(programs, "_wheel_pgbench", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(programs.PGBENCH_VARIABLE, raising=False)
    with pytest.raises(Unsupported, match="pgbench is not found") as caught:
        programs.find_pgbench()
    assert "pip install" in str(caught.value.hint)
    assert caught.value.exit_code == 3


def test_a_program_on_the_path_will_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(programs, "_wheel_pgbench", lambda: None)
    program = tmp_path / "pgbench"
    program.write_text("#!/bin/sh\necho 'pgbench (PostgreSQL) 13.22 (Debian 13.22-0)'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert programs.find_pgbench().version == (13, 22)


def test_a_program_that_says_nothing_of_its_version_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "k6"
    program.write_text("#!/bin/sh\necho hello\n")
    program.chmod(0o755)
    monkeypatch.setenv(programs.K6_VARIABLE, str(program))
    with pytest.raises(Unsupported, match="does not tell its version"):
        programs.find_k6()
