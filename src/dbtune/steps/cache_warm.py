"""Filling the cache from a query's rows, so that the first visitor after a restart or an expiry does not wait."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from dbtune.core.actions import CacheForm, ForgetKeys, WarmKeys, WarmMode
from dbtune.core.key_template import KeyTemplate
from dbtune.core.query_text import bare_query
from dbtune.core.questions import CachedValue, Explained, Facts, Failed, Question
from dbtune.core.units import Duration, Share, format_duration
from dbtune.core.warm_marker import PREFIX, WarmMarker
from dbtune.steps.step import Plan, Step, Verdict

MOST_JITTER = 0.5
# A run that starts a moment early, as cron's do, must still find the warm-up due.
_EARLY = 0.95
# Below it a late run leaves a gap in which the keys are gone (the rule of field experience: TTL < interval × 1.5).
_SAFE_INTERVALS = 1.5
_MISSING = re.compile(r"^column q\.(.+) does not exist$")


class CacheWarm(Step):
    """Writes one key per row of a query into Redis: the row as JSON, or one column as it is.

    `key` names columns in braces. Without any it is one key, for a query of one row. The TTL counts from the moment
    that the query saw, and is spread by `jitter` so that keys written together do not expire together. A row whose
    key column is NULL is skipped; of rows with the same key the last wins. The keys are filed under `tags`
    (sorted sets `dbtune:tag:NAME`, scored by the expiry in milliseconds). Rollback removes what was written.

    `type: hash` stores the columns as fields, NULLs left out; `set`, `list` and `zset` store the column `value`,
    an array, or the values of all rows with the same key, in the query's order. `with` adds columns, each a JSON
    array of what a nested query finds for the row, which is called `parent` there.

    `mode: newer` never brings an older value back while an application writes and invalidates: the server compares
    `version` with the same column of the value that is there, and leaves alone what was invalidated after the
    query's snapshot (docs/cache-warming.md).
    """

    kind: ClassVar[str] = "cache_warm"
    needs_redis: ClassVar[bool] = True

    key: str = Field(description="Template of the key, columns in braces: rec:content:{id}:full")
    query: str = Field(description="One SELECT, WITH, VALUES or TABLE; it runs read-only.")
    ttl: Duration = Field(description="How long a key lives, counted from what the query saw.")
    jitter: Share = Field(default=0.1, description="The TTL of each key varies by this much, up and down.")
    value: str | None = Field(default=None, description="The column to store as it is; absent: the whole row as JSON.")
    tags: tuple[str, ...] = Field(default=(), description="The keys are filed under these, to be invalidated together.")
    type: CacheForm = Field(default="string", description="What stands at a key: string, hash, set, zset or list.")
    score: str | None = Field(default=None, description="zset: the column of the scores.")
    mode: WarmMode = Field(
        default="overwrite",
        description="overwrite every key; nx: only those that are absent; xx: only those that are there;"
        " newer: never over a newer value, nor over one that was invalidated meanwhile.",
    )
    version: str | None = Field(default=None, description="newer: the column that tells which value is newer.")
    ttl_column: str | None = Field(
        default=None, description="A column with the row's own TTL, in seconds or an interval; NULL: `ttl`."
    )
    nested: dict[str, str] = Field(
        default_factory=dict,
        alias="with",
        description="Further columns: a name, and a query whose rows become one JSON array; `parent` is the row.",
    )
    encoding: Literal["json", "msgpack", "text"] | None = Field(
        default=None, description="How a string is written. Absent: JSON for the row, plain text for a column."
    )
    compress: Literal["gzip"] | None = Field(default=None, description="gzip: the string is compressed.")
    every: Duration | None = Field(default=None, description="Due again after this long; absent: half of the TTL.")

    @field_validator("key")
    @classmethod
    def _is_a_template(cls, key: str) -> str:
        return KeyTemplate.parse(key).text

    @field_validator("query")
    @classmethod
    def _reads(cls, query: str) -> str:
        bare_query(query)
        return query

    @field_validator("value", "score", "version", "ttl_column")
    @classmethod
    def _is_named(cls, value: str | None) -> str | None:
        if value is not None and (not value or '"' in value):
            raise ValueError("this names a column of the query")
        return value

    @field_validator("tags")
    @classmethod
    def _are_named(cls, tags: tuple[str, ...]) -> tuple[str, ...]:
        if not all(tags):
            raise ValueError("a tag cannot be empty")
        return tuple(dict.fromkeys(tags))

    @field_validator("ttl", "every")
    @classmethod
    def _lasts(cls, seconds: float | None) -> float | None:
        if seconds is not None and seconds < 1:
            raise ValueError(f"{format_duration(seconds)} is too short: a second is the least")
        return seconds

    @field_validator("jitter")
    @classmethod
    def _leaves_a_ttl(cls, jitter: float) -> float:
        if jitter > MOST_JITTER:
            raise ValueError(f"a jitter of {jitter:.0%} leaves keys without a TTL: {MOST_JITTER:.0%} is the most")
        return jitter

    @field_validator("nested")
    @classmethod
    def _read_too(cls, nested: dict[str, str]) -> dict[str, str]:
        for name, query in nested.items():
            if not name or '"' in name:
                raise ValueError("each query under `with` needs the name of a column")
            bare_query(query)
        return nested

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.type in ("set", "zset", "list") and self.value is None:
            raise ValueError(f"type {self.type} needs `value`: the column that holds the members")
        if self.type == "hash" and self.value is not None:
            raise ValueError("type hash stores every column: leave `value` out")
        if (self.type == "zset") != (self.score is not None):
            raise ValueError("`score` belongs to type zset, and is needed there")
        if self.type != "string" and (self.encoding or self.compress):
            raise ValueError(f"`encoding` and `compress` are for strings, not for type {self.type}")
        if self.encoding == "text" and self.value is None:
            raise ValueError("encoding text needs `value`: a column")
        return self

    @model_validator(mode="after")
    def _can_be_compared(self) -> Self:
        if self.version is None:
            return self
        if self.mode != "newer":
            raise ValueError("`version` is what mode newer compares: add `mode: newer`, or leave it out")
        if self.compress or (self.type != "hash" and (self.type != "string" or self.value is not None)):
            raise ValueError("`version` is looked for in the row as JSON or msgpack, or in a hash, and not compressed")
        return self

    @model_validator(mode="after")
    def _is_warmed_before_it_expires(self) -> Self:
        if self.every is not None and self.every >= self.ttl:
            raise ValueError(
                f"every {format_duration(self.every)} comes after the keys expired (ttl {format_duration(self.ttl)})"
            )
        return self

    def title(self) -> str:
        return f"Warm {self.key}"

    def questions(self, facts: Facts) -> Iterable[Question]:
        if not facts.server.has_redis:
            return ()
        marker = self._marker(facts)
        if not facts.knows(marker) or self._found(facts) is not None:
            return (marker,)
        return marker, self._checked_query()

    def plan(self, facts: Facts) -> Plan:
        if not facts.server.has_redis:
            return Plan("blocked", reason="no Redis is named: give --redis URL, or set REDIS_URL")
        marker = self._marker(facts)
        answer = facts[marker]
        if isinstance(answer, Failed):
            return Plan("blocked", reason=_said(answer))
        found = self._found(facts)
        if found is not None:
            return Plan("in_sync", reason=self._why_not_due(found), before=_state(found))
        explained = facts[self._checked_query()]
        if isinstance(explained, Failed):
            return Plan("blocked", reason=_said(explained))
        older = WarmMarker.load(answer)
        return Plan(
            "change",
            actions=(self._warming(facts),),
            undo=(ForgetKeys(marker.key, self.tags),),
            before=_state(older),
            notes=(f"about {_rows(explained):,} keys", *self._warnings(older)),
        )

    def warm_questions(self, facts: Facts) -> Iterable[Question]:
        """What `dbtune warm` asks: the planner's estimate too, whether it is due or not."""
        return self._marker(facts), self._checked_query()

    def warm_plan(self, facts: Facts, *, force: bool) -> Plan:
        """As `plan`, but a step without `every` is always due; `before` has the estimated `rows`."""
        explained = facts[self._checked_query()]
        found = self._found(facts)
        if found is not None and self.every is not None and not force:
            return Plan("in_sync", reason=self._why_not_due(found), before=_state(found))
        if isinstance(explained, Failed):
            return Plan("blocked", reason=_said(explained))
        notes = tuple(self._warnings(None))
        return Plan("change", actions=(self._warming(facts),), before={"rows": _rows(explained)}, notes=notes)

    def verify_questions(self, facts: Facts) -> Iterable[Question]:
        return (self._marker(facts),) if facts.server.has_redis else ()

    def verify(self, facts: Facts) -> Verdict:
        if not facts.server.has_redis:
            return Verdict(ok=False, reason="no Redis is named: give --redis URL, or set REDIS_URL")
        answer = facts[self._marker(facts)]
        if isinstance(answer, Failed):
            return Verdict(ok=False, reason=_said(answer))
        found = WarmMarker.load(answer)
        if found is None:
            return Verdict(ok=False, reason="not warmed, or due again", after=_state(None))
        if found.fingerprint != self.fingerprint():
            return Verdict(ok=False, reason="warmed by another version of this step", after=_state(found))
        return Verdict(ok=True, after=_state(found))

    @property
    def _fresh_for_s(self) -> float:
        return self.ttl / 2 if self.every is None else self.every * _EARLY

    def _found(self, facts: Facts) -> WarmMarker | None:
        """The marker of this very step, if it still stands: it expires when the step is due again."""
        answer = facts[self._marker(facts)]
        found = None if isinstance(answer, Failed) else WarmMarker.load(answer)
        return found if found is not None and found.fingerprint == self.fingerprint() else None

    def _marker(self, facts: Facts) -> CachedValue:
        """Two playbooks, or two databases, share a marker only where they would write the same keys from the same."""
        return CachedValue(PREFIX + _digest(facts.server.database, self.key, self.query, self.value))

    def _warming(self, facts: Facts) -> WarmKeys:
        return WarmKeys(
            query=self.query,
            key=self.key,
            ttl_s=self.ttl,
            jitter=self.jitter,
            tags=self.tags,
            marker=self._marker(facts).key,
            fingerprint=self.fingerprint(),
            fresh_for_s=self._fresh_for_s,
            value=self.value,
            form=self.type,
            mode=self.mode,
            score=self.score,
            version=self.version,
            ttl_column=self.ttl_column,
            nested=tuple(self.nested.items()),
            encoding=None if self.encoding == "text" or (self.encoding == "json" and not self.value) else self.encoding,
            gzip=self.compress is not None,
        )

    def _checked_query(self) -> Explained:
        """Planning it finds a table or a column that does not exist before anything is written."""
        named = (self.value, self.score, self.version, self.ttl_column)
        wanted = (*KeyTemplate.parse(self.key).columns, *(name for name in named if name is not None))
        columns = [column for column in dict.fromkeys(wanted) if column not in self.nested]
        names = ", ".join(["row_to_json(q.*)", *(f'q."{column}"' for column in columns)])
        return Explained(f"select {names} from (\n{bare_query(self.query)}\n) as q")

    def _why_not_due(self, found: WarmMarker) -> str:
        due = found.warmed_at + timedelta(seconds=self._fresh_for_s)
        return f"{found.keys:,} keys were warmed at {found.warmed_at:%Y-%m-%d %H:%M:%S}; due again at {due:%H:%M:%S}"

    def _warnings(self, older: WarmMarker | None) -> Iterable[str]:
        if older is not None:
            yield f"the step changed since {older.warmed_at:%Y-%m-%d %H:%M:%S}: it is warmed again"
        if self.every is None:
            return
        shortest = self.ttl * (1 - self.jitter)
        if self.ttl < self.every * _SAFE_INTERVALS or shortest <= self.every:
            yield (
                f"a key may expire after {format_duration(shortest)} and is warmed again after"
                f" {format_duration(self.every)}: make ttl at least {format_duration(self.every * _SAFE_INTERVALS)}"
                " so that a late run leaves no gap"
            )


def _digest(*values: object) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]


def _state(marker: WarmMarker | None) -> dict[str, Any]:
    if marker is None:
        return {"warmed_at": None}
    return {"warmed_at": marker.warmed_at.isoformat(), "keys": marker.keys}


def _said(failed: Failed) -> str:
    """PostgreSQL's words; a column is asked for as one of `q`, which nobody wrote."""
    missing = _MISSING.search(failed.reason)
    if missing:
        hint = failed.hint.replace("q.", "") if failed.hint else "select it there, or rename one with AS"
        return f'the query has no column "{missing[1]}" ({hint})'
    return f"{failed.reason} ({failed.hint})" if failed.hint else failed.reason


def _rows(explained: dict[str, Any]) -> int:
    return int(explained["Plan"]["Plan Rows"])
