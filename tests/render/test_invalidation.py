"""An invalidation as people read it."""

from __future__ import annotations

from datetime import UTC, datetime

from dbtune.core.formats import Screen
from dbtune.core.invalidation import InvalidationReport, Removal
from dbtune.render.invalidation import as_line, details, render_html, render_markdown

REFUSED = "leaving a mark: no permission"
REPORT = InvalidationReport(
    target="MyMaster/0, by sentinel Host:26379",
    started_at=datetime(2026, 1, 1, tzinfo=UTC),
    duration_s=0.5,
    steps=(
        Removal("key a", keys=1, error=REFUSED, hint="allow it"),
        Removal("tag t", notes=("no key is filed under it",)),
        Removal("pattern b:*", keys=2, error=REFUSED, hint="allow it"),
    ),
    exit_code=4,
)


def test_what_befell_several_is_said_once_with_their_names() -> None:
    assert details(REPORT) == [
        ("tag t", "no key is filed under it"),
        ("key a, pattern b:*", "leaving a mark: no permission (allow it)"),
    ]
    assert as_line(REPORT).count(REFUSED) == 1


def test_the_name_of_the_server_stays_as_it_is_written() -> None:
    assert render_markdown(REPORT, Screen()).startswith("# Invalidation on MyMaster/0, by sentinel Host:26379\n")
    assert "Invalidation on MyMaster/0, by sentinel Host:26379" in render_html(REPORT, Screen())
