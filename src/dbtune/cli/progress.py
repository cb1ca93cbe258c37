"""What a person sees while waiting: on standard error, only on a terminal, and not with --quiet."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Tell = Callable[[str, float | None], None]
"""Called with what is being done and its share (0 to 1, None when unknown). 1 closes the line."""


def tell_nothing(doing: str, share: float | None = None) -> None:
    """For a pipe, a cron job and --quiet."""


def seen(*, quiet: bool) -> bool:
    """Whether anybody looks at standard error."""
    return not quiet and sys.stderr.isatty()


def say(message: str, *, quiet: bool = False) -> None:
    """One line for a person; nothing for a pipe."""
    if seen(quiet=quiet):
        from dbtune.core.secrets import mask_password

        print(mask_password(message), file=sys.stderr)  # noqa: T201


@contextmanager
def shown(*, quiet: bool = False) -> Iterator[Tell]:
    """Yields a `tell`, which keeps one line for each thing that is being done."""
    if not seen(quiet=quiet):
        yield tell_nothing
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
    from rich.progress import TimeRemainingColumn as Remaining

    console = Console(stderr=True, no_color=bool(os.environ.get("NO_COLOR")), highlight=False)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(20), TimeElapsedColumn(), Remaining())
    lines: dict[str, TaskID] = {}
    with Progress(*columns, console=console, transient=True) as progress:

        def tell(doing: str, share: float | None = None) -> None:
            if doing not in lines:
                lines[doing] = progress.add_task(escape(doing), total=None)
            if share is not None:
                progress.update(lines[doing], total=1.0, completed=min(share, 1.0))
            if share is not None and share >= 1:
                progress.remove_task(lines.pop(doing))

        yield tell
