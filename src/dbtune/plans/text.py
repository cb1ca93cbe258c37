"""Plans in EXPLAIN's text form, put into the words of its JSON form.

The words of both are PostgreSQL's own (explain.c); what text leaves out (startup order, widths of nothing) is not
missed. Numbers that a line packs together become the same keys that JSON has.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from dbtune.core.errors import Misused
from dbtune.plans.properties import STRUCTURE, packed, store

_WHOLE, _DECIMAL = r"\d{1,18}", r"\d{1,18}(?:\.\d{1,9})?"
_NUMBERS = (
    rf"(?:\s+\(cost=(?P<startup>{_DECIMAL})\.\.(?P<total>{_DECIMAL}) rows=(?P<plan_rows>{_WHOLE}) width={_WHOLE}\))?"
    rf"(?:\s+\((?:actual (?:time=(?P<first>{_DECIMAL})\.\.(?P<last>{_DECIMAL}) )?"
    rf"rows=(?P<rows>{_DECIMAL}) loops=(?P<loops>{_WHOLE})"
    r"|(?P<never>never executed))\))?"
)
_NODE = re.compile(rf"^(?P<indent>\s*)(?P<arrow>->\s+)?(?P<title>\S.*?){_NUMBERS}\s*$")
_BROKEN = re.compile(r"\((?:cost=|actual |never )")
_SUBPLAN = re.compile(r"^\s*((?:InitPlan|SubPlan|CTE) [^:]+)$")
_PROPERTY = re.compile(r"^(?P<indent>\s*)(?P<key>[A-Z][\w/()' -]*?):(?:\s+(?P<value>\S.*))?$")
_WORKER = re.compile(r"^\s*Worker (\d+):\s*(.*)$")
_TRIGGER = re.compile(
    r"^\s*Trigger (?:for constraint )?(?P<name>.+?)(?: on (?P<table>.+?))?: "
    rf"(?:time=(?P<time>{_DECIMAL}) )?calls=(?P<calls>{_WHOLE})"
)
_MILLISECONDS = re.compile(rf"^({_DECIMAL}) ms$")
_KINDS = (
    "Seq Scan", "Sample Scan", "Index Scan", "Index Only Scan", "Bitmap Index Scan", "Bitmap Heap Scan", "Tid Scan",
    "Tid Range Scan", "Subquery Scan", "Function Scan", "Table Function Scan", "Values Scan", "CTE Scan",
    "Named Tuplestore Scan", "WorkTable Scan", "Foreign Scan", "Custom Scan", "Nested Loop", "Merge Join", "Hash Join",
    "Materialize", "Memoize", "Incremental Sort", "Sort", "Group", "WindowAgg", "Unique", "SetOp", "LockRows", "Limit",
    "Hash", "Gather Merge", "Gather", "Result", "ProjectSet", "Append", "Merge Append", "Recursive Union", "BitmapAnd",
    "BitmapOr",
)  # fmt: skip
_BY_LENGTH = sorted(_KINDS, key=len, reverse=True)
_CHANGES = ("Insert", "Update", "Delete", "Merge", "Foreign Insert", "Foreign Update", "Foreign Delete")
_AGGREGATE = re.compile(r"^(?:(Partial|Finalize) )?(Hash|Group|Mixed)?Aggregate$")
_JOIN = re.compile(r"^(Nested Loop|Hash|Merge) (Left|Right|Full|Semi|Anti|Right Semi|Right Anti)(?: Join)?$")
_CUSTOM = re.compile(r"^Custom Scan \((.+)\)$")
_STRATEGY = {"Hash": "Hashed", "Group": "Sorted", "Mixed": "Mixed", None: "Plain"}


def read_text(lines: Sequence[str]) -> dict[str, Any]:
    """One plan, line by line, without what psql or a log put around it. Raises Misused where there is none."""
    start = _first_node(lines)
    if start is None:
        raise Misused("there is no plan in it", hint="save what EXPLAIN prints, in its text or JSON form, all of it")
    reader = _Reader()
    query = _query_text(lines[:start])
    for line in lines[start:]:
        if line.strip():
            reader.take(line)
    return reader.document | ({"Query Text": query} if query else {})


def _first_node(lines: Sequence[str]) -> int | None:
    """The root: the first line that names a node. After a query's text it is the last one without an arrow."""
    roots = []
    for place, line in enumerate(lines):
        match = _NODE.match(line)
        if match and not match["arrow"] and (match["startup"] or match["rows"] or match["never"]):
            roots.append(place)
    if roots:
        return roots[-1] if any(line.strip().startswith("Query Text:") for line in lines) else roots[0]
    bare = (place for place, line in enumerate(lines) if _is_bare_node(line))
    return next(bare, None)


