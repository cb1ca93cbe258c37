"""Measurements of other tools as captures: k6 (three summaries, NDJSON), pgbench's transaction logs, hyperfine.

An imported capture says nothing of a server; two of them compare by their loads, timings and figures.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice, pairwise
from typing import Any, Literal

from dbtune import __version__
from dbtune.baseline import histogram
from dbtune.baseline.capture import SCHEMA, Capture, Fingerprint, Skipped, Timing
from dbtune.baseline.load_result import LoadBlock, LoadMoment, LoadResult, LoadStream, Loop
from dbtune.baseline.probes import into_blocks
from dbtune.core.errors import Misused
from dbtune.load.k6_output import DROPPED, REQUEST, parse_point
from dbtune.load.pgbench_log import Columns, Tallied, tally

BLOCKS = 6
_LONGEST_LINE = 1 << 20
_LOOKED_AT = 1000
_NOT_A_SERVER = 0
_FIRST_SECOND = 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Tool = Literal["k6", "pgbench", "hyperfine"]


@dataclass(slots=True)
class Cells:
    """Requests by second and stream: how many took so many seconds (rounded to four digits)."""

    times: dict[int, dict[str, Counter[float]]] = field(default_factory=dict)
    failed: Counter[tuple[int, str]] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    dropped: Counter[int] = field(default_factory=Counter)

    def add(self, second: int, stream: str, seconds: float, count: int = 1) -> None:
        self.times.setdefault(second, {}).setdefault(stream, Counter())[float(f"{seconds:.4g}")] += count

    @property
    def seconds(self) -> list[int]:
        return sorted({*self.times, *self.dropped, *(second for second, _ in self.failed)})


def imported(name: str, tool: Tool, source: str, started_at: datetime | None = None, **parts: Any) -> Capture:  # noqa: ANN401 - fields of Capture
    """A capture of no server."""
    return Capture(
        schema=SCHEMA,
        dbtune=__version__,
        name=name,
        target=f"{tool}: {source}",
        started_at=started_at or datetime.now(UTC),
        duration_s=float(parts.pop("duration_s", 0.0)),
        fingerprint=Fingerprint(_NOT_A_SERVER, "", 0, None, _EPOCH, None, None, {}),
        imported=tool,
        **parts,
    )


def from_k6_stream(name: str, lines: Iterable[bytes], source: str) -> Capture:
    """`k6 run --out json=FILE`. Raises Misused, naming the line."""
    cells = Cells()
    for number, line in enumerate(lines, 1):
        try:
            _refuse_endless(line)
            point = parse_point(line)
        except ValueError as error:
            raise Misused(f"{source}:{number}: {error}", hint="was the file cut off while k6 wrote it?") from error
        if point is None:
            continue
        second = int(point.at)
        if point.metric == REQUEST and point.error is None:
            cells.add(second, point.name, point.value / 1000)
        elif point.metric == REQUEST:
            cells.failed[second, point.name] += 1
            cells.errors[point.error or "failed"] += 1
        elif point.metric == DROPPED:
            cells.dropped[second] += int(point.value)
    return _from_cells(name, cells, "k6", "unknown", source)


def from_pgbench(name: str, lines: Iterable[bytes], columns: Columns | None, source: str) -> Capture:
    """`pgbench --log`; several files one after the other. Raises Misused where a line of seven fields is ambiguous."""
    cells, known, unreadable, read = Cells(), columns, 0, 0
    for batch in _batches(lines):
        known = known or _columns({len(line.split()) for line in batch[:_LOOKED_AT] if line.strip()}, source)
        found = tally(batch, known)
        _refuse_aggregated(found, source)
        unreadable += found.unreadable
        read += len(batch)
        _enter(cells, found, source)
    if known is None:
        raise Misused(f"{source} is empty", hint="name the log of a run that sent something")
    # A run that was killed leaves half a line at its end.
    if unreadable > max(1, read // 1000):
        raise Misused(
            f"{source}: {unreadable} of {read} lines are no transactions of a pgbench run with {_words(known)}",
            hint="an aggregated log (--aggregate-interval) has no single transactions: log without it",
        )
    return _from_cells(name, cells, "pgbench", "open" if known.lag else "closed", source)


def _batches(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    waiting = iter(lines)
    while batch := list(islice(waiting, 100_000)):
        for line in batch:
            _refuse_endless(line)
        yield batch


def _refuse_aggregated(found: Tallied, source: str) -> None:
    """Until version 14 such a line has six fields too: its shortest time stands where the moment belongs."""
    if any(entry.second < _FIRST_SECOND for entry in found.alike):
        raise Misused(
            f"{source} is no transaction log of pgbench: its moments lie before 2001",
            hint="an aggregated log (--aggregate-interval) has no single transactions: log without it",
        )


def _enter(cells: Cells, found: Tallied, source: str) -> None:
    for entry in found.alike:
        if entry.time_us < 0:
            raise Misused(f"{source}: a transaction took {entry.time_us} µs, which cannot be", hint="log it again")
        cells.add(entry.second, f"script {entry.script}", entry.time_us / 1e6, entry.count)
    for (script, second, what), count in found.failed.items():
        cells.failed[second, f"script {script}"] += count
        cells.errors[what] += count
    cells.dropped.update(found.skipped)


def from_hyperfine(name: str, document: Mapping[str, Any], source: str) -> Capture:
    """`hyperfine --export-json`: a timing per command."""
    timings, skipped = [], []
    for number, result in enumerate(_list(document.get("results")), 1):
        if not isinstance(result, Mapping):
            raise Misused(f"{source}: result {number} is not a mapping", hint="export it again with --export-json")
        command = str(result.get("command") or f"command {number}")
        codes = _list(result.get("exit_codes"))
        times = [_time(value, source, command) for value in _list(result.get("times"))]
        good = [value for value, code in zip(times, codes, strict=True) if code in (0, None)] if len(codes) == len(
            times) else times  # fmt: skip
        if good:
            timings.append(Timing(command, into_blocks(good), "hyperfine", errors=len(times) - len(good)))
        else:
            skipped.append(Skipped(command, "no run of it succeeded", None))
    if not timings and not skipped:
        raise Misused(f"{source} holds no result of hyperfine", hint="export it with hyperfine --export-json")
    return imported(name, "hyperfine", source, timings=tuple(timings), skipped=tuple(skipped))


def read_document(text: bytes, source: str) -> dict[str, Any]:
    """JSON with finite numbers. Raises Misused."""
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        begun = text.lstrip().startswith((b"{", b"["))
        raise Misused(
            f"{source} is not a complete JSON document: {error}",
            hint="was it cut off?"
            if begun
            else "import reads k6's summaries and --out json=FILE, pgbench's --log, and hyperfine's --export-json",
        ) from error
    if not isinstance(document, dict):
        raise Misused(f"{source} is a {type(document).__name__}, no summary of k6 or hyperfine")
    return document


def _from_cells(name: str, cells: Cells, tool: Tool, mode: Loop, source: str) -> Capture:
    seconds = cells.seconds
    if not seconds:
        what = f" of k6 ({REQUEST})" if tool == "k6" else ""
        raise Misused(f"{source} holds no request{what}", hint="name the log of a run that sent some")
    first, last = seconds[0], seconds[-1] + 1
    if last - first > 30 * 86400:
        raise Misused(f"{source}: its requests lie {(last - first) // 86400} days apart: a clock jumped")
    streams = sorted({stream for second in cells.times.values() for stream in second} | {s for _, s in cells.failed})
    load = LoadResult(
        name=tool,
        engine=tool,
        mode=mode,
        profile="imported",
        blocks=tuple(_blocks(cells, first, last, streams)),
        streams=tuple(LoadStream(stream or "requests", tuple(_blocks(cells, first, last, [stream])))
                      for stream in streams),
        series=tuple(_moment(cells, second, first) for second in range(first, last)) if last - first <= 7200 else (),
        errors=dict(cells.errors),
        imported=source,
    )  # fmt: skip
    started_at = datetime.fromtimestamp(first, UTC)
    return imported(name, tool, source, started_at, duration_s=float(last - first), loads=(load,))


def _blocks(cells: Cells, first: int, last: int, streams: list[str]) -> Iterator[LoadBlock]:
    count = min(BLOCKS, last - first)
    edges = [first + round(place * (last - first) / count) for place in range(count + 1)]
    for start, end in pairwise(edges):
        yield _block(cells, range(start, end), first, streams)


def _block(cells: Cells, seconds: range, first: int, streams: list[str]) -> LoadBlock:
    times: Counter[float] = Counter()
    for second in seconds:
        for stream in streams:
            times.update(cells.times.get(second, {}).get(stream, {}))
    failed = sum(cells.failed[second, stream] for second in seconds for stream in streams)
    return LoadBlock(
        offset_s=float(seconds.start - first),
        duration_s=float(len(seconds)),
        sent=times.total() + failed,
        failed=failed,
        dropped=sum(cells.dropped[second] for second in seconds),
        response=histogram.of_counts(times),
    )


def _moment(cells: Cells, second: int, first: int) -> LoadMoment:
    times: Counter[float] = sum(cells.times.get(second, {}).values(), Counter())
    made = histogram.of_counts(times) if times else histogram.EMPTY
    failed = sum(count for (at, _), count in cells.failed.items() if at == second) if cells.failed else 0
    return LoadMoment(
        offset_s=float(second - first),
        duration_s=1.0,
        rate=float(made.count),
        failed_rate=float(failed),
        dropped_rate=float(cells.dropped[second]),
        p50_s=histogram.quantile(made, 0.5),
        p95_s=histogram.quantile(made, 0.95),
        p99_s=histogram.quantile(made, 0.99),
    )


def _columns(widths: set[int], source: str) -> Columns:
    """What the number of fields tells; seven can be either."""
    if widths == {6}:
        return Columns()
    if widths == {8}:
        return Columns(lag=True, retries=True)
    if widths == {7}:
        raise Misused(
            f"{source} has seven fields a line: the last one is a lag (pgbench --rate) or retries (--max-tries)",
            hint="say which, as pgbench's command line had it: --with-lag or --with-retries",
        )
    seen = ", ".join(map(str, sorted(widths))) or "no"
    raise Misused(
        f"{source} is no transaction log of pgbench: its lines have {seen} fields",
        hint="write it with pgbench --log, without --aggregate-interval",
    )


def _words(columns: Columns) -> str:
    named = [word for word, there in (("a lag", columns.lag), ("retries", columns.retries)) if there]
    return " and ".join(named) or "neither lag nor retries"


def _refuse_endless(line: bytes) -> None:
    if len(line) > _LONGEST_LINE:
        raise Misused("a line of more than a megabyte is no measurement", hint="name the file that the tool wrote")


def _time(value: object, source: str, what: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value) or value < 0:
        raise Misused(f"{source}: {what} has a time that cannot be: {value!r}", hint="measure again")
    return float(value)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _refuse_constant(constant: str) -> Any:  # noqa: ANN401 - json's own signature
    raise ValueError(f"{constant} is not a number that was measured")
