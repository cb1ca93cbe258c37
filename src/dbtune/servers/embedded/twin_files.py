"""Relation files of the twin: as large as the source's, and empty. The planner takes a table's size from its file.

Files are sparse: they take no room on the disk. The caller has seen to it that no page of them is in memory.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path

BLOCK = 8192
SEGMENT_PAGES = 131072
MOST_PAGES = 2**32 - 2
"""MaxBlockNumber and one: what is reckoned from estimates may be anything."""
_OPAQUE = BLOCK - 16
_LEAF, _ROOT = 1, 2
_MINUS_INFINITY = 0x2000 | 8
"""t_info of a pivot tuple without keys, which is 8 bytes long."""


def resize(path: Path, pages: int) -> None:
    """Makes a relation exactly that long, in segments of a gigabyte; what is new reads as zeros."""
    pages = min(pages, MOST_PAGES)
    for number in range(max(-(-pages // SEGMENT_PAGES), 1)):
        segment = _segment(path, number)
        size = min(max(pages - number * SEGMENT_PAGES, 0), SEGMENT_PAGES) * BLOCK
        if number and not segment.exists():
            _make_like(segment, path)
        os.truncate(segment, size)
    for beyond in _beyond(path, max(-(-pages // SEGMENT_PAGES), 1)):
        beyond.unlink()


def pages_of(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return sum(segment.stat().st_size for segment in (path, *_beyond(path, 1))) // BLOCK
    return 0


def write_btree_skeleton(path: Path, height: int) -> None:
    """A root, a page on each level below it and an empty leaf, each the leftmost and rightmost of its level.

    The metapage tells the planner the height; its own probes of the index's ends descend and find nothing.
    """
    with path.open("r+b") as file:
        file.seek(32)
        file.write(struct.pack("=IIII", 1, height, 1, height))
        for level in range(height, -1, -1):
            file.seek((1 + height - level) * BLOCK)
            file.write(_page(level, is_root=level == height, child=2 + height - level))


def _page(level: int, *, is_root: bool, child: int) -> bytes:
    flags = (_ROOT if is_root else 0) | (_LEAF if level == 0 else 0)
    page = bytearray(BLOCK)
    lower, upper = 24, _OPAQUE
    if level:
        lower, upper = 28, _OPAQUE - 8
        struct.pack_into("=I", page, 24, upper | 1 << 15 | 8 << 17)
        struct.pack_into("=HHHH", page, upper, child >> 16, child & 0xFFFF, 0, _MINUS_INFINITY)
    # Version 4 of the page layout; no checksum, as the cluster has none.
    struct.pack_into("=QHHHHHHI", page, 0, 0, 0, 0, lower, upper, _OPAQUE, BLOCK | 4, 0)
    struct.pack_into("=IIIHH", page, _OPAQUE, 0, 0, level, flags, 0)
    return bytes(page)


def _segment(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}") if number else path


def _beyond(path: Path, first: int) -> Iterator[Path]:
    number = first
    while (segment := _segment(path, number)).exists():
        yield segment
        number += 1


def _make_like(segment: Path, first: Path) -> None:
    """A new segment belongs to the server's account, as the first one does."""
    owner = first.stat()
    segment.touch(mode=0o600)
    if os.geteuid() == 0:
        os.chown(segment, owner.st_uid, owner.st_gid)
