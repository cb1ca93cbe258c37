"""What a person sees while waiting: one line on standard error, only on a terminal, and not with --quiet."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from dbtune.core.progress import Progress, silent


def seen(*, quiet: bool) -> bool:
    """Whether anybody looks at standard error."""
    return not quiet and sys.stderr.isatty()


def say(message: str, *, quiet: bool = False) -> None:
    """One line for a person; nothing for a pipe."""
    if seen(quiet=quiet):
        from dbtune.core.secrets import mask_password

        print(mask_password(message), file=sys.stderr)  # noqa: T201


@contextmanager
def shown(*, quiet: bool = False) -> Iterator[Progress]:
    """Yields what long work calls; the line disappears when the work is done."""
    if not seen(quiet=quiet):
        yield silent
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar
    from rich.table import Column

    from dbtune.render.text import one_line

    console = Console(stderr=True, no_color=bool(os.environ.get("NO_COLOR")), highlight=False)
    text = TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1))
    columns = (SpinnerColumn(), text, BarColumn(16), TimeElapsedColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True, expand=True) as bar:
        line = bar.add_task("", total=None)

        def tell(text: str, fraction: float | None = None) -> None:
            known = fraction is not None
            bar.update(line, description=escape(one_line(text)), total=1.0 if known else None, completed=fraction or 0)

        yield tell
