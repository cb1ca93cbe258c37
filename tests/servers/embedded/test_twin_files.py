from __future__ import annotations

import struct
from pathlib import Path

import pytest

from dbtune.servers.embedded.twin_files import BLOCK, SEGMENT_PAGES, pages_of, resize, write_btree_skeleton


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "16400"
    made.touch()
    return made


@pytest.mark.parametrize("pages", [0, 1, SEGMENT_PAGES - 1, SEGMENT_PAGES, SEGMENT_PAGES + 1, 3 * SEGMENT_PAGES])
def test_a_relation_is_cut_into_segments_of_a_gigabyte(pages: int, path: Path) -> None:
    resize(path, pages)
    assert pages_of(path) == pages
    sizes = [one.stat().st_size // BLOCK for one in sorted(path.parent.iterdir())]
    assert all(size == SEGMENT_PAGES for size in sizes[:-1])
    assert len(sizes) == max(-(-pages // SEGMENT_PAGES), 1)


def test_a_relation_shrinks_and_grows_again(path: Path) -> None:
    resize(path, 2 * SEGMENT_PAGES + 5)
    resize(path, 0)
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    resize(path, 7)
    assert pages_of(path) == 7


def test_a_relation_that_is_not_there_has_no_pages(path: Path) -> None:
    assert pages_of(path.with_name("nothing")) == 0


@pytest.mark.parametrize("height", [0, 1, 3])
def test_a_skeleton_leads_from_the_root_to_one_empty_leaf(height: int, path: Path) -> None:
    resize(path, 100)
    write_btree_skeleton(path, height)
    content = path.read_bytes()
    assert struct.unpack_from("=IIII", content, 32) == (1, height, 1, height)
    block = 1
    for level in range(height, -1, -1):
        page = content[block * BLOCK : (block + 1) * BLOCK]
        before, after, found, flags, _ = struct.unpack_from("=IIIHH", page, BLOCK - 16)
        assert (before, after, found) == (0, 0, level)
        assert (bool(flags & 1), bool(flags & 2)) == (level == 0, level == height)
        if level:
            pointer = struct.unpack_from("=I", page, 24)[0]
            high, low = struct.unpack_from("=HH", page, pointer & 0x7FFF)
            block = high << 16 | low
    assert pages_of(path) == 100
