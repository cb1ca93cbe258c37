"""The forms that plan, apply, verify and rollback can be written in. Each is imported only when it is used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import cast

from dbtune.core.formats import OutputFormat, Renderer, Renderers, Screen
from dbtune.core.reports import RunReport


def _lazily(module: str) -> Renderer[RunReport]:
    def render(report: RunReport, screen: Screen) -> str:
        found = importlib.import_module(f"dbtune.render.{module}").render
        return cast("Renderer[RunReport]", found)(report, screen)

    return render


_ANY: Mapping[OutputFormat, Renderer[RunReport]] = {
    "terminal": _lazily("run_terminal"),
    "json": _lazily("run_json"),
    "markdown": _lazily("run_markdown"),
    "html": _lazily("run_html"),
    "github": _lazily("run_github"),
}
# Test cases are what passes or fails: a plan and a rollback have none.
_CHECKED: Mapping[OutputFormat, Renderer[RunReport]] = {**_ANY, "junit": _lazily("run_junit")}

RENDERERS: Mapping[str, Renderers[RunReport]] = {
    "plan": _ANY,
    "apply": _CHECKED,
    "verify": _CHECKED,
    "rollback": _ANY,
}
"""By the name of the command: `destination.write(report, RENDERERS["plan"])`."""
