"""The forms that a load can be written in. Each is imported only when it is used."""

from __future__ import annotations

import importlib
from typing import cast

from dbtune.core.formats import Renderer, Renderers, Screen
from dbtune.load.report import LoadReport


def _lazily(module: str) -> Renderer[LoadReport]:
    def render(report: LoadReport, screen: Screen) -> str:
        found = importlib.import_module(f"dbtune.render.{module}").render
        return cast("Renderer[LoadReport]", found)(report, screen)

    return render


LOAD: Renderers[LoadReport] = {
    "terminal": _lazily("load_terminal"),
    "json": _lazily("load_json"),
    "markdown": _lazily("load_markdown"),
    "html": _lazily("load_html"),
    "junit": _lazily("load_junit"),
    "github": _lazily("load_github"),
}
