"""The same statement in two captures: by queryid, then by the fingerprint of its text (rules 9 and 10)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from dbtune.baseline.capture import OWN_MARK, Capture, StatementKey
from dbtune.baseline.texts import fingerprint_normalized, normalize


@dataclass(frozen=True, slots=True)
class Group:
    """One statement as a person sees it: one row of the server's, or several that differ in list lengths only.

    `mark` is the fingerprint of its text; None where the text is not known or stands for several objects.
    """

    keys: tuple[StatementKey, ...]
    user: str
    toplevel: bool
    text: str | None
    mark: str | None

    @property
    def queryids(self) -> tuple[str, ...]:
        return tuple(sorted({key.queryid for key in self.keys}))


@dataclass(frozen=True, slots=True)
class Pair:
    before: Group | None
    after: Group | None
    matched_by: Literal["queryid", "text", "none"]


def own_queryids(capture: Capture) -> frozenset[str]:
    """Rule 14: what dbtune itself ran."""
    return frozenset(queryid for queryid, text in capture.texts.items() if text is not None and OWN_MARK in text)


def group(keys: Collection[StatementKey], texts: Mapping[str, str | None], users: Mapping[int, str]) -> list[Group]:
    """Folds rows whose texts differ in the length of an IN list.

    The *same* text under several queryids means several objects (two schemas, a table made again): not folded.
    """
    spelled = {key.queryid: normalize(text) for key in keys if (text := texts.get(key.queryid)) is not None}
    alike: dict[tuple[str, bool, str], list[StatementKey]] = {}
    groups: list[Group] = []
    for key in sorted(keys, key=lambda key: (key.queryid, key.userid, bool(key.toplevel))):
        user, toplevel = users.get(key.userid, str(key.userid)), key.toplevel is not False
        if key.queryid not in spelled:
            groups.append(Group((key,), user, toplevel, None, None))
        else:
            alike.setdefault((user, toplevel, fingerprint_normalized(spelled[key.queryid])), []).append(key)
    for (user, toplevel, mark), members in alike.items():
        spellings = {spelled[key.queryid] for key in members}
        if len(spellings) == len(members):
            groups.append(Group(tuple(members), user, toplevel, texts[members[0].queryid], mark))
        else:
            groups.extend(Group((key,), user, toplevel, texts[key.queryid], None) for key in members)
    return groups


def match(before: Iterable[Group], after: Iterable[Group], *, ids: bool) -> list[Pair]:
    """`ids`: whether a queryid means the same on both sides."""
    left = list(after)
    by_id = {(new.user, new.toplevel, queryid): new for new in left for queryid in new.queryids} if ids else {}
    by_text = {(new.user, new.toplevel, new.mark): new for new in left if new.mark is not None}
    taken: set[tuple[StatementKey, ...]] = set()
    pairs: list[Pair] = []
    waiting: list[Group] = []
    for old in before:
        candidates = (by_id.get((old.user, old.toplevel, queryid)) for queryid in old.queryids)
        twin = next((new for new in candidates if new is not None and new.keys not in taken), None)
        if twin is None:
            waiting.append(old)
        else:
            taken.add(twin.keys)
            pairs.append(Pair(old, twin, "queryid"))
    for old in waiting:
        twin = by_text.get((old.user, old.toplevel, old.mark)) if old.mark is not None else None
        if twin is not None and twin.keys in taken:
            twin = None
        if twin is not None:
            taken.add(twin.keys)
        pairs.append(Pair(old, twin, "text" if twin is not None else "none"))
    return pairs + [Pair(None, new, "none") for new in left if new.keys not in taken]
