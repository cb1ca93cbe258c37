"""Runs pgbench for one constant stretch of a load, and reads what it wrote into a recorder."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dbtune.core.secrets import mask_password
from dbtune.load.live import Ended, Live, Watch
from dbtune.load.pgbench_log import Columns
from dbtune.load.pgbench_output import Aborted, Moment, Summary, complaint, parse_aborted, parse_progress, parse_summary
from dbtune.load.recorder import Recorder
from dbtune.load.sampling import least_logged, one_in
from dbtune.load.stages import Segment
from dbtune.servers.load.children import Child, running
from dbtune.servers.load.pgbench_errors import no_space, not_started
from dbtune.servers.load.pgbench_logs import LiveLog, read_logs
from dbtune.servers.load.programs import Program

_FIRST_S, _WORTH_CUTTING_S = 1.0, 3.0
"""So long is everything logged where nobody knows yet how much that is, of stretches that are not shorter."""
_LEAST_FREE_BYTES = 64 << 20
_GRACE_S = 30.0
_BEHIND_S = 0.1
"""So far behind its schedule at the end, what waited counts as dropped; less is the grain of the schedule."""


@dataclass(frozen=True, slots=True)
class Script:
    """`text` is pgbench's own language, meta commands and all; a `builtin` has none."""

    name: str
    text: str | None = None
    builtin: str | None = None
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Job:
    """Everything but the stages. `conninfo` carries no password, `environment` may."""

    program: Program
    conninfo: str
    environment: Mapping[str, str] = field(repr=False)
    scripts: tuple[Script, ...]
    protocol: str = "prepared"
    max_tries: int = 1
    variables: Mapping[str, str | int | float] = field(default_factory=dict)
    seed: int | None = None
    sample: float | None = None


def write_scripts(directory: Path, scripts: Sequence[Script]) -> tuple[str, ...]:
    """The arguments that name them. A name of ours, since pgbench reads a weight after the last @."""
    arguments: list[str] = []
    for number, script in enumerate(scripts):
        if script.builtin is not None:
            arguments += ["-b", f"{script.builtin}@{script.weight}"]
            continue
        path = directory / f"script{number}.sql"
        try:
            path.write_text(f"{(script.text or '').rstrip()}\n", encoding="utf-8")
        except OSError as error:
            raise no_space(directory, error.strerror or "no space") from error
        arguments += ["-f", f"{path}@{script.weight}"]
    return tuple(arguments)


