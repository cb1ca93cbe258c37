"""How right the findings are on real traffic of two real ORMs, and that fixed twins stay clean.

The seeds are among those that benchmarks/n_plus_one.py holds out; none was looked at while the method was developed.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from dbtune.app.statement_windows import watch
from dbtune.servers.postgres.session import connect

PRECISION, RECALL = 0.95, 0.9
SEEDS = {"django_shop": (7000, 7001, 7002), "sqlalchemy_shop": (7000, 7001, 7002)}
LEAST_FOUND = 10
"""Fewer would say little about recall."""


@pytest.mark.slow(50)
@pytest.mark.timeout(600)
def test_in_mixed_traffic_nearly_every_loop_is_named_and_nearly_nothing_else(
    shop: str, calibration: Any, request: pytest.FixtureRequest
) -> None:
    outcomes = []
    for orm, seeds in SEEDS.items():
        module = request.getfixturevalue(orm)
        for seed in seeds:
            names = calibration.mix_of(module.ready, seed)
            traffic = calibration.run_mix(shop, module.ready, names, seed)
            outcomes.append(calibration.assess(calibration.found_in(traffic), names, module.EXPECTED, seed))
    precision, recall = calibration.precision_recall(outcomes)
    assert sum(len(one.right) for one in outcomes) >= LEAST_FOUND
    assert precision >= PRECISION, [(one.seed, found.message) for one in outcomes for found in one.wrong]
    assert recall >= RECALL, [(one.seed, one.missed) for one in outcomes]


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


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_lists_that_many_pages_share_are_no_reason_to_accuse_one_of_them(
    library: str, calibration: Any, sqlalchemy_library: Any
) -> None:
    names = [name for name in sqlalchemy_library.ready if not name.startswith("bad_")]
    traffic = calibration.run_mix(library, sqlalchemy_library.ready, names, 5, requests=4)
    assert calibration.found_in(traffic) == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_loop_that_most_readers_of_its_list_do_not_have_is_suspected(
    library: str, calibration: Any, sqlalchemy_library: Any
) -> None:
    names = ["bad_fines", "good_overdue", "good_borrower", "like_due", "like_desk", "like_borrower", "like_titles"]
    traffic = calibration.run_mix(library, sqlalchemy_library.ready, names, 7, requests=8)
    outcome = calibration.assess(calibration.found_in(traffic), names, sqlalchemy_library.EXPECTED, 7)
    assert outcome.wrong == ()
    assert outcome.missed == ()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_snapshots_that_cut_requests_of_several_threads_do_not_hide_a_loop(
    shop: str, calibration: Any, sqlalchemy_shop: Any
) -> None:
    """Every sub-window ends while requests are under way; how many were served ends it, not the clock."""
    names = ["bad_comments", "bad_author_profile", "good_tags", "good_orders", "like_auth", "like_poller"]
    names += ["like_register", "like_plain_feed", "like_category", "like_cache_miss", "like_user_page"]
    with calibration.serving(sqlalchemy_shop.ready, names, 8, lambda: None) as served, connect(shop) as session:

        def pause(_: float) -> None:
            end = served() + 60
            while 0 <= served() < end:
                time.sleep(0.02)

        traffic = watch(session, 60.0, 12, pause=pause)
    outcome = calibration.assess(calibration.found_in(traffic), names, sqlalchemy_shop.EXPECTED, 8)
    assert outcome.wrong == ()
    assert any("FROM comments" in pattern for pattern in outcome.right), outcome.missed
