"""Gates and thresholds: `latency.p95 < baseline * 0.5`, `errors.rate < 0.1%`, and k6's `p(95)<300ms`.

    expression = subject operator limit
    subject    = [metric "."] statistic          metric: any words, in double quotes where they hold < > = ! or "
    statistic  = "p95" | "p(95)" | avg | min | max | med | count | rate | value
    operator   = "<=" | "<" | ">=" | ">" | "===" | "==" | "!="
    limit      = quantity | [number "*"] "baseline" [("*" | "/") number] [("+" | "-") quantity]
    quantity   = number [us | ms | s | m | min | h | % | B | kB | MB | GB | TB | "/s"]

A bare number against a time counts milliseconds, as in k6; against a share it is a fraction. No data is a failure,
where k6 passes.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn

from dbtune.baseline.outcome import Gate
from dbtune.core.units import format_duration, format_size

Kind = Literal["plain", "time", "share", "size", "rate"]
Scale = tuple[Kind, float]

OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "===": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_UNITS: Mapping[str, Scale] = {
    "us": ("time", 1e-6), "µs": ("time", 1e-6), "ms": ("time", 1e-3), "s": ("time", 1.0), "m": ("time", 60.0),
    "min": ("time", 60.0), "h": ("time", 3600.0), "%": ("share", 0.01), "/s": ("rate", 1.0),
    "b": ("size", 1.0), "kb": ("size", 2.0**10), "mb": ("size", 2.0**20), "gb": ("size", 2.0**30),
    "tb": ("size", 2.0**40),
}  # fmt: skip
_SUBJECT = re.compile(r'"(?:[^"\\]|\\.)*"|\{[^}]*\}|[^"{<>=!]')
_STATISTIC = re.compile(
    r"p\s*\(\s*(?P<k6>[\d.]+)\s*\)|p(?P<own>\d+(?:\.\d+)?)|(?P<word>avg|mean|min|max|med|count|rate|value)"
)
_TAIL = re.compile(rf"(?:^|\.)\s*(?:{_STATISTIC.pattern})\s*$")
_TOKEN = re.compile(r"\s*(?:(?P<number>\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)|(?P<word>[A-Za-zµ%]+|/s)|(?P<sign>[*/+-]))")


class GateSyntaxError(ValueError):
    """An expression that does not parse. `column` counts from 1; `message` says what was expected there."""

    def __init__(self, message: str, text: str, column: int) -> None:
        super().__init__(f"{text!r}, column {column}: {message}")
        self.message, self.text, self.column = message, text, column


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number in the base unit of its kind: seconds, a fraction, bytes, per second."""

    number: float
    kind: Kind


@dataclass(frozen=True, slots=True)
class Limit:
    """`factor` times the baseline's value plus `offset`; a factor of None: `offset` alone."""

    factor: float | None
    offset: Quantity


@dataclass(frozen=True, slots=True)
class Expression:
    """`statistic` is `p95`, `avg`, `min`, `max`, `med`, `count`, `rate` or `value`; `metric` may be empty."""

    text: str
    metric: str
    statistic: str
    operator: str
    limit: Limit

    @property
    def relative(self) -> bool:
        """Whether it needs a baseline."""
        return self.limit.factor is not None

    @property
    def subject(self) -> str:
        return f"{self.metric}.{self.statistic}" if self.metric else self.statistic


@dataclass(frozen=True, slots=True)
class Reading:
    """One measured figure. `unit` is `s`, `share`, `B`, `1/s` or a plural noun; `note` says what to mistrust in it."""

    value: float
    unit: str
    note: str | None = None


Source = Callable[[str, str], Reading | None]
"""(metric, statistic) → what was measured, or None."""


