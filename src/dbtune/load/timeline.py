"""When things of a load happen: every time is an offset in seconds from its start, as planned."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from dbtune.load.stages import BLOCKS, Segment

_MOST_CELLS = 240


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of a stage, the replicate of verdicts."""

    start_s: float
    end_s: float
    stage: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """The measured segments of a load, its blocks, and the width of a cell of its time series in seconds."""

    segments: tuple[Segment, ...]
    blocks: tuple[Block, ...]
    cell_s: int
    _edges: tuple[float, ...]

    @property
    def end_s(self) -> float:
        return self.segments[-1].end_s if self.segments else 0.0

    def block_at(self, offset_s: float) -> int:
        """The block's place; what comes early or late belongs to the first or the last."""
        return min(max(bisect_right(self._edges, offset_s) - 1, 0), len(self.blocks) - 1)

    def cell_at(self, offset_s: float) -> int:
        last = math.ceil(self.end_s / self.cell_s) - 1
        return min(max(int(offset_s // self.cell_s), 0), max(last, 0))

    def clients_in(self, start_s: float, end_s: float) -> float:
        """The mean number of clients of a stretch."""
        shared = [
            (max(min(part.end_s, end_s) - max(part.start_s, start_s), 0.0), part.clients) for part in self.segments
        ]
        total = math.fsum(length for length, _ in shared)
        return round(math.fsum(length * clients for length, clients in shared) / total, 6) if total > 0 else 0.0


def timeline(parts: Sequence[Segment], *, whole_seconds: bool = False) -> Timeline:
    """Each stage is cut into blocks of equal length; together about six, and one at least for each stage.

    `whole_seconds`: of an engine whose times are known by the second. A shorter block would have the requests of a
    second or none, so that there are fewer blocks, and they are cut between seconds.
    """
    measured = tuple(part for part in parts if part.stage >= 0)
    total_s = measured[-1].end_s if measured else 0.0
    blocks: list[Block] = []
    for stage, group in groupby(measured, key=lambda part: part.stage):
        mine = list(group)
        start_s, end_s = mine[0].start_s, mine[-1].end_s
        count = max(1, math.ceil(BLOCKS * (end_s - start_s) / total_s - 1e-9))
        if whole_seconds:
            count = min(count, max(int(end_s - start_s), 1))
        edges = [start_s + (end_s - start_s) * place / count for place in range(count + 1)]
        if whole_seconds:
            edges = [float(round(edge)) for edge in edges]
        blocks += [Block(left, right, stage) for left, right in pairwise(edges)]
    return Timeline(
        segments=measured,
        blocks=tuple(blocks),
        cell_s=max(1, math.ceil(total_s / _MOST_CELLS)),
        _edges=tuple(block.start_s for block in blocks),
    )
