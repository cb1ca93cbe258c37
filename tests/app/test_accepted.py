"""Accepted findings: which ones stay away, and until when."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from dbtune.app.accepted import Acceptance, accept, dump_accepted, read_accepted
from dbtune.core.errors import InvalidPlaybook
from dbtune.core.findings import AuditReport, Finding

TODAY = date(2026, 1, 31)
FOUND = (
    Finding("PG001", "unused-index", "warning", "public.a: | # {x}\n", "no scan"),
    Finding("PG001", "unused-index", "warning", "public.b", "no scan"),
    Finding("RD001", "cache-memory-unbounded", "critical", "cache:6379/0", "no limit"),
)
REPORT = AuditReport("t", datetime(2026, 1, 31, tzinfo=UTC), 1, FOUND, (), ())


def entry(code: str, subject: str, expires: date = TODAY) -> Acceptance:
    return Acceptance(code=code, object=subject, reason="known", expires=expires)


def test_a_finding_is_accepted_by_code_or_name_on_its_object_or_all_of_them() -> None:
    for accepted, left in (
        (entry("PG001", "public.b"), 2),
        (entry("unused-index", "public.b"), 2),
        (entry("PG001", "*"), 1),
        (entry("PG002", "*"), 3),
        (entry("PG001", "public"), 3),
    ):
        settled = accept(REPORT, [accepted], TODAY)
        assert len(settled.report.findings) == left
        assert settled.report.accepted == 3 - left
        assert settled.unused == ((accepted,) if left == 3 else ())


def test_the_day_it_expires_still_counts_and_the_next_one_does_not() -> None:
    accepted = [entry("RD001", "*")]
    assert len(accept(REPORT, accepted, TODAY).report.findings) == 2
    back = accept(REPORT, accepted, date(2026, 2, 1)).report.findings
    assert len(back) == 3
    assert back[2].message == "no limit (was accepted until 2026-01-31: known)"
    assert back[2].evidence["accepted_until"] == "2026-01-31"


def test_one_entry_that_still_stands_outweighs_an_expired_one() -> None:
    accepted = [entry("PG001", "*", date(2020, 1, 1)), entry("PG001", "public.b", date(2027, 1, 1))]
    assert [found.object for found in accept(REPORT, accepted, TODAY).report.findings] == [
        FOUND[0].object,
        FOUND[2].object,
    ]


def test_what_is_written_is_read_back_and_keeps_what_still_stands(tmp_path: Path) -> None:
    file = tmp_path / "accepted.yml"
    kept, gone = entry("PG009", "x", date(2027, 1, 1)), entry("PG010", "x", date(2020, 1, 1))
    file.write_text(dump_accepted(FOUND, [kept, gone], TODAY), encoding="utf-8")
    again = read_accepted(file)
    assert again[0] == kept
    assert [(one.code, one.object) for one in again[1:]] == [(found.code, found.object) for found in FOUND]
    assert accept(REPORT, again, TODAY).report.findings == ()


@pytest.mark.parametrize(
    "text",
    [
        "- a",
        "version: 2\naccepted: []",
        "version: 1\naccepted:\n- {code: PG001, object: a, expires: 2027-01-01}",
        "version: 1\naccepted:\n- {code: PG001, object: a, reason: '', expires: 2027-01-01}",
        "version: 1\naccepted:\n- {code: PG001, object: a, reason: b, expires: never}",
        "version: 1\naccepted:\n- {code: PG001, object: a, reason: b, expires: 2027-01-01, extra: 1}",
        "version: 1\nacepted: []",
        "",
        "{",
    ],
)
def test_a_file_that_says_something_else_is_refused_with_its_place(text: str, tmp_path: Path) -> None:
    file = tmp_path / "accepted.yml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidPlaybook) as caught:
        read_accepted(file)
    assert str(file) in caught.value.message
