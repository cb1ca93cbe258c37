"""The shape of a statement: what it reads or writes, and by which keys. Texts are those of pg_stat_statements."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

Verb = Literal["select", "insert", "update", "delete"]
TableName = tuple[str | None, str]
"""Schema as written (None where it is not), and name."""
Column = tuple[int, str]
"""The place of its table in `Shape.tables`, and its name. Place -1: the text does not say which table."""

UNKNOWN = -1
_LONGEST = 20_000
"""Characters. A longer text is no per-row look-up, and takes the parser long."""

# pg_stat_statements writes `$1` for values, also where the grammar has only literals (`date $1`); the parser takes
# `$1,$` for the beginning of a dollar-quoted string.
_VALUE = re.compile(
    r"""("(?:[^"]|"")*"|'(?:[^']|'')*')|(?:\b(?:date|time|timestamp|timestamptz|interval)\s+)?\$\d+""", re.IGNORECASE
)


_KEYWORDS = re.compile(r"[\s(]*(select|insert|update|delete)\b", re.IGNORECASE)


class Unparsed(ValueError):
    """The text reads like a statement about tables and cannot be parsed: it is cut off, or beyond the parser."""


@dataclass(frozen=True, slots=True)
class Shape:
    """`equal`: columns that must equal a value; `listed`: that must be one of several (IN, ANY).

    `outputs` are the columns returned, `stars` the places of tables returned whole. `is_probe`: returns nothing but a
    constant, so asks whether a row exists. `values`: the rows of an INSERT … VALUES, `written` its columns.
    """

    verb: Verb
    tables: tuple[TableName, ...]
    equal: frozenset[Column]
    listed: frozenset[Column]
    outputs: frozenset[Column]
    stars: frozenset[int]
    is_locking: bool = False
    skips_locked: bool = False
    is_probe: bool = False
    is_aggregate: bool = False
    values: int = 0
    written: frozenset[str] = frozenset()

    def returns(self, place: int, column: str) -> bool:
        """Whether the rows carry this column."""
        alone = len(self.tables) == 1
        return place in self.stars or (place, column) in self.outputs or (alone and (UNKNOWN, column) in self.outputs)


@lru_cache(maxsize=4096)
def shape_of(text: str) -> Shape | None:
    """None for what is no plain SELECT, INSERT, UPDATE or DELETE over tables. Raises Unparsed where nobody can tell."""
    import logging

    import sqlglot
    from sqlglot import errors

    # Of what it does not know (PREPARE, VACUUM) it warns on standard error; here that is no news.
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    if len(text) > _LONGEST:
        return None
    plain = _VALUE.sub(lambda match: match[1] or ":p", text)
    try:
        tree = sqlglot.parse_one(plain, dialect="postgres")
    except (errors.SqlglotError, RecursionError) as error:
        if _KEYWORDS.match(text):
            raise Unparsed(text[:80]) from error
        return None
    return _shape(tree)


def transaction_end(text: str) -> bool:
    """Whether the statement commits: COMMIT or END. A ROLLBACK usually ends a session that only read."""
    return text.strip().rstrip(";").strip().upper() in ("COMMIT", "END", "COMMIT WORK", "COMMIT TRANSACTION")


def _shape(tree: Any) -> Shape | None:  # noqa: ANN401 - sqlglot's expression, whose types its C build does not tell
    from sqlglot import exp

    if isinstance(tree, exp.Select):
        return _select(tree)
    verbs: dict[type, Verb] = {exp.Insert: "insert", exp.Update: "update", exp.Delete: "delete"}
    verb = verbs.get(type(tree))
    if verb is None:
        return None
    target = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    if not isinstance(target, exp.Table):
        return None
    names = {_alias(target): 0}
    equal, listed = _conditions(tree.args.get("where"), names) if verb != "insert" else (set(), set())
    source = tree.args.get("expression")
    returning = tree.args.get("returning")
    outputs, stars = _outputs(returning.expressions if returning else (), names)
    return Shape(
        verb=verb,
        tables=(_table(target),),
        equal=frozenset(equal),
        listed=frozenset(listed),
        outputs=frozenset(outputs),
        stars=frozenset(stars),
        values=len(source.expressions) if isinstance(source, exp.Values) else 0,
        written=frozenset(_folded(name) for name in tree.this.expressions if isinstance(tree.this, exp.Schema)),
    )


