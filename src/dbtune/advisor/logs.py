"""Statements out of server logs: what log_min_duration_statement, log_statement and auto_explain wrote.

jsonlog, csvlog and stderr are told apart by how they look. Values of `$1` are in the log too: they take its place.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dbtune.advisor.texts import with_values
from dbtune.advisor.workload import Observed
from dbtune.baseline.texts import fingerprint
from dbtune.core.errors import Misused

_STATEMENT = re.compile(
    r"(?:duration: (?P<ms>[\d.]+) ms  )?(?:statement|execute [^:\n]*|execute fetch from [^:\n]*): (?P<sql>.+)",
    re.DOTALL,
)
_PLAN = re.compile(r"duration: (?P<ms>[\d.]+) ms  plan:\s*(?P<plan>.+)", re.DOTALL)
_QUERY = re.compile(
    r"Query Text: (?P<sql>.+?)(?=\n[^\n]*\(cost=|\nQuery Parameters:|\nQuery Identifier:|\Z)", re.DOTALL
)
_LINE = re.compile(r"(?P<level>LOG|DETAIL|STATEMENT|ERROR|HINT|CONTEXT|WARNING|FATAL|PANIC|NOTICE|INFO|DEBUG\d?):  ?")
_PARAMETERS = re.compile(r"(?:[Pp]arameters|Query Parameters): (?P<list>.+)", re.DOTALL)
_VALUE = re.compile(r"\$(\d+) = (NULL|'(?:[^']|'')*')")
_CSV_MESSAGE, _CSV_DETAIL, _CSV_QUERY_ID = 13, 14, 25
_CUT = "..."


@dataclass(frozen=True, slots=True)
class _Message:
    text: str
    detail: str = ""
    queryid: str | None = None


def read_log(text: str, source: str) -> tuple[Observed, ...]:
    """Every statement that was logged, once for each time. Raises Misused where there is none, naming `source`."""
    messages = list(_messages(text.replace("\r\n", "\n")))
    logged = [one for message in messages if (one := _logged(message, source)) is not None]
    known = {fingerprint(one.text or "") for one in logged}
    # With both log_min_duration_statement and auto_explain the same call is there twice.
    explained = [
        one
        for message in messages
        if (one := _explained(message, source)) is not None and fingerprint(one.text or "") not in known
    ]
    if not logged and not explained:
        raise Misused(
            f"{source}: there is no statement in it",
            hint="set log_min_duration_statement, or load auto_explain; jsonlog, csvlog and stderr are read",
        )
    return (*logged, *explained)


def _logged(message: _Message, source: str) -> Observed | None:
    match = _STATEMENT.match(message.text)
    if match is None:
        return None
    time_s = float(match["ms"]) / 1000 if match["ms"] else None
    sql = _filled(match["sql"], _PARAMETERS.match(message.detail.strip()))
    return Observed(sql, "log", 1.0, message.queryid, time_s, place=source)


def _explained(message: _Message, source: str) -> Observed | None:
    match = _PLAN.match(message.text)
    if match is None:
        return None
    plan, time_s = match["plan"].strip(), float(match["ms"]) / 1000
    parameters = None
    if plan.startswith("{"):
        try:
            document = json.JSONDecoder().raw_decode(plan)[0]
        except ValueError:
            return None
        sql = document.get("Query Text")
        parameters = _PARAMETERS.match(f"parameters: {document.get('Query Parameters', '')}")
    else:
        query = _QUERY.match(plan)
        sql = query["sql"] if query else None
        parameters = _PARAMETERS.search(plan)
    return None if not sql else Observed(_filled(sql, parameters), "auto_explain", 1.0, None, time_s, place=source)


def _filled(sql: str, parameters: re.Match[str] | None) -> str:
    """With the values that were logged. One that the log cut short stays `$n`: nobody knows the rest."""
    if parameters is None or "$" not in sql:
        return sql
    values = {int(number): value for number, value in _VALUE.findall(parameters["list"])}
    whole = {number: value for number, value in values.items() if not value.endswith(f"{_CUT}'")}
    return with_values(sql, whole)


def _messages(text: str) -> Iterator[_Message]:
    stripped = text.lstrip("\ufeff \n")
    if stripped.startswith("{"):
        yield from _json(stripped.splitlines())
    elif re.match(r"\d{4}-\d\d-\d\d [^,\n]*,(?:\"|,)", stripped):
        yield from _csv(stripped)
    else:
        yield from _plain(text.split("\n"))


def _json(lines: Iterable[str]) -> Iterator[_Message]:
    """A damaged line, such as the last one of a log that is being written, spoils no other."""
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("message"), str):
            queryid = entry.get("query_id")
            yield _Message(entry["message"], str(entry.get("detail") or ""), str(queryid) if queryid else None)


def _csv(text: str) -> Iterator[_Message]:
    csv.field_size_limit(1 << 27)
    try:
        for row in csv.reader(io.StringIO(text)):
            if len(row) > _CSV_DETAIL:
                queryid = row[_CSV_QUERY_ID] if len(row) > _CSV_QUERY_ID else ""
                yield _Message(row[_CSV_MESSAGE], row[_CSV_DETAIL], queryid if queryid not in ("", "0") else None)
    except csv.Error:
        return


def _plain(lines: Iterable[str]) -> Iterator[_Message]:
    """stderr: whatever log_line_prefix says, then the level; the lines of one entry that follow begin with a tab."""
    current: list[str] = []
    level = detail = ""
    for line in lines:
        begins = None if line.startswith("\t") else _LINE.search(line)
        if begins is None:
            (current if level == "LOG" else []).append(line.removeprefix("\t"))
            if level == "DETAIL":
                detail += "\n" + line.removeprefix("\t")
            continue
        if begins["level"] == "DETAIL":
            level, detail = "DETAIL", line[begins.end() :]
            continue
        if current:
            yield _Message("\n".join(current).rstrip("\n"), detail)
        level, detail = begins["level"], ""
        current = [line[begins.end() :]] if level == "LOG" else []
    if current:
        yield _Message("\n".join(current).rstrip("\n"), detail)
