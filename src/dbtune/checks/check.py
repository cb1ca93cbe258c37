"""What every check is: a docstring, one query, a frozen row type, and a pure judgement."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from dbtune.core.findings import Finding, Severity, Unexamined

Source = Literal["postgres", "totals", "statements", "redis"]
"""Where rows come from: `postgres`, a packaged statement; `totals`, one row with pg_stat_statements since its reset;
`statements`, sub-windows of pg_stat_statements; `redis`."""

SLOW_S = 0.1
"""What a person waits for without noticing (Nielsen, "Response Times: The 3 Important Limits")."""


@dataclass(frozen=True, slots=True)
class Audited:
    """What a judgement may know about the server besides its rows.

    `version` is server_version_num; `statistics_age_s` is how long the cumulative statistics have been counting
    (None: unknown), without which "never used" means nothing; `is_replica` has counters of its own. `slow_s` is the
    person's limit: a statement that takes longer is slow.
    """

    version: int
    database: str
    user: str
    is_superuser: bool
    is_replica: bool
    statistics_age_s: float | None
    window_s: float = 0.0
    slow_s: float = SLOW_S


Verdicts = Iterable[Finding | Unexamined]


@dataclass(frozen=True, slots=True)
class Check:
    """`query` names `sql/postgres/QUERY.sql`; checks that name the same query and row share one fetch.

    `judge` gets all rows and yields findings, or an Unexamined where rows cannot be judged. `needs` is an extension
    without which the check cannot look. The module's docstring is the documentation: what, why it matters, what to do.
    """

    code: str
    name: str
    severity: Severity
    query: str
    row: type[Any]
    judge: Callable[[Sequence[Any], Audited], Verdicts]
    source: Source = "postgres"
    needs: str | None = None

    def finding(self, subject: str, message: str, **more: Any) -> Finding:  # noqa: ANN401 - Finding's own fields
        """A finding of this check; `severity` may be given to differ from the usual one."""
        return Finding(
            code=self.code,
            name=self.name,
            severity=more.pop("severity", self.severity),
            object=subject,
            message=message,
            **more,
        )


@cache
def checks() -> Mapping[str, Check]:
    """Every check by its code. Raises ValueError when two modules claim one code or name: a bug."""
    package = importlib.import_module("dbtune.checks")
    found: dict[str, Check] = {}
    for module in pkgutil.iter_modules(package.__path__):
        check = getattr(importlib.import_module(f"dbtune.checks.{module.name}"), "CHECK", None)
        if check is None:
            continue
        if check.code in found or check.name in {other.name for other in found.values()}:
            raise ValueError(f"two checks claim {check.code} or {check.name}")
        found[check.code] = check
    return dict(sorted(found.items()))


def documentation(check: Check) -> str:
    """The docstring of the check's module, which is what `dbtune rule` prints."""
    module = inspect.getmodule(check.judge)
    return inspect.cleandoc(module.__doc__ or "") if module else ""
