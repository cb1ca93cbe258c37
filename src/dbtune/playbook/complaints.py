"""Checks a tree against a pydantic model and says what is wrong in plain words, at the right place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from dbtune.core.errors import InvalidPlaybook, Problem
from dbtune.playbook import tree
from dbtune.playbook.model import Position
from dbtune.playbook.tree import Entry, Node, Scalar, Table
from dbtune.playbook.words import did_you_mean, listed, quoted, word_for

Model = TypeVar("Model", bound=BaseModel)
Path = tuple[str | int, ...]

MOST = 100
"""Problems that are shown; whoever has more has made one mistake many times."""

_EXPECTED = {
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an error's location leads: `path` is the part of it that the tree has, union branches left out."""

    path: Path
    node: Node
    position: Position
    key: Position
    rest: Path = ()


@dataclass(slots=True)
class Complaints:
    """Collects the problems of one file."""

    path: str
    problems: list[Problem] = field(default_factory=list)

    def add(self, position: Position, message: str) -> None:
        self.problems.append(Problem(self.path, position.line, position.column, message))

    def check(self, model: type[Model], node: Node, owner: str, position: Position | None = None) -> Model | None:
        """The node as a `model`, or None after complaints. `owner` is what the messages call it.

        A number or truth value where text is wanted is taken as it was written.
        """
        try:
            return model.model_validate(tree.plain(node))
        except ValidationError as error:
            details = error.errors(include_url=False)
        texts = {_find(node, detail["loc"]).path for detail in details if detail["type"] == "string_type"}
        if texts:
            try:
                return model.model_validate(tree.plain(_as_written(node, (), texts)))
            except ValidationError as error:
                details = error.errors(include_url=False)
        self._explain(model, node, owner, details, position or node.position)
        return None

    def _explain(
        self, model: type[BaseModel], node: Node, owner: str, details: Sequence[ErrorDetails], position: Position
    ) -> None:
        found = [(_find(node, detail["loc"], position), detail) for detail in details]
        # Of a union's branches, the one that failed further inside is the one that was meant.
        around = {place.path[:depth] for place, _ in found for depth in range(len(place.path))}
        expected: dict[Path, list[str]] = {}
        for place, detail in found:
            word = _expected_word(detail)
            if word and place.path not in around:
                expected.setdefault(place.path, []).append(word)
        for place, detail in found:
            # What follows from a value that could not be rendered is no problem of its own.
            if (isinstance(place.node, Scalar) or detail["type"] == "value_error") and tree.is_broken(place.node):
                continue
            # A list of wrong items counts as too short.
            if detail["type"] == "too_short" and place.path in around:
                continue
            if not _expected_word(detail):
                self.add(*_message(model, place, detail, owner))
            elif words := expected.pop(place.path, None):
                self.add(place.position, _mismatch(place, words, owner))

    def stop_if_any(self, *, hint: str | None = None) -> None:
        """Raises InvalidPlaybook with everything so far, in the order of the file."""
        if not self.problems:
            return
        ordered = sorted(set(self.problems), key=lambda problem: (problem.line, problem.column, problem.message))
        if len(ordered) > MOST:
            rest = len(ordered) - MOST
            last = ordered[MOST]
            more = Problem(last.path, last.line, last.column, f"and {rest} more problems from here on")
            ordered = [*ordered[:MOST], more]
        raise InvalidPlaybook(tuple(ordered), hint=hint)


def _find(node: Node, location: Sequence[str | int], position: Position | None = None) -> _Place:
    """Follows pydantic's location as far as the tree goes; a part that names a branch of a union is passed over."""
    place = _Place((), node, position or node.position, position or node.position)
    for part in location:
        inner = place.node
        if isinstance(inner, Table) and isinstance(part, str) and part in inner.entries:
            entry = inner.entries[part]
            place = _Place((*place.path, part), entry.value, _value_position(entry), entry.position)
        elif isinstance(inner, tree.Sequence) and isinstance(part, int) and part < len(inner.items):
            item = inner.items[part]
            place = _Place((*place.path, part), item, item.position, item.position)
        else:
            place = replace(place, rest=(*place.rest, part))
    return place


