"""Runs k6 on a script, and reads its stream of measurements as it comes: nothing is written to a disk."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from dbtune.core.errors import Misused, Unreachable
from dbtune.core.secrets import mask_password
from dbtune.load.k6_output import CLIENTS, DROPPED, REQUEST, Point, needed_lines, parse_point
from dbtune.load.live import Ended, Live, Watch
from dbtune.load.recorder import Recorder, Seen
from dbtune.servers.load.children import Child, running
from dbtune.servers.load.programs import Program

THRESHOLDS_FAILED = 99
_OTHERS = "other requests"
_MOST_NAMES = 100
_GRACE_S = 60.0
_QUIET = ("--quiet", "--no-summary", "--no-usage-report", "--no-color")


def inspect(program: Program, script: Path, directory: Path) -> tuple[float, int]:
    """(seconds, most clients) that a script asks for. Raises Misused for one that k6 cannot read."""
    command = [str(program.path), "inspect", "--execution-requirements", str(script)]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)  # noqa: S603
    try:
        found = json.loads(done.stdout) if done.returncode == 0 else None
        if found is not None:
            return _seconds(str(found.get("totalDuration", "0s"))), int(found.get("maxVUs") or 1)
    except (ValueError, AttributeError):
        pass
    raise Misused(f"k6 cannot read {script}: {_words(done.stderr.splitlines())}", hint=f"try: k6 inspect {script}")


class K6:
    """One run of a script. `names` of requests that the recorder does not know are learned, up to a hundred."""

    def __init__(
        self, program: Program, script: Path, recorder: Recorder, watch: Watch, options: Sequence[str] = ()
    ) -> None:
        self._options = tuple(options)
        self._program, self._script, self._recorder, self._watch = program, script, recorder, watch
        self._places = {name: place for place, name in enumerate(recorder.names)}
        self._start: float | None = None
        self._last = 0.0
        self._clients = 0
        self._fresh: deque[float] = deque()
        self._damaged = 0

    def run(self, directory: Path, private: Path, duration_s: float) -> Ended:
        """In `directory`, until it ends or `watch` asks for that; `private` goes when dbtune is killed.

        Raises Misused for a script that k6 refuses, Unreachable.
        """
        command = [str(self._program.path), "run", *_QUIET, *self._options, "--out", "json=-", str(self._script)]
        environment = dict(os.environ) | {"K6_NO_USAGE_REPORT": "true", "LC_ALL": "C"}
        with running(command, directory, remove=private, environment=environment, output=subprocess.PIPE) as child:
            lines: queue.Queue[list[bytes] | None] = queue.Queue(maxsize=64)
            threading.Thread(target=_read, args=(child, lines), daemon=True).start()
            try:
                stopped, overdue = self._attend(child, lines, duration_s)
            except KeyboardInterrupt:
                # What was measured until then is worth showing.
                self._settle(None, (), duration_s, stopped=True, overdue=False)
                raise
            status = child.wait(_GRACE_S)
            said = list(child.said)
        return self._settle(status, said, duration_s, stopped=stopped, overdue=overdue)

    def _attend(self, child: Child, lines: queue.Queue[list[bytes] | None], duration_s: float) -> tuple[bool, bool]:
        began = looked = time.monotonic()
        stopped = overdue = False
        while True:
            try:
                batch = lines.get(timeout=1.0)
            except queue.Empty:
                batch = []
            if batch is None:
                return stopped, overdue
            for line in batch:
                self._take(line)
            now = time.monotonic()
            if now - looked < 1.0 or stopped or overdue:
                continue
            overdue = now - began > duration_s + _GRACE_S
            stopped = self._watch(self._live(now - began, now - looked, duration_s))
            looked = now
            if stopped or overdue:
                child.ask_to_end()

    def _live(self, elapsed_s: float, since_s: float, duration_s: float) -> Live:
        times = sorted(self._fresh)
        self._fresh.clear()
        p95_s = times[int(0.95 * (len(times) - 1))] if times else None
        return Live(min(elapsed_s, duration_s), self._clients, len(times) / since_s, p95_s)

    def _take(self, line: bytes) -> None:
        try:
            point = parse_point(line)
        except ValueError:
            self._damaged += 1
            return
        if point is None:
            return
        if self._start is None:
            # The first request was sent before it was measured.
            self._start = point.at - (point.value / 1000 if point.metric == REQUEST else 0.0)
        self._last = max(self._last, point.at)
        offset_s = max(point.at - self._start, 0.0)
        if point.metric == CLIENTS:
            self._clients = int(point.value)
        elif point.metric == DROPPED:
            self._recorder.drop(offset_s, int(point.value))
        else:
            self._enter(point, offset_s)

    def _enter(self, point: Point, offset_s: float) -> None:
        stream = self._stream(point.name)
        if point.error is not None:
            self._recorder.fail(stream, offset_s, mask_password(point.error))
            return
        self._recorder.add(Seen(stream, offset_s, round(point.value * 1000)))
        self._fresh.append(point.value / 1000)

    def _stream(self, name: str) -> int:
        """By the tag `name`; an address is one name unless the script groups them."""
        if name not in self._places:
            name = name if len(self._places) < _MOST_NAMES else _OTHERS
        if name not in self._places:
            self._places[name] = self._recorder.learn(mask_password(name))
        return self._places[name]

    def _settle(
        self, status: int | None, said: Sequence[str], duration_s: float, *, stopped: bool, overdue: bool
    ) -> Ended:
        broken: list[str] = []
        if self._start is None and not stopped:
            if status in (0, THRESHOLDS_FAILED):
                return Ended(broken=("k6 made no HTTP request",))
            hint = "try the script with `k6 run`"
            if any("connect" in line or "no such host" in line for line in said):
                raise Unreachable(f"k6 did not run: {_words(said)}", hint=hint)
            raise Misused(f"k6 did not run: {_words(said)}", hint=hint)
        measured_s = self._last - (self._start or 0.0)
        end_s = min(measured_s, duration_s) if stopped else duration_s
        self._recorder.worked(0.0, end_s, measured_s)
        if status == THRESHOLDS_FAILED:
            broken.append("thresholds of the k6 script itself are not met")
        elif status != 0 and not stopped:
            broken.append(f"k6 ended with status {status}: {_words(said)}")
        if overdue:
            broken.append(f"k6 did not end within {_GRACE_S:g} s after its stages")
        if self._damaged:
            broken.append(f"{self._damaged} of k6's measurements cannot be read")
        return Ended(tuple(broken), stopped=stopped)


def _read(child: Child, lines: queue.Queue[list[bytes] | None]) -> None:
    pipe = child.process.stdout
    rest = b""
    while pipe is not None:
        try:
            data = pipe.read(1 << 16)
        except (OSError, ValueError):
            break
        if not data:
            break
        text = rest + data
        end = text.rfind(b"\n") + 1
        rest = text[end:]
        # Filtered at once: what is not needed costs no more than its search, beside a k6 that needs the processors.
        if found := needed_lines(text[:end]):
            lines.put(found)
    lines.put(needed_lines(rest))
    lines.put(None)


def _words(lines: Sequence[str]) -> str:
    said = [line.strip() for line in lines if line.strip()]
    return mask_password(" ".join(said[-4:]))[:600] or "it gave no reason"


def _seconds(text: str) -> float:
    """Go's `1m30s` → 90."""
    from dbtune.core.units import parse_duration

    return parse_duration(text) if text not in ("", "0s") else 0.0
