"""Where scripts and logs of a load lie while it runs: a directory of this user alone, in memory where there is room.

A disk that is shared with the server would be written to by the measurement of it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dbtune.servers.load.pgbench_errors import no_space

_MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of our own is made in it
_LEAST_FREE_BYTES = 1 << 30
"""A log takes 120 MB at the most (load/sampling.py), and a server may need its shared memory here."""


@contextmanager
def private_directory(memory: Path = _MEMORY) -> Iterator[Path]:
    """Gone after the block, with all it holds. TMPDIR decides, where it is set. Raises Unsupported for a full disk."""
    named = os.environ.get("TMPDIR")
    place = Path(named) if named else memory if _has_room(memory) else Path(tempfile.gettempdir())
    try:
        directory = Path(tempfile.mkdtemp(prefix="dbtune-load-", dir=place))
    except OSError as error:
        raise no_space(place, error.strerror or "no space") from error
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _has_room(place: Path) -> bool:
    try:
        return os.access(place, os.W_OK | os.X_OK) and shutil.disk_usage(place).free >= _LEAST_FREE_BYTES
    except OSError:
        return False
