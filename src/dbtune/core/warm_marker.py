"""What a finished warm-up leaves in Redis, so that the next run knows that it is not due."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Self

PREFIX = "dbtune:warm:"


@dataclass(frozen=True, slots=True)
class WarmMarker:
    """`fingerprint` says of which step; `keys` how many were written, from the snapshot taken at `warmed_at`."""

    fingerprint: str
    keys: int
    warmed_at: datetime

    def dump(self) -> str:
        return json.dumps(asdict(self) | {"warmed_at": self.warmed_at.isoformat()})

    @classmethod
    def load(cls, text: str | None) -> Self | None:
        """None where nothing stands, or something that dbtune did not write."""
        try:
            found = json.loads(text or "null")
            return cls(str(found["fingerprint"]), int(found["keys"]), datetime.fromisoformat(found["warmed_at"]))
        except (ValueError, TypeError, KeyError):
            return None
