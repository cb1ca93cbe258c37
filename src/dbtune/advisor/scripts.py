r"""Files of statements, as people write them: plain SQL, with weights in comments.

    -- weight: 120
    select * from orders where customer_id = $1;

    -- name: a day's sales
    -- weight: 4
    select sum(total) from orders where placed_at >= current_date;

A weight is a number of calls, and holds for the next statement; without one it is 1. `-- name:` is shown with it.
Lines of psql (`\\timing on`) are left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from dbtune.advisor.texts import split_script, tokens
from dbtune.advisor.workload import Observed
from dbtune.core.errors import Misused

_NOTE = re.compile(r"--\s*(weight|calls|name)\s*[:=]\s*(.*?)\s*$", re.IGNORECASE)
_META = re.compile(r"^[ \t]*\\[a-zA-Z!?][^\n]*$", re.MULTILINE)


def read_script(text: str, source: str) -> Iterator[Observed]:
    """Every statement of a file named `source`. Raises Misused, with the line, for a weight that is none."""
    script = _without_meta(text.lstrip("\ufeff").replace("\r\n", "\n"))
    for start, part in split_script(script):
        notes, begins = _notes(part)
        if begins is None:
            continue
        line = script.count("\n", 0, start + begins) + 1
        weight = _weight(notes.get("weight", notes.get("calls")), f"{source}:{line}")
        name = notes.get("name")
        yield Observed(part, "file", weight, place=f"{source}:{line}" + (f" ({name})" if name else ""))


def one_statement(text: str) -> Iterator[Observed]:
    """What was given on the command line: one statement, or several with semicolons between them."""
    for _, part in split_script(text):
        if _notes(part)[1] is not None:
            yield Observed(part, "sql")


def _without_meta(text: str) -> str:
    """Lines of psql are blanked outside of quotes, so that line numbers stay."""
    if "\\" not in text:
        return text
    protected = [(one.start, one.start + len(one.text)) for one in tokens(text) if one.kind in ("string", "dollar")]

    def blank(match: re.Match[str]) -> str:
        inside = any(start < match.start() < end for start, end in protected)
        return match.group() if inside else ""

    return _META.sub(blank, text)


def _notes(part: str) -> tuple[dict[str, str], int | None]:
    """What the comments before a statement say, and where it begins; None where there is no statement."""
    notes: dict[str, str] = {}
    for token in tokens(part):
        if token.kind == "comment":
            match = _NOTE.match(token.text)
            if match is not None:
                notes[match[1].lower()] = match[2]
        elif token.kind != "space":
            return notes, token.start
    return notes, None


def _weight(given: str | None, place: str) -> float:
    if given is None:
        return 1.0
    try:
        weight = float(given.replace("_", "").replace(",", ""))
    except ValueError:
        weight = -1.0
    if not math.isfinite(weight) or weight < 0:
        raise Misused(f"{place}: {given!r} is no weight", hint="write a number of calls: `-- weight: 120`")
    return weight
