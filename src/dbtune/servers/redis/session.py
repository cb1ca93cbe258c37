"""Sessions on Redis or Valkey: named, bounded in time, bytes in and out."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from dbtune.core.errors import Misused, Unreachable, Unsupported
from dbtune.servers.redis.errors import connection_error, describe_target

__all__ = ["Client", "connect", "describe_target", "resolve_url"]

Client = redis.Redis
"""What `connect` gives: the layers above name it without importing the driver."""

CONNECT_TIMEOUT_S = 10.0
WORK_TIMEOUT_S = 30.0
SCHEMES = ("redis", "rediss", "unix")


def resolve_url(given: str | None) -> str:
    """What the person named, else REDIS_URL. Raises Misused when neither names a server."""
    url = given or os.environ.get("REDIS_URL")
    if url:
        return url
    raise Misused("no Redis is named", hint="give --redis URL, or set REDIS_URL; --embedded starts one")


def connect(url: str, *, work_timeout_s: float = WORK_TIMEOUT_S) -> redis.Redis:
    """A client under dbtune's name that has answered once; its keys and values are bytes.

    A time-out that stands in the URL (`?socket_timeout=5`) wins.
    Raises Unreachable, Refused, or Unsupported for another kind of URL.
    """
    target = describe_target(url)
    if _scheme(url) not in SCHEMES:
        raise Unsupported(
            f"{target}: dbtune reaches Redis through {', '.join(SCHEMES)} URLs", hint="redis://user@host:6379/0"
        )
    try:
        client = redis.Redis.from_url(
            url,
            client_name="dbtune",
            decode_responses=False,
            # RESP2 is spoken by every server, and its replies have the same types in every redis-py.
            protocol=2,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            socket_timeout=work_timeout_s,
            # A server that is down should be reported, not waited for.
            retry=Retry(ConstantBackoff(0.1), 1),
        )
    except (ValueError, TypeError) as error:
        raise Unreachable(f"this is not a Redis URL: {error}", hint="redis://user@host:6379/0") from error
    try:
        client.ping()
    except redis.exceptions.NoPermissionError:
        # A user who may not PING may still do what it is here for.
        return client
    except (redis.RedisError, ValueError, TypeError) as error:
        client.close()
        raise connection_error(error, target) from error
    return client


def _scheme(url: str) -> str:
    try:
        return urlsplit(url).scheme
    except ValueError:
        return ""
