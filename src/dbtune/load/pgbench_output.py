"""What pgbench prints: its summary on standard output, progress and errors on standard error."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NUMBER = r"([\d.]+|NaN|nan|inf)"
_ABORTED = re.compile(
    r"client (\d+)(?: script (\d+))? aborted(?:[^:;]* of script (\d+))?\s*([^:;]*)(?:[:;] ?(.*))?$", re.DOTALL
)
_PROGRESS = re.compile(rf"progress: {_NUMBER} s, {_NUMBER} tps, lat {_NUMBER} ms stddev {_NUMBER}")
_PROCESSED = re.compile(r"^ - number of transactions actually p\w+: (\d+)", re.MULTILINE)
_TRANSACTIONS = re.compile(r"^ - (\d+) transactions \(", re.MULTILINE)
_PREFIX = re.compile(r"^pgbench: (?:error|fatal|warning|info)?:? ?")


@dataclass(frozen=True, slots=True)
class Exact:
    """What pgbench counted itself, of one script: `succeeded`, their mean time, and how many `failed`.

    The mean has the precision of its print, a microsecond; None where nothing succeeded.
    """

    succeeded: int
    latency_s: float | None
    failed: int


@dataclass(frozen=True, slots=True)
class Summary:
    """`tps` excludes the time to connect. A run in which nothing succeeded has neither rate nor times.

    `scripts` in the order of the command line; one entry for all where pgbench does not tell them apart.
    """

    transactions: int
    tps: float | None
    latency_s: float | None
    connecting_s: float | None
    scripts: tuple[Exact, ...] = ()


@dataclass(frozen=True, slots=True)
class Aborted:
    """A client that ended at its first error: pgbench does not go on after one. `script` counts from 0."""

    client: int
    script: int | None
    message: str


@dataclass(frozen=True, slots=True)
class Moment:
    """A line of `--progress`."""

    at_s: float
    tps: float
    latency_s: float


def parse_summary(text: str) -> Summary | None:
    """None where pgbench ended before it wrote one."""
    count = re.search(r"^number of transactions actually processed: (\d+)", text, re.MULTILINE)
    if count is None:
        return None
    # Until 13: (excluding connections establishing); since 14: (without initial connection time).
    rate = re.search(rf"^tps = {_NUMBER} \((?:excluding|without)", text, re.MULTILINE)
    latency = re.search(rf"^latency average = {_NUMBER} ms", text, re.MULTILINE)
    connecting = re.search(rf"^initial connection time = {_NUMBER} ms", text, re.MULTILINE)
    transactions = int(count[1])
    mean_s = _milli(latency) if transactions else None
    return Summary(
        transactions=transactions,
        tps=_finite(rate) if transactions else None,
        latency_s=mean_s,
        connecting_s=_milli(connecting),
        scripts=_scripts(text, transactions) or (Exact(transactions, mean_s, _count(text, "")),),
    )


def _scripts(text: str, transactions: int) -> tuple[Exact, ...]:
    """The parts that pgbench prints for each of several scripts; empty where they do not add up to the whole.

    Since 18 a line of its own has the transactions that succeeded; before, versions differ in what they count.
    """
    parts = re.split(r"^SQL script \d+: ", text, flags=re.MULTILINE)[1:]
    failed = [_count(part, " - ") for part in parts]
    for pattern, less in ((_PROCESSED, 0), (_TRANSACTIONS, 0), (_TRANSACTIONS, 1)):
        counts = [int(match[1]) if (match := pattern.search(part)) else 0 for part in parts]
        succeeded = [count - less * lost for count, lost in zip(counts, failed, strict=True)]
        if sum(succeeded) == transactions and min(succeeded, default=-1) >= 0:
            means = (re.search(rf"^ - latency average = {_NUMBER} ms", part, re.MULTILINE) for part in parts)
            return tuple(
                Exact(count, _milli(mean) if count else None, lost)
                for count, mean, lost in zip(succeeded, means, failed, strict=True)
            )
    return ()


def _count(text: str, before: str) -> int:
    match = re.search(rf"^{before}number of failed transactions: (\d+)", text, re.MULTILINE)
    return int(match[1]) if match else 0


def parse_progress(line: str) -> Moment | None:
    match = _PROGRESS.search(line)
    if match is None:
        return None
    at_s, tps, latency_ms = (_number(match[place]) for place in (1, 2, 3))
    return Moment(at_s or 0.0, tps or 0.0, (latency_ms or 0.0) / 1000)


def parse_aborted(line: str) -> Aborted | None:
    match = _ABORTED.search(line)
    if match is None:
        return None
    script = match[2] or match[3]
    said = " ".join((match[5] or match[4]).split())
    return Aborted(int(match[1]), None if script is None else int(script), said or "aborted")


def complaint(lines: list[str]) -> str:
    """Why a run did not start, in pgbench's own words, without its name before each line."""
    said = [_PREFIX.sub("", line).strip() for line in lines]
    return "; ".join(line for line in said if line and not line.startswith("progress:")) or "it gave no reason"


def _finite(match: re.Match[str] | None) -> float | None:
    return _number(match[1]) if match else None


def _milli(match: re.Match[str] | None) -> float | None:
    value = _finite(match)
    return None if value is None else value / 1000


def _number(text: str) -> float | None:
    return None if text.lower() in ("nan", "inf") else float(text)
