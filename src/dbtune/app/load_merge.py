"""Results of several workers, read from their files and judged as one load."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dbtune.core.errors import Misused
from dbtune.load.document import from_json
from dbtune.load.merging import merge_reports
from dbtune.load.report import LoadReport

if TYPE_CHECKING:
    from dbtune.baseline.capture import Capture

_MOST_BYTES = 256 << 20


def merge_files(paths: Sequence[Path], baseline: Capture | None) -> LoadReport:
    """Raises Misused for a file that cannot be read, is no result, or does not belong to the others."""
    return merge_reports([from_json(_read(path), str(path)) for path in paths], baseline)


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise Misused(f"{path} is larger than a result can be", hint="name the files that dbtune load wrote")
        return path.read_bytes()
    except OSError as error:
        raise Misused(
            f"{path} cannot be read: {error.strerror}", hint="name the files that dbtune load wrote"
        ) from error
