"""INFO as counters for a capture: what is looked up, evicted, expired, and how much memory that takes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import redis

from dbtune.baseline.rows import CommandRow
from dbtune.servers.redis.errors import translated
from dbtune.servers.redis.session import connect

_COUNTERS = (
    "keyspace_hits", "keyspace_misses", "evicted_keys", "expired_keys", "total_commands_processed",
    "total_connections_received", "rejected_connections", "used_memory", "maxmemory", "connected_clients",
    "used_cpu_user", "used_cpu_sys",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Info:
    """`counters` by INFO's own names; `run_id` changes with every start of the server."""

    version: str
    run_id: str
    counters: dict[str, float]
    commands: dict[str, CommandRow] = field(default_factory=dict)


@contextlib.contextmanager
def info_reader(url: str) -> Iterator[Callable[[], Info]]:
    """Reads INFO again and again over one connection. Raises what connecting raises."""
    client = connect(url)
    try:
        yield lambda: fetch_info(client)
    finally:
        client.close()


def fetch_info(client: redis.Redis) -> Info:
    """One INFO. Raises what the user's rights or a lost connection make of it."""
    with translated("reading INFO"):
        found = client.info()
        # Not in INFO's default answer; a server of a provider may leave it out.
        statistics = client.info("commandstats")
    name = "valkey" if "valkey_version" in found else "redis"
    version = found.get("valkey_version") or found.get("redis_version", "?")
    return Info(
        version=f"{name} {version}",
        run_id=str(found.get("run_id", "")),
        counters={key: float(found[key]) for key in _COUNTERS if isinstance(found.get(key), int | float)},
        commands={
            name.removeprefix("cmdstat_").lower(): _command(value)
            for name, value in statistics.items()
            if name.startswith("cmdstat_") and isinstance(value, dict)
        },
    )


def _command(value: dict[str, float]) -> CommandRow:
    """Failures are counted from Redis 6.2 on."""
    failed = value.get("failed_calls", 0) + value.get("rejected_calls", 0)
    return CommandRow(int(value.get("calls", 0)), float(value.get("usec", 0)) / 1e6, int(failed))
