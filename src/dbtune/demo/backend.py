"""What every endpoint works with."""

from __future__ import annotations

from dataclasses import dataclass, field

from dbtune.demo.cache import Cache
from dbtune.demo.database import Database


@dataclass(frozen=True, slots=True)
class Backend:
    """One client's connections; without Redis nothing is cached."""

    database: Database
    cache: Cache = field(default_factory=Cache)
