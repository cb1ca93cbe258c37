"""Watches pg_stat_statements in sub-windows: what N+1 detection reads."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from dbtune.baseline.capture import OWN_MARK, StatementKey, Statements
from dbtune.baseline.rows import DatabaseRow
from dbtune.baseline.subtraction import StatementsDelta, subtract
from dbtune.baseline.texts import fingerprint
from dbtune.core.errors import Refused
from dbtune.core.progress import Progress, silent
from dbtune.nplusone.candidates import table_names
from dbtune.nplusone.traffic import KeyRow, Statement, Traffic, Unread
from dbtune.servers.postgres.counters import Counters
from dbtune.servers.postgres.queries import fetch
from dbtune.servers.postgres.session import Connection
from dbtune.servers.postgres.totals import ReadStatements, read_statements

Counted = tuple[int, int, float]
"""Calls, rows and milliseconds of one statement in one sub-window."""
SUB_WINDOW_S = 5.0
FEWEST, MOST = 6, 24
"""Sub-windows. More of them tell more causes apart, and requests that a snapshot cuts blur them when they are short."""
ROUND_TRIPS = 7
RARE = 10
"""Calls and rows together: with fewer a statement is neither a look-up nor a list that an N+1 could be seen in."""
HIDDEN = "<insufficient privilege>"
_GRANT = "grant pg_read_all_stats to this role"


def sub_windows(window_s: float) -> int:
    """Into how many parts a window is cut, if nobody says."""
    return max(FEWEST, min(MOST, round(window_s / SUB_WINDOW_S)))


def watch(
    session: Connection,
    window_s: float,
    parts: int,
    *,
    begin: ReadStatements | None = None,
    pause: Callable[[float], None] = time.sleep,
    progress: Progress = silent,
) -> Traffic:
    """Takes `parts` + 1 snapshots, `pause` between them; without a window one, which counts since the beginning.

    `begin` is what somebody has read already: enough where there is no window.
    Raises Unsupported or Refused where the extension is missing or may not be read.
    """
    begin = begin or read_statements(session)
    counters = begin.counters
    shots = [_snapshot(counters) if window_s > 0 else (begin.statements, counters.database())]
    started = time.monotonic()
    for part in range(parts if window_s > 0 else 0):
        progress(f"watching statements for {window_s:.0f} s", part / parts)
        pause(window_s / parts)
        shots.append(_snapshot(counters))
    seconds = time.monotonic() - started
    # Texts lie in a file, and are many: read again only where statements may have joined.
    texts = counters.texts() if len(shots) > 1 else begin.texts
    return _traffic(session, shots, texts, seconds)


def _snapshot(counters: Counters) -> tuple[Statements, DatabaseRow | None]:
    found = counters.statements()
    if found is None:
        skip = next((one for one in counters.skipped if one.check == "statements"), None)
        raise Refused(skip.reason if skip else "pg_stat_statements cannot be read", hint=skip.hint if skip else None)
    return found, counters.database()


def _traffic(
    session: Connection,
    shots: Sequence[tuple[Statements, DatabaseRow | None]],
    texts: Mapping[str, str | None],
    seconds: float,
) -> Traffic:
    own = {queryid for queryid, text in texts.items() if text is not None and OWN_MARK in text}
    deltas = [subtract(early[0], late[0], own) for early, late in pairwise(shots)]
    invalid = next((delta.invalid for delta in deltas if delta.invalid is not None), None)
    unread = [] if invalid is None else [Unread(invalid, "watch again")]
    windows = [_counted(delta) for delta in deltas] if len(shots) > 1 else [_cumulative(shots[0][0], own)]
    statements = () if invalid is not None else merge(windows, texts)
    first, last = shots[0], shots[-1]
    unread += _hidden(last[0], windows, texts)
    return Traffic(
        statements=statements,
        keys=fetch(session, "audit_keys", KeyRow, {"names": list(table_names(statements))}),
        seconds=seconds,
        is_snapshot=len(shots) == 1,
        commits=last[1].xact_commit - first[1].xact_commit if first[1] and last[1] else 0,
        round_trip_s=round_trip_s(session),
        unread=tuple(unread),
        caveats=_caveats(session, deltas),
    )


def _counted(delta: StatementsDelta) -> dict[StatementKey, Counted]:
    """Nested calls are left out: SQL inside a function is no round trip."""
    return {key: (one.calls, one.rows, one.exec_ms) for key, one in delta.deltas.items() if key.toplevel is not False}


def _cumulative(first: Statements, own: set[str]) -> dict[StatementKey, Counted]:
    rows = (row for row in first.rows if row.toplevel is not False and row.queryid not in own)
    return {row.key: (row.calls, row.rows, row.exec_ms) for row in rows}


def merge(windows: Sequence[Mapping[StatementKey, Counted]], texts: Mapping[str, str | None]) -> tuple[Statement, ...]:
    """One statement for all variants of a text: drivers split one by the types of its parameters."""
    variants: defaultdict[tuple[int, str], set[StatementKey]] = defaultdict(set)
    frequency: defaultdict[str, int] = defaultdict(int)
    for window in windows:
        for key, (calls, rows, _) in window.items():
            frequency[texts.get(key.queryid) or HIDDEN] += calls + rows
    marks = {text: _mark(text, often) for text, often in frequency.items()}
    for key in {key for window in windows for key in window}:
        text = texts.get(key.queryid)
        if text is not None and text != HIDDEN:
            variants[key.userid, marks[text]].add(key)
    return tuple(_merged(user, mark, keys, windows, texts) for (user, mark), keys in sorted(variants.items()))


def _mark(text: str, often: int) -> str:
    """The fingerprint; the text itself where it is too rare to be judged and has nothing that varies.

    Most of thousands of texts are rare, and fingerprints take longer than everything else that is done with them.
    """
    varies = "--" in text or "/*" in text or "in (" in text.lower() or "[" in text
    return fingerprint(text) if often >= RARE or varies else text


def _merged(
    user: int,
    mark: str,
    keys: set[StatementKey],
    windows: Sequence[Mapping[StatementKey, Counted]],
    texts: Mapping[str, str | None],
) -> Statement:
    if len(keys) == len(windows) == 1:
        [key], [window] = keys, windows
        calls, rows, exec_ms = window[key]
        return Statement((key.queryid,), mark, texts[key.queryid] or "", user, (calls,), (rows,), (exec_ms,))
    counts = [[window[key] for key in keys if key in window] for window in windows]
    ordered = sorted(
        {key.queryid for key in keys},
        key=lambda one: -sum(w[k][0] for w in windows for k in keys if k in w and k.queryid == one),
    )
    return Statement(
        queryids=tuple(ordered),
        fingerprint=mark,
        text=texts[ordered[0]] or "",
        user=user,
        calls=tuple(sum(one[0] for one in window) for window in counts),
        rows=tuple(sum(one[1] for one in window) for window in counts),
        exec_ms=tuple(sum(one[2] for one in window) for window in counts),
    )


def _hidden(
    last: Statements, windows: Sequence[Mapping[StatementKey, Counted]], texts: Mapping[str, str | None]
) -> list[Unread]:
    found = []
    if last.hidden_calls:
        found.append(
            Unread(f"statements of other roles with {last.hidden_calls} calls are hidden from this one", _GRANT)
        )
    lost = {key.queryid for window in windows for key in window if texts.get(key.queryid) in (None, HIDDEN)}
    if lost:
        found.append(Unread(f"the texts of {len(lost)} statements are not there to read", _GRANT))
    return found


def _caveats(session: Connection, deltas: Sequence[StatementsDelta]) -> tuple[str, ...]:
    found = ["counters cannot tell look-ups of different rows from the same look-up repeated"]
    if any(delta.dealloc for delta in deltas):
        found.append("entries were evicted within the window: raise pg_stat_statements.max")
    if session.info.server_version >= 180000:
        found.append("PostgreSQL 18 counts tables of one name in several schemas, and equal aliases, as one statement")
    return tuple(found)


def round_trip_s(session: Connection) -> float:
    """The median time of a statement that does nothing."""
    taken = []
    for _ in range(ROUND_TRIPS):
        start = time.perf_counter()
        session.execute("/* dbtune */ select 1 /* dbtune */").fetchone()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)
