"""From redis-py's errors to dbtune's: what failed, on what, what to do. Passwords never pass."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, unquote, urlsplit

from redis import exceptions

from dbtune.core.errors import ChangeFailed, DbtuneError, Refused, TargetError, Unreachable, Unsupported
from dbtune.core.warming import CacheAway, CacheLoading

# Which line of which of our scripts it was helps nobody.
_WITHIN_SCRIPT = re.compile(r",? script: [0-9a-f]{40}, on @user_script:\s*\d+\.?$")

_MOVES = (
    exceptions.ReadOnlyError,
    exceptions.MasterDownError,
    exceptions.ClusterError,
    exceptions.MovedError,
    exceptions.TryAgainError,
)


def describe_target(url: str) -> str:
    """`host:port/db` or `/path/to.sock/db` as a person recognises it, without user and password.

    Of a sentinel's URL `SERVICE/db, by sentinel host:port,host:port`.
    """
    try:
        parts = urlsplit(url)
        if parts.scheme.endswith("sentinel"):
            service, _, number = parts.path.strip("/").partition("/")
            return f"{service}/{number or 0}, by sentinel {parts.netloc.rpartition('@')[2]}"
        database = (parse_qs(parts.query).get("db") or [""])[0]
        if parts.scheme == "unix":
            return f"{unquote(parts.path)}/{database or 0}"
        return f"{parts.hostname or 'localhost'}:{parts.port or 6379}/{database or parts.path.strip('/') or 0}"
    except ValueError:
        return "redis"


def connection_error(error: Exception, target: str) -> TargetError:
    """Why a connection could not be had."""
    text = str(error).strip()
    if isinstance(error, exceptions.AuthenticationError) or "NOAUTH" in text or "WRONGPASS" in text:
        return Refused(
            f"{target} refused the password: {text}",
            hint="put it into the URL (redis://user:password@host:port/0) or REDIS_URL",
        )
    if "DENIED" in text or "protected mode" in text:
        return Refused(f"{target} is in protected mode", hint="set a password there, or connect from the same machine")
    if "max number of clients" in text:
        return Refused(f"{target} has no free connection: {text}", hint="wait, or raise maxclients")
    if isinstance(error, exceptions.BusyLoadingError):
        return CacheLoading(f"{target} is still loading its data", hint="wait until it has; INFO persistence tells")
    if isinstance(error, exceptions.InvalidResponse):
        return Unreachable(
            f"{target} does not speak the Redis protocol: {text}", hint="check the host, the port and rediss:// for TLS"
        )
    if isinstance(error, exceptions.ResponseError):
        return Refused(f"{target} refused the connection: {text}", hint="check the user, the database and the URL")
    return Unreachable(
        f"{target} cannot be reached: {text}",
        hint="check the host, the port and that the server runs; REDIS_URL or --redis names it",
    )


def server_error(error: exceptions.RedisError, doing: str) -> DbtuneError:
    """What a failed command means for a person."""
    text = _WITHIN_SCRIPT.sub("", str(error).strip())
    if isinstance(error, exceptions.NoPermissionError | exceptions.AuthorizationError | exceptions.AuthenticationError):
        return Refused(f"{doing}: {text}", hint="allow the command to this user (ACL SETUSER), or use another user")
    if isinstance(error, exceptions.ReadOnlyError):
        return Unsupported(f"{doing}: {text}", hint="this is a replica: connect to the primary")
    if isinstance(error, exceptions.MovedError | exceptions.AskError | exceptions.ClusterError):
        return Unsupported(f"{doing}: the server is a node of a cluster: {text}", hint="name a standalone server")
    if isinstance(error, exceptions.BusyLoadingError):
        return CacheLoading(
            f"{doing}: the server is still loading its data", hint="wait until it has; then run it again"
        )
    if isinstance(error, exceptions.ConnectionError | exceptions.TimeoutError):
        return Unreachable(f"{doing}: the connection was lost: {text}", hint="look into the server's log; run it again")
    if "unknown command" in text.lower() or "unknown subcommand" in text.lower():
        return Unsupported(f"{doing}: {text}", hint="the server is too old, or the command was renamed there")
    if isinstance(error, exceptions.OutOfMemoryError):
        return ChangeFailed(f"{doing}: {text}", hint="raise maxmemory, or choose a policy that evicts")
    return ChangeFailed(f"{doing}: {text}")


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Around every use of the driver: `doing` names what was tried, on what."""
    try:
        yield
    except exceptions.RedisError as error:
        raise server_error(error, doing) from error


def warming_error(error: exceptions.RedisError, doing: str, *, has_others: bool) -> DbtuneError:
    """CacheAway for what may be over in a moment; `has_others`: another server can take over from this one."""
    told = server_error(error, doing)
    if isinstance(told, CacheAway):
        return told
    if isinstance(told, Unreachable) or (has_others and isinstance(error, _MOVES)):
        return CacheAway(told.message, hint=told.hint)
    return told


@contextmanager
def warming(doing: str, *, has_others: bool) -> Iterator[None]:
    """As `translated`, around what a warm-up does: it tries again after CacheAway."""
    try:
        yield
    except exceptions.RedisError as error:
        raise warming_error(error, doing, has_others=has_others) from error
