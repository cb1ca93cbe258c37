"""How often verdicts are wrong, on simulated captures whose truth is known. `--write` publishes docs/verdicts.md.

Each side is a run of six blocks of 80 calls. A run has a level of its own (the noise between runs, which no block
shows), each block a little of its own, each call a lognormal time. What changes between the sides is known.
"""

from __future__ import annotations

import math
import random
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Literal, get_args

from dbtune.baseline.capture import SCHEMA, Capture, Fingerprint, Timing
from dbtune.baseline.comparison import compare
from dbtune.baseline.outcome import Comparison
from dbtune.baseline.selfcheck import PROMISE, judge_pairs
from dbtune.baseline.verdict import DEFAULT_MARGIN

PAGE = Path(__file__).resolve().parent.parent / "docs" / "verdicts.md"
TIMES, BLOCKS, CALLS, SEED = 400, 6, 80, 20260101
NOW = datetime(2026, 1, 1, tzinfo=UTC)
PRINT = Fingerprint(180000, "app", 5, "71", NOW, 1 << 30, None, {})
METRICS = ("feed.p50", "feed.p95", "feed.p99")
Call = Callable[[random.Random], float]


Order = Literal["one after the other", "taking turns"]
Levels = Callable[[random.Random, Order], tuple[list[float], list[float]]]
"""The level of each block before and after, in the order of their side."""


@dataclass(frozen=True)
class World:
    """`factor` is the truth, after over before; `levels` what the machine does meanwhile."""

    name: str
    factor: float
    levels: Levels
    call: Call


def steady(drift: float) -> Levels:
    """A run has a level of its own, of that standard deviation; those that take turns share their neighbour's."""

    def levels(generator: random.Random, order: Order) -> tuple[list[float], list[float]]:
        if order == "taking turns":
            shared = [generator.lognormvariate(0, drift) for _ in range(BLOCKS)]
            return shared, shared
        return tuple([generator.lognormvariate(0, drift)] * BLOCKS for _ in range(2))  # type: ignore[return-value]

    return levels


def in_time(series: Callable[[random.Random], Iterator[float]]) -> Levels:
    """Blocks take the levels as time goes by: all of one side and then the other, or in turns of random order."""

    def levels(generator: random.Random, order: Order) -> tuple[list[float], list[float]]:
        found = list(islice(series(generator), 2 * BLOCKS))
        if order == "one after the other":
            return found[:BLOCKS], found[BLOCKS:]
        pairs = [pair if generator.random() < 0.5 else pair[::-1] for pair in batched_pairs(found)]
        return [first for first, _ in pairs], [second for _, second in pairs]

    return levels


def batched_pairs(values: list[float]) -> list[tuple[float, float]]:
    return list(zip(values[::2], values[1::2], strict=True))


def wandering(generator: random.Random) -> Iterator[float]:
    """Autocorrelated: 10 % of standard deviation, 0.8 of which each block keeps of the one before."""
    place = generator.gauss(0, 0.1)
    while True:
        yield math.exp(place)
        place = 0.8 * place + generator.gauss(0, 0.1 * math.sqrt(1 - 0.8**2))


def neighbours(generator: random.Random) -> Iterator[float]:
    """Somebody else takes a third of the machine in stretches of four blocks, a third of the time."""
    busy = generator.random() < 1 / 3
    while True:
        yield 1.5 if busy else 1.0
        busy = generator.random() < (0.75 if busy else 0.125)


def calm(generator: random.Random) -> float:
    return generator.lognormvariate(-6, 0.3)


def heavy(generator: random.Random) -> float:
    return generator.lognormvariate(-6, 1.2)


def with_outliers(generator: random.Random) -> float:
    """One call in a hundred waits for something else, fifty times as long."""
    return calm(generator) * (50 if generator.random() < 0.01 else 1)


