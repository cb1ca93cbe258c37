"""The step kind `load`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from dbtune.core.questions import Facts, Question
from dbtune.core.units import Duration, Share
from dbtune.load.judgement import Expectation, expectation
from dbtune.load.model import Endpoint, Script, Thresholds, endpoint_of, metric_of, or_text, or_texts, script_of
from dbtune.load.stages import PROFILES, Profile, Stage
from dbtune.steps.step import Plan, Step, Verdict

Engine = Literal["pgbench", "python", "http", "k6", "httpx"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PGBENCH_ONLY = frozenset({"protocol", "max_tries", "variables", "seed", "sample"})
_LATER = "`dbtune load` runs it"


class Load(Step):
    """Puts load on the servers in stages and judges it by thresholds. Only `dbtune load` runs it.

    `pgbench` runs SQL scripts, `python` flows in threads, `http` requests endpoints with k6 where it is installed and
    with httpx otherwise. A stage with a `rate` is an open loop: requests start on a schedule of their own, and one
    that waits shows as slow. Without a rate each client waits for its answer before it asks again, which hides stalls.
    `plan`, `apply` and `verify` leave the step alone.
    """

    kind: ClassVar[str] = "load"
    changes: ClassVar[bool] = False

    engine: Engine | None = Field(
        default=None, description="pgbench, python, http, k6 or httpx; else what the scripts or endpoints need"
    )
    scripts: dict[str, Script] = Field(
        default_factory=dict, json_schema_extra=or_text, description='what is run: `{feed: "select 1;"}`'
    )
    endpoints: dict[str, Endpoint] = Field(
        default_factory=dict, json_schema_extra=or_text, description="what is requested: `{feed: https://…}`"
    )
    script: str | None = Field(default=None, min_length=1, description="a k6 script of your own, with its own stages")
    stages: tuple[Stage, ...] = Field(default=(), description="one after the other")
    profile: Profile | None = Field(
        default=None, description="built-in stages: smoke (10 s) or ramp (12 min, 100 clients)"
    )
    warm_up: Duration = Field(default=0.0, description="as the first stage, before it, and not measured")
    protocol: Literal["prepared", "extended", "simple"] = Field(default="prepared", description="how pgbench sends")
    max_tries: int = Field(
        default=1, ge=1, le=1000, description="pgbench: tries after serialization failures and deadlocks"
    )
    variables: dict[str, str | int | float] = Field(
        default_factory=dict, description="pgbench: `:name` in every script"
    )
    seed: int | None = Field(default=None, ge=0, description="pgbench: the same random numbers again")
    sample: Share | None = Field(
        default=None,
        gt=0,
        description="pgbench: of its transactions, how many are timed; else all, up to 5,000 a second",
    )
    thresholds: dict[str, Thresholds] = Field(
        default_factory=dict,
        json_schema_extra=or_texts,
        description='what must hold: `{latency: ["p(95)<300ms"], errors: ["rate<1%"]}`',
    )

    @field_validator("scripts", mode="before")
    @classmethod
    def _texts(cls, value: object) -> object:
        if isinstance(value, str):
            value = {"main": value}
        if not isinstance(value, Mapping):
            return value
        return {name: script_of(item) for name, item in value.items()}

    @field_validator("endpoints", mode="before")
    @classmethod
    def _requests(cls, value: object) -> object:
        if isinstance(value, Mapping):
            return {name: endpoint_of(item) for name, item in value.items()}
        return value

    @field_validator("variables")
    @classmethod
    def _names(cls, variables: dict[str, str | int | float]) -> dict[str, str | int | float]:
        for name in variables:
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a variable: letters, digits and _")
        return variables

    @model_validator(mode="after")
    def _fits_together(self) -> Load:
        given = [name for name in ("scripts", "endpoints", "script") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError("a load has one of scripts, endpoints and script")
        wanted = self._possible_engines()
        if self.engine is not None and self.engine not in wanted:
            raise ValueError(f"the engine {self.engine} does not run these: use {' or '.join(wanted)}")
        if self.chosen_engine != "pgbench" and (foreign := sorted(self.model_fields_set & _PGBENCH_ONLY)):
            raise ValueError(f"{', '.join(foreign)}: only pgbench knows what to do with it")
        if self.stages and self.profile:
            raise ValueError("a load has stages or a profile")
        if not self.stages and self.profile is None and self.script is None:
            raise ValueError("a load needs stages, such as [{duration: 30s, clients: 8}], or a profile")
        _ = self.expectations
        return self

    def _possible_engines(self) -> tuple[str, ...]:
        if self.script:
            return ("k6",)
        if self.endpoints:
            return ("http", "k6", "httpx")
        flows = [script.flow is not None for script in self.scripts.values()]
        if any(flows) and not all(flows):
            raise ValueError("flows and SQL scripts are run by different engines: give each a load of its own")
        return ("python",) if all(flows) else ("pgbench",)

    @property
    def expectations(self) -> tuple[Expectation, ...]:
        """The thresholds, read. Raises ValueError for a key that nothing measures."""
        return tuple(
            expectation(key, metric_of(key, self.streams), threshold)
            for key, listed in self.thresholds.items()
            for threshold in listed
        )

    @property
    def streams(self) -> tuple[str, ...]:
        """The names under which latencies are kept apart; a k6 script's are not known."""
        return tuple(self.scripts or self.endpoints)

    @property
    def chosen_engine(self) -> str:
        return self.engine or self._possible_engines()[0]

    @property
    def chosen_stages(self) -> tuple[Stage, ...]:
        return PROFILES[self.profile] if self.profile else self.stages

    def title(self) -> str:
        return f"load {', '.join(self.streams) or self.script}"

    def questions(self, facts: Facts) -> Iterable[Question]:
        return ()

    def plan(self, facts: Facts) -> Plan:
        return Plan("in_sync", reason=_LATER)

    def verify(self, facts: Facts) -> Verdict:
        return Verdict(ok=True, reason=_LATER)
