"""Cluster slots: which of the 16,384 a key belongs to, and names that share the slot of a key."""

from __future__ import annotations

from binascii import crc_hqx
from functools import cache

SLOTS = 16384


def hash_tag(key: bytes) -> bytes | None:
    """What stands in the first pair of braces, if anything does: the cluster hashes that alone."""
    start = key.find(b"{")
    end = key.find(b"}", start + 1) if start >= 0 else -1
    return key[start + 1 : end] if end > start + 1 else None


def slot(key: bytes) -> int:
    """As CLUSTER KEYSLOT says: CRC16 (XMODEM) of the hash tag, or of the whole key, modulo 16,384."""
    tag = hash_tag(key)
    return crc_hqx(key if tag is None else tag, 0) % SLOTS


def tag_beside(key: bytes) -> bytes:
    """A hash tag, braces not included, that lands in the slot of `key`; the key itself wherever it can be one."""
    tag = hash_tag(key)
    if tag is not None:
        return tag
    # A closing brace would end the tag too early, and an empty tag is none.
    return key if key and b"}" not in key else _short_tags()[slot(key)]


@cache
def _short_tags() -> dict[int, bytes]:
    """One short number for each slot."""
    tags: dict[int, bytes] = {}
    number = 0
    while len(tags) < SLOTS:
        text = b"%d" % number
        tags.setdefault(crc_hqx(text, 0) % SLOTS, text)
        number += 1
    return tags