STEADY, DRIFTING = steady(0.0), steady(0.05)
WANDERING, DISTURBED = in_time(wandering), in_time(neighbours)
WORLDS = (
    World("no change, no drift", 1.0, STEADY, calm),
    World("no change, 5 % drift between runs", 1.0, DRIFTING, calm),
    World("no change, heavy tails, 5 % drift", 1.0, DRIFTING, heavy),
    World("no change, outliers, 5 % drift", 1.0, DRIFTING, with_outliers),
    World("no change, a level that wanders by 10 %", 1.0, WANDERING, calm),
    World("no change, a noisy neighbour", 1.0, DISTURBED, calm),
    World("1.2 times slower, 5 % drift", 1.2, DRIFTING, calm),
    World("1.2 times faster, 5 % drift", 1 / 1.2, DRIFTING, calm),
    World("2 times slower, 5 % drift", 2.0, DRIFTING, calm),
    World("2 times faster, 5 % drift", 0.5, DRIFTING, calm),
    World("2 times slower, heavy tails, 5 % drift", 2.0, DRIFTING, heavy),
    World("2 times slower, outliers, 5 % drift", 2.0, DRIFTING, with_outliers),
    World("2 times slower, a level that wanders by 10 %", 2.0, WANDERING, calm),
    World("2 times slower, a noisy neighbour", 2.0, DISTURBED, calm),
)
CHECKS, RUNS = 40, 20
"""Self-checks, and comparisons in each."""


def capture(name: str, blocks: list[tuple[float, ...]]) -> Capture:
    timing = Timing("feed", tuple(blocks), "simulation")
    return Capture(SCHEMA, "0.1.0", name, "simulation", NOW, 30.0, PRINT, timings=(timing,))


def run(world: World, generator: random.Random, factor: float, levels: list[float]) -> list[tuple[float, ...]]:
    """One block a level."""
    return [
        tuple(world.call(generator) * factor * level * spread for _ in range(CALLS))
        for level in levels
        for spread in (generator.lognormvariate(0, 0.02),)
    ]


def judged(world: World, generator: random.Random, order: Order) -> Comparison:
    levels = world.levels(generator, order)
    before = run(world, generator, 1.0, levels[0])
    after = run(world, generator, world.factor, levels[1])
    return compare(capture("a", before), capture("b", after), interleaved=order == "taking turns", started_at=NOW)


def by_single_calls(world: World, generator: random.Random) -> bool:
    """What a Welch test over single calls says: "changed" at 5 %."""
    levels = world.levels(generator, "one after the other")
    sides = [
        [math.log(value) for block in run(world, generator, factor, side) for value in block]
        for factor, side in zip((1.0, world.factor), levels, strict=True)
    ]
    error = math.sqrt(sum(statistics.variance(side) / len(side) for side in sides))
    return abs(statistics.mean(sides[1]) - statistics.mean(sides[0])) > 1.96 * error


