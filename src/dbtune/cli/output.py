"""Where the result goes: standard output, or a file that is complete or absent."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from dbtune.core.errors import Misused
from dbtune.core.formats import BY_SUFFIX, OutputFormat, Renderers, Screen

Report = TypeVar("Report")


@dataclass(frozen=True, slots=True)
class Destination:
    """A form that the command supports, and the file that takes it (None: standard output), named by `option`."""

    format: OutputFormat
    path: Path | None = None
    verbose: bool = False
    option: str = "--output"

    def write(self, report: Report, renderers: Renderers[Report]) -> None:
        """Render and deliver. Raises Misused when the place cannot be written.

        Beside GitHub's annotations goes Markdown, into the file that it shows on the run's page.
        """
        self.deliver(renderers[self.format](report, self.screen()))
        if self.format == "github" and "markdown" in renderers:
            _summarize(renderers["markdown"](report, Screen()))

    def deliver(self, text: str) -> None:
        """Write a finished text, with one newline at its end."""
        text = text.rstrip("\n") + "\n"
        if self.path is None:
            _print(text)
        else:
            _replace(self.path, text, self.option)

    def screen(self) -> Screen:
        """The terminal as it is; a file or a pipe gets 80 columns and no colour."""
        if self.path is not None or not sys.stdout.isatty():
            return Screen(width=_columns(), verbose=self.verbose)
        colour = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        return Screen(width=_columns(), colour=colour, verbose=self.verbose)


def choose(
    output_format: OutputFormat | None,
    output: Path | None,
    supported: Collection[OutputFormat],
    *,
    verbose: bool = False,
    option: str = "--output",
) -> Destination:
    """Decide before any work is done, so that a wrong option costs nothing. Raises Misused."""
    chosen = output_format or (BY_SUFFIX.get(output.suffix.lower()) if output is not None else None) or "terminal"
    if chosen not in supported:
        raise Misused(f"this command has no {chosen} form", hint=f"--format takes {', '.join(sorted(supported))} here")
    if output is not None and (output.is_dir() or not output.absolute().parent.is_dir()):
        problem = "is a directory" if output.is_dir() else "lies in a directory that does not exist"
        raise Misused(f"{option} {output} {problem}", hint="name a file in a directory that exists")
    return Destination(chosen, output, verbose, option)


def _columns() -> int:
    import shutil

    return max(shutil.get_terminal_size().columns, 40)


def _print(text: str) -> None:
    try:
        # What a terminal's encoding cannot show is replaced: a C locale must not turn a result into a failure.
        sys.stdout.write(text.encode(sys.stdout.encoding or "utf-8", "replace").decode(sys.stdout.encoding or "utf-8"))
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (`| head`) has seen enough; the exit code still carries the answer.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        raise Misused(f"standard output cannot be written: {error.strerror}", hint="is the disk full?") from error


def _summarize(text: str) -> None:
    place = os.environ.get("GITHUB_STEP_SUMMARY")
    if not place:
        return
    try:
        with Path(place).open("a", encoding="utf-8") as file:
            file.write(text.rstrip("\n") + "\n")
    except OSError as error:
        raise Misused(
            f"$GITHUB_STEP_SUMMARY {place} cannot be written: {error.strerror}", hint="unset it, or name another file"
        ) from error


def _replace(path: Path, text: str, option: str) -> None:
    """Write beside the file and rename, so that nobody ever reads half of it; of a link, what it leads to."""
    from dbtune.app.streams import is_stream

    if is_stream(path):
        # There is nothing to replace, and what was written to it before stays.
        _write(f"{option} {path}", path, text, "a")
        return
    target = path.resolve()
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        _write(f"{option} {path}", beside, text)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


def _write(named: str, place: Path, text: str, mode: str = "w") -> None:
    try:
        with place.open(mode, encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise Misused(f"{named} cannot be written: {error.strerror}", hint="name another file") from error
