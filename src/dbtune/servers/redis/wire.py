"""Many commands at once over redis-py's own connection, which keeps TLS, passwords and time-outs.

A pipeline of redis-py packs everything before it sends; here the caller packs, in chunks that a server takes in
without making others wait, and reads the replies one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import redis
from redis import exceptions

CHUNK_KEYS = 1000
CHUNK_BYTES = 256 << 10

Reply = object
"""What the server answered: bytes, int, a list, None, or the ResponseError that stands for an error reply."""


def packed(*arguments: bytes) -> bytes:
    """One command in the Redis protocol."""
    parts = [b"*%d\r\n" % len(arguments)]
    parts += [b"$%d\r\n%b\r\n" % (len(argument), argument) for argument in arguments]
    return b"".join(parts)


class Wire:
    """One borrowed connection. After an error in mid-stream it is closed: its replies could not be told apart."""

    def __init__(self, connection: redis.connection.AbstractConnection) -> None:
        self._connection = connection

    def send(self, commands: Sequence[bytes]) -> Iterator[Reply]:
        """The replies in the order of the commands. Raises redis-py's ConnectionError and TimeoutError."""
        self._connection.send_packed_command([b"".join(commands)])  # type: ignore[no-untyped-call]
        for _ in range(len(commands)):
            try:
                reply: Reply = self._connection.read_response()
            except exceptions.ResponseError as error:
                reply = error
            yield reply


@contextmanager
def borrowed(client: redis.Redis) -> Iterator[Wire]:
    """A connection of the client's pool, given back whole or closed."""
    connection = client.connection_pool.get_connection()
    try:
        yield Wire(connection)
    except BaseException:
        connection.disconnect()  # type: ignore[no-untyped-call]
        raise
    finally:
        client.connection_pool.release(connection)
