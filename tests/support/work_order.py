"""Which worker gets which tests, and when: a file at a time, the largest first, all slow tests after all quick ones.

A file's tests stay with one worker, which has servers of its own; its quick and its slow tests are two units of work.
One pool for both leaves no core idle while the last of the quick ones end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any

import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling  # type: ignore[import-untyped]

# What a test that asks PostgreSQL takes is one: a database of its own.
_WITH_SERVER = {"postgres_server": 1.0, "redis_url": 0.3}
_WITHOUT = 0.05
# Unless it says how slow it is: `@pytest.mark.slow(30)`.
_SLOW_S = 10.0


class WorkOrder(LoadScopeScheduling):  # type: ignore[misc]
    """Gives out the units in the order of the collection, as `ordered` has left it."""

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False
        self._unit_of: dict[str, str] = {}

    def _split_scope(self, nodeid: str) -> str:
        if not self._unit_of:
            self._unit_of = _units(next(iter(self.registered_collections.values())))
        return self._unit_of[nodeid]

    def _reschedule(self, node: Any) -> None:
        # A worker must know the test after the one it is at, and no more: what waits with it nobody else can take.
        if self.workqueue and self._pending_of(self.assigned_work[node]) > 1:
            return
        super()._reschedule(node)


def ordered(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Within a unit as they stood; the same for every worker."""
    units: dict[tuple[bool, str], list[pytest.Item]] = defaultdict(list)
    for item in items:
        units[item.get_closest_marker("slow") is not None, _file(item.nodeid)].append(item)
    costs = {unit: sum(map(_cost, held)) for unit, held in units.items()}
    return [item for unit in sorted(units, key=lambda unit: (unit[0], -costs[unit], unit[1])) for item in units[unit]]


def _cost(item: pytest.Item) -> float:
    slow = item.get_closest_marker("slow")
    if slow is not None:
        return float(slow.args[0]) if slow.args else _SLOW_S
    fixtures: Sequence[str] = getattr(item, "fixturenames", ())
    return sum((cost for name, cost in _WITH_SERVER.items() if name in fixtures), _WITHOUT)


def _units(nodeids: Sequence[str]) -> dict[str, str]:
    """The unit of each test: neighbours in the same file are one."""
    numbers = count()
    found, unit, before = {}, "", ""
    for nodeid in nodeids:
        if _file(nodeid) != before:
            before = _file(nodeid)
            unit = f"{before} {next(numbers)}"
        found[nodeid] = unit
    return found


def _file(nodeid: str) -> str:
    return nodeid.split("::", 1)[0]