def _is_bare_node(line: str) -> bool:
    """A node's line without any numbers (COSTS OFF), told by the words it begins with."""
    words = line.strip().removeprefix("Parallel ")
    kind = words.split(" on ")[0].split(" using ")[0]
    return ":" not in words and (kind in (*_KINDS, *_CHANGES) or bool(_AGGREGATE.match(kind) or _JOIN.match(kind)))


def _query_text(lines: Sequence[str]) -> str | None:
    for place, line in enumerate(lines):
        if line.strip().startswith("Query Text:"):
            return "\n".join([line.split("Query Text:", 1)[1].strip(), *lines[place + 1 :]]).strip()
    return None


class _Reader:
    """Takes the lines of a plan one after the other. `document` is complete after the last."""

    def __init__(self) -> None:
        self.document: dict[str, Any] = {}
        self._open: list[tuple[int, dict[str, Any]]] = []
        self._subplan: tuple[int, str] | None = None
        self._target: dict[str, Any] = {}
        self._last_key: str | None = None
        self._base = 0

    def take(self, line: str) -> None:
        match = _NODE.match(line)
        indent = len(line) - len(line.lstrip())
        if match and (not self._open or match["arrow"]):
            self._node(match, indent)
        elif (label := _SUBPLAN.match(line)) and indent > self._base:
            self._subplan = (indent, label[1].strip())
        elif indent <= self._base:
            self._summary(line.strip())
        elif worker := _WORKER.match(line):
            self._worker(worker[2])
        elif found := _PROPERTY.match(line):
            self._property(found["key"], found["value"] or "")
        elif self._last_key is not None:
            # A text with a line break in it goes on.
            self._target[self._last_key] = f"{self._target[self._last_key]}\n{line.strip()}"

    def _node(self, match: re.Match[str], indent: int) -> None:
        if _BROKEN.search(re.sub(r'"(?:[^"]|"")*"', "", match["title"])):
            raise Misused(
                f"the numbers of a node are damaged: {match['title'].strip()[:60]!r}", hint="save the plan unchanged"
            )
        node = _described(match["title"].strip()) | _measured(match)
        if not self._open:
            self._base = indent
            self.document["Plan"] = node
        else:
            while len(self._open) > 1 and self._open[-1][0] >= indent:
                self._open.pop()
            self._open[-1][1].setdefault("Plans", []).append(node)
            if self._subplan is not None and self._subplan[0] < indent:
                name = self._subplan[1]
                node["Subplan Name"] = name
                node["Parent Relationship"] = "SubPlan" if name.startswith("SubPlan") else "InitPlan"
        self._subplan = None
        self._open.append((indent, node))
        self._target, self._last_key = node, None

    def _worker(self, text: str) -> None:
        worker: dict[str, Any] = {}
        for key, value in packed(text):
            store(worker, key, value)
        node = self._open[-1][1]
        if worker:
            node.setdefault("Workers", []).append(worker)

    def _property(self, key: str, value: str) -> None:
        for name, text in packed(f"{key}: {value}"):
            store(self._target, name, text)
        self._last_key = key if isinstance(self._target.get(key), str) else None

    def _summary(self, line: str) -> None:
        """What stands below the tree, at the root's own indentation."""
        self._target, self._last_key = {}, None
        if found := _TRIGGER.match(line):
            trigger = {"Trigger Name": found["name"], "Relation": found["table"], "Calls": int(found["calls"])}
            self.document.setdefault("Triggers", []).append(
                trigger | ({"Time": float(found["time"])} if found["time"] else {})
            )
        elif found := _PROPERTY.match(line):
            key, value = found["key"], found["value"] or ""
            if key in STRUCTURE:
                return
            if key in ("Planning", "JIT"):
                self._target = self.document.setdefault(key, {})
            elif milliseconds := _MILLISECONDS.match(value):
                name = "Execution Time" if key.lower() in ("execution time", "total runtime") else key.title()
                self.document[name] = float(milliseconds[1])
            else:
                self.document[key] = value


