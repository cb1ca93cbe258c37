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
from pathlib import Path

from dbtune.baseline.capture import SCHEMA, Capture, Fingerprint, Timing
from dbtune.baseline.comparison import compare
from dbtune.baseline.outcome import Comparison

PAGE = Path(__file__).resolve().parent.parent / "docs" / "verdicts.md"
TIMES, BLOCKS, CALLS, SEED = 400, 6, 80, 20260101
NOW = datetime(2026, 1, 1, tzinfo=UTC)
PRINT = Fingerprint(180000, "app", 5, "71", NOW, 1 << 30, None, {})
METRICS = ("feed.p50", "feed.p95", "feed.p99")
Call = Callable[[random.Random], float]


@dataclass(frozen=True)
class World:
    """`factor` is the truth, after over before; `drift` the standard deviation of a run's level."""

    name: str
    factor: float
    drift: float
    call: Call


def calm(generator: random.Random) -> float:
    return generator.lognormvariate(-6, 0.3)


def heavy(generator: random.Random) -> float:
    return generator.lognormvariate(-6, 1.2)


def with_outliers(generator: random.Random) -> float:
    """One call in a hundred waits for something else, fifty times as long."""
    return calm(generator) * (50 if generator.random() < 0.01 else 1)


WORLDS = (
    World("no change, no drift", 1.0, 0.0, calm),
    World("no change, 5 % drift between runs", 1.0, 0.05, calm),
    World("no change, heavy tails, 5 % drift", 1.0, 0.05, heavy),
    World("no change, outliers, 5 % drift", 1.0, 0.05, with_outliers),
    World("1.2 times slower, 5 % drift", 1.2, 0.05, calm),
    World("1.2 times faster, 5 % drift", 1 / 1.2, 0.05, calm),
    World("2 times slower, 5 % drift", 2.0, 0.05, calm),
    World("2 times faster, 5 % drift", 0.5, 0.05, calm),
    World("2 times slower, heavy tails, 5 % drift", 2.0, 0.05, heavy),
    World("2 times slower, outliers, 5 % drift", 2.0, 0.05, with_outliers),
)


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


def judged(world: World, generator: random.Random, *, interleaved: bool) -> Comparison:
    """One after the other, each side has a level of its own; taking turns, neighbours share theirs."""
    if interleaved:
        shared = [generator.lognormvariate(0, world.drift) for _ in range(BLOCKS)]
        levels = shared, shared
    else:
        levels = tuple([generator.lognormvariate(0, world.drift)] * BLOCKS for _ in range(2))  # type: ignore[assignment]
    before = run(world, generator, 1.0, levels[0])
    after = run(world, generator, world.factor, levels[1])
    return compare(capture("a", before), capture("b", after), interleaved=interleaved, started_at=NOW)


def by_single_calls(world: World, generator: random.Random) -> bool:
    """What a Welch test over single calls says: "changed" at 5 %."""
    sides = [
        [math.log(value) for block in run(world, generator, factor, [generator.lognormvariate(0, world.drift)] * BLOCKS)
         for value in block]
        for factor in (1.0, world.factor)
    ]  # fmt: skip
    error = math.sqrt(sum(statistics.variance(side) / len(side) for side in sides))
    return abs(statistics.mean(sides[1]) - statistics.mean(sides[0])) > 1.96 * error


def wrong(verdict: str, factor: float) -> bool:
    """A verdict that says what is not so. "inconclusive" says nothing."""
    allowed = {"no_change"} if factor == 1 else {"regressed"} if factor > 1 else {"improved"}
    return verdict not in allowed | {"inconclusive"}


def rows() -> Iterator[tuple[str, str, int, dict[str, int], float, float, list[float]]]:
    for world in WORLDS:
        for interleaved in (False, True):
            generator = random.Random(f"{SEED} {world.name} {interleaved}")  # noqa: S311 - repeatable
            found = [judged(world, generator, interleaved=interleaved) for _ in range(TIMES)]
            medians = [next(m for m in one.metrics if m.name == METRICS[0]) for one in found]
            counts = {word: sum(m.verdict == word for m in medians) for word in
                      ("improved", "regressed", "no_change", "inconclusive")}  # fmt: skip
            whole = sum(wrong(one.verdict, world.factor) for one in found) / TIMES
            single = sum(wrong(metric.verdict, world.factor) for one in found for metric in one.metrics
                         if not metric.informative) / (TIMES * len(METRICS))  # fmt: skip
            ratios = [(1 + (m.change or 0.0)) / world.factor for m in medians]
            yield (
                world.name,
                "taking turns" if interleaved else "one after the other",
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
        for world in WORLDS[:2]
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
    yield from (
        "", ("A change of 1.2 times is hard to see between two runs, each with a level of its own that varies by 5 %:"
        " most of these verdicts are inconclusive, and say so. Blocks that take turns (`dbtune baseline ab`) share"
        " their level with their neighbours, and see it."), "",
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
