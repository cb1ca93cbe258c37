"""What pgbench prints: its summary on standard output, progress and errors on standard error."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NUMBER = r"([\d.]+|NaN|nan|inf)"
_ABORTED = re.compile(r"client (\d+)(?: script (\d+))? aborted(?: in command \d+)?[^:]*: ?(.*)", re.DOTALL)
_PROGRESS = re.compile(rf"progress: {_NUMBER} s, {_NUMBER} tps, lat {_NUMBER} ms stddev {_NUMBER}")
_PREFIX = re.compile(r"^pgbench: (?:error|fatal|warning|info)?:? ?")


@dataclass(frozen=True, slots=True)
class Summary:
    """`tps` excludes the time to connect. A run in which nothing succeeded has neither rate nor times."""

    transactions: int
    tps: float | None
    latency_s: float | None
    connecting_s: float | None


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
    return Summary(
        transactions=transactions,
        tps=_finite(rate) if transactions else None,
        latency_s=_milli(latency) if transactions else None,
        connecting_s=_milli(connecting),
    )


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
    script = int(match[2]) if match[2] is not None else None
    return Aborted(int(match[1]), script, " ".join(match[3].split()) or "aborted")


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
