"""Expressions as PostgreSQL prints them in plans: fully in brackets, names qualified by their table's alias.

They are cut, never rewritten: an index on an expression serves a statement only if both are the same expression.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache

from dbtune.advisor.texts import Token, tokens
from dbtune.core.identifiers import quote

ColumnRef = tuple[str, str]
"""Alias and column, as they are, unquoted."""

_OPENING, _CLOSING = frozenset("(["), frozenset(")]")
_SYMBOLS = frozenset("+-*/<>=~!@#%^&|`?")


@dataclass(frozen=True, slots=True)
class Comparison:
    """`left operator right`; tests such as IS NULL have no right side. Operators are in lower case."""

    left: str
    operator: str
    right: str = ""


@lru_cache(maxsize=8192)
def _tokens(text: str) -> tuple[Token, ...]:
    return tuple(token for token in tokens(text) if token.kind != "comment")


def bare(text: str) -> str:
    """Without the brackets around the whole."""
    text = text.strip()
    while text.startswith("(") and text.endswith(")") and _closes_last(text):
        text = text[1:-1].strip()
    return text


def terms(condition: str) -> tuple[str, ...]:
    """What AND connects, at any depth of brackets."""
    parts = _split(bare(condition), "AND")
    return (parts[0],) if len(parts) == 1 else tuple(term for part in parts for term in terms(part))


def arms(term: str) -> tuple[str, ...]:
    """What OR connects; the term itself where there is none."""
    parts = _split(bare(term), "OR")
    return (parts[0],) if len(parts) == 1 else tuple(arm for part in parts for arm in arms(part))


def listed(text: str) -> tuple[str, ...]:
    """The elements between commas outside of brackets: of ROW(…), of an output list."""
    found, start, depth = [], 0, 0
    for token in _tokens(text):
        if token.text in _OPENING:
            depth += 1
        elif token.text in _CLOSING:
            depth -= 1
        elif token.text == "," and depth == 0:
            found.append(text[start : token.start].strip())
            start = token.start + 1
    found.append(text[start:].strip())
    return tuple(part for part in found if part)


def comparison(term: str) -> Comparison:
    """How a term is made up: an operator outside of brackets, a test, or a boolean (`true`, `false` for NOT)."""
    text = bare(term)
    if text.upper().startswith("NOT "):
        inner = comparison(text[4:])
        return Comparison(inner.left, "false") if inner.operator == "true" else Comparison(text, "?")
    test = _test(text)
    if test is not None:
        return test
    start, end = _operator(text)
    if start is None:
        return Comparison(text, "true")
    left, sign, right = text[:start].strip(), text[start:end].lower(), text[end:].strip()
    for word in ("ANY", "ALL"):
        if right.upper().startswith(f"{word} ("):
            return Comparison(bare(left), f"{sign} {word.lower()}", bare(right[len(word) + 1 :]))
    return Comparison(bare(left), sign, bare(right))


def columns(text: str) -> tuple[ColumnRef, ...]:
    """Every `alias.column` in it, in order, each once."""
    found = dict.fromkeys((alias, column) for _, _, alias, column in _references(text))
    return tuple(found)


def unqualified(text: str) -> str:
    """The same without aliases, as it is written in CREATE INDEX."""
    parts, place = [], 0
    for start, end, _, _ in _references(text):
        parts.append(text[place:start])
        place = end
    return "".join([*parts, text[place:]])


def qualified(text: str, alias: str, names: Collection[str]) -> str:
    """The output of a plan over a single table, where PostgreSQL leaves the alias out."""
    found = _tokens(text)
    parts = []
    for place, token in enumerate(found):
        before = found[place - 1].text if place else ""
        after = found[place + 1].text if place + 1 < len(found) else ""
        is_column = token.kind in ("word", "quoted") and _name(token) in names
        is_bare = before not in (":", ".") and after not in ("(", ".")
        parts.append(f"{quote(alias)}.{token.text}" if is_column and is_bare else token.text)
    return "".join(parts)


def column_of(text: str) -> ColumnRef | None:
    """The column, where the text is nothing but one, within casts that keep order and equality (varchar → text)."""
    inner = bare(text)
    while True:
        casted = _uncast(inner)
        if casted is None:
            break
        inner = bare(casted)
    found = [token for token in _tokens(inner) if token.kind != "space"]
    is_column = len(found) == 3 and found[1].text == "." and {found[0].kind, found[2].kind} <= {"word", "quoted"}
    return (_name(found[0]), _name(found[2])) if is_column else None


def parameter_of(text: str) -> int | None:
    """3 of `$3`, `($3)::bigint`, `'…'` none."""
    inner = bare(text)
    while (casted := _uncast(inner, any_type=True)) is not None:
        inner = bare(casted)
    only = _tokens(inner)
    return int(only[0].text[1:]) if len(only) == 1 and only[0].kind == "param" else None


def literal_of(text: str) -> str | None:
    """The SQL literal of a constant, with its casts: `'abc'::text`; None where it is anything else."""
    kinds = [token for token in _tokens(text) if token.kind != "space"]
    if not kinds or columns(text) or any(token.kind == "param" for token in kinds):
        return None
    if any(token.text in ("(", "{") and place and kinds[place - 1].kind == "word" for place, token in enumerate(kinds)):
        return None  # a function, or a subquery's result
    return text if kinds[0].kind in ("string", "number") or kinds[0].text in ("true", "false", "ARRAY", "-") else None


def string_of(text: str) -> str | None:
    """What stands in the first string of a literal, unquoted."""
    first = next((token for token in _tokens(text) if token.kind == "string"), None)
    return None if first is None else first.text.strip("eE")[1:-1].replace("''", "'")


def _references(text: str) -> Iterator[tuple[int, int, str, str]]:
    """(start of the alias, start of the column, alias, column)."""
    found = _tokens(text)
    for place in range(len(found) - 2):
        first, dot, second = found[place : place + 3]
        if dot.text != "." or first.kind not in ("word", "quoted") or second.kind not in ("word", "quoted"):
            continue
        before = found[place - 1].text if place else ""
        after = found[place + 3].text if place + 3 < len(found) else ""
        # A type (`::app.kind`), a function (`app.f(`), a collation, an operator, a longer name.
        if before in (":", ".") or after in ("(", ".") or _word_before(found, place) in ("COLLATE", "OPERATOR"):
            continue
        yield first.start, second.start, _name(first), _name(second)


def _word_before(found: tuple[Token, ...], place: int) -> str:
    return next((token.text.upper() for token in reversed(found[:place]) if token.text.strip(" (")), "")


def _name(token: Token) -> str:
    return token.text[1:-1].replace('""', '"') if token.kind == "quoted" else token.text


def _closes_last(text: str) -> bool:
    """Whether the bracket that begins the text ends with it."""
    depth = 0
    for token in _tokens(text):
        depth += (token.text in _OPENING) - (token.text in _CLOSING)
        if depth == 0:
            return token.start + len(token.text) == len(text)
    return False


def _split(text: str, word: str) -> list[str]:
    parts, start, depth = [], 0, 0
    for token in _tokens(text):
        if token.kind == "other":
            depth += (token.text in _OPENING) - (token.text in _CLOSING)
        elif depth == 0 and token.kind == "word" and token.text == word:
            parts.append(text[start : token.start].strip())
            start = token.start + len(word)
    parts.append(text[start:].strip())
    return parts


def _test(text: str) -> Comparison | None:
    """IS [NOT] NULL, TRUE, FALSE, UNKNOWN at the end, outside of brackets."""
    depth = 0
    for token in _tokens(text):
        if token.kind == "other":
            depth += (token.text in _OPENING) - (token.text in _CLOSING)
        elif depth == 0 and token.kind == "word" and token.text == "IS":
            rest = text[token.start :].lower()
            if rest.startswith(("is distinct from", "is not distinct from")):
                sign = rest[: rest.index("from") + 4]
                return Comparison(bare(text[: token.start]), sign, bare(text[token.start + len(sign) :]))
            return Comparison(bare(text[: token.start]), rest)
    return None


def _operator(text: str) -> tuple[int | None, int]:
    """Where the operator outside of brackets begins and ends."""
    depth, start, end = 0, None, 0
    for token in _tokens(text):
        if token.kind == "word" and depth == 0 and token.text == "OPERATOR":
            closing = text.index(")", token.start)
            return token.start, closing + 1
        if token.kind != "other":
            if start is not None:
                break
            continue
        depth += (token.text in _OPENING) - (token.text in _CLOSING)
        if depth == 0 and token.text in _SYMBOLS:
            start, end = (token.start if start is None else start), token.start + 1
        elif start is not None:
            break
    if start == 0 and text[:end] in "+-":
        return None, 0
    return start, end


def _uncast(text: str, *, any_type: bool = False) -> str | None:
    """What is cast, or None. Only casts between types that share equality and order, unless `any_type`."""
    depth, at = 0, None
    found = _tokens(text)
    for place, token in enumerate(found):
        if token.kind == "other":
            depth += (token.text in _OPENING) - (token.text in _CLOSING)
        if depth == 0 and token.text == ":" and place + 1 < len(found) and found[place + 1].text == ":":
            at = token.start
            break
    if at is None or at == 0:
        return None
    name = text[at + 2 :].strip().split("(")[0].strip().lower()
    alike = name in ("text", "character varying", "varchar", "inet", "oid")
    return text[:at] if any_type or alike else None
