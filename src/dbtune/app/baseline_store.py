"""Baselines as files: `DIRECTORY/NAME.json`, complete or absent."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dbtune.baseline.capture import Capture
from dbtune.baseline.document import check_name, from_json, pieces
from dbtune.core.errors import Misused
from dbtune.core.questions import Failed, Measured

if TYPE_CHECKING:
    from dbtune.baseline.readings import Measured as Measurements

DIRECTORY = Path(".dbtune") / "baselines"
_MAX_BYTES = 512 << 20


def save(capture: Capture, directory: Path = DIRECTORY, written: Mapping[int, bytes] | None = None) -> Path:
    """Writes beside the file and renames: nobody ever reads half of it. Raises Misused where it cannot be written.

    `written` as in `pieces`.
    """
    path = directory / f"{check_name(capture.name)}.json"
    beside = directory / f".{capture.name}.{os.getpid()}.part"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        # Texts of statements may hold what the application keeps to itself.
        beside.touch(mode=0o600)
        with beside.open("wb") as file:
            file.writelines(pieces(capture, written))
        beside.replace(path)
    except OSError as error:
        raise Misused(
            f"{path} cannot be written: {error.strerror}", hint="name another directory with --dir"
        ) from error
    finally:
        beside.unlink(missing_ok=True)
    return path


def load(name: str, directory: Path = DIRECTORY) -> Capture:
    """A baseline by its name in `directory`, or by the path of its file. Raises Misused."""
    path = _path(name, directory)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise Misused(f"{path} is larger than a baseline can be", hint="name a file that dbtune wrote")
        return from_json(path.read_bytes(), str(path))
    except FileNotFoundError as error:
        known = ", ".join(names(directory)) or "there are none yet"
        raise Misused(f"there is no baseline {name} in {directory}", hint=f"known: {known}") from error
    except OSError as error:
        raise Misused(f"{path} cannot be read: {error.strerror}", hint="name a file that dbtune wrote") from error


def names(directory: Path = DIRECTORY) -> list[str]:
    return sorted(path.stem for path in directory.glob("*.json") if not path.name.startswith("."))


def load_all(directory: Path = DIRECTORY) -> Iterator[tuple[str, Capture | Misused]]:
    """Every file of the directory with its capture, or with what is wrong with it."""
    for name in names(directory):
        try:
            yield name, load(str(directory / f"{name}.json"), directory)
        except Misused as damaged:
            yield name, damaged


def superfluous(directory: Path, *, keep: int | None, older_than_s: float | None) -> list[str]:
    """Names of the baselines that `prune` may delete, oldest first; damaged and foreign files are not among them."""
    found = sorted(
        ((capture.started_at, name) for name, capture in load_all(directory) if isinstance(capture, Capture)),
        reverse=True,
    )
    now = datetime.now(UTC)
    old = [
        (started_at, name)
        for place, (started_at, name) in enumerate(found)
        if (keep is not None and place >= keep)
        or (older_than_s is not None and (now - started_at).total_seconds() > older_than_s)
    ]
    return [name for _, name in sorted(old)]


def prune(names: Iterable[str], directory: Path) -> None:
    """Raises Misused at the first that cannot be deleted."""
    for name in names:
        try:
            (directory / f"{name}.json").unlink(missing_ok=True)
        except OSError as error:
            raise Misused(f"{directory / name}.json cannot be deleted: {error.strerror}") from error


def measured(question: Measured, directory: Path | None = None) -> Measurements | Failed:
    """The answer to a gate's question: what was measured before and after."""
    from dbtune.baseline.comparability import examine
    from dbtune.baseline.readings import Measured as Measurements
    from dbtune.baseline.readings import readings

    directory = directory or DIRECTORY
    try:
        before = load(question.before, directory) if question.before is not None else None
        after = load(question.after, directory) if question.after is not None else _newest(before, directory)
        if before is not None:
            examine(before, after)
    except Misused as error:
        return Failed(error.message, error.hint)
    return Measurements(
        before_name=before.name if before else None,
        after_name=after.name,
        before=readings(before) if before else None,
        after=readings(after),
    )


def _newest(before: Capture | None, directory: Path) -> Capture:
    """The newest capture that is younger than `before`. Raises Misused where there is none."""
    found = [
        capture
        for _, capture in load_all(directory)
        if isinstance(capture, Capture)
        and (before is None or (capture.started_at > before.started_at and capture.name != before.name))
    ]
    if not found:
        later = f" after {before.name}" if before else ""
        raise Misused(
            f"nothing was measured{later}: there is no such baseline in {directory}",
            hint="put a `load` step before the gate, or `dbtune baseline capture NAME`",
        )
    return max(found, key=lambda capture: capture.started_at)


def _path(name: str, directory: Path) -> Path:
    """A separator or the suffix makes it a file that the person names; anything else is a name, checked as such."""
    if name.endswith(".json") or "/" in name:
        return Path(name)
    return directory / f"{check_name(name)}.json"
