"""Why pgbench did not run, as dbtune's errors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from dbtune.core.errors import DbtuneError, Misused, Refused, Unreachable, Unsupported
from dbtune.core.secrets import mask_password

# What these say is about the server, not about the script.
_CONNECTION = re.compile(r"connection to server|could not connect|could not create connection|connection to database")
_SCRIPT = re.compile(r"\S*/script(\d+)\.sql")


def not_started(said: str, status: int, clients: int, scripts: Sequence[str]) -> DbtuneError:
    """From pgbench's own words; our files get the names of their scripts back."""

    def name(match: re.Match[str]) -> str:
        return f"script {scripts[int(match[1])]}" if int(match[1]) < len(scripts) else match[0]

    text = _SCRIPT.sub(name, mask_password(said))
    if "too many" in text or "remaining connection slots" in text:
        return Refused(
            f"the server has no {clients} free connections: {text}", hint="fewer clients, or raise max_connections"
        )
    if "password" in text or "pg_hba.conf" in text or "is not permitted to log in" in text:
        return Refused(f"pgbench was refused: {text}", hint="check the password and pg_hba.conf")
    if _CONNECTION.search(text):
        return Unreachable(f"pgbench cannot connect: {text}", hint="check that the server still runs")
    if "need at least" in text or "open files" in text or "file descriptor" in text:
        return Refused(
            f"pgbench may not open {clients} connections: {text}", hint="raise `ulimit -n`, or fewer clients"
        )
    number = -status if status < 0 else status - 128
    if number > 0:
        return Unsupported(
            f"pgbench was ended by signal {number}: {text}",
            hint="is the disk full, or a limit of memory or files reached?",
        )
    return Misused(f"pgbench refuses to run: {text}", hint="correct the script; pgbench's manual has its language")


def no_space(directory: Path, reason: str) -> Unsupported:
    return Unsupported(
        f"the log of the load has no room in {directory}: {reason}",
        hint="free some space, set TMPDIR to another disk, or give the load `sample: 10%`",
    )
