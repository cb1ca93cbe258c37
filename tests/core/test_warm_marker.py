from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dbtune.core.warm_marker import WarmMarker


def test_a_marker_comes_back_as_it_was_written() -> None:
    marker = WarmMarker("abc", 12, datetime(2026, 1, 2, 3, 4, 5, 678000, UTC))
    assert WarmMarker.load(marker.dump()) == marker


@pytest.mark.parametrize(
    "text", [None, "", "1", "[]", '{"keys": 1}', "not json", '{"fingerprint":"a","keys":1,"warmed_at":"x"}']
)
def test_what_dbtune_did_not_write_is_no_marker(text: str | None) -> None:
    assert WarmMarker.load(text) is None
