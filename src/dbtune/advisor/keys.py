"""Which key of an index answers a condition: operator classes, and what of a pattern an index can use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from dbtune.advisor.access import Condition, Expression
from dbtune.advisor.index import IndexKey
from dbtune.advisor.printed import literal_of, string_of
from dbtune.advisor.source import Column, Source, Table

BYTE_ORDERS = ("C", "POSIX", "ucs_basic", "pg_c_utf8")
"""Collations that compare bytes."""
TEXTS = ("text", "varchar", "bpchar", "citext", "name")
_PATTERN_CLASSES: Mapping[str, str] = MappingProxyType(
    {"text": "text_pattern_ops", "varchar": "varchar_pattern_ops", "bpchar": "bpchar_pattern_ops"}
)
_LIKE, _REGEX = ("~~", "^@"), ("~",)
PATTERNS = ("~~", "~~*", "~", "~*", "^@")
EQUAL = ("=", "is null", "true", "false", "is true", "is false", "is unknown")
LISTED = ("= any",)
RANGES = ("<", ">", "<=", ">=", "row <", "row >", "row <=", "row >=")
_SHAPES = ("point", "box", "polygon", "circle", "lseg", "path")
_NETWORKS = ("inet", "cidr")
_JSON_CLASSES: Mapping[str, str] = MappingProxyType(
    {"@>": "jsonb_path_ops", "@?": "jsonb_path_ops", "@@": "jsonb_path_ops", "?": "", "?|": "", "?&": ""}
)
_GIST_RANGES = ("&&", "@>", "<@", "<<", ">>", "&<", "&>", "-|-", "=")
_WIDENED = re.compile(r"""\(?(?:\w+|"(?:[^"]|"")+")\)?::(?:numeric|double precision|real)""")
_CAST = re.compile(r"::([a-z_][\w ]*(?:\[\])?)\s*\)*$", re.IGNORECASE)


def column_of(table: Table, key: Expression) -> Column | None:
    return table.column(key.text) if key.is_column else None


def key_of(key: Expression) -> IndexKey | None:
    """An expression with parameters or subqueries cannot be kept in an index.

    A number's own cast is left alone as well: there the statement compares with a value of another type.
    """
    if key.is_column:
        return IndexKey(column=key.text)
    if "$" in key.text or "Plan " in key.text or not re.search(r"[A-Za-z_]", key.text) or _WIDENED.fullmatch(key.text):
        return None
    return IndexKey(expression=key.text)


def type_of(table: Table, condition: Condition) -> str:
    """pg_type's name of the key (`_text` is an array): of a column, else as the value beside it tells."""
    column = column_of(table, condition.key)
    if column is not None:
        return column.base
    text = condition.key.text
    if text.startswith("to_tsvector("):
        return "tsvector"
    cast = _CAST.search(condition.value)
    name = cast[1].lower().strip() if cast else "text"
    return f"_{name.removesuffix('[]')}" if name.endswith("[]") else name


def sorts_by_bytes(source: Source, column: Column | None) -> bool:
    """Whether LIKE 'abc%' is a range in the column's own order. Of an expression: whether the database sorts so."""
    own = column.collation if column is not None else None
    if own is None or own.endswith("default"):
        return source.is_c_collation
    return own.rpartition(".")[2].strip('"') in BYTE_ORDERS


def prefix_of(condition: Condition) -> str | None:
    """What every match begins with: `abc` of LIKE 'abc%', "" where there is nothing, None where it is not known."""
    if literal_of(condition.value) is None:
        return None
    pattern = string_of(condition.value)
    if pattern is None:
        return None
    if condition.operator == "^@":
        return pattern
    if condition.operator in _LIKE:
        return re.split(r"[%_\\]", pattern, maxsplit=1)[0]
    if condition.operator in _REGEX and pattern.startswith("^"):
        head = re.split(r"[][.*+?{}()|\\$^]", pattern[1:], maxsplit=1)[0]
        rest = pattern[1 + len(head) : 2 + len(head)]
        return "" if "|" in pattern else head[:-1] if rest in ("*", "?", "{") and head else head
    return ""


def prefix_key(source: Source, table: Table, condition: Condition) -> IndexKey | None:
    """The B-tree key for a pattern with a known beginning, or one that a parameter may have."""
    base = type_of(table, condition)
    if condition.operator not in (*_LIKE, *_REGEX) or base not in TEXTS[:3] or prefix_of(condition) == "":
        return None
    key = key_of(condition.key)
    if key is None or sorts_by_bytes(source, column_of(table, condition.key)):
        return key
    return IndexKey(key.column, key.expression, opclass=_PATTERN_CLASSES[base])


def special_key(source: Source, table: Table, condition: Condition) -> tuple[str, IndexKey] | None:
    """(method, key) where the condition is none that a B-tree answers."""
    key = key_of(condition.key)
    if key is None:
        return None
    base, operator = type_of(table, condition), condition.operator
    column = column_of(table, condition.key)
    has_trigrams = "pg_trgm" in extensions(source)
    if base == "jsonb" and operator in _JSON_CLASSES:
        return "gin", IndexKey(key.column, key.expression, opclass=_JSON_CLASSES[operator] or None)
    if base.startswith("_") and operator in ("@>", "<@", "&&"):
        return "gin", key
    if base == "tsvector" and operator in ("@@", "@@@"):
        return "gin", key
    if base == "hstore" and operator in ("@>", "?", "?|", "?&"):
        return "gin", key
    if base in TEXTS[:3] and has_trigrams and _wants_trigrams(condition):
        return "gin", IndexKey(key.column, key.expression, opclass=_class(source, "pg_trgm", "gin_trgm_ops"))
    is_range = base.endswith(("range",)) or (column is not None and column.kind in ("r", "m"))
    if is_range and operator in _GIST_RANGES[:-1]:
        return "gist", key
    if base in _SHAPES and operator in ("<@", "@>", "&&", "<<", ">>", "~=", "<->"):
        return "gist", key
    if base in _NETWORKS and operator in ("<<", "<<=", ">>", ">>=", "&&"):
        return "gist", IndexKey(key.column, key.expression, opclass="inet_ops")
    return None


def extensions(source: Source) -> Mapping[str, str]:
    """Name → schema."""
    return {name: schema for name, schema, _ in source.extensions}


def lacks_trigrams(source: Source, table: Table, condition: Condition) -> bool:
    """Whether only the extension is missing."""
    return "pg_trgm" not in extensions(source) and type_of(table, condition) in TEXTS[:3] and _wants_trigrams(condition)


def _wants_trigrams(condition: Condition) -> bool:
    """A pattern with at least three known characters in a row somewhere, or one that is not known yet."""
    if condition.operator in ("%", "<%", "%>", "<<%", "%>>", "<->"):
        return True
    if condition.operator not in PATTERNS or condition.operator == "^@":
        return False
    if literal_of(condition.value) is None:
        return True
    if prefix_of(condition) and condition.operator in ("~~", "~"):
        return False
    parts = re.split(r"[%_]" if condition.operator.startswith("~~") else r"\W", string_of(condition.value) or "")
    return any(len(part) >= 3 for part in parts)


def _class(source: Source, extension: str, name: str) -> str:
    schema = extensions(source)[extension]
    return name if schema == "public" else f"{schema}.{name}"