def _value_position(entry: Entry) -> Position:
    """A value of several lines is pointed at by its key."""
    return entry.value.position if isinstance(entry.value, Scalar) and entry.value.text else entry.position


def _as_written(node: Node, path: Path, wanted: set[Path]) -> Node:
    """The tree with the scalars at `wanted` as text, where they are numbers or truth values."""
    if isinstance(node, Scalar):
        retold = path in wanted and isinstance(node.value, int | float)
        return replace(node, value=node.text) if retold else node
    if isinstance(node, Table):
        entries = {
            key: Entry(entry.position, _as_written(entry.value, (*path, key), wanted))
            for key, entry in node.entries.items()
        }
        return replace(node, entries=entries)
    return replace(node, items=tuple(_as_written(item, (*path, i), wanted) for i, item in enumerate(node.items)))


def _expected_word(detail: ErrorDetails) -> str | None:
    if detail["type"] == "literal_error":
        return listed(_literals(detail), "or")
    return _EXPECTED.get(detail["type"])


def _literals(detail: ErrorDetails) -> list[str]:
    """`'a', 'b' or 1` in pydantic's words → `"a"`, `"b"`, `1`."""
    return [re.sub(r"^'(.*)'$", r'"\1"', word) for word in re.findall(r"'[^']*'|\d+", detail["ctx"]["expected"])]


def _mismatch(place: _Place, words: list[str], owner: str) -> str:
    choice = listed(dict.fromkeys(words), "or")
    message = f"{_dotted(place.path, owner)} must be {choice}"
    node = place.node
    if not isinstance(node, Scalar) or node.value is None:
        return f"{message}, not {word_for(tree.plain(node))}"
    if tree.is_secret(node):
        return f"{message}, and what the environment gives is not"
    known = re.findall(r'"([^"]*)"', choice)
    return f"{message}, not {quoted(node.text)}{did_you_mean(node.text, known)}"


def _message(model: type[BaseModel], place: _Place, detail: ErrorDetails, owner: str) -> tuple[Position, str]:
    """For everything but a wrong type."""
    dotted = _dotted(place.path, owner)
    match detail["type"]:
        case "extra_forbidden":
            parent, name = place.path[:-1], str(place.path[-1])
            known = did_you_mean(name, _options(model, parent))
            return place.key, f"unknown option {quoted(name)} of {_dotted(parent, owner)}{known}"
        case "missing":
            return place.position, f"{dotted} needs {quoted(place.rest[-1])}"
        case "value_error" if not tree.is_secret(place.node):
            text = str(detail.get("ctx", {}).get("error", detail["msg"]))
            return place.position, text if not place.path else f"{dotted}: {text}"
        case "value_error":
            return place.position, f"{dotted} does not accept the value that the environment gives"
    text = detail["msg"].replace("Input should", "must").replace("String should", "must")
    text = re.sub(r"(Tuple|List|Dictionary|Value) should( have)?", "must have", text)
    text = text.replace("at least 1 item after validation, not 0", "at least one item")
    text = text.replace("must have at least 1 character", "must not be empty")
    return place.position, f"{dotted} {text}" if text.startswith("must") else f"{dotted}: {text}"


def _dotted(path: Path, owner: str) -> str:
    """`explain.expect.max_time`; items count from 1: `index.columns[2]`."""
    text = owner
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "the playbook"


def _options(model: type[BaseModel], path: Path) -> set[str]:
    """The options that the model has at `path`, for a did-you-mean."""
    models = {model}
    for part in path:
        fields = [f for m in models for name, f in m.model_fields.items() if part in (f.alias, name)]
        if fields:
            models = {inner for f in fields for inner in models_in(f.annotation)}
    return {f.alias or name for m in models for name, f in m.model_fields.items()}


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - any annotation
    """The models that an annotation mentions, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)
