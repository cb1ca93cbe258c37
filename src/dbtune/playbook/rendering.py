"""Replaces `{{ … }}` in a tree by its value; the tree keeps its positions."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dbtune.playbook.complaints import Complaints
from dbtune.playbook.model import Position
from dbtune.playbook.scalars import Value
from dbtune.playbook.tree import MAX_CHARACTERS, MAX_VALUES, Entry, Node, Scalar, Sequence, Table
from dbtune.playbook.words import Refusal, did_you_mean, quoted, word_for

_EXPRESSION = re.compile(
    r"""\{\{((?:[^'"}]|'[^'\\]*(?:\\.[^'\\]*)*'|"[^"\\]*(?:\\.[^"\\]*)*"|\}(?!\}))*)\}\}""", re.DOTALL
)
_MAX_EXPRESSIONS = 1_000
_MAX_COMPLAINTS = 20
_TRUTH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


@dataclass(frozen=True, slots=True)
class _Outcome:
    value: Any = None
    secret: bool = False
    broken: bool = False
    refusal: str | None = None


@dataclass(slots=True)
class Renderer:
    """Renders against `values` (`vars` and `env`); `secrets` are the variables that came from the environment,
    `broken` those that were complained about.

    Every expression is evaluated once: it has no side effects, and a file may repeat it a thousand times.
    """

    complaints: Complaints
    text: str
    values: Mapping[str, Mapping[str, Any]]
    secrets: frozenset[str] = frozenset()
    broken: frozenset[str] = frozenset()
    outcomes: dict[str, _Outcome] = field(default_factory=dict)
    line_starts: list[int] = field(default_factory=list)
    spent_values: int = 0
    spent_characters: int = 0

    def render(self, node: Node) -> Node:
        """The node with every expression replaced; what cannot be rendered is marked broken and complained about."""
        if isinstance(node, Sequence):
            return replace(node, items=tuple(self.render(item) for item in node.items))
        if isinstance(node, Table):
            return replace(
                node,
                entries={key: Entry(entry.position, self.render(entry.value)) for key, entry in node.entries.items()},
            )
        if not isinstance(node.value, str) or ("{{" not in node.value and "{%" not in node.value):
            return node
        return self._scalar(node, node.value)

    def condition(self, node: Scalar) -> bool | None:
        """Whether `when` holds. Bare text is an expression too. None after a complaint."""
        rendered: Node = node
        if isinstance(node.value, str) and node.value.strip().lower() not in _TRUTH:
            braced = "{{" in node.value or "{%" in node.value
            rendered = self.render(node) if braced else self._bare(node, node.value)
        if not isinstance(rendered, Scalar):
            self.complaints.add(node.position, "when must come out as true or false, and this is not a single value")
            return None
        if rendered.broken:
            return None
        if isinstance(rendered.value, int | float):
            return bool(rendered.value)
        truth = _TRUTH.get(rendered.text.strip().lower()) if rendered.value is not None else None
        if truth is None:
            shown = "" if rendered.secret else f", not as {quoted(rendered.text)}"
            self.complaints.add(node.position, f"when must come out as true or false{shown}")
        return truth

    def _bare(self, node: Scalar, source: str) -> Node:
        outcome = self._outcome(source)
        if outcome.refusal:
            self.complaints.add(node.position, outcome.refusal)
        return replace(node, broken=True) if outcome.refusal or outcome.broken else self._lift(node, outcome)

    def _scalar(self, node: Scalar, text: str) -> Node:
        pieces: list[str] = []
        complaints: list[tuple[int, str]] = []
        outcomes: list[_Outcome] = []
        end = index = 0
        while len(complaints) < _MAX_COMPLAINTS:
            start = text.find("{{", end)
            block = text.find("{%", end, start if start >= 0 else len(text))
            if block >= 0:
                complaints.append((-1, "{% is not allowed: only expressions in {{ }}, no statements"))
                break
            if start < 0:
                break
            match = _EXPRESSION.match(text, start)
            if match is None:
                complaints.append((index, "this {{ is never closed by }}"))
                break
            outcome = self._outcome(match[1])
            if outcome.refusal:
                complaints.append((index, outcome.refusal))
            pieces.append(text[end:start])
            outcomes.append(outcome)
            end = match.end()
            index += text.count("{{", start, end)
        pieces.append(text[end:])
        if complaints:
            for index, message in complaints:
                self.complaints.add(self._locate(node, index), message)
            return replace(node, broken=True)
        if any(outcome.broken for outcome in outcomes):
            return replace(node, broken=True)
        if len(outcomes) == 1 and not "".join(pieces).strip():
            return self._lift(node, outcomes[0])
        return self._interpolate(node, pieces, outcomes)

    def _interpolate(self, node: Scalar, pieces: list[str], outcomes: list[_Outcome]) -> Scalar:
        parts = [pieces[0]]
        for outcome, literal in zip(outcomes, pieces[1:], strict=True):
            if outcome.value is None or not isinstance(outcome.value, str | int | float):
                self.complaints.add(node.position, f"{word_for(outcome.value)} cannot stand inside text")
                return replace(node, broken=True)
            parts += [as_text(outcome.value), literal]
        text = "".join(parts)
        if not self._spend(node, 1, len(text)):
            return replace(node, broken=True)
        return replace(node, value=text, text=text, secret=any(outcome.secret for outcome in outcomes))

    def _lift(self, node: Scalar, outcome: _Outcome) -> Node:
        """A value as nodes, all of them standing where the expression stands."""
        value = outcome.value
        if isinstance(value, Mapping):
            lifted = {str(key): self._lift(node, replace(outcome, value=inner)) for key, inner in value.items()}
            return Table(node.position, {key: Entry(node.position, inner) for key, inner in lifted.items()})
        if isinstance(value, list | tuple):
            return Sequence(node.position, tuple(self._lift(node, replace(outcome, value=item)) for item in value))
        text = as_text(value)
        if not self._spend(node, 1, len(text)):
            return replace(node, broken=True)
        return replace(node, value=value, text=text, secret=outcome.secret)

    def _spend(self, node: Scalar, values: int, characters: int) -> bool:
        """False once the rendered playbook has grown out of all proportion; complained about the first time."""
        within = self.spent_values <= MAX_VALUES and self.spent_characters <= MAX_CHARACTERS
        self.spent_values += values
        self.spent_characters += characters
        if within and (self.spent_values > MAX_VALUES or self.spent_characters > MAX_CHARACTERS):
            self.complaints.add(node.position, "the expressions of this playbook yield far more than a playbook holds")
        return self.spent_values <= MAX_VALUES and self.spent_characters <= MAX_CHARACTERS

    def _outcome(self, source: str) -> _Outcome:
        known = self.outcomes.get(source)
        if known is None:
            try:
                known = self._evaluate(source)
            except Refusal as refusal:
                known = _Outcome(refusal=str(refusal))
            except RecursionError:
                known = _Outcome(refusal="the expression is nested too deeply")
            self.outcomes[source] = known
        return known

    def _evaluate(self, source: str) -> _Outcome:
        # Many a playbook has no expression, and Jinja takes a while to import.
        from dbtune.playbook.sandbox import evaluate, parse_expression, references

        if len(self.outcomes) >= _MAX_EXPRESSIONS:
            raise Refusal(f"more than {_MAX_EXPRESSIONS:,} different expressions")
        if not source.strip():
            raise Refusal("there is no expression between {{ and }}")
        if source[0] == "-" or source[-1] == "-":
            raise Refusal("{{- and -}} are not supported: write {{ and }}")
        paths = references(parse_expression(source.strip()))
        for path, guarded in paths:
            self._look_up(path, guarded=guarded)
        if any(path[0] == "vars" and path[1] in self.broken for path, _ in paths):
            return _Outcome(broken=True)
        secret = any(path[0] == "env" or path[1] in self.secrets for path, _ in paths)
        return _Outcome(evaluate(source.strip(), self.values, secret=secret), secret)

    def _look_up(self, path: tuple[str | int, ...], *, guarded: bool) -> None:
        """Raises Refusal where a path leads nowhere, unless the expression itself provides for that."""
        if path[0] not in self.values:
            raise Refusal(f"{path[0]} cannot be read here: a variable may refer to env only")
        value: Any = self.values[str(path[0])]
        shown = str(path[0])
        for part in path[1:]:
            listed = isinstance(value, list) and isinstance(part, int) and -len(value) <= part < len(value)
            if listed or (isinstance(value, Mapping) and part in value):
                value = value[part]
            elif guarded:
                return
            elif isinstance(value, Mapping):
                raise Refusal(_undefined(shown, str(part), value))
            else:
                raise Refusal(f"{shown} is {word_for(value)} and has no {quoted(part)}")
            shown += f".{part}"

    def _locate(self, node: Scalar, index: int) -> Position:
        """Where the `index`-th `{{` of a scalar stands in the file; the scalar itself for what is not found."""
        if index < 0:
            return node.position
        if not self.line_starts:
            self.line_starts.extend([0, *(match.end() for match in re.finditer("\n", self.text))])
        if node.position.line > len(self.line_starts):  # the parser knows rarer line breaks than this one
            return node.position
        offset = self.line_starts[node.position.line - 1] + node.position.column - 1
        for count in range(index + 1):
            offset = self.text.find("{{", offset + (2 if count else 0))
            if offset < 0:
                return node.position
        line = bisect_right(self.line_starts, offset)
        return Position(line, offset - self.line_starts[line - 1] + 1)


def as_text(value: Value) -> str:
    """A value as it reads inside text: truth values as YAML writes them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _undefined(owner: str, name: str, known: Mapping[str, Any]) -> str:
    if owner == "env":
        return f"the environment has no variable {quoted(name)}{did_you_mean(name, known)}"
    if owner == "vars":
        return f"the playbook has no variable {quoted(name)}{did_you_mean(name, known)}"
    return f"{owner} has no {quoted(name)}{did_you_mean(name, known)}"
