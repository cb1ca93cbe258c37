"""The forms that a comparison can be written in. Each is imported only when it is used."""

from __future__ import annotations

import importlib
from typing import cast

from dbtune.baseline.outcome import Comparison
from dbtune.core.formats import Renderer, Renderers, Screen


def _lazily(module: str, function: str = "render") -> Renderer[Comparison]:
    def render(report: Comparison, screen: Screen) -> str:
        found = getattr(importlib.import_module(f"dbtune.render.{module}"), function)
        return cast("Renderer[Comparison]", found)(report, screen)

    return render


COMPARISON: Renderers[Comparison] = {
    "terminal": _lazily("baseline_terminal"),
    "json": _lazily("baseline_json"),
    "markdown": _lazily("baseline_markdown"),
    "html": _lazily("baseline_html"),
    "junit": _lazily("baseline_ci", "render_junit"),
    "github": _lazily("baseline_ci", "render_github"),
}
