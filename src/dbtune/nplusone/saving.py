"""What an N+1 costs: its share of the traffic, and the time that one statement instead of N would save."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dbtune.nplusone.traffic import Statement, Traffic


@dataclass(frozen=True, slots=True)
class Saving:
    """Shares of all statements seen, 0 to 1. `saved_s`: seconds of the window, at least and at most."""

    of_calls: float
    of_time: float
    saved_s: tuple[float, float]


def saving(child: Statement, calls: float, per_parent: float, traffic: Traffic) -> Saving:
    """At least the round trips of all look-ups but one; at most their execution as well.

    The round trip is measured from where dbtune runs; the application's may be longer or shorter.
    """
    all_calls = sum(one.total_calls for one in traffic.statements)
    all_ms = math.fsum(one.total_ms for one in traffic.statements)
    own_ms = child.total_ms * calls / max(child.total_calls, 1)
    spared = 1.0 - 1.0 / max(per_parent, 1.0)
    low = calls * spared * traffic.round_trip_s
    return Saving(
        of_calls=calls / all_calls if all_calls else 0.0,
        of_time=own_ms / all_ms if all_ms > 0 else 0.0,
        saved_s=(low, low + own_ms / 1000 * spared),
    )
