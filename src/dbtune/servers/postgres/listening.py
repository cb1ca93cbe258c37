"""LISTEN on one channel. A connection that is lost is an error at once, or after a missing heartbeat."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass

from psycopg import sql

from dbtune.core.errors import Unreachable, Unsupported
from dbtune.servers.postgres.errors import translated
from dbtune.servers.postgres.session import UNBOUNDED, Connection, connect

HEARTBEAT = "dbtune:heartbeat:"
HEARTBEAT_S = 20.0
PATIENCE_S = 10.0
"""How long the notification that a listener sends itself may take: a pooler would swallow it."""


@dataclass(slots=True)
class Listener:
    """Payloads come in the order of the commits. `heard_at` is the monotonic time of the last sign of life."""

    session: Connection
    channel: str
    heard_at: float
    token: str

    def payloads(self, wait_s: float) -> tuple[str, ...]:
        """What came within `wait_s`; returns as soon as something did. Raises Unreachable when the server is gone."""
        with translated(f"listening on {self.channel}"):
            found = [notify.payload for notify in self.session.notifies(timeout=wait_s, stop_after=1)]
            # Whatever else has arrived already belongs to the same batch.
            found += [notify.payload for notify in self.session.notifies(timeout=0)] if found else []
        now = time.monotonic()
        if found:
            self.heard_at = now
        elif now - self.heard_at > HEARTBEAT_S + PATIENCE_S:
            raise Unreachable(f"nothing is heard on {self.channel} any more, not even of ourselves", hint="reconnect")
        elif now - self.heard_at > HEARTBEAT_S:
            self.beat()
        return tuple(payload for payload in found if not payload.startswith(HEARTBEAT))

    def beat(self) -> None:
        """A notification to ourselves: a connection that a firewall forgot is found out by it."""
        with translated("sending a heartbeat"):
            self.session.execute("/* dbtune */ select pg_notify(%s, %s)", (self.channel, HEARTBEAT + self.token))


@contextlib.contextmanager
def listening(dsn: str, channel: str) -> Iterator[Listener]:
    """Once it yields, everything that is committed from now on is heard.

    Raises Unreachable and Refused as connecting does; Unsupported on a replica and behind a pooler of transactions.
    """
    with connect(dsn, read_only=False, limits=UNBOUNDED) as session:
        with translated(f"listening on {channel}"):
            session.execute(sql.SQL("/* dbtune */ listen {}").format(sql.Identifier(channel)))
        listener = Listener(session, channel, time.monotonic(), secrets.token_hex(8))
        listener.beat()
        with translated(f"listening on {channel}"):
            heard = next(iter(session.notifies(timeout=PATIENCE_S, stop_after=1)), None)
        if heard is None:
            raise Unsupported(
                f"nothing is heard on {channel}: a pooler in between gives each transaction another session",
                hint="name PostgreSQL itself, past the pooler",
            )
        listener.heard_at = time.monotonic()
        yield listener