class Pgbench:
    """Successive runs of one job; the rate of the last one tells which share of the next is logged."""

    def __init__(self, job: Job, directory: Path, recorder: Recorder, watch: Watch) -> None:
        self._job, self._directory, self._recorder, self._watch = job, directory, recorder, watch
        self._scripts = write_scripts(directory, job.scripts)
        self._rate_per_client: float | None = None
        self._runs = 0

    def run(self, segment: Segment) -> Ended:
        """Raises Misused for a script that pgbench refuses, Unreachable, Refused, Unsupported for a full disk."""
        if segment.clients == 0:
            return self._rest(segment)
        ended = Ended()
        for part in self._parts(segment):
            ended = ended.and_then(self._run(part))
            if ended.stopped or ended.broken:
                break
        return ended

    def _parts(self, segment: Segment) -> tuple[Segment, ...]:
        """The stretch, with its first second apart where that has to tell how fast it goes."""
        known = segment.stage < 0 or self._job.sample is not None or self._expected_rate(segment) is not None
        if known or segment.duration_s < _WORTH_CUTTING_S:
            return (segment,)
        rest = replace(segment, start_s=segment.start_s + _FIRST_S, duration_s=segment.duration_s - _FIRST_S)
        return replace(segment, duration_s=_FIRST_S), rest

    def _run(self, segment: Segment) -> Ended:
        every, columns = self._every(segment), self._columns(segment)
        run = _Run(self._command(segment, every), self._directory, self._job.environment, segment)
        first, self._runs = self._runs == 0, self._runs + 1
        try:
            run.carry_out(self._watch, LiveLog(self._directory, columns), self._recorder.pending)
        except KeyboardInterrupt:
            # What was measured until then is worth showing.
            if segment.stage >= 0:
                self._settle(run, segment, every)
            raise
        finally:
            self._recorder.pending.clear()
        if run.summary is None and not (run.stopped or run.overdue):
            if not first:
                return Ended(broken=(f"pgbench did not run to its end: {complaint(list(run.said))}",))
            raise not_started(complaint(list(run.said)), run.status, segment.clients, self._recorder.names)
        if run.summary is not None and run.summary.tps:
            self._rate_per_client = run.summary.tps / segment.clients
        if segment.stage < 0:
            return Ended(broken=self._ended_clients(run, segment), stopped=run.stopped)
        return self._settle(run, segment, every)

    def _settle(self, run: _Run, segment: Segment, every: int) -> Ended:
        """The log into the recorder, and whether it is whole."""
        summary = run.summary
        reading = read_logs(
            self._directory,
            self._columns(segment),
            segment,
            self._recorder,
            every=every,
            exact=summary.scripts if summary else (),
        )
        measured_s = summary.transactions / summary.tps if summary and summary.tps else run.elapsed_s
        end_s = segment.end_s if summary else min(segment.start_s + measured_s, segment.end_s)
        self._recorder.worked(segment.start_s, end_s, min(measured_s, run.elapsed_s))
        for at_s, aborted in run.aborted:
            offset_s = segment.start_s + min(at_s, segment.duration_s * 0.999)
            self._recorder.fail(aborted.script or 0, offset_s, mask_password(aborted.message))
        if segment.rate is not None and reading.lag_s >= _BEHIND_S:
            self._recorder.drop(end_s - 1e-6, int(segment.rate * reading.lag_s))
        broken = list(self._ended_clients(run, segment))
        if summary is not None and reading.transactions < least_logged(summary.transactions, every):
            expected = f"{summary.transactions:,}" if every == 1 else f"about {summary.transactions // every:,}"
            broken.append(f"the log has {reading.transactions:,} transactions of {expected}: a full disk?")
        if reading.unreadable:
            broken.append(f"{reading.unreadable} lines of the log cannot be read")
        return Ended(tuple(broken), stopped=run.stopped)

    def _ended_clients(self, run: _Run, segment: Segment) -> tuple[str, ...]:
        found = []
        if run.aborted:
            message = mask_password(run.aborted[0][1].message)
            found.append(
                f"{len(run.aborted)} of {segment.clients} clients ended at an error, as pgbench's do: {message}"
            )
        elif run.status and not (run.stopped or run.overdue):
            found.append(f"pgbench did not run to its end: {complaint(list(run.said))}")
        if run.overdue:
            found.append(f"transactions still ran {_GRACE_S:g} s after the end of their stage, and were given up")
        return tuple(found)

    def _rest(self, segment: Segment) -> Ended:
        until = time.monotonic() + segment.duration_s
        while (left_s := until - time.monotonic()) > 0:
            time.sleep(min(left_s, 1.0))
            if self._watch(Live(segment.end_s - left_s, 0, 0.0, None)):
                return Ended(stopped=True)
        if segment.stage >= 0:
            self._recorder.worked(segment.start_s, segment.end_s, segment.duration_s)
        return Ended()

    def _every(self, segment: Segment) -> int:
        """One in how many of its transactions to log: what was asked for, else what costs next to nothing."""
        if self._job.sample is not None:
            return max(round(1 / self._job.sample), 1)
        return one_in(self._expected_rate(segment) or 0.0, segment.duration_s)

    def _expected_rate(self, segment: Segment) -> float | None:
        """Transactions per second. None: nobody knows before the first run."""
        if segment.rate is not None:
            return segment.rate
        return None if self._rate_per_client is None else self._rate_per_client * segment.clients

    def _command(self, segment: Segment, every: int) -> list[str]:
        job = self._job
        threads = min(segment.clients, os.cpu_count() or 1)
        words = [str(job.program.path), "-n", "-M", job.protocol, "-c", str(segment.clients), "-j", str(threads)]
        words += ["-T", str(max(round(segment.duration_s), 1)), "-P", "1"]
        words += self._scripts
        if segment.stage >= 0:
            words += ["-l", f"--log-prefix={self._directory / 'log'}"]
            # pgbench draws for its log from the scripts' random numbers: with a seed it always does.
            if every > 1 or job.seed is not None:
                words.append(f"--sampling-rate={1 / every:.9f}")
        for name, value in job.variables.items():
            words += ["-D", f"{name}={value}"]
        if segment.rate is not None:
            words += ["-R", f"{segment.rate:.6f}"]
        if job.max_tries > 1:
            words.append(f"--max-tries={job.max_tries}")
        if job.program.version >= (15,):
            words.append("--failures-detailed")
        if job.seed is not None:
            # Else each stretch would repeat the one before it.
            words.append(f"--random-seed={job.seed + self._runs}")
        return [*words, job.conninfo]

    def _columns(self, segment: Segment) -> Columns:
        return Columns(lag=segment.rate is not None, retries=self._job.max_tries > 1)


