"""What `dbtune rule` prints: the documentation of one check, or the list of all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from dbtune.checks.check import Check, documentation
from dbtune.core.formats import Renderers, Screen
from dbtune.render.document import to_json
from dbtune.render.paint import paint

_BOLD = re.compile(r"\*\*(.+?)\*\*|``?([^`]+)``?")
_SOURCES: Mapping[str, str] = {"redis": "Redis and Valkey"}


def terminal(found: Sequence[Check], screen: Screen) -> str:
    return paint(screen, _one(found[0]) if len(found) == 1 else _all(found))


def _one(check: Check) -> Iterator[RenderableType]:
    yield Text(f"{check.code} {check.name} ({check.severity})", style="bold")
    for paragraph in paragraphs(documentation(check)):
        yield Text()
        yield Padding(_styled(paragraph), (0, 0, 0, 2))


def _all(found: Sequence[Check]) -> Iterator[RenderableType]:
    width = max(len(check.name) for check in found)
    for check in found:
        first = documentation(check).partition("\n")[0]
        yield Text(f"{check.code}  {check.severity:8}  {check.name:{width}}")
        yield Padding(Text(first, style="dim"), (0, 0, 0, 7))
    yield Text()
    yield Text(f"{len(found)} checks. `dbtune rule {found[0].code}` explains one.")


def paragraphs(text: str) -> tuple[str, ...]:
    """Each on one line, so that it wraps where it is shown; lists and code keep their lines."""
    return tuple(
        part if re.search(r"^\s*(?:[-*|]|\d+\.) |^ {4}", part, re.MULTILINE) else " ".join(part.split())
        for part in re.split(r"\n\s*\n", text.strip())
    )


def _styled(paragraph: str) -> Text:
    """Bold words and code without their marks."""
    text, end = Text(), 0
    for match in _BOLD.finditer(paragraph):
        text.append(paragraph[end : match.start()])
        text.append(match[1] or match[2], style="bold" if match[1] else "cyan")
        end = match.end()
    return text.append(paragraph[end:])


def markdown(found: Sequence[Check], screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    """A section for each check; with more than one, a table of all comes first."""
    lines = []
    if len(found) > 1:
        lines += ["| code | name | severity | what |", "|---|---|---|---|"]
        for check in found:
            first = documentation(check).partition("\n")[0].replace("|", "\\|")
            link = f"[{check.code}](#{check.code.lower()}-{check.name})"
            lines.append(f"| {link} | {check.name} | {check.severity} | {first} |")
        lines.append("")
    for check in found:
        lines += [f"## {check.code} {check.name}", "", documentation(check), "", _facts(check), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _facts(check: Check) -> str:
    needs = f" Needs {check.needs}." if check.needs else ""
    return f"Looks at {_SOURCES.get(check.source, 'PostgreSQL')}; usually {check.severity}.{needs}"


def as_json(found: Sequence[Check], screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    """`dbtune.rules/1`: every check with its whole documentation."""
    return to_json({"schema": "dbtune.rules/1", "rules": [_rule(check) for check in found]})


def _rule(check: Check) -> dict[str, Any]:
    return {
        "code": check.code,
        "name": check.name,
        "severity": check.severity,
        "source": "redis" if check.source == "redis" else "postgres",
        "needs": check.needs,
        "documentation": documentation(check),
    }


RENDERERS: Renderers[Sequence[Check]] = {"terminal": terminal, "markdown": markdown, "json": as_json}
