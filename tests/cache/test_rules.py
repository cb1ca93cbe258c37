"""From events to what is stale."""

from __future__ import annotations

import pytest

from dbtune.cache.rules import Rule, Stale, stale, together, widened

RULE = Rule(
    "content.updated",
    keys=("rec:content:{content_id}:full",),
    patterns=("rec:user:{user_id}:*", "rec:recommendations:*"),
    tags=("contents", "content-{content_id}"),
)


def test_an_events_arguments_are_filled_into_keys_patterns_and_tags() -> None:
    assert stale(RULE, {"content_id": b"42", "user_id": b"a*b", "unread": b"1"}) == Stale(
        keys=(b"rec:content:42:full",),
        patterns=(rb"rec:user:a\*b:*", b"rec:recommendations:*"),
        tags=("contents", "content-42"),
    )


def test_every_missing_argument_is_named_at_once_with_what_may_have_been_meant() -> None:
    with pytest.raises(ValueError, match="content_id=… and user_id=…") as caught:
        stale(RULE, {"contentid": b"1"})
    assert '"contentid" may be meant for content_id' in str(caught.value)


def test_an_id_of_any_bytes_goes_into_a_key_as_it_is() -> None:
    odd = b"*?[\\]{}\n\xff"
    assert stale(Rule("e", keys=("k:{id}",)), {"id": odd}).keys == (b"k:" + odd,)


@pytest.mark.parametrize(("value", "why"), [(b"", "a tag is empty"), (b"\xff", "not UTF-8")])
def test_a_tag_is_text(value: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        stale(Rule("e", tags=("{name}",)), {"name": value})


def test_what_several_events_name_goes_once() -> None:
    one = Stale(keys=(b"a", b"b"), tags=("t",))
    assert together([one, Stale(keys=(b"b", b"c"), tags=("t",))]) == Stale(keys=(b"a", b"b", b"c"), tags=("t",))


def test_a_missed_event_is_widened_to_whatever_its_arguments_may_have_been() -> None:
    rule = Rule("e", ("k:{id}:x*", "whole", "{id}:k"), ("p:{id}:*",), ("t", "t-{id}"))
    found = widened(rule)
    assert found.stale == Stale(keys=(b"whole",), patterns=(b"p:*:*", rb"k:*:x\*"), tags=("t",))
    assert found.tag_patterns == (b"t-*",)
    assert found.unbounded == ("{id}:k",)
