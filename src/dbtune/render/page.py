"""HTML pages: one self-contained file each, without scripts, under a content security policy of its own.

A page extends `templates/base.html`. Everything is escaped; the style sheet is the only inline element, and the
policy allows it by its hash, so neither a `style` attribute nor a script that slipped in would take effect.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from dbtune import __version__
from dbtune.core.units import format_duration, format_size

if TYPE_CHECKING:
    from jinja2 import Environment


def render_page(template: str, /, *, made_at: datetime | None = None, **values: object) -> str:
    """The page `templates/TEMPLATE` with `values`. Filters: `duration` (s), `size` (bytes), `number`, `moment`."""
    from markupsafe import Markup

    css = _style_sheet()
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return (
        _environment()
        .get_template(template)
        .render(
            values,
            css=Markup(css),  # noqa: S704 - our own file, without values
            css_hash=f"sha256-{digest}",
            version=__version__,
            made_at=format_moment(made_at) if made_at else None,
        )
    )


def format_number(value: float) -> str:
    """Three significant digits, thousands with thin spaces."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}".replace(",", "\u202f")
    return f"{value:.3g}"


def format_moment(moment: datetime) -> str:
    """`2026-01-31 12:30:05 UTC`: the zone is always said."""
    return f"{moment:%Y-%m-%d %H:%M:%S} {moment.tzname() or 'UTC'}"


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("dbtune.render", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "duration": format_duration,
        "size": format_size,
        "number": format_number,
        "moment": format_moment,
    }
    return environment


@cache
def _style_sheet() -> str:
    from importlib.resources import files

    return files("dbtune.render").joinpath("templates", "report.css").read_text(encoding="utf-8")
