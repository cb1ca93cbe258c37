"""Plans as people save them: psql, pgAdmin, auto_explain's logs, Hasura, or EXPLAIN's own JSON.

Each of them wraps one of two things, EXPLAIN's JSON or its text. They are unwrapped by what they look like, not by
the name of the program.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dbtune.core.errors import Misused
from dbtune.plans.plan import Plan
from dbtune.plans.shape import shape_plan
from dbtune.plans.text import read_text

MOST_CHARACTERS = 64 << 20
_HINT = "save what EXPLAIN prints, in its text or JSON form, all of it"
_LOGGED = re.compile(r"duration: ([\d.]+) ms  plan:[ \t]*\n?")
_HEADER = re.compile(r"^[\s|│+\"]*QUERY PLAN[\s|│\"]*$")
_RULE = re.compile(r"^[\s|│├┌└┼┐┘┤+─=-]{3,}$")
_FOOTER = re.compile(r"^\s*\(\d+ rows?\)\s*$")
_RECORD = re.compile(r"^[-─]\[ RECORD \d+ \]")
_EXPANDED = re.compile(r"^(?:QUERY PLAN)?\s*[|│] ?")
_NOT_JSON = ("<explain", "- Plan:", "Plan:")


def read_plans(text: str) -> tuple[Plan, ...]:
    """Every plan in it, in its order. Raises Misused, with what is wrong, when there is none."""
    if len(text) > MOST_CHARACTERS:
        raise Misused(f"it is larger than {MOST_CHARACTERS >> 20} MB", hint="cut out the plan that matters")
    text = text.lstrip("\ufeff").replace("\r\n", "\n").replace("\x00", "")
    if not text.strip():
        raise Misused("it is empty", hint=_HINT)
    if text.lstrip().startswith(_NOT_JSON):
        raise Misused("plans in XML and YAML are not read", hint="use EXPLAIN (FORMAT JSON) or the text form")
    documents = list(_documents(text))
    if not documents:
        raise Misused("there is no plan in it", hint=_HINT)
    return tuple(shape_plan(document) for document in documents)


def _documents(text: str) -> Iterator[Mapping[str, Any]]:
    decoded = _decode(text)
    if decoded is not None:
        yield from _within(decoded)
    elif (lines := _json_lines(text)) is not None:
        for one in lines:
            yield from _within(one)
    elif _LOGGED.search(text):
        yield from _logged(text)
    elif (cells := _quoted(text)) is not None:
        yield from _documents(cells)
    else:
        yield from _printed(text)


def _decode(text: str) -> Any:  # noqa: ANN401 - whatever JSON holds
    """The JSON value, or None where it is none."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise Misused("the JSON is nested too deeply", hint=_HINT) from error
    except ValueError:
        return None


def _json_lines(text: str) -> list[Any] | None:
    """PostgreSQL's jsonlog: an object on each line."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines or not lines[0].startswith("{") or not lines[0].rstrip().endswith("}"):
        return None
    values = [_decode(line) for line in lines]
    return None if values[0] is None else [value for value in values if isinstance(value, dict)]


def _within(value: object) -> Iterator[Mapping[str, Any]]:
    """Every plan inside a JSON value, at whatever depth a program has put it."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            if isinstance(one.get("Plan"), Mapping):
                yield one
            elif isinstance(one.get("plan"), list) and all(isinstance(line, str) for line in one["plan"]):
                # Hasura: the statement, and the text form as a list of lines.
                yield read_text(one["plan"]) | ({"Query Text": one["sql"]} if isinstance(one.get("sql"), str) else {})
            elif "Node Type" in one:
                yield {"Plan": one}
            else:
                waiting.extend(reversed(list(one.values())))
        elif isinstance(one, list):
            rows = [next(iter(row.values())) for row in one if isinstance(row, Mapping) and set(row) == {"QUERY PLAN"}]
            whole = one if one and all(isinstance(line, str) for line in one) else rows
            if whole and all(isinstance(line, str) for line in whole):
                waiting.append("\n".join(map(str, whole)))
            else:
                waiting.extend(reversed(one))
        elif isinstance(one, str) and _may_be_plan(one):
            yield from _documents(one)


