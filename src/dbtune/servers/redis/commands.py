"""Commands on their way to the server: packed ones, what goes at one moment, and the filing of keys in an index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dbtune.cache.slots import slot
from dbtune.servers.redis.wire import packed


@dataclass(frozen=True, slots=True)
class Command:
    """One or more commands, each with a reply that stands for `keys_each` keys; `keys` are kept where asked for."""

    data: bytes
    replies: int = 1
    keys_each: int = 0
    size_bytes: int = 0
    slot: int = 0
    keys: tuple[bytes, ...] = ()

    @property
    def key_count(self) -> int:
        return self.replies * self.keys_each


def pieces(commands: Sequence[Command], most_keys: int | None) -> Iterator[Sequence[Command]]:
    """What is sent at one moment: commands of so many keys together, or a single one of more; None: all at once."""
    if most_keys is None:
        yield commands
        return
    some: list[Command] = []
    keys = 0
    for command in commands:
        if some and keys + command.key_count > most_keys:
            yield some
            some, keys = [], 0
        some.append(command)
        keys += command.key_count
    yield some


def filing(index: bytes, keys: Sequence[tuple[int, bytes]], latest_ms: int) -> list[Command]:
    """Lists keys in a sorted set by their expiry, which lives as long as the last of them."""
    place, commands = slot(index), []
    for at in range(0, len(keys), 1000):
        some = keys[at : at + 1000]
        members = [part for expiry_ms, key in some for part in (b"%d" % expiry_ms, key)]
        commands.append(Command(packed(b"ZADD", index, *members), slot=place, keys=tuple(key for _, key in some)))
    latest = b"%d" % max(latest_ms, *(expiry_ms for expiry_ms, _ in keys))
    # GT takes a key without an expiry for one that lives for ever: NX gives it the first one.
    ends = (Command(packed(b"PEXPIREAT", index, latest, condition), slot=place) for condition in (b"NX", b"GT"))
    return [*commands, *ends]
