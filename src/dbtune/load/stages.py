"""Stages of a load, as people write them, and the constant stretches that an engine is run for."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from dbtune.core.units import Duration, format_duration

MOST_CLIENTS = 10_000
_PIECE_S = 5.0
_MOST_PIECES = 24
BLOCKS = 6
"""Blocks of a whole load: the replicates of every verdict (baseline/load_result.py)."""

_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:/\s*(s|m|min|h))?")
_PER_S = {None: 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}

Profile = Literal["smoke", "ramp"]


def parse_rate(text: str | float) -> float:
    """`200`, `"200/s"`, `"600/min"` → how many start per second. Raises ValueError."""
    match = _RATE.fullmatch(str(text).strip())
    per_s = float(match[1]) / _PER_S[match[2]] if match else 0.0
    if isinstance(text, bool) or not 0 < per_s < math.inf:
        raise ValueError(f"{text!r} is not a rate: write how many start per second, such as 200/s")
    return per_s


Rate = Annotated[
    float,
    BeforeValidator(parse_rate),
    WithJsonSchema({"type": ["number", "string"], "pattern": r"^[\d.]+ ?(/ ?(s|m|min|h))?$", "examples": ["200/s"]}),
]


class Stage(BaseModel):
    """One stage: `clients` hold for its whole duration, or their number moves to `target`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    duration: Duration = Field(gt=0, description="how long: `30s`")
    clients: int | None = Field(default=None, ge=0, le=MOST_CLIENTS, description="how many work side by side")
    target: int | None = Field(
        default=None, ge=0, le=MOST_CLIENTS, description="clients at the stage's end, reached step by step"
    )
    rate: Rate | None = Field(
        default=None,
        description="starts per second on a schedule of its own (an open loop): what waits shows as waiting. `200/s`",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Stage:
        if (self.clients is None) == (self.target is None):
            raise ValueError("a stage has either clients, which hold, or a target, to which their number moves")
        if self.rate is not None and self.clients == 0:
            raise ValueError("a rate needs clients that keep it")
        return self


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch with a constant number of clients; `start_s` counts from the load's start, warm-up apart.

    `rate` is in starts per second, None for a closed loop. `stage` counts from 0; -1 is the warm-up.
    """

    start_s: float
    duration_s: float
    clients: int
    rate: float | None
    stage: int

    @property
    def end_s(self) -> float:
        return self.start_s + self.duration_s


PROFILES: dict[Profile, tuple[Stage, ...]] = {
    "smoke": (
        Stage(duration="3s", clients=1),
        Stage(duration="5s", clients=4),
        Stage(duration="2s", clients=1),
    ),
    "ramp": (
        Stage(duration="2min", target=10),
        Stage(duration="3min", target=50),
        Stage(duration="2min", target=100),
        Stage(duration="3min", target=100),
        Stage(duration="2min", target=0),
    ),
}
"""Built-in ones: ten seconds that show whether everything works, and twelve minutes up to 100 clients and back."""


def segments(stages: Sequence[Stage], *, warm_up_s: float = 0.0, whole_seconds: bool = False) -> tuple[Segment, ...]:
    """Constant stretches, in order. A ramp becomes steps of about five seconds, each at its middle level.

    `whole_seconds`: an engine that cannot do otherwise; parts of seconds are rounded, never to nothing.
    """
    found: list[Segment] = []
    at_s, level = 0.0, 0
    for number, stage in enumerate(stages):
        duration_s = max(float(round(stage.duration)), 1.0) if whole_seconds else stage.duration
        for share_s, clients in _pieces(stage, level, duration_s, whole_seconds=whole_seconds):
            found.append(Segment(at_s, share_s, clients, stage.rate, number))
            at_s += share_s
        level = stage.clients if stage.clients is not None else stage.target or 0
    if warm_up_s > 0 and found:
        warm_up_s = max(float(round(warm_up_s)), 1.0) if whole_seconds else warm_up_s
        busy = next((segment for segment in found if segment.clients), found[0])
        found.insert(0, Segment(-warm_up_s, warm_up_s, busy.clients, busy.rate, -1))
    return tuple(found)


def _pieces(stage: Stage, level: int, duration_s: float, *, whole_seconds: bool) -> list[tuple[float, int]]:
    """(seconds, clients) of one stage that begins at `level` clients."""
    if stage.clients is not None or stage.target == level:
        return [(duration_s, stage.clients if stage.clients is not None else level)]
    target = stage.target or 0
    count = max(1, min(_MOST_PIECES, round(duration_s / _PIECE_S), abs(target - level)))
    edges = [duration_s * place / count for place in range(count + 1)]
    if whole_seconds:
        edges = [float(round(edge)) for edge in edges]
    middles = [level + (target - level) * (place + 0.5) / count for place in range(count)]
    # A ramp has somebody at work from its first step to its last.
    return [
        (edges[place + 1] - edges[place], max(1, round(middle)))
        for place, middle in enumerate(middles)
        if edges[place + 1] > edges[place]
    ]


def share_of(parts: Sequence[Segment], worker: int, workers: int) -> tuple[Segment, ...]:
    """What worker 1 … n of n does: its clients, and the rate in proportion. May have stretches without clients."""
    found = []
    for part in parts:
        clients = part.clients * worker // workers - part.clients * (worker - 1) // workers
        rate = part.rate * clients / part.clients if part.rate is not None and part.clients else part.rate
        found.append(replace(part, clients=clients, rate=rate))
    return tuple(found)


def describe(stages: Sequence[Stage], *, warm_up_s: float = 0.0) -> str:
    """`5s warm-up, 30s 8 clients at 200/s, 2m00s to 10 clients`: what makes two loads comparable."""
    words = [f"{_length(warm_up_s)} warm-up"] if warm_up_s > 0 else []
    for stage in stages:
        clients = stage.clients if stage.clients is not None else stage.target
        people = f"{clients} client{'' if clients == 1 else 's'}"
        moves = "to " if stage.clients is None else ""
        rate = f" at {stage.rate:g}/s" if stage.rate is not None else ""
        words.append(f"{_length(stage.duration)} {moves}{people}{rate}")
    return ", ".join(words)


def _length(seconds: float) -> str:
    return f"{seconds:g}s" if seconds < 100 else format_duration(seconds)
