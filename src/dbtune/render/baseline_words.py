"""How the figures of a comparison are written, the same in every form: `12.4ms ±2%`, `−75% [−77,−72]`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from dbtune.baseline.outcome import Comparison, Metric, StatementChange, StatementSide, Trust
from dbtune.baseline.statistics import Interval
from dbtune.baseline.verdict import Verdict
from dbtune.core.units import format_duration, format_size
from dbtune.render.text import one_line

NOT_KNOWN = "–"
_NAMED = 6
WORDS: dict[Verdict, str] = {
    "improved": "improved",
    "regressed": "regressed",
    "no_change": "no change",
    "inconclusive": "inconclusive",
}
TONES: dict[Verdict, str] = {"improved": "good", "regressed": "bad", "no_change": "same", "inconclusive": "open"}


def value(number: float | None, unit: str) -> str:
    if number is None:
        return NOT_KNOWN
    if unit == "s":
        return duration(number)
    if unit == "share":
        return f"{number * 100:.2g}%" if 0 < abs(number) < 0.00995 else f"{number * 100:.1f}%"
    if unit == "B":
        return format_size(number)
    text = f"{number:,.0f}" if number == int(number) or abs(number) >= 1000 else f"{number:.3g}"
    return text.replace("-", "−") + ("/s" if unit == "1/s" else "")


def duration(seconds: float) -> str:
    """Nothing at all has no unit that would say how exactly it was measured."""
    return format_duration(seconds) if seconds else "0s"


def with_spread(number: float | None, unit: str, interval: Interval | None) -> str:
    """`12.4ms ±2%`: half of the side's own 95 % interval, on its wider side."""
    text = value(number, unit)
    if number is None or number <= 0 or interval is None:
        return text
    reach = max(interval.high - number, number - interval.low) / number
    return f"{text} ±{reach * 100:.0f}%"


def before(metric: Metric) -> str:
    return with_spread(metric.before, metric.unit, metric.before_interval)


def after(metric: Metric) -> str:
    return with_spread(metric.after, metric.unit, metric.after_interval)


def change(metric: Metric) -> str:
    """`−75% [−77,−72]`; points for shares, where 2 % of 10 % would be read as either."""
    if metric.change is None:
        return NOT_KNOWN
    unit = " pp" if metric.unit == "share" else "%"
    text = f"{percent(metric.change, sign=True)}{unit}"
    if metric.interval is None or metric.exact:
        return text
    return f"{text} [{percent(metric.interval.low)},{percent(metric.interval.high)}]"


def percent(fraction: float, *, sign: bool = False) -> str:
    """`−75`, `+3.2`, `0`: without the unit, with a true minus."""
    number = fraction * 100
    # Close to -100 % the tenths are what matters: ten times faster, or a hundred times.
    text = f"{number:.0f}" if abs(number) >= 9.95 and number > -95 else f"{number:.1f}"
    if float(text) == 0:
        return "0"
    return ("+" if sign and number > 0 else "") + text.replace("-", "−")


def samples(metric: Metric) -> str:
    return "exact" if metric.exact else f"{metric.n_before}+{metric.n_after}"


def p_value(metric: Metric) -> str:
    if metric.p is None or metric.exact:
        return ""
    return "p<.001" if metric.p < 0.001 else f"p={metric.p:.3f}".replace("0.", ".")


def why(metric: Metric) -> str | None:
    """Why there is no verdict, and what would give one."""
    parts = [part for part in (metric.reason, f"needs {metric.missing}" if metric.missing else None) if part]
    return "; ".join(parts) or None


def subject(name: str) -> tuple[str, str]:
    """`"feed.p50"` → what was measured and which figure of it, in words."""
    found = re.fullmatch(r"(.+)\.(p\d+\.\d+)", name)
    if found is not None:
        return found[1], found[2]
    head, _, tail = name.rpartition(".")
    return head or name, (tail if head else "").replace("_", " ") or "value"


def by_subject(metrics: Iterable[Metric]) -> dict[str, list[Metric]]:
    found: dict[str, list[Metric]] = {}
    for metric in metrics:
        found.setdefault(subject(metric.name)[0], []).append(metric)
    return found


def headline(comparison: Comparison) -> str:
    """`3 improved, 1 inconclusive` over the metrics and statements that decide."""
    verdicts = [metric.verdict for metric in comparison.metrics if not metric.informative]
    verdicts += [change.time.verdict for change in comparison.statements if change.before and change.after]
    counts = [(verdict, verdicts.count(verdict)) for verdict in WORDS]
    return ", ".join(f"{count} {WORDS[verdict]}" for verdict, count in counts if count) or "nothing could be compared"


