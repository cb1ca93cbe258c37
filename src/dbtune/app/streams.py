"""Open files by their names: a person may name one where a file is meant to be written."""

from __future__ import annotations

from pathlib import Path


def is_stream(path: Path) -> bool:
    """A pipe, a terminal, or what was opened already (/dev/stdout, /dev/fd/3): never to be replaced by a file.

    Whoever may write to /dev would otherwise lose the name: when standard output is a file, so is /dev/stdout.
    """
    parts = path.absolute().parts[1:]
    opened = parts[:2] == ("dev", "fd") or (path.is_symlink() and parts[:1] in {("dev",), ("proc",)})
    return opened or (path.exists() and not path.is_file() and not path.is_dir())
