"""What a person writes about a load besides its stages: scripts, endpoints, thresholds."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from dbtune.baseline.gates import GateSyntaxError, parse
from dbtune.core.units import Duration

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_FLOW = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")

METRICS = ("latency", "service", "errors", "dropped", "throughput", "requests")
K6_METRICS = {
    "http_req_duration": "latency",
    "http_req_failed": "errors",
    "http_reqs": "requests",
    "iterations": "requests",
    "iteration_duration": "latency",
    "dropped_iterations": "dropped",
}
"""k6's names for the same things, so that its thresholds can be used as they are."""


class Script(BaseModel):
    """What one client does over and over. A text instead of a mapping is `sql`, or `flow` for the engine python."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sql: str | None = Field(default=None, description="pgbench's own language: SQL, `\\set id random(1, 1000)`, `:id`")
    file: str | None = Field(
        default=None, min_length=1, description="a file with such a script, from the playbook's directory"
    )
    builtin: str | None = Field(
        default=None, pattern=r"^[a-z-]+$", description="one of pgbench's own: tpcb-like, simple-update, select-only"
    )
    flow: str | None = Field(
        default=None,
        description="`module:function`; function(postgres_dsn, redis_url) returns what each client calls over and over",
    )
    weight: int = Field(default=1, ge=1, le=100_000, description="how often, in proportion to the others")

    @model_validator(mode="after")
    def _one_of_them(self) -> Script:
        given = [name for name in ("sql", "file", "builtin", "flow") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("a script has one of sql, file, builtin and flow")
        if self.sql is not None and not self.sql.strip():
            raise ValueError("there is no statement in it")
        if self.flow is not None and not _FLOW.fullmatch(self.flow):
            raise ValueError("a flow is written module:function")
        return self


class Endpoint(BaseModel):
    """An HTTP request. A text instead of a mapping is `GET https://…`, or the URL alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(pattern=r"^https?://[^\s]+$", description="`https://app.example/feed`")
    method: str = Field(default="GET", description="GET, POST, PUT, PATCH, DELETE, HEAD or OPTIONS")
    headers: dict[str, str] = Field(default_factory=dict, description="sent with it")
    body: str | None = Field(default=None, description="sent with it")
    status: int | None = Field(
        default=None, ge=100, le=599, description="the answer that counts as right; otherwise every one below 400"
    )
    weight: int = Field(default=1, ge=1, le=100_000, description="how often, in proportion to the others")

    @field_validator("method")
    @classmethod
    def _known_method(cls, method: str) -> str:
        if method.upper() not in _METHODS:
            raise ValueError(f"{method} is none of {', '.join(_METHODS)}")
        return method.upper()

    @field_validator("headers")
    @classmethod
    def _one_line(cls, headers: dict[str, str]) -> dict[str, str]:
        if any(re.search(r"[\r\n\0]", f"{name}{value}") for name, value in headers.items()):
            raise ValueError("a header is one line")
        return headers


def script_of(value: object) -> object:
    """A text → `{flow: …}` where it is one, else `{sql: …}`; anything else is left to the model."""
    if not isinstance(value, str):
        return value
    return {"flow": value.strip()} if _FLOW.fullmatch(value.strip()) else {"sql": value}


def endpoint_of(value: object) -> object:
    """`"POST https://…"` → a mapping; anything else is left to the model."""
    if not isinstance(value, str):
        return value
    method, space, url = value.strip().partition(" ")
    return {"method": method, "url": url.strip()} if space else {"url": value.strip()}


class Threshold(BaseModel):
    """One expectation, in k6's grammar or relative to a baseline. A text instead of a mapping is `threshold`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    threshold: str = Field(min_length=1, description="`p(95)<300ms`, `rate<1%`, `p(95) < baseline * 1.10`")
    abortOnFail: bool = Field(default=False, description="end the load as soon as it does not hold")  # noqa: N815 - k6's name
    delayAbortEval: Duration = Field(default=0.0, description="but not before this much of the load: `10s`")  # noqa: N815

    @field_validator("threshold")
    @classmethod
    def _parses(cls, text: str) -> str:
        try:
            parse(text, metric="latency")
        except GateSyntaxError as error:
            raise ValueError(str(error)) from error
        return text


def _as_thresholds(value: object) -> object:
    listed = value if isinstance(value, list | tuple) else [value]
    return [{"threshold": item} if isinstance(item, str) else item for item in listed]


Thresholds = Annotated[tuple[Threshold, ...], BeforeValidator(_as_thresholds)]


def metric_of(key: str, streams: Collection[str]) -> str:
    """The metric that a key of `thresholds` means: `latency`, `feed.latency`, k6's `http_req_duration{name:feed}`.

    Raises ValueError for one that nothing will ever measure: a threshold on it would fail for a typing error.
    """
    name, stream = key.strip(), None
    if tagged := re.fullmatch(r"(.*?)\{\s*(\w+)\s*:\s*(.*?)\s*\}", name):
        name, stream = tagged[1].strip(), tagged[3]
        if tagged[2] not in ("script", "name", "endpoint", "flow", "stream"):
            raise ValueError(f"{key}: the tag {tagged[2]} is not known; write {{name:…}}")
    elif "." in name and name not in streams:
        stream, _, name = name.rpartition(".")
        stream = stream.strip('"')
    elif name in streams:
        name, stream = "latency", name
    name = K6_METRICS.get(name, name)
    if name not in METRICS:
        raise ValueError(f"{key}: nothing measures {name}; there are {', '.join(METRICS)}")
    if stream is not None and streams and stream not in streams:
        raise ValueError(f"{key}: no script is called {stream}; there are {', '.join(streams)}")
    return name if stream is None else f"{stream}.{name}"


def or_text(schema: dict[str, Any]) -> None:
    """For the JSON Schema of a mapping whose values may be texts instead."""
    schema["additionalProperties"] = {"anyOf": [{"type": "string"}, schema["additionalProperties"]]}


def or_texts(schema: dict[str, Any]) -> None:
    """For the JSON Schema of a mapping whose values are lists, or one item; each may be a text instead."""
    listed = dict(schema["additionalProperties"])
    item = {"anyOf": [{"type": "string"}, listed["items"]]}
    schema["additionalProperties"] = {"anyOf": [*item["anyOf"], {**listed, "items": item}]}
