"""What `dbtune rule` prints: the documentation of one code, or the list of all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from dbtune.core.formats import Renderers, Screen
from dbtune.core.reports import envelope
from dbtune.core.rulebook import Entry, Rulebook
from dbtune.render.document import to_json
from dbtune.render.paint import paint

_BOLD = re.compile(r"\*\*(.+?)\*\*|``?([^`]+)``?")


def terminal(found: Rulebook, screen: Screen) -> str:
    return paint(screen, _one(found.entries[0]) if len(found.entries) == 1 else _all(found.entries))


def _one(entry: Entry) -> Iterator[RenderableType]:
    yield Text(f"{entry.code} {entry.name}", style="bold")
    yield Text(_facts(entry), style="dim")
    for paragraph in paragraphs(entry.text):
        yield Text()
        yield Padding(_styled(paragraph), (0, 0, 0, 2))


def _all(found: Sequence[Entry]) -> Iterator[RenderableType]:
    width = max(len(entry.name) for entry in found)
    for entry in found:
        yield Text(f"{entry.code}  {entry.severity:8}  {entry.name:{width}}")
        yield Padding(Text(entry.what, style="dim"), (0, 0, 0, 7))
    yield Text()
    yield Text(f"{len(found)} codes. `dbtune rule {found[0].code}` explains one.")


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


def markdown(found: Rulebook, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    """A section for each check; with more than one, a table of all comes first."""
    lines = []
    if len(found.entries) > 1:
        lines += ["| code | name | severity | what |", "|---|---|---|---|"]
        for entry in found.entries:
            first = entry.what.replace("|", "\\|")
            link = f"[{entry.code}](#{entry.code.lower()}-{entry.name})"
            lines.append(f"| {link} | {entry.name} | {entry.severity} | {first} |")
        lines.append("")
    for entry in found.entries:
        lines += [f"## {entry.code} {entry.name}", "", entry.text, "", _facts(entry), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _facts(entry: Entry) -> str:
    needs = f" Needs {entry.needs}." if entry.needs else ""
    usually = "" if entry.severity == "varies" else f"; usually {entry.severity}"
    return f"Looks at {entry.source}{usually}.{needs}"


def as_json(found: Rulebook, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    """`dbtune.rules/1`: every check with its whole documentation; the target is dbtune itself, there is no server."""
    document = envelope("dbtune.rules/1", "dbtune", found.started_at, found.duration_s)
    return to_json(document | {"rules": [_rule(entry) for entry in found.entries]})


def _rule(entry: Entry) -> dict[str, Any]:
    return {
        "code": entry.code,
        "name": entry.name,
        "severity": entry.severity,
        "source": entry.source,
        "needs": entry.needs,
        "documentation": entry.text,
    }


RENDERERS: Renderers[Rulebook] = {"terminal": terminal, "markdown": markdown, "json": as_json}
