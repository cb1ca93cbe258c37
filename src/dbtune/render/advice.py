"""The forms that advice can be written in. Each is imported only when it is used."""

from __future__ import annotations

import importlib
from typing import cast

from dbtune.advisor.advice import Advice
from dbtune.core.formats import Renderer, Renderers, Screen


def _lazily(module: str) -> Renderer[Advice]:
    def render(report: Advice, screen: Screen) -> str:
        found = importlib.import_module(f"dbtune.render.{module}").render
        return cast("Renderer[Advice]", found)(report, screen)

    return render


RENDERERS: Renderers[Advice] = {
    "terminal": _lazily("advice_terminal"),
    "json": _lazily("advice_json"),
    "markdown": _lazily("advice_markdown"),
    "html": _lazily("advice_html"),
}
