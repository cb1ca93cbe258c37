"""The row that the checks about single indexes share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IndexUsage:
    """One user index with its counters. `scans` is idx_scan since the statistics began."""

    schema: str
    name: str
    table: str
    definition: str
    is_unique: bool
    backs_constraint: bool
    usable: bool
    being_built: bool
    size_bytes: int
    scans: int
