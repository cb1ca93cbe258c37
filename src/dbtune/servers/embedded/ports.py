"""Ports of the loopback."""

from __future__ import annotations

import socket


def free_port() -> int:
    """A port that nobody had a moment ago; who takes it too late gets the server's own error."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
