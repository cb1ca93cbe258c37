"""The servers that a command works on: those that the person named, or private ones started for it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from dbtune.core.errors import Misused


@dataclass(frozen=True, slots=True)
class Targets:
    """What the person named: a libpq DSN or URL, a Redis URL, whether to start what was not named."""

    postgres: str | None = None
    redis: str | None = None
    embedded: bool = False


@dataclass(frozen=True, slots=True)
class OpenTargets:
    """A DSN and a URL to connect to; None where the command does not need one, or could do without and got none.

    An empty DSN is one as well: it stands for libpq's own PG* variables.
    """

    postgres: str | None
    redis: str | None


class Need(Enum):
    """How much a command needs a server; IF_NAMED takes one from the environment too, and starts none."""

    REQUIRED = "required"
    IF_NAMED = "if named"
    NONE = "none"


@contextlib.contextmanager
def open_targets(
    targets: Targets,
    *,
    postgres: Need = Need.REQUIRED,
    redis: Need = Need.NONE,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[OpenTargets]:
    """Resolves what was named, and starts embedded servers, which end with the block; `settings` are for PostgreSQL.

    What was named on the command line wins over `--embedded`, and that over the environment.
    Raises Misused when nothing names a required server, and what starting one raises.
    """
    with contextlib.ExitStack() as stack:
        dsn = url = None
        if postgres is not Need.NONE:
            dsn = _postgres(targets, stack, postgres, settings)
        if redis is not Need.NONE:
            url = _redis(targets, stack, redis)
        yield OpenTargets(dsn, url)


def _postgres(targets: Targets, stack: contextlib.ExitStack, need: Need, settings: Mapping[str, str]) -> str | None:
    from dbtune.servers.postgres.session import resolve_dsn

    if targets.embedded and not targets.postgres:
        if need is Need.IF_NAMED:
            return None
        from dbtune.servers.embedded.postgres import embedded_postgres

        return stack.enter_context(embedded_postgres(settings)).dsn
    try:
        return resolve_dsn(targets.postgres)
    except Misused:
        if need is Need.REQUIRED:
            raise
        return None


def _redis(targets: Targets, stack: contextlib.ExitStack, need: Need) -> str | None:
    if need is Need.IF_NAMED and not (targets.redis or os.environ.get("REDIS_URL")):
        # Importing the driver takes longer than many a command.
        return None
    from dbtune.servers.redis.session import resolve_url

    if targets.embedded and not targets.redis:
        if need is Need.IF_NAMED:
            return None
        from dbtune.servers.embedded.valkey import embedded_valkey

        return stack.enter_context(embedded_valkey()).url
    try:
        return resolve_url(targets.redis)
    except Misused:
        if need is Need.REQUIRED:
            raise
        return None
