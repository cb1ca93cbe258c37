"""Every second of a load: a line for the person, a snapshot of counters, and whether to go on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dbtune.core.progress import Progress
from dbtune.core.units import format_duration
from dbtune.load.judgement import Expectation, fails
from dbtune.load.live import Live
from dbtune.load.recorder import Recorder
from dbtune.load.stages import BLOCKS

if TYPE_CHECKING:
    from dbtune.app.recording import Recording
    from dbtune.baseline.capture import Capture

_EVERY_S = 2.0
"""As often as k6 looks at the thresholds that may end a run."""
_LEAST_SAMPLES = 100


class Watcher:
    """`aborted` is the threshold that ended the load, if one did."""

    def __init__(
        self,
        name: str,
        expectations: Sequence[Expectation],
        recorder: Recorder,
        progress: Progress,
        *,
        recording: Recording | None,
        baseline: Capture | None,
    ) -> None:
        self._name, self._recorder, self._progress = name, recorder, progress
        self._recording, self._baseline = recording, baseline
        self._aborting = [expected for expected in expectations if expected.aborts]
        self._end_s = max(recorder.plan.end_s, 1e-9)
        self._judged_at = time.monotonic()
        self._snapshot_at_s = 0.0
        self.aborted: Expectation | None = None

    def __call__(self, live: Live) -> bool:
        self._tell(live)
        if live.offset_s - self._snapshot_at_s >= self._end_s / BLOCKS:
            self._snapshot_at_s = live.offset_s
            self.snapshot()
        return self._shall_end(live)

    def snapshot(self) -> None:
        """The servers' counters, where the load is part of a measurement."""
        if self._recording is not None:
            self._recording.snapshot()

    def _tell(self, live: Live) -> None:
        words = [f"{live.clients} client{'' if live.clients == 1 else 's'}"]
        if live.rate is not None:
            words.append(f"{live.rate:,.0f}/s")
        if live.p95_s is not None:
            words.append(f"p95 {format_duration(live.p95_s)}")
        if live.offset_s < 0:
            words.append("warming up")
        fraction = min(max(live.offset_s / self._end_s, 0.0), 1.0)
        self._progress(f"{self._name}: {', '.join(words)}", fraction)

    def _shall_end(self, live: Live) -> bool:
        now = time.monotonic()
        due = [expected for expected in self._aborting if live.offset_s >= expected.delay_s]
        if not due or now - self._judged_at < _EVERY_S:
            return False
        self._judged_at = now
        so_far = self._recorder.so_far(max(live.offset_s, 1e-9))
        # A percentile of the first few requests is no reason to end a run.
        if so_far.sent < _LEAST_SAMPLES:
            return False
        self.aborted = next((expected for expected in due if fails(expected, so_far, self._baseline)), None)
        return self.aborted is not None
