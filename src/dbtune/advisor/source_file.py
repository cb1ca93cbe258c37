"""A Source as a file, `dbtune.twin/1`: JSON that a person can read before it leaves the house, or the same compressed.

Its checksum tells a damaged file from a whole one.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any

from dbtune.advisor.source import Source
from dbtune.advisor.source_limits import implausible
from dbtune.core.errors import Misused
from dbtune.core.reports import envelope

if TYPE_CHECKING:
    from datetime import datetime

    from pydantic import TypeAdapter

SCHEMA = "dbtune.twin/1"
MOST_BYTES = 1 << 30
_GZIP = b"\x1f\x8b"
_HINT = "write it again with `dbtune twin dump FILE`"


def to_bytes(source: Source, *, target: str, started_at: datetime, duration_s: float, compressed: bool) -> bytes:
    body = json.loads(json.dumps(asdict(source)))
    document = {
        **envelope(SCHEMA, target, started_at, duration_s),
        "holds": {
            "rows": False,
            "values": source.has_values,
            "tables": len(source.tables),
            "indexes": len(source.indexes),
            "statements": len(source.statements),
        },
        "checksum": _checksum(body),
        "source": body,
    }
    text = (json.dumps(document, indent=1, ensure_ascii=True) + "\n").encode()
    return gzip.compress(text, mtime=0) if compressed else text


def from_bytes(content: bytes, name: str) -> Source:
    """Raises Misused, naming the file, where it is damaged, foreign or newer."""
    from pydantic import ValidationError

    document = _document(content, name)
    schema = document.get("schema")
    if not isinstance(schema, str) or not schema.startswith("dbtune.twin/"):
        raise Misused(f"{name} is not a dump of a twin (its schema is {schema!r})", hint=_HINT)
    if schema != SCHEMA:
        raise Misused(f"{name} has the format {schema}, this dbtune reads {SCHEMA}", hint="use a newer dbtune")
    body = document.get("source")
    if not isinstance(body, dict) or document.get("checksum") != _checksum(body):
        raise Misused(f"{name} is damaged: its content is not what was written", hint=_HINT)
    if not _is_text(body):
        raise Misused(f"{name} is damaged: it holds characters that no database can", hint=_HINT)
    try:
        source = _adapter().validate_python(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Misused(f"{name} is damaged at {where}: {first['msg']}", hint=_HINT) from error
    for where in implausible(source):
        raise Misused(f"{name} is damaged at {where}: no server could have said so", hint=_HINT)
    return source


def _document(content: bytes, name: str) -> Mapping[str, Any]:
    try:
        if content.startswith(_GZIP):
            inflater = zlib.decompressobj(31)
            content = inflater.decompress(content, MOST_BYTES)
            if not inflater.eof:
                raise Misused(f"{name} is damaged: it is cut off, or too large", hint=_HINT)
        document = json.loads(content)
    except (zlib.error, ValueError, RecursionError) as error:
        raise Misused(f"{name} is not a complete dump: {error}", hint=_HINT) from error
    if not isinstance(document, dict):
        raise Misused(f"{name} is not a dump of a twin", hint=_HINT)
    return document


def _is_text(body: Mapping[str, Any]) -> bool:
    """Half a surrogate pair and NUL can be written in JSON, and nowhere else."""
    try:
        written = json.dumps(body, ensure_ascii=False)
        written.encode()
    except UnicodeEncodeError:
        return False
    return "\\u0000" not in written or not any("\0" in text for text in _strings(body))


def _strings(value: object) -> Iterator[str]:
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str(text):
                yield text
            case dict(items):
                waiting += [*items.keys(), *items.values()]
            case list(items):
                waiting += items


def _checksum(body: Mapping[str, Any]) -> str:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


@cache
def _adapter() -> TypeAdapter[Source]:
    from pydantic import TypeAdapter

    return TypeAdapter(Source)
