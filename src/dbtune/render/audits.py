"""The forms in which an audit can be written. Each is imported only when it is used."""

from __future__ import annotations

import importlib
from typing import cast

from dbtune.core.findings import AuditReport
from dbtune.core.formats import OutputFormat, Renderer, Renderers, Screen


def _lazily(form: OutputFormat) -> Renderer[AuditReport]:
    def render(report: AuditReport, screen: Screen) -> str:
        found = importlib.import_module(f"dbtune.render.audit_{form}").render
        return cast("Renderer[AuditReport]", found)(report, screen)

    return render


_FORMS: tuple[OutputFormat, ...] = ("terminal", "json", "markdown", "html", "sarif", "junit", "github")

RENDERERS: Renderers[AuditReport] = {form: _lazily(form) for form in _FORMS}