def _described(words: str) -> dict[str, Any]:
    """`Parallel Index Scan Backward using i on s.t a` in the words of JSON."""
    raw: dict[str, Any] = {}
    if words.startswith("Async "):
        words = words.removeprefix("Async ")
    if words.startswith("Parallel "):
        raw["Parallel Aware"], words = True, words.removeprefix("Parallel ")
    kind, _, rest = words.partition(" on ")
    kind, _, index = kind.partition(" using ")
    if kind.endswith(" Backward"):
        raw["Scan Direction"], kind = "Backward", kind.removesuffix(" Backward")
    if index:
        raw["Index Name"] = _bare(index)
    return raw | _kind(kind) | _subject(kind, rest)


def _kind(kind: str) -> dict[str, Any]:
    if found := _AGGREGATE.match(kind):
        partial = {"Partial Mode": found[1]} if found[1] else {}
        return {"Node Type": "Aggregate", "Strategy": _STRATEGY[found[2]], **partial}
    if found := _JOIN.match(kind):
        whole = found[1] if found[1] == "Nested Loop" else f"{found[1]} Join"
        return {"Node Type": whole, "Join Type": found[2]}
    if kind in _CHANGES:
        return {"Node Type": "ModifyTable", "Operation": kind.removeprefix("Foreign ")}
    if "SetOp" in kind:
        strategy, _, command = kind.partition("SetOp")
        return {"Node Type": "SetOp", "Strategy": "Hashed" if strategy else "Sorted", "Command": command.strip()}
    if found := _CUSTOM.match(kind):
        return {"Node Type": "Custom Scan", "Custom Plan Provider": found[1]}
    known = next((name for name in _BY_LENGTH if kind.startswith(name)), kind)
    return {"Node Type": known}


def _subject(kind: str, rest: str) -> dict[str, Any]:
    if not rest:
        return {}
    names = _names(rest)
    if kind == "Bitmap Index Scan":
        return {"Index Name": names[0]}
    alias = names[-1]
    first = names[:-1] if len(names) > 1 and _has_alias(rest) else names
    if kind == "CTE Scan":
        return {"CTE Name": first[0], "Alias": alias}
    if kind in ("Subquery Scan", "Values Scan", "WorkTable Scan", "Named Tuplestore Scan", "Table Function Scan"):
        return {"Alias": alias}
    key = "Function Name" if kind == "Function Scan" else "Relation Name"
    schema = {"Schema": first[0]} if len(first) > 1 else {}
    return {key: first[-1], **schema, "Alias": alias}


_NAME = re.compile(r'"((?:[^"]|"")*)"|([^\s."]+)')


def _names(text: str) -> list[str]:
    """`public."My table" a` → ["public", "My table", "a"]."""
    return [match[1].replace('""', '"') if match[1] is not None else match[2] for match in _NAME.finditer(text)] or [
        text
    ]


def _has_alias(text: str) -> bool:
    return " " in _NAME.sub("n", text).strip()


def _bare(name: str) -> str:
    return _names(name)[-1]


def _measured(match: re.Match[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if match["startup"]:
        found |= {"Startup Cost": float(match["startup"]), "Total Cost": float(match["total"])}
        found |= {"Plan Rows": int(match["plan_rows"])}
    if match["last"]:
        found |= {"Actual Startup Time": float(match["first"]), "Actual Total Time": float(match["last"])}
    if match["rows"]:
        found |= {"Actual Rows": float(match["rows"]), "Actual Loops": int(match["loops"])}
    if match["never"]:
        found |= {"Actual Rows": 0, "Actual Loops": 0, "Actual Total Time": 0.0}
    return found
