"""The forms that an explained statement can be written in. Each is imported only when it is used."""

from __future__ import annotations

import importlib
from typing import cast

from dbtune.core.formats import Renderer, Renderers, Screen
from dbtune.plans.report import ExplainReport


def _lazily(module: str) -> Renderer[ExplainReport]:
    def render(report: ExplainReport, screen: Screen) -> str:
        found = importlib.import_module(f"dbtune.render.{module}").render
        return cast("Renderer[ExplainReport]", found)(report, screen)

    return render


RENDERERS: Renderers[ExplainReport] = {
    "terminal": _lazily("explain_terminal"),
    "json": _lazily("explain_json"),
    "markdown": _lazily("explain_markdown"),
    "html": _lazily("explain_html"),
}
