"""What a playbook consists of besides the kinds of its steps; these models are the JSON Schema, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from dbtune.core.key_template import KeyTemplate
from dbtune.core.units import Duration

_GLOB = "*?["


def _one_is_a_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _none_is_empty(value: object) -> object:
    return {} if value is None else value


class Event(BaseModel):
    """What becomes stale when something happens. `{field}` is an argument of the event."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keys: tuple[str, ...] = Field(default=(), description='keys: `"rec:content:{content_id}:full"`')
    patterns: tuple[str, ...] = Field(
        default=(), description='glob patterns that begin with a literal prefix: `"rec:recommendations:*"`'
    )
    tags: tuple[str, ...] = Field(default=(), description="everything that was warmed with one of these tags")

    _lists = field_validator("keys", "patterns", "tags", mode="before")(_one_is_a_list)

    @field_validator("keys", "patterns", "tags")
    @classmethod
    def _placeholders(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        for text in texts:
            KeyTemplate.parse(text)
        return texts

    @field_validator("patterns")
    @classmethod
    def _prefixes(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            if pattern.strip("*") == "":
                raise ValueError(f'"{pattern}" matches every key of the server: begin with a literal prefix')
            if pattern[0] in _GLOB + "{":
                raise ValueError(f'"{pattern}" must begin with a literal prefix, such as "rec:"')
        return patterns


class Cache(BaseModel):
    """How the cache follows the data."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    events: dict[str, Event] = Field(default_factory=dict, description="what each event makes stale, by its name")

    _empty = field_validator("events", mode="before")(_none_is_empty)

    @field_validator("events", mode="before")
    @classmethod
    def _empty_events(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        return {name: {} if event is None else event for name, event in value.items()}


class StepOptions(BaseModel):
    """What every step may have beside its kind."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str | None = Field(default=None, description="what the step is for, in the words of a report")
    id: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        max_length=80,
        description="names the step for --only and the journal; else made of its name",
    )
    tags: tuple[str, ...] = Field(default=(), description="for --tags")
    when: bool | str = Field(default=True, description="false leaves the step out; an expression over vars and env")
    timeout: Duration | None = Field(
        default=None, gt=0, description="the longest that the step's work may take: `10min`"
    )

    _lists = field_validator("tags", mode="before")(_one_is_a_list)


class Outline(BaseModel):
    """A dbtune playbook: what the servers shall be like."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = Field(description="the version of this format")
    name: str = Field(min_length=1, description="names the playbook in reports and in the journal")
    description: str | None = Field(default=None, description="what it is for")
    vars: dict[str, Any] = Field(
        default_factory=dict, description="`{{ vars.NAME }}` in texts; `--var NAME=VALUE` replaces one"
    )
    steps: tuple[Any, ...] = Field(min_length=1, description="what is to be so, in this order")
    cache: Cache = Field(default_factory=Cache, description="what becomes stale, and when")

    _empty = field_validator("vars", "cache", mode="before")(_none_is_empty)

    @field_validator("version", mode="before")
    @classmethod
    def _quoted_version(cls, value: object) -> object:
        return 1 if value == "1" else value


OPTIONS = frozenset(StepOptions.model_fields)
