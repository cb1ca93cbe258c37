"""Times of a sample, counts of everything: one transaction in so many is timed, pgbench itself counts them all."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from dbtune.baseline.histogram import quantile
from dbtune.baseline.load_result import LoadResult
from dbtune.load.pgbench_output import Exact
from dbtune.load.recorder import Recorder

MOST_LOGGED_PER_S = 5_000
"""Transactions a second of which pgbench may log all: each costs it a few microseconds that the load then lacks."""
SAMPLED_PER_S = 1_000
"""Lines that it may log in a second where they are a sample: that alone costs it a look at its clock each time."""
MOST_LOGGED = 3_000_000
"""Lines that one run may log, about 120 MB."""
_FEWER_BY_CHANCE = 6.0
"""Standard deviations by which a sample may be smaller than expected before the log is held to be damaged."""
_PRECISE_S = 1e-4
"""A mean is printed to the microsecond: below this a sample knows it better."""
_CONFIDENCE = 1.96
_FAILURE = "serialization or deadlock failure"


@dataclass(slots=True)
class Logged:
    """What a log held, by (script, second of the epoch): how many succeeded, their microseconds, what failed."""

    succeeded: Counter[tuple[int, int]] = field(default_factory=Counter)
    sum_us: Counter[tuple[int, int]] = field(default_factory=Counter)
    failed: Counter[tuple[int, int, str]] = field(default_factory=Counter)


def one_in(rate_per_s: float, duration_s: float) -> int:
    """One in how many transactions to log, so that the log costs next to nothing."""
    if rate_per_s <= min(MOST_LOGGED_PER_S, MOST_LOGGED / duration_s):
        return 1
    return math.ceil(rate_per_s / min(SAMPLED_PER_S, MOST_LOGGED / duration_s))


def least_logged(transactions: int, every: int) -> float:
    """Fewer lines than that are no whole log of so many transactions."""
    if every == 1:
        return 0.999 * transactions
    expected = transactions / every
    return expected - _FEWER_BY_CHANCE * math.sqrt(expected) - 1


def record_failures(logged: Logged, every: int, recorder: Recorder, offset: Callable[[int], float]) -> None:
    """What failed, where nothing knows better: each that was logged stands for `every`."""
    for (script, second, what), count in logged.failed.items():
        recorder.fail(script, offset(second), what, count * every)


def correct(
    logged: Logged, exact: Sequence[Exact], every: int, recorder: Recorder, offset: Callable[[int], float]
) -> None:
    """Brings a sample, already recorded with the weight `every`, to pgbench's own counts and means.

    The differences go to where the sample was, in proportion. `exact` has an entry for each script, or one for all.
    """
    for number, known in enumerate(exact):
        mine = sorted(key for key in logged.succeeded if len(exact) == 1 or key[0] == number)
        counts = [logged.succeeded[key] for key in mine]
        surplus_us = _factor(known, sum(counts), sum(logged.sum_us[key] for key in mine)) - 1
        if not mine:
            recorder.correct(number, offset(0), known.succeeded, 0)
        for key, count, whole in zip(mine, counts, apportion(counts, known.succeeded), strict=True):
            extra_us = round(logged.sum_us[key] * every * surplus_us)
            recorder.correct(key[0], offset(key[1]), whole - count * every, extra_us)
        _correct_failures(logged, known, number if len(exact) > 1 else None, recorder, offset)


def _correct_failures(
    logged: Logged, known: Exact, script: int | None, recorder: Recorder, offset: Callable[[int], float]
) -> None:
    mine = sorted(key for key in logged.failed if script is None or key[0] == script)
    if not mine and known.failed:
        recorder.fail(script or 0, offset(0), _FAILURE, known.failed)
    for key, count in zip(mine, apportion([logged.failed[key] for key in mine], known.failed), strict=True):
        if count:
            recorder.fail(key[0], offset(key[1]), key[2], count)


def _factor(known: Exact, count: int, sum_us: int) -> float:
    """What brings the sample's mean to the exact one."""
    if known.latency_s is None or known.latency_s < _PRECISE_S or not sum_us:
        return 1.0
    return known.latency_s * 1e6 * count / sum_us


def apportion(weights: Sequence[int], total: int) -> list[int]:
    """`total` in whole parts, in proportion to the weights; together exactly `total`. No weights: no parts."""
    whole = sum(weights)
    if not whole:
        return [0] * len(weights)
    edges, reached = [0], 0
    for weight in weights:
        reached += weight
        edges.append(round(total * reached / whole))
    return [right - left for left, right in pairwise(edges)]


def sample_size(result: LoadResult) -> float | None:
    """How many independent times the percentiles rest on; None where all were timed.

    Kish's effective size, (sum of weights)² / sum of squared weights: stages may be sampled differently.
    """
    if result.timed is None:
        return None
    parts = [(block.response.count, block.timed or block.response.count) for block in result.blocks]
    squares = math.fsum(count * count / timed for count, timed in parts if timed)
    return math.fsum(count for count, _ in parts) ** 2 / squares if squares else None


def sampling_interval(result: LoadResult, share: float) -> tuple[float, float] | None:
    """Between which seconds the percentile of all transactions lies, at 95 %, as far as the sampling goes.

    By the normal approximation of its rank; None where all were timed.
    """
    size = sample_size(result)
    if size is None:
        return None
    reach = _CONFIDENCE * math.sqrt(share * (1 - share) / size)
    whole = result.response
    low, high = (quantile(whole, min(max(share + sign * reach, 0.0), 1.0)) for sign in (-1, 1))
    return None if low is None or high is None else (low, high)


def describe_sample(result: LoadResult, shares: Iterable[float] = (0.5, 0.95, 0.99)) -> str | None:
    """`25,013 of 499,871 transactions were timed, chosen at random: P95 ±0.5%, P99 ±1.2% (95% confidence)`."""
    if result.timed is None:
        return None
    errors = []
    for share in shares:
        value, interval = quantile(result.response, share), sampling_interval(result, share)
        if value and interval is not None:
            errors.append(f"P{share * 100:g} ±{(interval[1] - interval[0]) / 2 / value:.2%}")
    known = f": the sampling error is {', '.join(errors)} (95% confidence)" if errors else ""
    return (
        f"{result.timed:,} of {result.sent - result.failed:,} transactions were timed, chosen at random{known};"
        " counts, rates and failures are of all of them, maximum and minimum of the timed ones"
    )
