"""The files of pgbench's transaction log: `PREFIX.PID`, and `PREFIX.PID.THREAD` for each further thread."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dbtune.load.pgbench_log import Columns, Tallied, tally
from dbtune.load.pgbench_output import Exact
from dbtune.load.recorder import Recorder, Seen
from dbtune.load.sampling import Logged, correct, record_failures
from dbtune.load.stages import Segment

_CHUNK_BYTES = 4 << 20
_TAIL_BYTES = 8 << 10
_US = 1e-6


@dataclass(slots=True)
class Reading:
    """What the files of one run held. `lag_s` is how far behind its schedule it was when it ended."""

    transactions: int = 0
    unreadable: int = 0
    lag_s: float = 0.0


def log_files(directory: Path) -> list[Path]:
    return sorted(directory.glob("log.*"))


def read_logs(
    directory: Path,
    columns: Columns,
    segment: Segment,
    recorder: Recorder,
    *,
    every: int = 1,
    exact: Sequence[Exact] = (),
) -> Reading:
    """Fills the recorder and removes the files. One in `every` transaction was logged, and stands for all of those.

    `exact` is what pgbench counted itself, if it came to that; a sample is corrected by it.
    """
    reading, logged = Reading(), Logged()
    files = log_files(directory)
    starts = [start for start in (_start(path, columns) for path in files) if start is not None]
    offset = partial(_offset, segment, min(starts, default=0.0))
    for path in files:
        for lines in _chunks(path):
            found = tally(lines, columns)
            _enter(found, recorder, every, offset, logged)
            reading.transactions += found.transactions
            reading.unreadable += found.unreadable
            if found.alike:
                reading.lag_s = max(found.last_lag_us * _US, 0.0)
        path.unlink()
    if every > 1 and exact:
        correct(logged, exact, every, recorder, offset)
    else:
        record_failures(logged, every, recorder, offset)
    return reading


def _offset(segment: Segment, start_s: float, second: int) -> float:
    """The middle of the second in which it ended, within the stretch that was planned."""
    return segment.start_s + min(max(second + 0.5 - start_s, 0.0), segment.duration_s * 0.999999)


def _enter(found: Tallied, recorder: Recorder, every: int, offset: Callable[[int], float], logged: Logged) -> None:
    for entry in found.alike:
        recorder.add(Seen(entry.script, offset(entry.second), entry.time_us, count=entry.count), weight=every)
        logged.succeeded[entry.script, entry.second] += entry.count
        logged.sum_us[entry.script, entry.second] += entry.time_us * entry.count
    for entry in found.served:
        recorder.serve(entry.script, offset(entry.second), entry.time_us, entry.count * every)
    logged.failed.update(found.failed)
    for second, count in found.skipped.items():
        recorder.drop(offset(second), count * every)


class LiveLog:
    """The latest lines of a log that is being written: a few kilobytes are read, whatever it has grown to."""

    def __init__(self, directory: Path, columns: Columns) -> None:
        self._directory, self._columns = directory, columns
        self._read_to: dict[Path, int] = {}

    def times_us(self) -> list[int]:
        """Sorted, of what was logged since the last look, or of the end of it."""
        times: list[int] = []
        for path in log_files(self._directory):
            for entry in tally(self._latest(path), self._columns).alike:
                times += [entry.time_us] * entry.count
        return sorted(times)

    def _latest(self, path: Path) -> list[bytes]:
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                known = self._read_to.get(path, 0)
                start = max(size - _TAIL_BYTES, known)
                file.seek(start)
                data = file.read(_TAIL_BYTES)
        except OSError:
            return []
        whole = data.rfind(b"\n") + 1
        self._read_to[path] = start + whole
        lines = data[:whole].split(b"\n")
        # What begins in the middle of a line has one field less, or a wrong one.
        return lines if start == known else lines[1:]


def _chunks(path: Path) -> Iterator[list[bytes]]:
    """Whole lines. The last one of a run that was killed is cut off, and nobody knows where: it is left out."""
    with path.open("rb") as file:
        rest = b""
        while data := file.read(_CHUNK_BYTES):
            lines = (rest + data).split(b"\n")
            rest = lines.pop()
            yield lines


def _start(path: Path, columns: Columns) -> float | None:
    """When the run began, by its first line: the moment it ended at, less what it took."""
    with path.open("rb") as file:
        row = file.readline().split()
    if len(row) != columns.width:
        return None
    try:
        took_s = int(row[2]) * _US if row[2].isdigit() else 0.0
        return int(row[4]) + int(row[5]) * _US - took_s
    except ValueError:
        return None
