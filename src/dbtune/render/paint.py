"""Rich renderables as text, for a terminal or for a pipe."""

from __future__ import annotations

import io
from collections.abc import Iterable

from rich.console import Console, RenderableType

from dbtune.core.formats import Screen


def paint(screen: Screen, renderables: Iterable[RenderableType]) -> str:
    """What `screen` would show. Nothing is interpreted as markup, emoji or a number to highlight."""
    console = Console(
        file=io.StringIO(),
        width=screen.width,
        force_terminal=screen.colour,
        color_system="standard" if screen.colour else None,
        no_color=not screen.colour,
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
        _environ={},
    )
    with console.capture() as captured:
        for renderable in renderables:
            console.print(renderable, overflow="fold")
    # Tables pad their lines to the full width, which pipes and snapshots have no use for.
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"
