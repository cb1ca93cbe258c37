"""Another tool's file as a baseline."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Literal, cast

from dbtune.app.baseline_store import save
from dbtune.baseline.capture import Capture
from dbtune.baseline.document import check_name
from dbtune.baseline.importing import from_hyperfine, from_k6_stream, from_pgbench, read_document
from dbtune.baseline.k6_summary import from_summary, is_summary
from dbtune.core.errors import Misused
from dbtune.load.pgbench_log import Columns

Tool = Literal["auto", "k6", "pgbench", "hyperfine"]
_SUMMARY_BYTES = 64 << 20
_GZIP = b"\x1f\x8b"


def import_baseline(
    name: str, files: Sequence[Path], directory: Path, *, tool: Tool = "auto", columns: Columns | None = None
) -> Capture:
    """Reads `files`, stores the baseline under `name`. Raises Misused for what is no such file."""
    check_name(name)
    source = files[0].name if len(files) == 1 else f"{files[0].name} and {len(files) - 1} more"
    kind = _recognize(files[0]) if tool == "auto" else _declared(files[0], tool)
    try:
        if kind == "pgbench":
            found = from_pgbench(name, _lines(files), columns, source)
        elif kind == "k6 stream":
            found = from_k6_stream(name, _lines(files), source)
        else:
            found = _from_document(name, files, source)
    except (OSError, EOFError, zlib.error) as error:
        raise Misused(f"{source} cannot be read to its end: {error}", hint="was it cut off?") from error
    save(found, directory)
    return found


def _from_document(name: str, files: Sequence[Path], source: str) -> Capture:
    if len(files) > 1:
        raise Misused("a summary is one file", hint="import each under a name of its own")
    with _opened(files[0]) as file:
        text = file.read(_SUMMARY_BYTES + 1)
    if len(text) > _SUMMARY_BYTES:
        raise Misused(f"{source} is larger than a summary can be", hint="name the file that k6 or hyperfine wrote")
    document = read_document(text, source)
    if is_summary(document):
        return from_summary(name, document, source)
    if isinstance(document.get("results"), list):
        return from_hyperfine(name, document, source)
    raise Misused(f"{source} is neither a summary of k6 nor a result of hyperfine", hint="see `import --help`")


def _recognize(path: Path) -> str:
    """By the first line: a point of k6, a transaction of pgbench, else a document."""
    try:
        with _opened(path) as file:
            first = file.readline(1 << 20)
    except (OSError, EOFError, zlib.error) as error:
        raise Misused(f"{path} cannot be read: {error}", hint="name a file of k6, pgbench or hyperfine") from error
    if first.lstrip().startswith(b"{") and b'"type"' in first and b'"metric"' in first:
        return "k6 stream"
    words = first.split()
    if len(words) >= 6 and words[0].isdigit() and words[1].isdigit():
        return "pgbench"
    return "document"


def _declared(path: Path, tool: Tool) -> str:
    if tool == "k6":
        found = _recognize(path)
        return found if found == "k6 stream" else "document"
    return "pgbench" if tool == "pgbench" else "document"


def _lines(files: Sequence[Path]) -> Iterator[bytes]:
    for path in files:
        with _opened(path) as file:
            while line := file.readline(2 << 20):
                yield line


def _opened(path: Path) -> BinaryIO:
    """Compressed or not, whatever its name."""
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
    return cast("BinaryIO", gzip.open(path, "rb")) if packed else path.open("rb")
