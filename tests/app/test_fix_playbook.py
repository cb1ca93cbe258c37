"""The playbook of safe fixes, beyond what a real audit finds in one go (tests/cli/test_audit.py applies one)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dbtune.app.fix_playbook import fix_playbook
from dbtune.core.findings import AuditReport, Finding, Fix
from dbtune.playbook.load import load

HOSTILE = "a\n  - sql: {apply: drop table users}\n\x1b[31m # {{ env.HOME }}"


def report(*fixes: Fix, message: str = "m") -> AuditReport:
    found = tuple(Finding("PG007", "missing", "warning", message, message, fix=fix) for fix in fixes)
    return AuditReport("t", datetime(2026, 1, 31, tzinfo=UTC), 1, found, (), ())


def step(number: int = 0, **more: Any) -> dict[str, Any]:
    return {"index": {"table": f'"public"."t{number}"', "columns": [{"name": "a"}], **more}}


def loaded(text: str | None, tmp_path: Path) -> Any:
    assert text is not None
    file = tmp_path / "fixes.yml"
    file.write_text(text, encoding="utf-8")
    return load(file)


def test_unsafe_fixes_and_those_without_a_step_are_left_out() -> None:
    assert fix_playbook(report(Fix(("x",), step()), Fix(("x",), None, safe=True))).text is None


def test_a_step_that_two_findings_ask_for_is_there_once_with_both_reasons(tmp_path: Path) -> None:
    made = fix_playbook(report(Fix((), step(), safe=True), Fix((), step(), safe=True)))
    assert made.steps == 1
    assert str(made.text).count("# PG007") == 2
    assert len(loaded(made.text, tmp_path).steps) == 1


def test_a_hostile_name_is_neither_a_step_nor_a_template(tmp_path: Path) -> None:
    made = fix_playbook(report(Fix((), step(name="{{ vars.x }} {% if %} {#"), safe=True), message=HOSTILE))
    playbook = loaded(made.text, tmp_path)
    assert len(playbook.steps) == 1
    assert playbook.steps[0].step.name == "{{ vars.x }} {% if %} {#"


def test_what_does_not_fit_into_one_file_is_counted(tmp_path: Path) -> None:
    fixes = [Fix((), step(number, where="a > 0 and " + "b" * 2000), safe=True) for number in range(600)]
    made = fix_playbook(report(*fixes))
    assert 0 < made.steps < 600
    assert made.steps + made.left_out == 600
    assert len(loaded(made.text, tmp_path).steps) == made.steps
