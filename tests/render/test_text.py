from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbtune.render.text import markdown, markdown_code, one_line, plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;a new title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("a\rb", "a\ufffdb"),
        ("a\r\nb\tc", "a\nb\tc"),
        ("user\u202etxt.exe", "user\ufffdtxt.exe"),
        ("\x9b31m", "\ufffd31m"),
    ],
)
def test_what_a_terminal_would_obey_is_taken_out(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_one_line_is_one_line() -> None:
    assert one_line("select 1\n  from a\n") == "select 1 from a"


def test_a_cell_keeps_its_pipes_and_its_markup_to_itself() -> None:
    assert markdown("a|b <b>c</b> [d](e) `f`\n*g*") == r"a\|b \<b\>c\</b\> \[d\](e) \`f\` \*g\*"


def test_a_fence_is_longer_than_what_it_encloses() -> None:
    assert markdown_code("a\n````\nb") == "`````sql\na\n````\nb\n`````"


@given(st.text())
def test_no_control_character_survives(text: str) -> None:
    shown = plain(text)
    assert not any(ord(character) < 32 and character not in "\n\t" for character in shown)
    shown.encode()
