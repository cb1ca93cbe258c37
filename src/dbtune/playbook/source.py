"""The bytes of a playbook, or the one reason why there are none."""

from __future__ import annotations

from pathlib import Path

from dbtune.core.errors import InvalidPlaybook, Problem
from dbtune.playbook.model import Position

MAX_BYTES = 1 << 20
"""A thousand commented indexes are about 200 kB; what is larger is some other file."""


START = Position(1, 1)


def stop(path: str, message: str, position: Position = START, *, hint: str | None = None) -> InvalidPlaybook:
    """The error of a file that cannot be examined any further."""
    return InvalidPlaybook((Problem(path, position.line, position.column, message),), hint=hint)


def read(path: Path) -> str:
    """The text of a playbook. Raises InvalidPlaybook for everything that is not a small text file."""
    name = str(path)
    try:
        if path.is_dir():
            raise stop(name, "this is a directory, not a playbook", hint="Name the YAML file itself.")
        if not path.is_file() and path.exists():
            raise stop(name, "this is not a regular file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise stop(name, "there is no such file") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise stop(name, f"the file cannot be read: {reason}") from error
    return _decode(name, content)


def _decode(path: str, content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise stop(path, "the file is larger than 1 MB, which no playbook is")
    if b"\0" in content:
        raise stop(path, "this is a binary file, not a playbook")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        column = len(before) - before.rfind(b"\n")
        raise stop(path, "the text is not UTF-8, or this is a binary file", Position(line, column)) from error
    if not text.strip():
        raise stop(path, "the file is empty", hint="A playbook begins with `version: 1`, `name:` and `steps:`.")
    return text
