"""Two runs never overlap: a lock in Redis, known by a token, renewed while its holder lives.

It expires by itself soon after a holder that was killed. On the same machine nobody waits for that: the token names
the process, and a lock whose process is gone is taken over.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from redis import exceptions

from dbtune.core.errors import Busy, ChangeFailed
from dbtune.servers.redis.errors import translated
from dbtune.servers.redis.scripts import RELEASE, RENEW, TAKE_OVER

LIFE_MS = 30_000
RENEW_S = 8.0
_POLL_S = 0.2


def lock_name(marker: str) -> str:
    """Of one step's warm-up, whichever command runs it."""
    return f"dbtune:lock:{marker}"


@contextmanager
def held(
    client: redis.Redis, name: str, *, wait_s: float = 0.0, lost: Callable[[ChangeFailed], None]
) -> Iterator[None]:
    """`name` is ours while the block runs; `lost` is called from another thread should it be somebody else's then.

    Raises Busy when another run holds it for longer than `wait_s`.
    """
    token = _token()
    _take(client, name, token, wait_s)
    ended = threading.Event()
    renewer = threading.Thread(target=_renew, args=(client, name, token, ended, lost), name="dbtune-lock", daemon=True)
    renewer.start()
    try:
        yield
    finally:
        ended.set()
        renewer.join()
        # Otherwise it expires by itself.
        with contextlib.suppress(exceptions.RedisError):
            client.eval(RELEASE, 1, name, token)


def _take(client: redis.Redis, name: str, token: str, wait_s: float) -> None:
    deadline_s = time.monotonic() + wait_s
    with translated(f"taking the lock {name}"):
        while not client.set(name, token, nx=True, px=LIFE_MS):
            holder = client.get(name)
            other = holder.decode(errors="replace") if isinstance(holder, bytes) else ""
            if other and _is_gone(other) and client.eval(TAKE_OVER, 1, name, other, token, LIFE_MS):
                return
            if time.monotonic() >= deadline_s:
                raise Busy(
                    f"another run holds the lock {name}: {_described(other)}",
                    hint="wait until it ends, or give --lock-wait 5min",
                )
            time.sleep(_POLL_S)


def _renew(
    client: redis.Redis, name: str, token: str, ended: threading.Event, lost: Callable[[ChangeFailed], None]
) -> None:
    while not ended.wait(RENEW_S):
        try:
            if client.eval(RENEW, 1, name, token, LIFE_MS) == 1 or client.set(name, token, nx=True, px=LIFE_MS):
                continue
        except exceptions.RedisError:
            # Whoever writes hears of it too; the lock stands for some time yet.
            continue
        lost(ChangeFailed(f"the lock {name} was lost to another run", hint="look for a run that hangs"))
        return


def _token() -> str:
    return f"{_machine()} {os.getpid()} {_started(os.getpid())} {secrets.token_hex(8)}"


def _machine() -> str:
    """Where a process id means something: the host, its start, and the namespace of process ids."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{socket.gethostname()}/{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return socket.gethostname()


def _started(pid: int) -> str:
    """When the process started, so that a number used again is not taken for it; "" where nobody says."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "-"
    return stat.rpartition(")")[2].split()[19]


def _is_gone(token: str) -> bool:
    """A holder on this machine whose process has ended. Without /proc nobody knows, and the lock expires."""
    parts = token.split(" ")
    return (
        len(parts) == 4
        and parts[0] == _machine()
        and Path("/proc/self/stat").exists()
        and parts[1].isdecimal()
        and _started(int(parts[1])) != parts[2]
    )


def _described(token: str) -> str:
    parts = token.split(" ")
    return f"process {parts[1]} on {parts[0].split('/')[0]}" if len(parts) == 4 else "unknown"
