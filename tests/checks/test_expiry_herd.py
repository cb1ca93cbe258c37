"""A herd of expiries is told from what chance puts into one minute."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from dbtune.checks.cache_survey import CacheSurvey, Sample, SampledKey, Unseen
from dbtune.checks.check import Audited
from dbtune.checks.expiry_herd import ABOVE_EVEN, HERD, WITHIN_S, fullest_minute, judge, surely_above

SERVER = Audited(0, "", "", is_superuser=False, is_replica=False, statistics_age_s=None)
NOBODY = Unseen("not looked at")


def seeded(number: int) -> random.Random:
    return random.Random(number)  # noqa: S311 - the same numbers each time


def found(lives_s: Iterable[float]) -> list[object]:
    keys = tuple(SampledKey(f"page:{n}", "page:*", 100, life_s) for n, life_s in enumerate(lives_s))
    sample = Sample(keys, (), whole=False, key_count=1_000_000, lookups_added=0)
    return list(judge([CacheSurvey("redis", NOBODY, NOBODY, sample, NOBODY, NOBODY, NOBODY)], SERVER))


@pytest.mark.parametrize("keys", [50, 100, 400])
@pytest.mark.parametrize("longest_s", [30, 300, 900, 1200, 3600])
def test_keys_that_are_spread_by_chance_are_no_herd(keys: int, longest_s: int) -> None:
    chance = seeded(keys * longest_s)
    assert not any(found(chance.uniform(0, longest_s) for _ in range(keys)) for _ in range(25))


def test_without_the_margin_chance_would_be_called_a_herd() -> None:
    chance = seeded(7)
    samples = [sorted(chance.uniform(0, 900) for _ in range(50)) for _ in range(200)]
    shares = [fullest_minute(lives_s)[0] / 50 for lives_s in samples]
    assert sum(share > max(HERD, ABOVE_EVEN * WITHIN_S / 900) for share in shares) >= 5


def test_jitter_of_a_tenth_around_an_hour_is_no_herd() -> None:
    chance = seeded(11)
    assert not any(found(chance.uniform(3240, 3960) for _ in range(60)) for _ in range(200))


@pytest.mark.parametrize("keys", [50, 1000])
def test_half_of_the_keys_in_one_minute_are_a_herd_in_small_samples_too(keys: int) -> None:
    chance = seeded(keys)
    herd = [1800.0 + chance.uniform(0, 30) for _ in range(keys // 2)]
    assert len(found([*herd, *(chance.uniform(0, 7200) for _ in range(keys - len(herd)))])) == 1


def test_a_larger_sample_proves_more() -> None:
    assert surely_above(12, 50) < surely_above(120, 500) < surely_above(1200, 5000) < 0.24
    assert surely_above(0, 50) == pytest.approx(0)
    assert surely_above(50, 50) == pytest.approx(0.902, abs=0.001)
