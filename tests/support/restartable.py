"""A cache that can be killed and started again at the same place; nothing of it is saved unless a test does."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import redis
from patience import until

from dbtune.servers.embedded.accounts import server_account
from dbtune.servers.embedded.binaries import wheel_valkey

# A server that does not answer yet.
AWAY = (redis.RedisError, OSError)


@dataclass(slots=True)
class Restartable:
    program: Path
    directory: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        return f"unix://{self.directory / 's'}?db=0"

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=10, protocol=2)

    def start(self) -> None:
        self.launch()
        until(lambda: self.client().ping(), "the cache starts", passing=AWAY)

    def launch(self, *more: str) -> None:
        """Does not wait for it."""
        where = ["--port", "0", "--unixsocket", str(self.directory / "s"), "--dir", str(self.directory)]
        settings = ["--save", "", "--appendonly", "no", "--daemonize", "no", "--logfile", str(self.directory / "log")]
        self.process = subprocess.Popen([str(self.program), *where, *settings, *more])

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextlib.contextmanager
def restartable(directory: Path, program: Path | None = None) -> Iterator[Restartable]:
    server = Restartable(program or wheel_valkey(server_account()), directory)
    try:
        server.start()
        yield server
    finally:
        server.kill()
