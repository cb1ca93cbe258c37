"""Where scripts and logs of a load lie while it runs: a directory of this user alone."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dbtune.servers.load.pgbench_errors import no_space


@contextmanager
def private_directory() -> Iterator[Path]:
    """Gone after the block, with all it holds. Raises Unsupported where none can be made."""
    try:
        directory = Path(tempfile.mkdtemp(prefix="dbtune-load-"))
    except OSError as error:
        raise no_space(Path(tempfile.gettempdir()), error.strerror or "no space") from error
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
