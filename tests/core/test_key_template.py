from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbtune.core.key_template import KeyTemplate


@given(st.text(alphabet=st.characters(exclude_characters="{}", codec="utf-8")), st.binary())
def test_everything_but_the_braces_and_any_bytes_in_them_arrive_as_they_are(literal: str, value: bytes) -> None:
    template = KeyTemplate.parse(f"{literal}{{id}}{literal}")
    assert template.columns == ("id",)
    assert template.key([value]) == literal.encode() + value + literal.encode()


def test_a_column_may_stand_twice_and_in_any_order() -> None:
    template = KeyTemplate.parse("{b}:{a}:{b}")
    assert template.columns == ("b", "a", "b")
    assert template.key([b"2", b"1", b"2"]) == b"2:1:2"


@pytest.mark.parametrize("text", ["", "rec:{id", "rec:id}", "{{id}}", "{a{b}}", "{}", "{user id}", "{id:>5}", "{1}"])
def test_what_is_no_template_is_refused_with_the_template_in_the_message(text: str) -> None:
    with pytest.raises(ValueError, match="empty" if not text else "rec|id|\\{"):
        KeyTemplate.parse(text)
