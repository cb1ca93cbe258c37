"""The language inside `{{ … }}`: Jinja2's expressions without attributes, calls and everything that can grow.

Two fences, one behind the other: the syntax tree is checked against a list of what is allowed, and the
environment that evaluates it cannot reach attributes, call functions or multiply text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar

from jinja2 import StrictUndefined, TemplateSyntaxError, nodes
from jinja2.filters import FILTERS
from jinja2.parser import Parser
from jinja2.runtime import Context, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS

from dbtune.playbook.words import Refusal, listed, quoted, word_for

MAX_EXPRESSION = 1_000
MAX_RESULT = 65_536


def _join(value: Iterable[Any], separator: str = "") -> str:
    parts = [str(part) for part in value]
    _bound(sum(map(len, parts)) + len(separator) * len(parts))
    return separator.join(parts)


def _replace(value: str, old: str, new: str) -> str:
    text = str(value)
    _bound(len(text) + text.count(old) * len(new))
    return text.replace(old, new)


def _round(value: float, digits: int = 0) -> float:
    # An unbounded number of digits is an unbounded power of ten.
    rounded = round(float(value), max(-30, min(30, int(digits))))
    return int(rounded) if digits <= 0 else rounded


def _bound(characters: int) -> None:
    if characters > MAX_RESULT:
        raise Refusal(f"the expression yields more than {MAX_RESULT:,} characters")


_FILTERS: dict[str, Callable[..., Any]] = {
    name: FILTERS[name]
    for name in ("abs", "count", "d", "default", "first", "float", "int", "last", "length", "lower", "string", "trim")
} | {"upper": FILTERS["upper"], "join": _join, "replace": _replace, "round": _round}
_TESTS = {
    name: TESTS[name]
    for name in ("defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "in", "divisibleby")
} | {name: TESTS[name] for name in ("odd", "even", "true", "false", "mapping", "sequence")}
_ALLOWED: tuple[type[nodes.Node], ...] = (
    *(nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Const, nodes.TemplateData, nodes.List, nodes.Tuple),
    *(nodes.CondExpr, nodes.And, nodes.Or, nodes.Not, nodes.Compare, nodes.Operand, nodes.Neg, nodes.Pos),
    *(nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Concat),
    *(nodes.Filter, nodes.Test),
)
_REFUSED: dict[type[nodes.Node], str] = {
    nodes.Call: "functions and methods cannot be called",
    nodes.Pow: "** is not allowed",
    nodes.Slice: "slices are not allowed",
    nodes.Dict: "a mapping cannot be written",
}


class Expressions(ImmutableSandboxedEnvironment):
    """An environment whose values have items and no attributes."""

    intercepted_binops: ClassVar[frozenset[str]] = frozenset({"+", "-", "*", "/", "//", "%", "**"})  # type: ignore[misc]

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, autoescape=False)
        self.globals.clear()
        self.filters = dict(_FILTERS)
        self.tests = dict(_TESTS)

    def getattr(self, obj: Any, attribute: str) -> Any:  # noqa: ANN401 - values of any type
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:  # noqa: ANN401 - values of any type
        if isinstance(obj, Mapping) and argument in obj:
            return obj[argument]
        if isinstance(obj, list) and type(argument) is int and -len(obj) <= argument < len(obj):
            return obj[argument]
        return self.undefined(obj=obj, name=argument)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401 - any values
        if isinstance(left, Undefined) or isinstance(right, Undefined):
            raise Refusal("a part of the expression is undefined")
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        texts = isinstance(left, str) and isinstance(right, str)
        if not numbers and not (texts and operator == "+"):
            raise Refusal(f"{operator} takes two numbers here, and this is {word_for(left)} and {word_for(right)}")
        if texts:
            _bound(len(left) + len(right))
        return super().call_binop(context, operator, left, right)


_ENVIRONMENT = Expressions()


@lru_cache(maxsize=4096)
def parse_expression(source: str) -> nodes.Expr:
    """The syntax tree of one expression without its braces. Raises Refusal, also for what is not allowed."""
    if len(source) > MAX_EXPRESSION:
        raise Refusal(f"the expression is longer than {MAX_EXPRESSION:,} characters")
    try:
        parser = Parser(_ENVIRONMENT, source, state="variable")
        tree = parser.parse_expression()
        if not parser.stream.eos:
            raise Refusal(f"unexpected {quoted(parser.stream.current.value)} in the expression")
        _check(tree)
    except TemplateSyntaxError as error:
        message = (error.message or "").replace("end of print statement", "}}").replace("end of template", "}}")
        raise Refusal(f"this is not an expression: {message}") from error
    except RecursionError as error:
        raise Refusal("the expression is nested too deeply") from error
    return tree


def _check(node: nodes.Node) -> None:
    if not isinstance(node, _ALLOWED):
        raise Refusal(_REFUSED.get(type(node), f"{type(node).__name__.lower()} is not allowed in an expression"))
    if isinstance(node, nodes.Getattr | nodes.Getitem):
        path_of(node)
        return
    if isinstance(node, nodes.Const) and isinstance(node.value, float) and not math.isfinite(node.value):
        raise Refusal("a number of the expression is too large")
    if isinstance(node, nodes.Name):
        _refuse_name(node.name)
    if isinstance(node, nodes.Filter | nodes.Test):
        _check_named(node)
    for child in node.iter_child_nodes():
        _check(child)


def _refuse_name(name: str) -> None:
    """A name that no NAME follows: vars and env as a whole would show every secret."""
    if name in ("vars", "env"):
        raise Refusal(f"write {name}.NAME: {name} as a whole cannot be read")
    raise Refusal(f"unknown name {quoted(name)}: write vars.NAME or env.NAME")


def _check_named(node: nodes.Filter | nodes.Test) -> None:
    word, known = ("filter", set(_FILTERS)) if isinstance(node, nodes.Filter) else ("test", set(_TESTS))
    if node.name not in known:
        raise Refusal(f"unknown {word} {quoted(node.name)}; there are {listed(sorted(known), 'and')}")
    if node.kwargs or node.dyn_args or node.dyn_kwargs:
        raise Refusal(f"the {word} {quoted(node.name)} takes no named arguments")


def path_of(node: nodes.Node) -> tuple[str | int, ...]:
    """`vars.a["b"][0]` → ("vars", "a", "b", 0). Raises Refusal for every other way of reaching into a value."""
    if isinstance(node, nodes.Name) and node.name in ("vars", "env"):
        return (node.name,)
    if isinstance(node, nodes.Name):
        raise Refusal(f"unknown name {quoted(node.name)}: write vars.NAME or env.NAME")
    part: str | int
    if isinstance(node, nodes.Getattr):
        part = node.attr
    elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and type(node.arg.value) in (str, int):
        part = node.arg.value
    elif isinstance(node, nodes.Getitem):
        if isinstance(node.arg, nodes.Slice):
            raise Refusal(_REFUSED[nodes.Slice])
        raise Refusal("only a name or a number can stand between [ and ]")
    else:
        raise Refusal("attributes cannot be reached, only vars.NAME and env.NAME")
    if isinstance(part, str) and part.startswith("__"):
        raise Refusal(f"the attribute {quoted(part)} cannot be reached, only vars.NAME and env.NAME")
    return (*path_of(node.node), part)


def references(tree: nodes.Node, *, guarded: bool = False) -> list[tuple[tuple[str | int, ...], bool]]:
    """Every path that an expression reads; True beside it where it may be undefined (`default`, `is defined`)."""
    if isinstance(tree, nodes.Getattr | nodes.Getitem):
        return [(path_of(tree), guarded)]
    forgiving = (isinstance(tree, nodes.Filter) and tree.name in ("d", "default")) or (
        isinstance(tree, nodes.Test) and tree.name in ("defined", "undefined")
    )
    found: list[tuple[tuple[str | int, ...], bool]] = []
    for child in tree.iter_child_nodes():
        found += references(child, guarded=guarded or (forgiving and child is getattr(tree, "node", None)))
    return found


def evaluate(source: str, values: Mapping[str, Any], *, secret: bool) -> Any:  # noqa: ANN401 - a JSON-like value
    """The value of a parsed and checked expression: text, number, truth value, None, list or mapping.

    Raises Refusal; a `secret` expression's message shows nothing of its values.
    """
    try:
        result = _ENVIRONMENT.compile_expression(source, undefined_to_none=False)(**values)
    except Refusal:
        raise
    except (RecursionError, MemoryError, SyntaxError) as error:
        raise Refusal("the expression is nested too deeply") from error
    except Exception as error:  # whatever a filter raises on a value that does not suit it
        raise Refusal("the expression fails" + ("" if secret else f": {error}")) from error
    if isinstance(result, Undefined):
        raise Refusal("the expression is undefined")
    if isinstance(result, str):
        _bound(len(result))
    if isinstance(result, float) and not math.isfinite(result):
        raise Refusal("the expression yields no finite number")
    if not isinstance(result, str | int | float | bool | list | Mapping | Sequence | None):
        raise Refusal("the expression yields no value")
    return result
