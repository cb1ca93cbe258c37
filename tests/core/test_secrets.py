from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbtune.core.secrets import mask_password, unescaped


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("postgresql://ann:hunter2@db/app", "postgresql://ann:***@db/app"),
        ("postgresql://ann:hun@ter2@db/app", "postgresql://ann:***@db/app"),
        ("redis://:hunter2@cache:6379/0", "redis://:***@cache:6379/0"),
        ("host=db password=hunter2 user=ann", "host=db password=*** user=ann"),
        ("host=db password='hun ter2' user=ann", "host=db password=*** user=ann"),
        ("postgresql://db/app?user=ann&password=hunter2", "postgresql://db/app?user=ann&password=***"),
        ("ALTER ROLE ann PASSWORD 'hunter2'", "ALTER ROLE ann PASSWORD '***'"),
        ("create role ann encrypted password 'hun''ter2' login", "create role ann encrypted password '***' login"),
    ],
)
def test_a_password_is_masked_wherever_it_is_written(text: str, masked: str) -> None:
    assert mask_password(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "create index on users (password_hash)",
        "select * from tokens where token = $1",
        "postgresql://db:5432/app",
        "see https://example.org/a:b and ann@example.org",
    ],
)
def test_what_holds_no_password_stays_readable(text: str) -> None:
    assert "***" not in mask_password(text)


@given(st.text(alphabet=st.characters(categories=("L", "N"), max_codepoint=0x24F), min_size=4))
def test_no_password_survives_in_a_url(password: str) -> None:
    secret = f"#{password}#"
    assert secret not in mask_password(f"cannot reach postgresql://ann:{secret}@db:5432/app: no route")


@pytest.mark.parametrize(
    ("url", "mark"),
    [
        ("postgresql://ann:hun@ter2@db/app", "@"),
        ("postgresql://ann:hun/ter2@db/app", "/"),
        ("postgresql://ann:hun%40ter2@db/app", None),
        ("postgresql://ann:hunter2@db:5432,other:5433/app?application_name=me@home", None),
        ("postgresql://db:5432,other:5433/app?user=ann@home", None),
        ("postgresql://[::1]:5432/app?user=ann@home", None),
        ("postgresql:///app?user=ann@home", None),
        ("host=db password=hun@ter/2", None),
    ],
)
def test_a_password_that_the_driver_would_misread_is_noticed(url: str, mark: str | None) -> None:
    assert unescaped(url, "@/") == mark
