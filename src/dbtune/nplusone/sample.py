"""A sample of the server's log: who ran what, in which order, with which values. It turns a suspicion into a fact."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from dbtune.nplusone.detection import Detection
from dbtune.nplusone.traffic import Logged

LEAST_DIFFERENT = 5
"""Values, one after the other in one session: as many look-ups as make a detection."""
_STATEMENT = re.compile(r"(?:duration: [\d.]+ ms  )?(?:statement|execute [^:\n]*): (?P<sql>.+)", re.DOTALL)
_LINE = re.compile(
    r"^(?P<prefix>[^\n]*?)\b(?P<level>LOG|DETAIL|STATEMENT|ERROR|HINT|CONTEXT|WARNING|FATAL|PANIC|NOTICE|INFO|QUERY"
    r"|LOCATION|DEBUG\d?):  ?(?P<text>.*)"
)
_PID = re.compile(r"\[(\d+)(?:-\d+)?\]|\b(?:pid|PID)[=:](\d+)")
_CSV_PID, _CSV_MESSAGE, _CSV_DETAIL = 3, 13, 14
_CHATTER = re.compile(r"\s*(savepoint|release|show|set|select\s+current_schema)\b", re.IGNORECASE)


def read_sample(text: str, fingerprint: Callable[[str], str]) -> tuple[Logged, ...]:
    """jsonlog, csvlog, or stderr with %p in log_line_prefix, told apart by how they look. Empty if nothing is there."""
    found = []
    marks: dict[str, str] = {}
    for pid, message, detail in _messages(text.replace("\r\n", "\n")):
        match = _STATEMENT.match(message)
        if match is not None and not _CHATTER.match(match["sql"]):
            sql = match["sql"].strip()
            found.append(Logged(pid, marks.setdefault(sql, fingerprint(sql)), detail.strip() or sql))
    return tuple(found)


def confirmed(detections: Sequence[Detection], sample: Sequence[Logged]) -> tuple[Detection, ...]:
    """Those that the sample shows at work get the highest level; the others stay what they were."""
    looped = {one.child.fingerprint for one in detections}
    return tuple(_confirmed(one, looped, sample) for one in detections)


def _confirmed(found: Detection, looped: set[str], sample: Sequence[Logged]) -> Detection:
    parent = found.parent.fingerprint if found.parent is not None else None
    is_known = any(one.mark == parent for one in sample)
    most = max((_longest(run, found, looped, parent if is_known else None) for run in _sessions(sample)), default=0)
    if most < LEAST_DIFFERENT:
        return found
    after = " after one call of the parent" if is_known else ""
    fact = f"the log shows {most} calls with different values in one session{after}"
    return replace(found, level="confirmed", reasons=(fact, *found.reasons))


def _longest(run: Iterable[Logged], found: Detection, looped: set[str], parent: str | None) -> int:
    """The most different values in a row. Only look-ups of other loops may come between; anything else ends the row,
    for it may be another request.
    """
    most, seen, follows = 0, set[str](), parent is None
    for one in run:
        if one.mark == found.child.fingerprint:
            if follows:
                seen.add(one.values)
        elif one.mark == parent:
            seen, follows = set(), True
        elif one.mark not in looped:
            seen, follows = set(), parent is None
        most = max(most, len(seen))
    return most


def _sessions(sample: Sequence[Logged]) -> Iterator[Iterator[Logged]]:
    ordered = sorted(sample, key=lambda one: one.pid)
    return (run for _, run in groupby(ordered, key=lambda one: one.pid))


def _messages(text: str) -> Iterator[tuple[str, str, str]]:
    """Process, message and detail."""
    first = text.lstrip()[:1]
    if first == "{":
        yield from _from_json(text)
    elif re.match(r"\d{4}-\d\d-\d\d [\d:.]+ [^\s,]+,", text.lstrip()):
        yield from _from_csv(text)
    else:
        yield from _from_lines(text)


def _from_json(text: str) -> Iterator[tuple[str, str, str]]:
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue  # The first and the last line of a sample may be cut.
        if isinstance(row, dict):
            yield str(row.get("pid")), str(row.get("message") or ""), str(row.get("detail") or "")


def _from_csv(text: str) -> Iterator[tuple[str, str, str]]:
    rows = csv.reader(io.StringIO(text))
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error:
            continue
        if len(row) > _CSV_DETAIL:
            yield row[_CSV_PID], row[_CSV_MESSAGE], row[_CSV_DETAIL]


def _from_lines(text: str) -> Iterator[tuple[str, str, str]]:
    """Lines that begin with a tab go on with the one before; a DETAIL belongs to the message before it."""
    entries: list[list[str]] = []
    for line in text.split("\n"):
        match = None if line.startswith("\t") else _LINE.match(line)
        if match is None:
            if entries:
                entries[-1][2] += "\n" + line.removeprefix("\t")
            continue
        pid = _PID.search(match["prefix"])
        entries.append([match["level"], (pid[1] or pid[2]) if pid else "", match["text"]])
    for place, (level, pid_of, message) in enumerate(entries):
        if level == "LOG" and pid_of:
            after = entries[place + 1] if place + 1 < len(entries) else ["", "", ""]
            yield pid_of, message, after[2] if after[0] == "DETAIL" and after[1] == pid_of else ""
