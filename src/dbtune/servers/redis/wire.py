"""Many commands at once over redis-py's own connection, which keeps TLS, passwords and time-outs.

A pipeline of redis-py packs everything before it sends, and reads nothing before all is sent; here the caller packs,
and a window of commands stays under way: the server works while the next ones are made.
"""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar, cast

import hiredis
import redis
from redis import exceptions
from redis._parsers.base import BaseParser

CHUNK_KEYS = 1000
CHUNK_BYTES = 256 << 10
RECEIVED_BYTES = 64 << 10
SENT_BYTES = 256 << 10
_OK = b"+OK\r\n"

Reply = object
"""What the server answered: bytes, int, a list, None, or the ResponseError that stands for an error reply."""


class Sent(Protocol):
    """What can be sent: packed commands, and how many replies they have."""

    @property
    def data(self) -> bytes: ...

    @property
    def replies(self) -> int: ...


Item = TypeVar("Item", bound=Sent)


def packed(*arguments: bytes) -> bytes:
    """One command in the Redis protocol."""
    parts = [b"*%d\r\n" % len(arguments)]
    parts += [b"$%d\r\n%b\r\n" % (len(argument), argument) for argument in arguments]
    return b"".join(parts)


class Wire:
    """One borrowed connection. After an error in mid-stream it is closed: its replies could not be told apart."""

    def __init__(self, connection: redis.connection.AbstractConnection) -> None:
        # Replies are read past redis-py's parser: with a million of them, its Python is what everything waits for.
        self._socket = cast("socket.socket", connection._sock)  # noqa: SLF001
        self._reader = hiredis.Reader()
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """Replies that have not been read."""
        return self._waiting

    def write(self, data: bytes, replies: int) -> None:
        """Send packed commands. Raises redis-py's ConnectionError and TimeoutError."""
        with _lost_connections():
            self._socket.sendall(data)
        self._waiting += replies

    def read(self) -> Reply:
        """The next reply. Raises redis-py's ConnectionError and TimeoutError.

        So do replies that concern the connection and not the command: LOADING, NOAUTH, too many clients.
        """
        reply = self._reader.gets()
        while reply is False:
            self._reader.feed(self._receive())
            reply = self._reader.gets()
        self._waiting -= 1
        if not isinstance(reply, hiredis.ReplyError):
            return reply
        error = _error(reply)
        if isinstance(error, exceptions.ConnectionError):
            raise error
        return error

    def read_all(self, count: int) -> list[Reply]:
        """`count` replies; a long row of OKs is told by its bytes."""
        replies: list[Reply] = []
        while len(replies) < count:
            if self._reader.has_data():
                replies.append(self.read())
                continue
            data = self._receive()
            whole = min(len(data) // len(_OK), count - len(replies))
            if whole > 1 and data.startswith(_OK * whole):
                replies += [b"OK"] * whole
                self._waiting -= whole
                data = data[whole * len(_OK) :]
            if data:
                self._reader.feed(data)
        return replies

    def send(self, commands: Sequence[bytes]) -> Iterator[Reply]:
        """The replies in the order of the commands."""
        self.write(b"".join(commands), len(commands))
        for _ in range(len(commands)):
            yield self.read()

    def call(self, *arguments: bytes) -> Reply:
        """One command and its reply, once nothing else is under way."""
        self.write(packed(*arguments), 1)
        return self.read()

    def _receive(self) -> bytes:
        with _lost_connections():
            data: bytes = self._socket.recv(RECEIVED_BYTES)
        if not data:
            raise exceptions.ConnectionError("the server closed the connection")
        return data


class Window(Generic[Item]):
    """Keeps up to so many bytes under way, and hands each item back with its replies, in order."""

    def __init__(self, wire: Wire, most_bytes: int, done: Callable[[Item, list[Reply]], None]) -> None:
        self._wire, self._most_bytes, self._done = wire, most_bytes, done
        self._sent: deque[Item] = deque()
        self._bytes = 0

    def send(self, items: Sequence[Item]) -> None:
        """Returns when all are on their way, and older ones have been answered as far as the window wants it."""
        at = 0
        while at < len(items):
            size, start = 0, at
            while at < len(items) and (size < SENT_BYTES or at == start):
                size += len(items[at].data)
                at += 1
            self._wire.write(b"".join([item.data for item in items[start:at]]), sum(i.replies for i in items[start:at]))
            self._sent += items[start:at]
            self._bytes += size
            while self._bytes > self._most_bytes:
                self._take()

    def settle(self) -> None:
        """Everything that is under way has been answered afterwards."""
        while self._sent:
            self._take()

    def _take(self) -> None:
        item = self._sent[0]
        replies = self._wire.read_all(item.replies)
        self._sent.popleft()
        self._bytes -= len(item.data)
        self._done(item, replies)


def _error(reply: hiredis.ReplyError) -> Reply:
    """Of the class that redis-py has for it."""
    return BaseParser.parse_error(str(reply))  # type: ignore[no-untyped-call]


@contextmanager
def borrowed(client: redis.Redis) -> Iterator[Wire]:
    """A connection of the client's pool, given back whole or closed."""
    connection = client.connection_pool.get_connection()
    try:
        wire = Wire(connection)
        yield wire
        if wire.waiting:
            connection.disconnect()  # type: ignore[no-untyped-call]
    except BaseException:
        connection.disconnect()  # type: ignore[no-untyped-call]
        raise
    finally:
        client.connection_pool.release(connection)


@contextlib.contextmanager
def _lost_connections() -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise exceptions.TimeoutError("no answer in time") from error
    except OSError as error:
        raise exceptions.ConnectionError(str(error)) from error
