from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbtune.core.namespaces import namespace, namespaces


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("rec:content:42:full", "rec:content:*:full"),
        ("session:550e8400-e29b-41d4-a716-446655440000", "session:*"),
        ("session:abcdefghijklmnopqrstuvwxyz", "session:*"),
        ("api/v2/users", "api/*/users"),
        ("user42", "user*"),
        ("config", "config"),
        ("", ""),
        ("{user:7}:cart", "{user:*:cart"),
    ],
)
def test_a_key_s_variable_parts_are_starred(key: str, expected: str) -> None:
    assert namespace(key) == expected


def test_too_many_namespaces_are_shortened_until_they_are_few() -> None:
    keys = tuple(
        f"cache:{'abcdefghij'[n % 10]}{'klmnopqrst'[n // 10 % 10]}{'uvwxyzabcd'[n // 100]}:x" for n in range(1000)
    )
    assert set(namespaces(keys)) == {"cache:*"}


@given(st.lists(st.text(max_size=30), max_size=50))
def test_every_key_gets_one(keys: list[str]) -> None:
    assert len(namespaces(tuple(keys), most=3)) == len(keys)
    assert len(set(namespaces(tuple(keys), most=3))) <= max(3, 1)
