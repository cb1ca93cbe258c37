"""How right the findings are on real traffic of two real ORMs, and that fixed twins stay clean."""

from __future__ import annotations

from typing import Any

import pytest

SEEDS = (400, 401, 404)
PRECISION, RECALL = 0.95, 0.9


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_mixed_traffic_of_two_orms_is_judged_with_the_promised_precision_and_recall(
    shop: str, calibration: Any, django_shop: Any, sqlalchemy_shop: Any
) -> None:
    outcomes = []
    for module in (django_shop, sqlalchemy_shop):
        for seed in SEEDS:
            names = calibration.mix_of(module.ready, seed)
            traffic = calibration.run_mix(shop, module.ready, names, seed)
            outcomes.append(calibration.assess(calibration.found_in(traffic), names, module.EXPECTED, seed))
    precision, recall = calibration.precision_recall(outcomes)
    print(f"precision {precision:.2f}, recall {recall:.2f} over {len(outcomes)} mixes")  # noqa: T201 - asked for
    assert precision >= PRECISION, [one.wrong for one in outcomes]
    assert recall >= RECALL, [(one.seed, one.missed, one.names) for one in outcomes]


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