def _may_be_plan(text: str) -> bool:
    return '"Plan"' in text or "(cost=" in text or "(actual " in text


def _logged(text: str) -> Iterator[Mapping[str, Any]]:
    """auto_explain in a server's log: the lines after `plan:`, which the server indents by a tab."""
    text = _csv_messages(text) or text
    found = list(_LOGGED.finditer(text))
    for match, following in zip(found, [*found[1:], None], strict=True):
        chunk = text[match.end() : following.start() if following else len(text)]
        lines = chunk.split("\n")
        indented = bool(lines) and lines[0].startswith("\t")
        body = []
        for line in lines:
            if indented and line and not line.startswith("\t"):
                break
            body.append(line.removeprefix("\t") if indented else line)
        whole = "\n".join(body)
        start = whole.find("{")
        decoded = _first_value(whole[start:]) if whole.lstrip().startswith(("{", "[")) else None
        if isinstance(decoded, Mapping) and isinstance(decoded.get("Plan"), Mapping):
            yield decoded
        else:
            yield read_text(body)


def _csv_messages(text: str) -> str | None:
    """A csvlog's plans, unquoted; None for other logs."""
    if not text.lstrip()[:1].isdigit() or '","' not in text:
        return None
    try:
        rows = list(csv.reader(io.StringIO(text)))
    except csv.Error:
        return None
    return "\n".join(cell.replace("\n", "\n\t") for row in rows for cell in row if _LOGGED.search(cell)) or None


def _first_value(text: str) -> Any:  # noqa: ANN401
    """The JSON value that a text begins with; what follows may be the log going on."""
    try:
        return json.JSONDecoder().raw_decode(text)[0]
    except (ValueError, RecursionError):
        return None


def _quoted(text: str) -> str | None:
    """Copies and CSV files of pgAdmin: every row in double quotes, its quotes doubled. None where it is not so."""
    if not text.lstrip().startswith('"'):
        return None
    try:
        rows = [row for row in csv.reader(io.StringIO(text.strip()), strict=True) if row]
    except csv.Error:
        return None
    if any(len(row) != 1 for row in rows):
        return None
    cells = [row[0] for row in rows if row[0].strip() != "QUERY PLAN"]
    whole = "\n".join(cells)
    return whole if whole and whole != text else None


def _printed(text: str) -> Iterator[Mapping[str, Any]]:
    """As psql prints it, with whatever borders, or bare."""
    for lines in _tables(text.split("\n")):
        joined = "\n".join(lines)
        if joined.lstrip().startswith(("{", "[")):
            value = _decode(joined)
            if value is None:
                value = _first_value(joined.lstrip())
            if value is None:
                raise Misused(f"its JSON is damaged: {_reason(joined)}", hint=_HINT)
            yield from _within(value)
        else:
            yield read_text(lines)


def _reason(text: str) -> str:
    try:
        json.loads(text)
    except ValueError as error:
        return str(error)
    return "it ends too early"


def _tables(lines: Sequence[str]) -> Iterator[list[str]]:
    """The bare lines of each plan; a header begins a new one."""
    body: list[str] = []
    is_expanded = any(_RECORD.match(line) for line in lines)
    for line in lines:
        if _HEADER.match(line):
            if any(one.strip() for one in body) and _holds_plan(body):
                yield body
            body = []
        elif not (_RULE.match(line) or _FOOTER.match(line) or _RECORD.match(line)):
            body.append(_undressed(line, is_expanded=is_expanded))
    if any(one.strip() for one in body):
        yield body


def _holds_plan(lines: Sequence[str]) -> bool:
    return any(_may_be_plan(line) for line in lines) or lines[0].lstrip().startswith(("[", "{"))


def _undressed(line: str, *, is_expanded: bool) -> str:
    """Without borders and the marks of a cell that goes on."""
    if is_expanded:
        line = _EXPANDED.sub("", line, count=1)
    elif line[:1] in "|│" and line.rstrip()[-1:] in "|│+↵" and line.strip():
        line = line[1:]
    line = re.sub(r"\s*[+↵]?[|│]$", "", line.rstrip())
    return re.sub(r"(?<=[\s,\[\]{}\"\d\w])\s*[+↵]$", "", line)
