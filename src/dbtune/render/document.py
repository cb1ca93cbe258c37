"""Values as JSON documents hold them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

# Beyond this, JavaScript and jq round integers: such ids are written as strings.
_EXACT = 2**53


def to_json(document: Mapping[str, Any]) -> str:
    """Indented, in the given order, valid for every strict parser."""
    return json.dumps(_value(document), indent=2, ensure_ascii=False, allow_nan=False)


def _value(value: Any) -> Any:  # noqa: ANN401 - any JSON value, and what servers return beside them
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) <= _EXACT else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        # A lone surrogate cannot be written as UTF-8.
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _value(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_value(item) for item in value]
    return str(value)
