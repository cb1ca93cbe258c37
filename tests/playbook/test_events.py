"""Steps that send events, and `cache: events:`, which says what they make stale."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbtune.core.errors import InvalidPlaybook
from dbtune.playbook.load import load

SENDING = """\
version: 1
name: sample
steps:
  - invalidate_on: {table: contents, event: EVENT, arguments: ARGUMENTS}
cache:
  events:
    content.updated: {keys: ["c:{content_id}"], tags: ["in:{language}"]}
    prices.changed: {patterns: ["price:*"]}
"""
EVENT, ARGUMENTS = (
    "4:45: invalidate_on.event: there is no event",
    "4:73: invalidate_on.arguments: content.updated needs",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "playbook.yml"


def complaints(path: Path, text: str) -> list[str]:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidPlaybook) as raised:
        load(path, environ={})
    return [str(problem).removeprefix(f"{path}:") for problem in raised.value.problems]


@pytest.mark.parametrize(
    ("event", "arguments", "complaint"),
    [
        ("content.updatd", "{}", f'{EVENT} "content.updatd" in this playbook; did you mean "content.updated"?'),
        ("left", "{}", f'{EVENT} "left" in this playbook; there are content.updated and prices.changed'),
        ("content.updated", "{content: id, language: lang}", f'{ARGUMENTS} "content_id"; did you mean "content"?'),
        ("content.updated", "[id]", f'{ARGUMENTS} "content_id" and "language"'),
    ],
)
def test_an_event_that_nobody_knows_or_that_lacks_arguments_is_found_offline(
    path: Path, event: str, arguments: str, complaint: str
) -> None:
    assert complaints(path, SENDING.replace("EVENT", event).replace("ARGUMENTS", arguments)) == [complaint]


def test_arguments_that_an_event_does_not_read_do_no_harm(path: Path) -> None:
    path.write_text(SENDING.replace("EVENT", "prices.changed").replace("ARGUMENTS", "[product_id]"), encoding="utf-8")
    assert len(load(path, environ={}).steps) == 1


def test_without_any_event_the_message_says_where_they_are_written(path: Path) -> None:
    text = SENDING.replace("EVENT", "a").replace("ARGUMENTS", "{}").partition("cache:")[0]
    assert complaints(path, text) == [f'{EVENT} "a" in this playbook: write it under cache: events:']