def _select(tree: Any) -> Shape | None:  # noqa: ANN401
    from sqlglot import exp

    source = tree.args.get("from_") or tree.args.get("from")
    joins = [join.this for join in tree.args.get("joins") or ()]
    read = ([source.this] if source else []) + joins
    plain = [table for table in read if isinstance(table, exp.Table) and isinstance(table.this, exp.Identifier)]
    named = [(_alias(table), table) for table in plain] or [pair for part in read for pair in _derived(part)]
    tables = [table for _, table in named]
    if not tables or tree.args.get("with_") or tree.args.get("with"):
        return None
    names = {name: place for place, (name, _) in enumerate(named)}
    equal, listed = _conditions(tree.args.get("where"), names)
    for join in tree.args.get("joins") or ():
        more_equal, more_listed = _conditions_of(join.args.get("on"), names)
        equal |= more_equal
        listed |= more_listed
    outputs, stars = _outputs(tree.expressions, names)
    locks = tree.args.get("locks") or []
    return Shape(
        verb="select",
        tables=tuple(_table(table) for table in tables),
        equal=frozenset(equal),
        listed=frozenset(listed),
        outputs=frozenset(outputs),
        stars=frozenset(stars),
        is_locking=bool(locks),
        skips_locked=any(lock.args.get("wait") is False for lock in locks),
        is_probe=all(_is_value(shown) for shown in tree.expressions),
        is_aggregate=any(True for shown in tree.expressions for _ in shown.find_all(exp.AggFunc)),
    )


def _derived(part: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """`(select id from t …) c` stands for t under the name c, where it reads one table and returns bare columns."""
    from sqlglot import exp

    inner = part.this if isinstance(part, exp.Lateral) else part
    select = inner.this if isinstance(inner, exp.Subquery) else None
    source = select and (select.args.get("from_") or select.args.get("from"))
    if (
        not source
        or not part.args.get("alias")
        or not isinstance(select, exp.Select)
        or select.args.get("joins")
        or select.args.get("group")
    ):
        return
    is_bare = all(type(shown) in (exp.Column, exp.Star) for shown in select.expressions)
    if is_bare and isinstance(source.this, exp.Table) and isinstance(source.this.this, exp.Identifier):
        yield _alias(part), source.this


def _outputs(shown: Any, names: dict[str, int]) -> tuple[set[Column], set[int]]:  # noqa: ANN401
    from sqlglot import exp

    columns: set[Column] = set()
    stars: set[int] = set()
    for expression in shown:
        bare = expression.unalias()
        if isinstance(bare, exp.Star):
            stars |= set(names.values())
        elif isinstance(bare, exp.Column) and isinstance(bare.this, exp.Star):
            stars.add(names.get(_folded(bare.args["table"]), UNKNOWN))
        elif isinstance(bare, exp.Column):
            columns.add(_column(bare, names))
    return columns, stars


def _conditions(where: Any, names: dict[str, int]) -> tuple[set[Column], set[Column]]:  # noqa: ANN401
    return _conditions_of(where.this if where is not None else None, names)


def _conditions_of(condition: Any, names: dict[str, int]) -> tuple[set[Column], set[Column]]:  # noqa: ANN401
    """Columns that equal a value, and columns that are one of several, in the terms that AND connects."""
    from sqlglot import exp

    equal: set[Column] = set()
    listed: set[Column] = set()
    for term in _terms(condition):
        if isinstance(term, exp.EQ):
            sides = _uncast(term.this), _uncast(term.expression)
            for left, right in (sides, sides[::-1]):
                if isinstance(left, exp.Column) and isinstance(right, exp.Any):
                    listed.add(_column(left, names))
                elif isinstance(left, exp.Column) and _is_value(right):
                    equal.add(_column(left, names))
        elif isinstance(term, exp.In) and isinstance(_uncast(term.this), exp.Column):
            listed.add(_column(_uncast(term.this), names))
    return equal, listed


def _terms(condition: Any) -> Iterator[Any]:  # noqa: ANN401
    from sqlglot import exp

    if condition is None:
        return
    bare = condition.unnest()
    if isinstance(bare, exp.And):
        yield from _terms(bare.this)
        yield from _terms(bare.expression)
    else:
        yield bare


def _uncast(expression: Any) -> Any:  # noqa: ANN401
    from sqlglot import exp

    bare = expression.unnest()
    while isinstance(bare, exp.Cast):
        bare = bare.this.unnest()
    return bare


def _is_value(expression: Any) -> bool:  # noqa: ANN401
    from sqlglot import exp

    return isinstance(_uncast(expression.unalias()), exp.Placeholder | exp.Literal)


def _column(column: Any, names: dict[str, int]) -> Column:  # noqa: ANN401
    if column.args.get("table") is not None:
        return names.get(_folded(column.args["table"]), UNKNOWN), _folded(column.this)
    return (0 if len(names) == 1 else UNKNOWN), _folded(column.this)


def _table(table: Any) -> TableName:  # noqa: ANN401
    schema = table.args.get("db")
    return _folded(schema) if schema is not None else None, _folded(table.this)


def _alias(table: Any) -> str:  # noqa: ANN401
    alias = table.args.get("alias")
    return _folded(alias.this) if alias is not None and alias.this is not None else _folded(table.this)


def _folded(identifier: Any) -> str:  # noqa: ANN401
    """A name as PostgreSQL reads it: in lower case unless quoted."""
    name = str(identifier.name)
    return name if identifier.args.get("quoted") else name.lower()
