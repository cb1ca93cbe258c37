"""From an event and its arguments to what it makes stale."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from dbtune.cache.patterns import escaped, fill_pattern
from dbtune.core.identifiers import nearest
from dbtune.core.key_template import KeyTemplate

Item = TypeVar("Item")

_PLACEHOLDER = re.compile(r"\{[^{}]*\}")


@dataclass(frozen=True, slots=True)
class Rule:
    """What one event makes stale, as a playbook says it: templates with `{argument}` placeholders."""

    event: str
    keys: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    @property
    def arguments(self) -> tuple[str, ...]:
        """The names of all arguments that the templates read, in their order."""
        texts = (*self.keys, *self.patterns, *self.tags)
        return tuple(dict.fromkeys(name for text in texts for name in KeyTemplate.parse(text).columns))


@dataclass(frozen=True, slots=True)
class Stale:
    """What is to go: keys, checked patterns with literal prefixes, and tags. Nothing twice."""

    keys: tuple[bytes, ...] = ()
    patterns: tuple[bytes, ...] = ()
    tags: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.keys or self.patterns or self.tags)


def stale(rule: Rule, arguments: Mapping[str, bytes]) -> Stale:
    """What `rule` says for these arguments; those that it does not read are no mistake.

    Raises ValueError naming every missing argument, for an empty tag, and what `fill_pattern` raises.
    """
    missing = [name for name in rule.arguments if name not in arguments]
    if missing:
        raise ValueError(_needs(rule, missing, arguments))
    keys = (_fill(text, arguments) for text in rule.keys)
    tags = (_tag(_fill(text, arguments)) for text in rule.tags)
    return Stale(_once(keys), _once(fill_pattern(text, arguments) for text in rule.patterns), _once(tags))


def together(parts: Iterable[Stale]) -> Stale:
    """All of them as one, each thing once."""
    every = tuple(parts)
    return Stale(
        _once(key for part in every for key in part.keys),
        _once(pattern for part in every for pattern in part.patterns),
        _once(tag for part in every for tag in part.tags),
    )


@dataclass(frozen=True, slots=True)
class Widened:
    """What a rule could make stale whatever its arguments are. `tag_patterns` are to be matched with names of tags.

    `unbounded` are templates of keys that begin with an argument: nothing narrower than `*` would find them.
    """

    stale: Stale
    tag_patterns: tuple[bytes, ...] = ()
    unbounded: tuple[str, ...] = ()


def widened(rule: Rule) -> Widened:
    """For events that were missed: each placeholder becomes `*`."""
    whole = tuple(text for text in rule.keys if not _PLACEHOLDER.search(text))
    partial = tuple(text for text in rule.keys if text not in whole)
    patterns = [_PLACEHOLDER.sub("*", text).encode() for text in rule.patterns]
    patterns += [_starred(text) for text in partial if not text.startswith("{")]
    return Widened(
        Stale(
            _once(text.encode() for text in whole),
            _once(patterns),
            _once(text for text in rule.tags if not _PLACEHOLDER.search(text)),
        ),
        tag_patterns=_once(_starred(text) for text in rule.tags if _PLACEHOLDER.search(text)),
        unbounded=tuple(text for text in partial if text.startswith("{")),
    )


def _starred(text: str) -> bytes:
    """Between the placeholders stands what a key says literally."""
    return b"*".join(escaped(piece.encode()) for piece in _PLACEHOLDER.split(text))


def _fill(text: str, arguments: Mapping[str, bytes]) -> bytes:
    template = KeyTemplate.parse(text)
    return template.key([arguments[name] for name in template.columns])


def _tag(name: bytes) -> str:
    try:
        tag = name.decode()
    except UnicodeDecodeError:
        raise ValueError(f"a tag is text, and {name!r} is not UTF-8") from None
    if not tag:
        raise ValueError("a tag is empty")
    return tag


def _needs(rule: Rule, missing: list[str], arguments: Mapping[str, bytes]) -> str:
    spare = [name for name in arguments if name not in rule.arguments]
    meant = [f'"{near[0]}" may be meant for {name}' for name in missing if (near := nearest(name, spare, most=1))]
    known = f"; {' and '.join(meant)}" if meant else ""
    return f"{rule.event} needs {' and '.join(f'{name}=…' for name in missing)}{known}"


def _once(items: Iterable[Item]) -> tuple[Item, ...]:
    return tuple(dict.fromkeys(items))
