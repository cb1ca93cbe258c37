"""The lines below a node of a plan in text, as the keys and types that its JSON form has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

STRUCTURE = ("Plan", "Plans", "Node Type", "Workers", "Triggers")
"""Keys that hold the tree: text has none of them, so a line that begins so is a stranger's."""
_PACKS = ("Sort Method", "Buckets", "Batches", "Planned Partitions", "Heap Blocks", "Full-sort Groups",
          "Pre-sorted Groups", "Hits", "Storage")  # fmt: skip
_PAIR = re.compile(r"([A-Z][\w -]*?): (.*?)(?=\s{2,}[A-Z][\w -]*?: |$)")


def packed(line: str) -> Iterator[tuple[str, str]]:
    """`Buckets: 1024  Batches: 2  Memory Usage: 9kB` holds three; an expression stays in one piece."""
    if line.startswith(_PACKS):
        yield from _PAIR.findall(line)
    elif ": " in line:
        key, _, value = line.partition(": ")
        yield key, value


def store(target: dict[str, Any], key: str, value: str) -> None:
    """Under JSON's key, as JSON's type. A line cannot take the place of the tree itself."""
    if key not in STRUCTURE:
        _store(target, key, value)


def _store(target: dict[str, Any], key: str, value: str) -> None:
    if key == "Buffers":
        _store_buffers(target, value)
    elif key == "Heap Blocks":
        for kind, count in re.findall(r"(exact|lossy)=(\d{1,18})", value):
            target[f"{kind.title()} Heap Blocks"] = int(count)
    elif key in ("Batches", "Buckets"):
        name = "Hash Batches" if target.get("Node Type") == "Hash" else "HashAgg Batches"
        found = re.match(r"(\d{1,18})(?: \(originally (\d{1,18})\))?", value)
        if found and key == "Batches":
            target[name] = int(found[1])
            if found[2]:
                target["Original Hash Batches"] = int(found[2])
    elif found := re.fullmatch(r"(\d{1,18})kB", value):
        _store_kilobytes(target, key, int(found[1]))
    elif key == "Timing":
        total = re.search(r"\bTotal (\d{1,18}(?:\.\d{1,9})?) ms", value)
        target["Timing"] = {"Total": float(total[1])} if total else {}
    elif re.fullmatch(r"-?\d{1,18}", value):
        target[key] = int(value)
    else:
        target[key] = value


def _store_kilobytes(target: dict[str, Any], key: str, size_kb: int) -> None:
    if key in ("Memory", "Disk"):
        target |= {"Sort Space Used": size_kb, "Sort Space Type": key}
    elif key == "Peak Disk":
        target["Pre-sorted Groups"] = {"Sort Space Disk": {"Peak Sort Space Used": size_kb}}
    else:
        target["Peak Memory Usage" if key == "Memory Usage" else key] = size_kb


def _store_buffers(target: dict[str, Any], value: str) -> None:
    for part in value.split(","):
        words = part.split()
        for pair in words[1:]:
            what, _, count = pair.partition("=")
            if count.isascii() and count.isdigit() and len(count) <= 18:
                target[f"{words[0].title()} {what.title()} Blocks"] = int(count)