def standouts(comparison: Comparison, verdict: Verdict) -> str | None:
    """`feed.p50, feed.p95 and 3 statements`: what got this verdict; None for nothing."""
    named = [metric.name for metric in comparison.metrics if metric.verdict == verdict and not metric.informative]
    count = sum(change.time.verdict == verdict for change in comparison.statements)
    more = len(named) - _NAMED
    parts = [*named[:_NAMED], *([f"{more} more"] if more > 0 else [])]
    parts += [f"{count} statement{'s' if count > 1 else ''}"] if count else []
    return ", ".join(parts) or None


def explanation(comparison: Comparison) -> str:
    return (
        f"95% intervals; margin ±{comparison.margin:.0%}"
        + (
            f"; noise between runs {comparison.noise:.1%}, or what the blocks show: a smaller change gets no verdict"
            if comparison.noise
            else "; blocks took turns"
        )
        + ". Only “no change” claims sameness."
    )


def means(comparison: Comparison) -> str | None:
    """`Geometric mean of after/before: timings 0.25, statements 0.28`."""
    if not comparison.geometric_mean:
        return None
    parts = ", ".join(f"{name} ×{ratio:.3g}" for name, ratio in comparison.geometric_mean.items())
    return f"Geometric mean of after / before: {parts}"


def split(comparison: Comparison) -> str | None:
    if comparison.split is None:
        return None
    volume, cost = (_signed(part) for part in (comparison.split.volume, comparison.split.cost))
    return f"Statement time per second: {volume} by the number of calls, {cost} by the cost of a call"


def _signed(seconds: float) -> str:
    return ("+" if seconds > 0 else "") + duration(seconds).replace("-", "−")


def calls(statement: StatementChange) -> str:
    """`120/s → 480/s`."""
    sides = [value(side.calls_per_s if side else None, "1/s") for side in (statement.before, statement.after)]
    return " → ".join(sides)


def blocks(statement: StatementChange) -> str:
    sides = [value(side.blocks_per_call if side else None, "blocks") for side in (statement.before, statement.after)]
    return " → ".join(sides)


def indexes(statement: StatementChange) -> tuple[str, str] | None:
    """What each side's plan reads; `none` where it reads no index, `–` where there is no plan. None for nothing."""
    plan = statement.plan
    known = (plan is not None and plan.before is not None, plan is not None and plan.after is not None)
    named = (statement.indexes_before, statement.indexes_after)
    if not any(named):
        return None
    old, new = (
        one_line(", ".join(names) or ("none" if there else NOT_KNOWN))[:200]
        for names, there in zip(named, known, strict=True)
    )
    return old, new


def signed(seconds: float) -> str:
    """`+1.2ms`, `−30ms`: with a true minus."""
    return _signed(seconds)


def details(statement: StatementChange) -> list[tuple[str, str, str]]:
    """(figure, before, after) of one statement; what neither side has is left out."""
    rows: tuple[tuple[str, str, Callable[[StatementSide], float | None]], ...] = (
        ("calls a second", "calls", lambda side: side.calls_per_s),
        ("time", "s", lambda side: side.time_per_call_s),
        ("planning", "s", lambda side: side.plan_s_per_call or None),
        ("reading and writing", "s", lambda side: side.io_s_per_call or None),
        ("rows", "rows", lambda side: side.rows_per_call),
        ("blocks", "blocks", lambda side: side.blocks_per_call),
        ("temporary blocks", "blocks", lambda side: side.temp_blocks_per_call or None),
        ("WAL", "B", lambda side: side.wal_bytes_per_call or None),
        ("longest ever", "s", lambda side: side.max_s),
    )
    found = []
    for label, unit, read in rows:
        sides = [read(side) if side else None for side in (statement.before, statement.after)]
        if sides != [None, None]:
            found.append((label, value(sides[0], unit), value(sides[1], unit)))
    used = indexes(statement)
    if used is not None:
        found.append(("indexes used", *used))
    return found


def coverage(trust: Trust) -> str | None:
    sides = (trust.coverage_before, trust.coverage_after)
    if sides == (None, None):
        return None
    return " and ".join(NOT_KNOWN if side is None else f"{side:.0%}" for side in sides)
