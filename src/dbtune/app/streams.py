"""Open files by their names: a person may name one where a file is meant to be read or written."""

from __future__ import annotations

from pathlib import Path


def is_stream(path: Path) -> bool:
    """A pipe, a terminal, or what was opened already (/dev/stdout, /dev/fd/3): never to be replaced by a file.

    Whoever may write to /dev would otherwise lose the name: when standard output is a file, so is /dev/stdout.
    """
    parts = path.absolute().parts[1:]
    opened = parts[:2] == ("dev", "fd") or (path.is_symlink() and parts[:1] in {("dev",), ("proc",)})
    return opened or (path.exists() and not path.is_file() and not path.is_dir())


def read_at_most(path: Path, most_bytes: int) -> bytes | None:
    """What is in a file; None where it is more, be it a device that never ends. Raises OSError."""
    if path.stat().st_size > most_bytes:
        return None
    with path.open("rb") as file:
        content = file.read(most_bytes + 1)
    return content if len(content) <= most_bytes else None