class _Run:
    """One pgbench under way."""

    def __init__(self, command: list[str], directory: Path, environment: Mapping[str, str], segment: Segment) -> None:
        self._command, self._directory, self._environment, self._segment = command, directory, environment, segment
        self._moment: Moment | None = None
        self._started = time.monotonic()
        self.aborted: list[tuple[float, Aborted]] = []
        self.summary: Summary | None = None
        self.said: Sequence[str] = ()
        self.status = 0
        self.stopped = False
        self.overdue = False
        self.elapsed_s = 0.0

    def carry_out(self, watch: Watch, log: LiveLog, pending: Counter[int]) -> None:
        """Until it ends, or `watch` asks for that."""
        output = self._directory / "summary"
        try:
            file = output.open("wb")
        except OSError as error:
            raise no_space(self._directory, error.strerror or "no space") from error
        self._started = time.monotonic()
        try:
            with (
                file,
                running(
                    self._command,
                    self._directory,
                    remove=self._directory,
                    environment=self._environment,
                    output=file,
                    hear=self._hear,
                ) as child,
            ):
                self.status = self._attend(child, watch, log, pending)
                self.said = tuple(child.said)
        finally:
            self.elapsed_s = time.monotonic() - self._started
        self.summary = parse_summary(output.read_text(encoding="utf-8", errors="replace"))

    def _attend(self, child: Child, watch: Watch, log: LiveLog, pending: Counter[int]) -> int:
        while (status := child.wait(1.0)) is None:
            elapsed_s = time.monotonic() - self._started
            free = shutil.disk_usage(self._directory).free
            if free < _LEAST_FREE_BYTES:
                raise no_space(self._directory, f"{free >> 20} MB are free")
            if self.stopped or self.overdue:
                continue
            # A transaction that outlives the stretch by far would hold everything up; what is logged is kept.
            self.overdue = elapsed_s > self._segment.duration_s + _GRACE_S
            times_us = log.times_us()
            if self._segment.stage >= 0:
                pending.update(times_us)
            self.stopped = watch(self._live(elapsed_s, times_us))
            if self.stopped or self.overdue:
                child.ask_to_end()
        return status

    def _live(self, elapsed_s: float, times_us: Sequence[int]) -> Live:
        return Live(
            offset_s=self._segment.start_s + min(elapsed_s, self._segment.duration_s),
            clients=self._segment.clients - len(self.aborted),
            rate=self._moment.tps if self._moment else None,
            p95_s=times_us[int(0.95 * (len(times_us) - 1))] * 1e-6 if times_us else None,
        )

    def _hear(self, line: str) -> None:
        moment = parse_progress(line)
        if moment is not None:
            self._moment = moment
        elif (aborted := parse_aborted(line)) is not None:
            self.aborted.append((time.monotonic() - self._started, aborted))