def parse(text: str, *, metric: str | None = None) -> Expression:
    """`metric` is the key under which a threshold stands: `text` then begins with the statistic alone.

    Raises GateSyntaxError.
    """
    end = 0
    while found := _SUBJECT.match(text, end):
        end = found.end()
    sign = next((sign for sign in OPERATORS if text.startswith(sign, end)), None)
    if not text[:end].strip():
        raise GateSyntaxError("expected a metric such as latency.p95", text, end + 1)
    if sign is None:
        raise GateSyntaxError(f"expected one of {' '.join(OPERATORS)}", text, end + 1)
    name, statistic = _subject(text, text[:end], inside=metric is not None)
    limit = _Limits(text, end + len(sign)).read()
    return Expression(text.strip(), name if metric is None else _joined(metric, name), statistic, sign, limit)


def parse_subject(text: str) -> tuple[str, str]:
    """`latency.p95` → `("latency", "p95")`. Raises GateSyntaxError."""
    if not text.strip():
        raise GateSyntaxError("expected a metric such as latency.p95", text, 1)
    return _subject(text, text, inside=False)


def _subject(text: str, subject: str, *, inside: bool) -> tuple[str, str]:
    found = _TAIL.search(subject)
    if found is None:
        if inside:
            known = "p(95), avg, min, max, med, count, rate or value"
            raise GateSyntaxError(f"expected a statistic: {known}", text, len(subject) - len(subject.lstrip()) + 1)
        return _unquoted(subject), "value"
    number = found["k6"] or found["own"]
    if number is not None:
        share = float(number) if re.fullmatch(r"\d+(\.\d+)?", number) else math.nan
        if not 0 <= share <= 100:
            raise GateSyntaxError("expected a percentile between 0 and 100", text, found.start() + 1)
        return _unquoted(subject[: found.start()]), f"p{share:g}"
    word = "avg" if found["word"] == "mean" else found["word"]
    return _unquoted(subject[: found.start()]), word


def _joined(metric: str, rest: str) -> str:
    return f"{metric}.{rest}" if rest else metric


def _unquoted(name: str) -> str:
    """`"my feed".latency` → `my feed.latency`."""
    return re.sub(r'"((?:[^"\\]|\\.)*)"', lambda match: re.sub(r"\\(.)", r"\1", match[1]), name.strip())


class _Limits:
    """Reads what stands after the operator."""

    def __init__(self, text: str, start: int) -> None:
        self._text, self._at = text, start

    def read(self) -> Limit:
        limit = self._baseline(1.0) if self._is_baseline() else self._number_first()
        if self._text[self._at :].strip():
            self._refuse("expected the end")
        return limit

    def _number_first(self) -> Limit:
        negative = self._sign("-") is not None
        number = self._quantity("expected a number" if negative else "expected a number or baseline")
        if not negative and number.kind == "plain" and self._sign("*"):
            if not self._is_baseline():
                self._refuse("expected baseline")
            return self._baseline(number.number)
        return Limit(None, Quantity(-number.number, number.kind) if negative else number)

    def _baseline(self, factor: float) -> Limit:
        self._word()
        if sign := self._sign("*/"):
            column = self._at
            number = self._plain()
            if sign == "/" and number == 0:
                self._refuse("expected a number other than 0", column)
            factor = factor * number if sign == "*" else factor / number
        offset = Quantity(0.0, "plain")
        if sign := self._sign("+-"):
            found = self._quantity()
            offset = Quantity(-found.number, found.kind) if sign == "-" else found
        return Limit(factor, offset)

    def _is_baseline(self) -> bool:
        found = _TOKEN.match(self._text, self._at)
        return found is not None and found["word"] == "baseline"

    def _word(self) -> str | None:
        found = _TOKEN.match(self._text, self._at)
        if found is None or found["word"] is None:
            return None
        self._at = found.end()
        return found["word"]

    def _sign(self, wanted: str) -> str | None:
        found = _TOKEN.match(self._text, self._at)
        # `/s` right after a number is a unit, and never a division.
        if found is None or found["sign"] is None or found["sign"] not in wanted:
            return None
        self._at = found.end()
        return found["sign"]

    def _plain(self, wanted: str = "expected a number") -> float:
        found = _TOKEN.match(self._text, self._at)
        if found is None or found["number"] is None:
            self._refuse(wanted)
        self._at = found.end()
        return float(found["number"])

    def _quantity(self, wanted: str = "expected a number") -> Quantity:
        number = self._plain(wanted)
        place = self._at
        unit = self._word()
        if unit is None:
            return Quantity(number, "plain")
        scale = _UNITS.get(unit if unit in ("m", "s") else unit.lower())
        if scale is None:
            self._refuse(f"unknown unit {unit}: expected us, ms, s, min, h, %, B, kB, MB, GB, TB or /s", place)
        return Quantity(number * scale[1], scale[0])

    def _refuse(self, message: str, at: int | None = None) -> NoReturn:
        rest = self._text[self._at if at is None else at :]
        column = (self._at if at is None else at) + len(rest) - len(rest.lstrip()) + 1
        raise GateSyntaxError(message, self._text, column)


