"""What `dbtune validate` prints."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.core.formats import Renderers, Screen
from dbtune.core.validation import CheckedFile, ValidationReport
from dbtune.render.text import one_line


def terminal(report: ValidationReport, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    """`FILE: ok (N steps)`, or a line for each problem in the form that editors can jump to."""
    return "\n".join(line for file in report.files for line in _lines(file))


def _lines(file: CheckedFile) -> Iterator[str]:
    if file.ok:
        left_out = f", {file.disabled} left out by when" if file.disabled else ""
        yield one_line(f"{file.path}: ok ({file.steps} {'step' if file.steps == 1 else 'steps'}{left_out})")
    for problem in file.problems:
        yield one_line(str(problem))
    if file.hint:
        yield f"  hint: {one_line(file.hint)}"


def as_json(report: ValidationReport, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    """`dbtune.validate/1`; the target is the files, there is no server."""
    from dbtune.core.reports import envelope
    from dbtune.render.document import to_json

    target = ", ".join(file.path for file in report.files)
    files = [
        {
            "path": file.path,
            "ok": file.ok,
            "name": file.name,
            "steps": file.steps,
            "disabled": file.disabled,
            "problems": [
                {"line": problem.line, "column": problem.column, "message": problem.message}
                for problem in file.problems
            ],
            "hint": file.hint,
        }
        for file in report.files
    ]
    document = envelope("dbtune.validate/1", target, report.started_at, report.duration_s)
    return to_json(document | {"ok": report.ok, "files": files})


def github(report: ValidationReport, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    """An annotation at each problem's place, and a notice for each valid file."""
    return "\n".join(line for file in report.files for line in _annotations(file))


def _annotations(file: CheckedFile) -> Iterator[str]:
    name = _escaped(file.path).replace(":", "%3A").replace(",", "%2C")
    if file.ok:
        yield f"::notice file={name}::ok ({file.steps} steps)"
    for problem in file.problems:
        place = f"file={name},line={problem.line},col={problem.column}"
        yield f"::error {place}::{_escaped(problem.message)}"


def _escaped(text: str) -> str:
    """As GitHub's own toolkit escapes what stands in a workflow command."""
    return one_line(text).replace("%", "%25")


RENDERERS: Renderers[ValidationReport] = {"terminal": terminal, "json": as_json, "github": github}
