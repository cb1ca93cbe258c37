"""The keys of an index as people write them: `created_at desc nulls last`, `lower(email)`, or a mapping."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from dbtune.core.actions import IndexKey
from dbtune.core.identifiers import split_name

_SUFFIX = re.compile(
    r"""\s+(?: collate\s+(?P<collation>"[^"]+"|\S+) | (?P<opclass>(?:\w+\.)?\w+_ops) | (?P<order>asc|desc)
        | nulls\s+(?P<nulls>first|last) )$""",
    re.IGNORECASE | re.VERBOSE,
)


class KeyColumn(BaseModel):
    """One key in its long form: `{name: created_at, order: desc, nulls: last}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str | None = None
    expression: str | None = None
    order: Literal["asc", "desc"] = "asc"
    nulls: Literal["first", "last"] | None = None
    opclass: str | None = None
    collation: str | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> KeyColumn:
        if (self.name is None) == (self.expression is None):
            raise ValueError("a key has either a name or an expression")
        return self

    def key(self) -> IndexKey:
        default_first = self.order == "desc"
        first = None if self.nulls is None or (self.nulls == "first") == default_first else self.nulls == "first"
        return IndexKey(
            text=self.name or self.expression or "",
            is_expression=self.expression is not None,
            descending=self.order == "desc",
            nulls_first=first,
            opclass=self.opclass,
            collation=self.collation,
        )


def parse_key(text: str, *, is_expression: bool = False) -> KeyColumn:
    """`created_at desc nulls last` from its end: options first, what is left is the column or the expression."""
    options: dict[str, Any] = {}
    rest = text.strip()
    while match := _SUFFIX.search(rest):
        found = {name: value for name, value in match.groupdict().items() if value is not None}
        if found.keys() & options.keys():
            break
        options |= found
        rest = rest[: match.start()].rstrip()
    quoted = rest.startswith('"') and rest.endswith('"') and len(rest) > 1
    if "collation" in options:
        options["collation"] = str(options["collation"]).strip('"')
    for word in ("order", "nulls"):
        if word in options:
            options[word] = options[word].lower()
    if is_expression or ("(" in rest and not quoted):
        return KeyColumn(expression=rest, **options)
    return KeyColumn(name=split_name(rest)[1] if quoted else rest, **options)
