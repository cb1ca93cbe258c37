"""A capture as the JSON document `dbtune.baseline/1`, and back, with everything checked."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from dbtune.baseline import histogram
from dbtune.baseline.capture import SCHEMA, Capture, Snapshot
from dbtune.core.errors import Misused

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_CATALOG = {"tables", "indexes", "catalog_offset_s"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def check_name(name: str) -> str:
    """A baseline's name becomes a file's: no separators, no leading dot. Raises Misused."""
    if not _NAME.fullmatch(name):
        raise Misused(
            f"{name!r} is not a name for a baseline",
            hint="use letters, digits, dot, dash and underscore, at most 100 of them, beginning with a letter or digit",
        )
    return name


def prepare() -> None:
    """Builds the schema of the document now, for those who have time now: it takes a tenth of a second."""
    _adapter()
    _snapshot_adapter()


def to_json(capture: Capture) -> str:
    """Zeros and other defaults are left out: most counters of most statements are zero."""
    return b"".join(pieces(capture)).decode()


def pieces(capture: Capture, written: Mapping[int, bytes] | None = None) -> Iterator[bytes]:
    """The same document in UTF-8, piece after piece: a large catalog makes tens of megabytes of it.

    `written`: `snapshot_json` of those snapshots that are there already, by their `id()`.
    """
    known = written or {}
    rest = _adapter().dump_json(replace(capture, snapshots=()), exclude_defaults=True, by_alias=True)
    yield rest[:-1] + b',"snapshots":['
    for place, shot in enumerate(capture.snapshots):
        if place:
            yield b","
        yield known.get(id(shot)) or snapshot_json(shot)
    yield b"]}\n"


def snapshot_json(snapshot: Snapshot, catalog: bytes = b"{}") -> bytes:
    """One snapshot as it stands in the document; `catalog` is what `catalog_json` wrote of it before."""
    whole = catalog == b"{}"
    left = set() if whole else _CATALOG
    found = _snapshot_adapter().dump_json(snapshot, exclude_defaults=True, by_alias=True, exclude=left)
    return found if whole else found[:-1] + b"," + catalog[1:]


def catalog_json(snapshot: Snapshot) -> bytes:
    """Its tables and indexes, which are many in a large catalog."""
    return _snapshot_adapter().dump_json(snapshot, exclude_defaults=True, by_alias=True, include=_CATALOG)


def from_json(text: str | bytes, source: str) -> Capture:
    """Raises Misused, naming `source`, for a document that is truncated, foreign, newer or impossible."""
    from pydantic import ValidationError

    hint = "capture it again with `dbtune baseline capture NAME`"
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Misused(f"{source} is not a complete JSON document: {error}", hint=hint) from error
    schema = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(schema, str) or not schema.startswith("dbtune.baseline/"):
        raise Misused(f"{source} is not a baseline of dbtune (its schema is {schema!r})", hint=hint)
    if schema != SCHEMA:
        raise Misused(
            f"{source} has the format {schema}, this dbtune reads {SCHEMA}", hint="read it with a newer dbtune"
        )
    try:
        capture = _adapter().validate_python(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Misused(f"{source} is damaged at {where}: {first['msg']}", hint=hint) from error
    _check_numbers(capture, source)
    return capture


def _check_numbers(capture: Capture, source: str) -> None:
    """Times that cannot be: negative, not finite, or snapshots that run backwards."""
    offsets = [snapshot.offset_s for snapshot in capture.snapshots]
    if any(later <= earlier for earlier, later in pairwise(offsets)):
        raise Misused(f"{source}: its snapshots are not in the order of time", hint="capture it again")
    for timing in capture.timings:
        if any(not math.isfinite(value) or value < 0 for value in timing.values_s):
            raise Misused(f"{source}: the timing {timing.name!r} has a time that cannot be", hint="capture it again")
    _check_loads(capture, source)
    for figure in capture.figures:
        if not all(math.isfinite(value) for value in figure.blocks):
            raise Misused(f"{source}: the figure {figure.name!r} is not finite", hint="capture it again")


def _check_loads(capture: Capture, source: str) -> None:
    for load in capture.loads:
        every = [*load.blocks, *(block for stream in load.streams for block in stream.blocks)]
        for block in every:
            counts = (block.sent, block.failed, block.dropped, block.duration_s)
            if any(not math.isfinite(count) or count < 0 for count in counts) or block.failed > block.sent:
                raise Misused(f"{source}: the load {load.name!r} has a block that cannot be", hint="capture it again")
            try:
                for part in (block.response, block.service or block.response):
                    histogram.check(part)
            except ValueError as error:
                raise Misused(
                    f"{source}: the load {load.name!r} is damaged: {error}", hint="capture it again"
                ) from error


def _refuse_constant(constant: str) -> Any:  # noqa: ANN401 - json's own signature
    raise ValueError(f"{constant} is not a number of JSON")


@cache
def _adapter() -> TypeAdapter[Capture]:
    from pydantic import TypeAdapter

    return TypeAdapter(Capture)


@cache
def _snapshot_adapter() -> TypeAdapter[Snapshot]:
    from pydantic import TypeAdapter

    return TypeAdapter(Snapshot)