def evaluate(expression: Expression, after: Source, baseline: Source | None) -> Gate:
    """Whether it holds. Without a value on a side that is needed it does not, and `reason` says so."""
    found = after(expression.metric, expression.statistic)
    if found is None:
        return Gate(expression.text, ok=False, value=None, reason=f"no data: {expression.subject} was not measured")
    before = None
    if expression.relative:
        before = baseline(expression.metric, expression.statistic) if baseline is not None else None
        if before is None:
            reason = f"no data: the baseline has no {expression.subject}" if baseline else "there is no baseline"
            return Gate(expression.text, ok=False, value=found.value, unit=found.unit, reason=reason)
        if before.unit != found.unit:
            reason = f"the baseline counts {before.unit}, this measurement {found.unit}"
            return Gate(expression.text, ok=False, value=found.value, unit=found.unit, reason=reason)
    offset = _in_unit(expression.limit.offset, found.unit)
    if offset is None:
        reason = f"a {expression.limit.offset.kind} is no limit for {expression.subject}, which counts {found.unit}"
        return Gate(expression.text, ok=False, value=found.value, unit=found.unit, reason=reason)
    limit = offset + (before.value * (expression.limit.factor or 0.0) if before is not None else 0.0)
    return Gate(
        expression=expression.text,
        ok=OPERATORS[expression.operator](found.value, limit),
        value=found.value,
        unit=found.unit,
        limit=limit,
        before=before.value if before is not None else None,
        reason=found.note,
    )


def say(gate: Gate) -> str:
    """`latency.p95 < baseline * 0.5: 12.4ms, where the limit is 8.10ms`."""
    if gate.value is None or gate.limit is None or gate.unit is None:
        return f"{gate.expression}: {gate.reason or 'no data'}"
    measured, limit = (format_figure(number, gate.unit) for number in (gate.value, gate.limit))
    note = f" ({gate.reason})" if gate.reason else ""
    return f"{gate.expression}: {measured}, where the limit is {limit}{note}"


def format_figure(number: float, unit: str) -> str:
    """In the words of its unit: `12.4ms`, `0.10%`, `64.0 MB`, `1,200/s`."""
    if unit == "s":
        return format_duration(number)
    if unit == "share":
        return f"{number * 100:.3g}%"
    if unit == "B":
        return format_size(number)
    return f"{number:,.4g}/s" if unit == "1/s" else f"{number:,.4g} {unit}"


def _in_unit(quantity: Quantity, unit: str) -> float | None:
    """The limit in the metric's unit; None where the two do not go together."""
    fitting: Mapping[str, tuple[Kind, ...]] = {
        "s": ("time", "plain"), "share": ("share", "plain"), "B": ("size", "plain"), "1/s": ("rate", "plain"),
    }  # fmt: skip
    if quantity.kind not in fitting.get(unit, ("plain",)) and quantity.number != 0:
        return None
    return quantity.number / 1000 if unit == "s" and quantity.kind == "plain" else quantity.number
