"""A connection pooler with one session of the server, as PgBouncer is with `pool_mode = transaction`.

It passes bytes on and knows of the protocol only where a transaction ends. With `lends=False` every client has a
session of its own, as in session mode.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import psycopg
from psycopg import conninfo

_ENCRYPTION = (80877103, 80877104)
_ENDS_EXCHANGE = (b"Q", b"S")


@dataclass(slots=True)
class _Session:
    """One of the server's, opened by libpq, which then leaves the socket to us."""

    connection: psycopg.Connection[tuple[object, ...]]
    in_use: threading.Lock = field(default_factory=threading.Lock)

    def socket(self) -> socket.socket:
        wire = socket.socket(fileno=self.connection.pgconn.socket)
        wire.settimeout(None)
        return wire


@contextlib.contextmanager
def pooler(dsn: str, *, lends: bool = True) -> Iterator[str]:
    """The DSN of a pooler in front of the server that `dsn` names."""
    with contextlib.ExitStack() as stack:
        shared = stack.enter_context(_session(dsn)) if lends else None
        door = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        threading.Thread(target=_receive, args=(door, dsn, shared), daemon=True).start()
        port = door.getsockname()[1]
        named = conninfo.conninfo_to_dict(dsn)
        yield f"postgresql://{named['user']}@127.0.0.1:{port}/{named['dbname']}?sslmode=disable"


@contextlib.contextmanager
def _session(dsn: str) -> Iterator[_Session]:
    connection = psycopg.connect(dsn, sslmode="disable")
    try:
        yield _Session(connection)
    finally:
        connection.close()


def _receive(door: socket.socket, dsn: str, shared: _Session | None) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = door.accept()
            threading.Thread(target=_attend, args=(client, dsn, shared), daemon=True).start()


def _attend(client: socket.socket, dsn: str, shared: _Session | None) -> None:
    with contextlib.ExitStack() as stack, contextlib.suppress(OSError, EOFError, struct.error):
        stack.enter_context(client)
        session = shared or stack.enter_context(_session(dsn))
        _greet(client, session.connection)
        server = session.socket()
        stack.callback(server.detach)
        while _transaction(client, server, session.in_use):
            pass


def _greet(client: socket.socket, connection: psycopg.Connection[tuple[object, ...]]) -> None:
    while True:
        length, code = struct.unpack("!II", _exactly(client, 8))
        _exactly(client, length - 8)
        if code not in _ENCRYPTION:
            break
        client.sendall(b"N")
    answer = _message(b"R", struct.pack("!I", 0))
    for name in ("server_version", "client_encoding", "standard_conforming_strings"):
        value = connection.info.parameter_status(name) or ""
        answer += _message(b"S", f"{name}\0{value}\0".encode())
    # A number of its own, as a client may be on any session of the server's by the time that it cancels.
    answer += _message(b"K", struct.pack("!II", secrets.randbits(31), secrets.randbits(31)))
    client.sendall(answer + _message(b"Z", b"I"))


def _transaction(client: socket.socket, server: socket.socket, in_use: threading.Lock) -> bool:
    """From the first message to the end of the transaction; False once the client has gone."""
    kind, body = _read(client)
    if kind == b"X":
        return False
    with in_use:
        while True:
            server.sendall(_message(kind, body))
            if kind in _ENDS_EXCHANGE and _answer(client, server) == b"I":
                return True
            kind, body = _read(client)


def _answer(client: socket.socket, server: socket.socket) -> bytes:
    while True:
        kind, body = _read(server)
        client.sendall(_message(kind, body))
        if kind == b"Z":
            return body


def _read(wire: socket.socket) -> tuple[bytes, bytes]:
    head = _exactly(wire, 5)
    return head[:1], _exactly(wire, struct.unpack("!I", head[1:])[0] - 4)


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def _exactly(wire: socket.socket, size: int) -> bytes:
    read = b""
    while len(read) < size:
        more = wire.recv(size - len(read))
        if not more:
            raise EOFError
        read += more
    return read
