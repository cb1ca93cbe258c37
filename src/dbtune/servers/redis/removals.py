"""Replies of UNLINK as rows of a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from redis import exceptions

from dbtune.core.invalidation import Removal
from dbtune.servers.redis.errors import server_error
from dbtune.servers.redis.wire import Reply

SAMPLED = 5


def counted(name: str, replies: Sequence[Reply], keys: Sequence[bytes]) -> Removal:
    """UNLINK says how many there were; what is missing of `keys` had gone already. Raises Unsupported on a replica."""
    gone = sum(reply for reply in replies if isinstance(reply, int))
    refusals = [reply for reply in replies if isinstance(reply, exceptions.ResponseError)]
    if refusals and isinstance(refusals[0], exceptions.ReadOnlyError):
        raise server_error(refusals[0], f"invalidating {name}")
    failed = len(keys) if refusals and len(replies) == 1 else len(refusals)
    row = Removal(name, keys=gone, skipped=len(keys) - gone - failed, failed=failed, sample=samples(keys))
    return refused(row, refusals[0]) if refusals else row


def refused(row: Removal, refusal: exceptions.ResponseError) -> Removal:
    """The row with what the server said."""
    told = server_error(refusal, f"invalidating {row.name}")
    return replace(row, error=told.message, hint=told.hint)


def added(one: Removal, other: Removal) -> Removal:
    """The counts of both under the name of the first."""
    return replace(
        one,
        keys=one.keys + other.keys,
        size_bytes=one.size_bytes + other.size_bytes,
        skipped=one.skipped + other.skipped,
        failed=one.failed + other.failed,
        duration_s=one.duration_s + other.duration_s,
        sample=(one.sample or other.sample)[:SAMPLED],
        error=one.error or other.error,
        hint=one.hint or other.hint,
    )


def samples(keys: Sequence[bytes]) -> tuple[str, ...]:
    return tuple(shown(key) for key in keys[:SAMPLED])


def shown(key: bytes) -> str:
    """A key as text, bytes that are none escaped."""
    return key.decode(errors="backslashreplace")
