"""How right the findings are on real traffic of two real ORMs, and that fixed twins stay clean."""

from __future__ import annotations

from typing import Any

import pytest

PRECISION = 0.95
"""Asked for. Recall is printed by benchmarks/n_plus_one.py, over mixes that nothing was fitted to."""


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("orm", "seed"), [("django_shop", 3), ("sqlalchemy_shop", 11)])
def test_what_is_named_in_mixed_traffic_is_there(
    shop: str, calibration: Any, orm: str, seed: int, request: pytest.FixtureRequest
) -> None:
    module = request.getfixturevalue(orm)
    names = calibration.mix_of(module.ready, seed)
    traffic = calibration.run_mix(shop, module.ready, names, seed, requests=4)
    outcome = calibration.assess(calibration.found_in(traffic), names, module.EXPECTED, seed)
    precision, recall = calibration.precision_recall([outcome])
    assert precision >= PRECISION, outcome.wrong
    assert recall > 0, outcome.missed


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("orm", ["django_shop", "sqlalchemy_shop"])
def test_fixed_twins_and_what_only_looks_alike_are_not_found(
    shop: str, calibration: Any, orm: str, request: pytest.FixtureRequest
) -> None:
    module = request.getfixturevalue(orm)
    names = [name for name in module.ready if not name.startswith("bad_")]
    traffic = calibration.run_mix(shop, module.ready, names, 5, requests=4)
    assert calibration.found_in(traffic) == []