def self_checked(world: World) -> tuple[float, float]:
    """False verdicts of `baseline selfcheck`, over all runs, and the share of checks that had more than one."""
    generator = random.Random(f"{SEED} selfcheck {world.name}")  # noqa: S311 - repeatable

    def pair() -> tuple[Capture, Capture]:
        sides = world.levels(generator, "one after the other")
        return tuple(capture(name, run(world, generator, 1.0, side)) for name, side in zip("ab", sides, strict=True))  # type: ignore[return-value]

    found = [
        judge_pairs(
            [side for _ in range(RUNS // 2) for side in pair()],
            [pair() for _ in range(RUNS)],
            margin=DEFAULT_MARGIN,
            started_at=NOW,
            duration_s=0.0,
        ).false_verdicts
        for _ in range(CHECKS)
    ]
    return sum(found) / CHECKS / RUNS, sum(false > PROMISE * RUNS for false in found) / CHECKS


def wrong(verdict: str, factor: float) -> bool:
    """A verdict that says what is not so. "inconclusive" says nothing."""
    allowed = {"no_change"} if factor == 1 else {"regressed"} if factor > 1 else {"improved"}
    return verdict not in allowed | {"inconclusive"}


def rows() -> Iterator[tuple[str, str, int, dict[str, int], float, float, list[float]]]:
    for world in WORLDS:
        for order in get_args(Order):
            generator = random.Random(f"{SEED} {world.name} {order}")  # noqa: S311 - repeatable
            found = [judged(world, generator, order) for _ in range(TIMES)]
            medians = [next(m for m in one.metrics if m.name == METRICS[0]) for one in found]
            counts = {word: sum(m.verdict == word for m in medians) for word in
                      ("improved", "regressed", "no_change", "inconclusive")}  # fmt: skip
            whole = sum(wrong(one.verdict, world.factor) for one in found) / TIMES
            single = sum(wrong(metric.verdict, world.factor) for one in found for metric in one.metrics
                         if not metric.informative) / (TIMES * len(METRICS))  # fmt: skip
            ratios = [(1 + (m.change or 0.0)) / world.factor for m in medians]
            yield (
                world.name,
                order,
                TIMES,
                counts,
                whole,
                single,
                ratios,
            )


def page(found: list[tuple[str, str, int, dict[str, int], float, float, list[float]]]) -> Iterator[str]:
    calls = [
        (world, sum(by_single_calls(world, random.Random(f"{SEED} calls {world.name} {n}"))  # noqa: S311 - as above
                    for n in range(TIMES)) / TIMES)
        for world in (*WORLDS[:2], *WORLDS[4:6])
    ]  # fmt: skip
    yield from (
        "# How often a verdict is wrong", "", "<!-- Written by `python benchmarks/verdicts.py --write`. -->", "",
        (f"Simulated captures whose truth is known: {TIMES} comparisons in each row, {BLOCKS} blocks of {CALLS} calls a"
        " side, the margin 5 %, the noise between runs assumed 5 %. The columns in the middle are the verdicts on the"
        " median; *wrong* says how many verdicts said what is not so, on the whole comparison, and on its three"
        ' percentiles one by one. "Inconclusive" is never wrong: it says that more is needed.'), "",
        "| truth | blocks | improved | regressed | no change | inconclusive | wrong, whole | wrong, one by one |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    )  # fmt: skip
    for name, blocks, times, counts, whole, single, _ in found:
        cells = " | ".join(f"{counts[word] / times:.1%}" for word in counts)
        yield f"| {name} | {blocks} | {cells} | {whole:.1%} | {single:.1%} |"
    yield from ("", "For comparison, a Welch test over the single calls of the same runs, as most tools have it:", "")
    for world, share in calls:
        yield f"- {world.name}: called changed in {share:.0%} of the cases."
    yield from ("", (f"And {CHECKS} times `dbtune baseline selfcheck --runs {RUNS}` on such machines, the noise between"
                " runs measured as it does:"), "")  # fmt: skip
    for world in (WORLDS[1], WORLDS[4], WORLDS[5]):
        rate, often = self_checked(world)
        yield f"- {world.name}: {rate:.1%} of the verdicts were false; {often:.0%} of the checks counted more than 5 %."
    yield from (
        "", ("A change of 1.2 times is hard to see between two runs, each with a level of its own that varies by 5 %:"
        " most of these verdicts are inconclusive, and say so. Where somebody else takes a third of the machine now and"
        " then, even twice is often left open. Blocks that take turns (`dbtune baseline ab`) share their level with"
        " their neighbours, and see both."), "",
        "On a server of your own, `dbtune baseline selfcheck` measures the noise and counts false verdicts.",
    )  # fmt: skip


def main() -> int:
    found = list(rows())
    lines = list(page(found))
    if "--write" in sys.argv[1:]:
        PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
    worst = max(row[4] for row in found)
    print(f"worst rate of wrong verdicts: {worst:.1%}")
    ratios = sorted(ratio for row in found for ratio in row[6])
    print(
        f"ratio {statistics.median(ratios):.3f} (min {ratios[0]:.3f}, max {ratios[-1]:.3f}) over {len(ratios)} pairs:"
        " change of the median as measured against the change as it is"
    )
    return 0 if worst <= 0.05 else 1


if __name__ == "__main__":
    sys.exit(main())
