"""The document `dbtune.load/1` read back, with everything checked: other machines wrote it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from dbtune.baseline.histogram import check
from dbtune.baseline.load_result import LoadBlock, LoadMoment, LoadResult, LoadStream
from dbtune.core.errors import Misused
from dbtune.load.judgement import Expectation
from dbtune.load.report import LoadOutcome, LoadReport, by_stage

if TYPE_CHECKING:
    from pydantic import TypeAdapter

SCHEMA = "dbtune.load/1"


@dataclass(frozen=True, slots=True)
class _Titled:
    title: str


@dataclass(frozen=True, slots=True)
class _Error:
    message: str
    count: int


@dataclass(frozen=True, slots=True)
class _Step:
    """What is needed of a step to merge it."""

    id: str
    name: str
    engine: str
    mode: Literal["open", "closed"]
    profile: str
    blocks: tuple[LoadBlock, ...]
    streams: tuple[LoadStream, ...]
    series: tuple[LoadMoment, ...] = ()
    errors: tuple[_Error, ...] = ()
    stages: tuple[_Titled, ...] = ()
    expectations: tuple[Expectation, ...] = ()
    broken: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    engine_version: str | None = None
    started_at: datetime | None = None
    cells: Mapping[int, Mapping[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Document:
    playbook: str
    target: str
    started_at: datetime
    duration_s: float
    steps: tuple[_Step, ...]
    worker: str | None = None
    interrupted: bool = False


def from_json(text: str | bytes, source: str) -> LoadReport:
    """Raises Misused, naming `source`, for what is truncated, foreign, newer or damaged."""
    from pydantic import ValidationError

    hint = "name the files that `dbtune load --worker … --format json` wrote"
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Misused(f"{source} is not a complete JSON document: {error}", hint=hint) from error
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        raise Misused(f"{source} is not a result of dbtune load (its schema is {schema!r})", hint=hint)
    try:
        read = _adapter().validate_python(document)
        for step in read.steps:
            for block in (*step.blocks, *(block for stream in step.streams for block in stream.blocks)):
                check(block.response)
                if block.service is not None:
                    check(block.service)
    except ValidationError as error:
        first = error.errors()[0]
        raise Misused(
            f"{source} is damaged at {'.'.join(map(str, first['loc']))}: {first['msg']}", hint=hint
        ) from error
    except ValueError as error:
        raise Misused(f"{source} is damaged: {error}", hint=hint) from error
    return LoadReport(
        playbook=read.playbook,
        target=read.target,
        started_at=read.started_at,
        duration_s=read.duration_s,
        loads=tuple(map(_outcome, read.steps)),
        worker=_worker(read.worker, source),
        interrupted=read.interrupted,
    )


def parse_worker(text: str) -> tuple[int, int]:
    """`"2/3"` → (2, 3). Raises ValueError."""
    match = re.fullmatch(r"\s*(\d{1,4})\s*/\s*(\d{1,4})\s*", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ValueError(f"{text!r} is not a worker: write which one of how many, such as 2/3")
    return int(match[1]), int(match[2])


def _worker(text: str | None, source: str) -> tuple[int, int] | None:
    try:
        return None if text is None else parse_worker(text)
    except ValueError as error:
        raise Misused(f"{source} is damaged: {error}") from error


def _outcome(step: _Step) -> LoadOutcome:
    result = LoadResult(
        name=step.id,
        engine=step.engine,
        mode=step.mode,
        profile=step.profile,
        blocks=step.blocks,
        streams=step.streams,
        series=step.series,
        errors={error.message: error.count for error in step.errors},
    )
    return LoadOutcome(
        id=step.id,
        name=step.name,
        result=result,
        stages=by_stage(result, tuple(stage.title for stage in step.stages)),
        broken=step.broken,
        notes=step.notes,
        engine_version=step.engine_version,
        started_at=step.started_at,
        cells=step.cells,
        expectations=step.expectations,
    )


@cache
def _adapter() -> TypeAdapter[_Document]:
    from pydantic import TypeAdapter

    adapter: TypeAdapter[Any] = TypeAdapter(_Document)
    return adapter
