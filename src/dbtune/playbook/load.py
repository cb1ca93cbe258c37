"""A playbook's file → a frozen playbook, or all of its problems at once."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dbtune.playbook import tree
from dbtune.playbook.complaints import Complaints
from dbtune.playbook.events import check_sent
from dbtune.playbook.model import CacheEvent, Playbook, PlaybookStep, Position
from dbtune.playbook.outline import OPTIONS, Outline, StepOptions
from dbtune.playbook.rendering import Renderer
from dbtune.playbook.scalars import resolve
from dbtune.playbook.source import read, stop
from dbtune.playbook.tree import Entry, Node, Scalar, Table, parse
from dbtune.playbook.words import did_you_mean, listed, nearest, quoted, word_for
from dbtune.steps.step import Step, kind_named, kinds

_LONGEST_ID = 50
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def load(
    path: Path, *, variables: Mapping[str, str] = MappingProxyType({}), environ: Mapping[str, str] | None = None
) -> Playbook:
    """Read, render and check a playbook. `variables` replace its own, `environ` is `os.environ` unless given.

    Raises InvalidPlaybook with every problem, in the order of the file.
    """
    text = read(path)
    root, problems = parse(str(path), text)
    if not isinstance(root, Table):
        message = f"a playbook is a mapping with version, name and steps, and this is {word_for(tree.plain(root))}"
        raise stop(str(path), message, root.position)
    complaints = Complaints(str(path), list(problems))
    return _Reader(complaints, text, dict(os.environ if environ is None else environ)).playbook(root, variables)


@dataclass(slots=True)
class _Reader:
    """Reads one playbook; complains and goes on wherever it can."""

    complaints: Complaints
    text: str
    environ: Mapping[str, str]
    ids: set[str] = field(default_factory=set)
    namesakes: dict[str, int] = field(default_factory=dict)

    def playbook(self, root: Table, variables: Mapping[str, str]) -> Playbook:
        written = root.entries.get("vars")
        given = self._vars(written, variables, root.position)
        renderer = self._renderer(
            {"vars": _plain_entries(given), "env": self.environ},
            secrets=frozenset(name for name, node in given.items() if tree.is_secret(node)),
            broken=frozenset(name for name, node in given.items() if tree.is_broken(node)),
        )
        body = Table(root.position, {key: entry for key, entry in root.entries.items() if key not in ("vars", "steps")})
        rendered = renderer.render(body)
        entries = dict(rendered.entries) if isinstance(rendered, Table) else {}
        entries |= {key: root.entries[key] for key in ("vars", "steps") if key in root.entries}
        outline = self.complaints.check(Outline, replace(root, entries=entries), "")
        listed_steps = root.get("steps")
        items = listed_steps.items if isinstance(listed_steps, tree.Sequence) else ()
        self._reserve_ids(items)
        steps = [self._step(item, renderer) for item in items]
        for item, step in zip(items, steps, strict=True):
            if outline is not None and step is not None:
                check_sent(step.step, item, outline.cache.events, self.complaints)
        self.complaints.stop_if_any()
        if outline is None:  # every mistake in it was complained about
            raise AssertionError("unreachable")
        return _assemble(self.complaints.path, outline, tuple(step for step in steps if step), _plain_entries(given))

    def _renderer(
        self,
        values: Mapping[str, Mapping[str, Any]],
        secrets: frozenset[str] = frozenset(),
        broken: frozenset[str] = frozenset(),
    ) -> Renderer:
        return Renderer(self.complaints, self.text, values, secrets, broken)

    def _vars(self, written: Entry | None, variables: Mapping[str, str], start: Position) -> dict[str, Node]:
        """The variables by name: rendered with the environment, then replaced by those of the command line."""
        table = written.value if written else None
        entries = table.entries if isinstance(table, Table) else {}
        renderer = self._renderer({"env": self.environ})
        for name, entry in entries.items():
            if not _NAME.fullmatch(name):
                self.complaints.add(entry.position, f"{quoted(name)} is no name: letters, digits and _")
        for name in variables:
            if name not in entries:
                known = did_you_mean(name, entries) or (f"; it has {listed(entries, 'and')}" if entries else "")
                message = f"--var {name}: the playbook has no such variable{known}"
                self.complaints.add(written.position if written else start, message)
        return {
            name: _override(entry.value, variables[name]) if name in variables else renderer.render(entry.value)
            for name, entry in entries.items()
        }

    def _reserve_ids(self, items: tuple[Node, ...]) -> None:
        """Ids that are written come before those that are made."""
        first: dict[str, int] = {}
        for item in items:
            node = item.get("id") if isinstance(item, Table) else None
            if not isinstance(node, Scalar) or node.value is None:
                continue
            if node.text in first:
                message = f"the id {quoted(node.text)} is given twice, first in line {first[node.text]}"
                self.complaints.add(node.position, message)
            first.setdefault(node.text, node.position.line)
        self.ids |= first.keys()

    def _step(self, item: Node, renderer: Renderer) -> PlaybookStep | None:
        if not isinstance(item, Table):
            what = word_for(tree.plain(item))
            self.complaints.add(item.position, f"a step is a mapping with a kind, such as index, and this is {what}")
            return None
        kind = self._kind(item)
        when = item.get("when")
        common = {key: entry for key, entry in item.entries.items() if key in OPTIONS and key != "when"}
        options = self.complaints.check(StepOptions, renderer.render(replace(item, entries=common)), "step")
        enabled = self._enabled(when, renderer)
        step = self._body(kind, item.entries[kind], renderer) if kind else None
        if kind is None or step is None or options is None or enabled is None:
            return None
        name = options.name or step.title()
        return PlaybookStep(
            id=options.id or self._new_id(name, kind),
            name=name,
            kind=kind,
            step=step,
            position=item.position,
            hash=_digest([kind, step.model_dump(mode="json")]),
            tags=options.tags,
            enabled=enabled,
            timeout_s=options.timeout,
        )

    def _kind(self, item: Table) -> str | None:
        """The only kind among a step's keys."""
        keys = [key for key in item.entries if key not in OPTIONS]
        found = [key for key in keys if kind_named(key)]
        strange = [key for key in keys if key not in found]
        known = kinds() if strange or not found else {}
        for key in strange:
            meant = did_you_mean(key, [*known, *OPTIONS])
            is_option = nearest(key, [*known, *OPTIONS]) in OPTIONS
            what = "unknown key" if found or is_option else "unknown step kind"
            kinds_known = "" if meant or what == "unknown key" else f"; there are {listed(known, 'and')}"
            self.complaints.add(item.entries[key].position, f"{what} {quoted(key)}{meant}{kinds_known}")
        if len(found) > 1:
            both = listed(map(quoted, found), "and")
            self.complaints.add(item.entries[found[1]].position, f"a step has one kind, and this one has {both}")
            return None
        if not found and not strange:
            self.complaints.add(item.position, f"this step has no kind: give it one of {listed(known, 'or')}")
        return found[0] if found else None

    def _enabled(self, when: Node | None, renderer: Renderer) -> bool | None:
        if when is None:
            return True
        if isinstance(when, Scalar):
            return renderer.condition(when)
        self.complaints.add(when.position, "when must be true, false or an expression")
        return None

    def _body(self, kind: str, entry: Entry, renderer: Renderer) -> Step | None:
        node = renderer.render(entry.value)
        if isinstance(node, Scalar) and node.value is None and not node.broken:
            node = Table(entry.position, {})
        model = kind_named(kind)
        return None if model is None else self.complaints.check(model, node, kind, entry.position)

    def _new_id(self, name: str, kind: str) -> str:
        words = re.sub(r"[^a-z0-9]+", "-", re.sub("['’]", "", name.lower())).strip("-")
        slug = (words if len(words) <= _LONGEST_ID else words[:_LONGEST_ID].rpartition("-")[0]) or kind
        candidate = slug
        while candidate in self.ids:
            self.namesakes[slug] = self.namesakes.get(slug, 1) + 1
            candidate = f"{slug}-{self.namesakes[slug]}"
        self.ids.add(candidate)
        return candidate


def _plain_entries(nodes: Mapping[str, Node]) -> dict[str, Any]:
    return {name: tree.plain(node) for name, node in nodes.items()}


def _override(node: Node, text: str) -> Scalar:
    """A variable of the command line: text where the playbook has text, else what YAML makes of it."""
    is_text = isinstance(node, Scalar) and isinstance(node.value, str)
    return Scalar(node.position, text if is_text else resolve(text), text)


def _assemble(path: str, outline: Outline, steps: tuple[PlaybookStep, ...], variables: dict[str, Any]) -> Playbook:
    events = tuple(CacheEvent(name, e.keys, e.patterns, e.tags) for name, e in outline.cache.events.items())
    content = [
        outline.name,
        outline.cache.model_dump(mode="json"),
        [[step.id, step.name, step.hash, step.tags, step.enabled, step.timeout_s] for step in steps],
    ]
    return Playbook(
        path=path,
        name=outline.name,
        hash=_digest(content),
        steps=steps,
        vars=MappingProxyType(variables),
        description=outline.description,
        events=events,
    )


def _digest(content: Any) -> str:  # noqa: ANN401 - a JSON-like value
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode(errors="surrogatepass")).hexdigest()
