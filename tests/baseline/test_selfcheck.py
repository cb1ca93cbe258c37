"""The noise that an A/A test measures, and what follows from it, on captures made by hand."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime

import pytest

from dbtune.baseline.capture import SCHEMA, Capture, Fingerprint, Timing
from dbtune.baseline.selfcheck import judge_pairs, measure_noise

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PRINT = Fingerprint(180000, "app", 5, "71", NOW, 1 << 30, None, {})


def capture(level: float, generator: random.Random) -> Capture:
    blocks = tuple(tuple(level * generator.lognormvariate(0, 0.05) for _ in range(20)) for _ in range(6))
    return Capture(SCHEMA, "0.1.0", "a", "here", NOW, 1.0, PRINT, timings=(Timing("feed", blocks, "t"),))


def test_noise_is_how_much_the_level_of_a_run_varies() -> None:
    generator = random.Random(1)  # noqa: S311 - repeatable
    levels = [math.exp(generator.gauss(0, 0.2)) for _ in range(30)]
    assert measure_noise([capture(level, generator) for level in levels]) == pytest.approx(0.25, abs=0.08)
    assert measure_noise([capture(1.0, generator)]) == 0


def test_a_machine_that_is_slow_now_and_then_is_as_noisy_as_its_slow_moments() -> None:
    generator = random.Random(2)  # noqa: S311 - repeatable
    found = measure_noise([capture(2.0 if number == 7 else 1.0, generator) for number in range(20)])
    assert found >= math.log(1.9) / (1.96 * math.sqrt(2))


@pytest.mark.parametrize("spread", [0.02, 0.1, 0.4])
def test_few_verdicts_are_false_however_noisy_the_machine(spread: float) -> None:
    generator = random.Random(3)  # noqa: S311 - repeatable

    def some(count: int) -> list[Capture]:
        return [capture(math.exp(generator.gauss(0, spread)), generator) for _ in range(count)]

    found = judge_pairs(some(20), [(some(1)[0], some(1)[0]) for _ in range(60)], margin=0.05, started_at=NOW,
                        duration_s=1.0)  # fmt: skip
    assert (found.runs, found.ok) == (60, True)
    assert found.false_verdict_rate == found.false_verdicts / 60
    assert found.noise_used >= max(0.05, spread)


def test_it_says_how_large_a_change_must_be_to_be_found_here() -> None:
    generator = random.Random(4)  # noqa: S311 - repeatable
    pairs = [(capture(1.0, generator), capture(1.0, generator))]
    calm = judge_pairs([capture(1.0, generator) for _ in range(10)], pairs, margin=0.05, started_at=NOW, duration_s=1.0)
    assert calm.noise_used == 0.05
    assert calm.visible_change == pytest.approx(math.expm1(0.05 + 3.605 * math.sqrt(2) * 0.05), abs=1e-3)
