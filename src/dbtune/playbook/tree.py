"""YAML as a tree of values that know where they stand, safe against hostile files.

The tree is built from the parser's events, which never recurse; depth and size are checked as it grows, and an
alias shares the nodes of its anchor, so nothing is ever expanded before its size is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

from dbtune.core.errors import Problem
from dbtune.playbook.model import Position
from dbtune.playbook.scalars import Value, convert, resolve
from dbtune.playbook.source import START, stop
from dbtune.playbook.words import quoted

MAX_DEPTH = 50
MAX_VALUES = 100_000
MAX_CHARACTERS = 4_000_000
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Weight:
    """How large a node is with all aliases expanded."""

    values: int = 1
    characters: int = 0
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Scalar:
    """`text` is what was written, `style` the quote or block indicator, "" for a plain scalar.

    `secret`: rendered from the environment, so a message must not show it. `broken`: already complained about.
    """

    position: Position
    value: Value
    text: str
    style: str = ""
    secret: bool = False
    broken: bool = False
    weight: Weight = Weight()


@dataclass(frozen=True, slots=True)
class Sequence:
    position: Position
    items: tuple[Node, ...]
    weight: Weight = Weight()


@dataclass(frozen=True, slots=True)
class Entry:
    """One key with its value."""

    position: Position
    value: Node


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping in the order of the file."""

    position: Position
    entries: Mapping[str, Entry]
    weight: Weight = Weight()

    def get(self, key: str) -> Node | None:
        entry = self.entries.get(key)
        return entry.value if entry else None


Node: TypeAlias = Scalar | Sequence | Table


