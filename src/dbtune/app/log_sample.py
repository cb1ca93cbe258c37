"""The end of a server log, as the sample that confirms an N+1."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from dbtune.baseline.texts import fingerprint
from dbtune.core.errors import Misused
from dbtune.nplusone.sample import read_sample
from dbtune.nplusone.traffic import Traffic, Unread

MOST_BYTES = 32 * 1024 * 1024
"""From the end: what was logged while the statements were watched is there."""
_HOW = "log statements with their values (log_min_duration_statement = 0), in stderr with %p in log_line_prefix"


def with_sample(traffic: Traffic, log: Path) -> Traffic:
    """Raises Misused where the file cannot be read; a file without statements is said to be one."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(size - MOST_BYTES, 0))
            text = file.read(MOST_BYTES).decode("utf-8", "replace")
    except OSError as error:
        raise Misused(f"{log}: {error.strerror}", hint="name a file of the server's log that you may read") from error
    sample = read_sample(text, fingerprint)
    unread = () if sample else (Unread(f"{log}: there is no statement in it", _HOW),)
    return replace(traffic, sample=sample, unread=(*traffic.unread, *unread))
