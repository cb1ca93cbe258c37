"""The step kind `redis_setting`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import ClassVar

from pydantic import Field, field_validator

from dbtune.core.actions import SetRedisSetting
from dbtune.core.questions import Facts, Failed, Question, RedisSetting
from dbtune.core.units import parse_size
from dbtune.steps.step import Plan, Step, Verdict

_NO_REDIS = "no Redis is named: give --redis URL, or set REDIS_URL"
_UNIT = re.compile(r"\d+(\.\d+)?\s*([kmgt]?b|[kmg])", re.IGNORECASE)
# What CONFIG SET would do beyond a setting: other files, other code, other masters, other passwords.
_NOT_OURS = frozenset(
    """dir dbfilename logfile pidfile requirepass masterauth masteruser replicaof slaveof loadmodule aclfile unixsocket
    bind port tls-port protected-mode enable-protected-configs enable-debug-command
    enable-module-command""".split()  # noqa: SIM905 - a list of words
)


class RedisSettingStep(Step):
    """One setting of Redis or Valkey, by CONFIG SET.

    `plan` reads what stands there and shows both. `apply` changes it at once and, with `persist`, asks the server to
    write its file (CONFIG REWRITE); where it has none, or CONFIG is forbidden, as managed services do, the plan is
    refused. `rollback` restores the prior value, and only over the value that this run wrote.
    """

    kind: ClassVar[str] = "redis_setting"
    needs_redis: ClassVar[bool] = True

    name: str = Field(min_length=1, description="as in CONFIG GET: `maxmemory-policy`")
    value: str | int | float | bool = Field(description="as CONFIG SET takes it: `allkeys-lru`, `2gb`, `yes`")
    persist: bool = Field(default=False, description="CONFIG REWRITE afterwards, so that a restart keeps it")

    @field_validator("name")
    @classmethod
    def _is_a_setting(cls, name: str) -> str:
        name = name.lower().replace("_", "-")
        if not re.fullmatch(r"[a-z0-9-]+", name):
            raise ValueError(f"{name!r} is no name of a setting: letters, digits and dashes, as in CONFIG GET")
        if name in _NOT_OURS:
            raise ValueError(f"{name} is not for a playbook: it decides about files, access or replication")
        return name

    def title(self) -> str:
        return f"redis_setting {self.name} = {self._text}"

    def questions(self, facts: Facts) -> Iterable[Question]:
        return (self._question,) if facts.server.has_redis else ()

    def plan(self, facts: Facts) -> Plan:
        if not facts.server.has_redis:
            return Plan("blocked", reason=_NO_REDIS)
        found = facts[self._question]
        if isinstance(found, Failed):
            reason = f"{found.reason} ({found.hint})" if found.hint else found.reason
            return Plan("blocked", reason=reason)
        if found is None:
            return Plan("conflict", reason=f"this server has no setting {self.name}: see CONFIG GET *")
        before = {"value": found}
        if same(self._text, found):
            return Plan("in_sync", before=before)
        return Plan(
            "change",
            actions=(SetRedisSetting(self.name, self._text, persist=self.persist),),
            undo=(SetRedisSetting(self.name, found, expected=self._text, persist=self.persist),),
            before=before,
            notes=() if self.persist else ("a restart of the server forgets it: `persist: true` keeps it",),
        )

    def verify(self, facts: Facts) -> Verdict:
        plan = self.plan(facts)
        if plan.status == "in_sync":
            return Verdict(ok=True, after=plan.before)
        return Verdict(ok=False, reason=plan.reason or f"it is {plan.before['value']}", after=plan.before)

    @property
    def _question(self) -> RedisSetting:
        return RedisSetting(self.name)

    @property
    def _text(self) -> str:
        if isinstance(self.value, bool):
            return "yes" if self.value else "no"
        return str(self.value)


def same(wanted: str, found: str) -> bool:
    """Whether both mean the same to the server: it answers sizes in bytes, and does not care about case."""
    return _plain(wanted) == _plain(found)


def _plain(text: str) -> str:
    """Redis takes 1k for 1000 and 1kb for 1024, as dbtune's sizes do not."""
    text = " ".join(text.lower().split())
    if not _UNIT.fullmatch(text):
        return text
    if text[-1] != "b":
        return str(int(float(text[:-1]) * {"k": 10**3, "m": 10**6, "g": 10**9}[text[-1]]))
    return str(parse_size(text))