def plain(node: Node) -> Any:  # noqa: ANN401 - a JSON-like value
    """The node as pydantic wants it: dict, list and scalars."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {key: plain(entry.value) for key, entry in node.entries.items()}


def scalars(node: Node) -> Iterator[Scalar]:
    """Every scalar inside, the node itself included."""
    if isinstance(node, Scalar):
        yield node
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from scalars(item)
    else:
        for entry in node.entries.values():
            yield from scalars(entry.value)


def is_secret(node: Node) -> bool:
    """Whether anything inside comes from the environment."""
    return any(scalar.secret for scalar in scalars(node))


def is_broken(node: Node) -> bool:
    """Whether anything inside was complained about already."""
    return any(scalar.broken for scalar in scalars(node))


def parse(path: str, text: str) -> tuple[Node, tuple[Problem, ...]]:
    """The tree of the only document in `text`, and what can be complained about without giving up.

    Raises InvalidPlaybook where nothing more can be said: a syntax error, an alias bomb, deep nesting.
    """
    builder = _Builder(path)
    try:
        root = builder.document(yaml.parse(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(path, text, error) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - text.rfind("\n", 0, error.position)
        raise stop(path, "a control character is not allowed in YAML", Position(line, column)) from error
    return root, tuple(builder.problems)


def _syntax_error(path: str, text: str, error: yaml.MarkedYAMLError) -> Exception:
    mark: Any = error.problem_mark or error.context_mark
    position = Position(mark.line + 1, mark.column + 1) if mark else START
    lines = text.splitlines()
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    reason = " ".join(str(part) for part in (error.context, error.problem) if part)
    hint = None
    if "{{" in line:
        hint = 'Quote a value that holds an expression: "{{ … }}".'
    elif mark and line[mark.column : mark.column + 1] == "\t":
        hint = "YAML is indented with spaces, never with tabs."
    return stop(path, f"this is not YAML: {reason}", position, hint=hint)


def _at(event: yaml.Event) -> Position:
    mark: Any = event.start_mark
    return Position(mark.line + 1, mark.column + 1)


@dataclass(slots=True)
class _Builder:
    """Builds one document. `anchors` holds None while the anchored node is still being built."""

    path: str
    problems: list[Problem] = field(default_factory=list)
    anchors: dict[str, Node | None] = field(default_factory=dict)
    values: int = 0

    def document(self, events: Iterator[yaml.Event]) -> Node:
        root: Node | None = None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise stop(self.path, "a playbook is one YAML document, and a second one begins here", _at(event))
                root = self.node(next(events), events, 1)
        if root is None:
            raise stop(self.path, "the file is empty", hint="A playbook begins with `version: 1` and `name:`.")
        return root

    def node(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise stop(self.path, f"nested more than {MAX_DEPTH} levels deep", _at(event))
        self.values += 1
        if self.values > MAX_VALUES:
            raise stop(self.path, f"more than {MAX_VALUES:,} values", _at(event))
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event)
        anchor: str | None = getattr(event, "anchor", None)
        if anchor:
            self.anchors[anchor] = None
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node = self.scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self.sequence(event, events, depth)
        else:
            node = self.table(event, events, depth)
        if anchor:
            self.anchors[anchor] = node
        return node

    def alias(self, event: yaml.AliasEvent) -> Node:
        name = str(event.anchor)
        if name not in self.anchors:
            raise stop(self.path, f"there is no anchor {quoted('&' + name)} before this alias", _at(event))
        node = self.anchors[name]
        if node is None:
            raise stop(self.path, f"the alias {quoted('*' + name)} stands inside its own anchor", _at(event))
        return node

    def scalar(self, event: yaml.ScalarEvent) -> Scalar:
        text = event.value
        style = event.style or ""
        value: Value = text
        tag = self.tag(event, ("str", "int", "float", "bool", "null"))
        if tag:
            try:
                value = convert(text, tag)
            except ValueError:
                self.complain(_at(event), f"{quoted(text)} is not a value of type {tag}")
        elif not style and event.tag is None:
            value = resolve(text)
        return Scalar(_at(event), value, text, style, weight=Weight(1, len(text), 1))

    def sequence(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Sequence:
        self.tag(event, ("seq",))
        items = []
        while not isinstance(inner := next(events), yaml.SequenceEndEvent):
            items.append(self.node(inner, events, depth + 1))
        return Sequence(_at(event), tuple(items), self.weigh(event, items))

    def table(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Table:
        self.tag(event, ("map",))
        entries: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        while not isinstance(inner := next(events), yaml.MappingEndEvent):
            key = self.node(inner, events, depth + 1)
            value = self.node(next(events), events, depth + 1)
            if not isinstance(key, Scalar):
                self.complain(key.position, 'a key must be text; quote a value that holds an expression: "{{ … }}"')
            elif key.text == "<<" and not key.style:
                for name, entry in self.merge(value).items():
                    merged.setdefault(name, entry)
            elif key.text in entries:
                first = entries[key.text].position.line
                self.complain(key.position, f"the key {quoted(key.text)} stands here twice, first in line {first}")
            else:
                entries[key.text] = Entry(key.position, value)
        together = entries | {name: entry for name, entry in merged.items() if name not in entries}
        weight = self.weigh(event, [entry.value for entry in together.values()], sum(map(len, together)))
        return Table(_at(event), together, weight)

    def merge(self, value: Node) -> Mapping[str, Entry]:
        """The entries that `<<` brings in; of several mappings the first wins."""
        sources = value.items if isinstance(value, Sequence) else (value,)
        found: dict[str, Entry] = {}
        for source in sources:
            if not isinstance(source, Table):
                self.complain(value.position, "<< takes a mapping, or a list of mappings")
                return {}
            # Merging copies entries, so merges of merges cost what they expand to.
            self.values += len(source.entries)
            if self.values > MAX_VALUES:
                raise stop(self.path, "the aliases in here expand to far more than a playbook holds", value.position)
            for name, entry in source.entries.items():
                found.setdefault(name, entry)
        return found

    def weigh(self, event: yaml.Event, children: list[Node], characters: int = 0) -> Weight:
        weight = Weight(
            1 + sum(child.weight.values for child in children),
            characters + sum(child.weight.characters for child in children),
            1 + max((child.weight.depth for child in children), default=0),
        )
        if weight.values > MAX_VALUES or weight.characters > MAX_CHARACTERS:
            raise stop(self.path, "the aliases in here expand to far more than a playbook holds", _at(event))
        if weight.depth > MAX_DEPTH:
            raise stop(self.path, f"nested more than {MAX_DEPTH} levels deep", _at(event))
        return weight

    def tag(self, event: yaml.Event, allowed: tuple[str, ...]) -> str | None:
        """The short name of an explicit standard tag; anything else is complained about."""
        tag: str | None = getattr(event, "tag", None)
        if tag is None or tag == "!":
            return None
        short = tag.removeprefix(_TAG)
        if tag.startswith(_TAG) and short in allowed:
            return short
        self.complain(_at(event), f"the tag {quoted(tag.replace(_TAG, '!!'))} is not allowed in a playbook")
        return None

    def complain(self, position: Position, message: str) -> None:
        self.problems.append(Problem(self.path, position.line, position.column, message))
