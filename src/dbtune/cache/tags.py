"""Where the members of a tag are kept: one sorted set a tag, scored by the expiry of its members.

`dbtune:tag:NAME` holds keys as they are (any bytes), each with the Unix time in milliseconds at which it expires.
Members are filed *before* their key is written, so that no living key is ever missing there; one whose key has
expired is found by its score and dropped by rank. The set itself expires with its last member. In a cluster the set
lies in the slot of its name, wherever its members lie.
"""

from __future__ import annotations

TAG_PREFIX = "dbtune:tag:"
PRUNED_AT_ONCE = 1000
"""Members that one ZREMRANGEBYRANK may drop: a server with others to answer is not held up by more."""


def tag_key(tag: str) -> bytes:
    return f"{TAG_PREFIX}{tag}".encode()
