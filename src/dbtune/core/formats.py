"""The forms in which a result can be written, and what a renderer may know about the place where it goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

OutputFormat = Literal["terminal", "json", "markdown", "html", "junit", "sarif", "github"]

BY_SUFFIX: Mapping[str, OutputFormat] = {
    ".json": "json",
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".xml": "junit",
    ".sarif": "sarif",
}


@dataclass(frozen=True, slots=True)
class Screen:
    """Characters a line, and whether colours can be seen. `verbose` asks for more detail."""

    width: int = 80
    colour: bool = False
    verbose: bool = False


Report = TypeVar("Report")
Renderer = Callable[[Report, Screen], str]
Renderers = Mapping[OutputFormat, Renderer[Report]]
"""Every form that a kind of report has. All but `terminal` ignore the screen."""
