"""Sessions on Redis or Valkey: named, bounded in time, bytes in and out."""

from __future__ import annotations

import contextlib
import os
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

import redis
from redis.backoff import ExponentialBackoff
from redis.cluster import RedisCluster
from redis.exceptions import RedisClusterException
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from dbtune.core.errors import Misused, Unreachable, Unsupported
from dbtune.core.secrets import unescaped
from dbtune.servers.redis.errors import connection_error, describe_target

__all__ = [
    "Address", "Client", "connect", "connect_whole", "describe_target", "forget_connections", "has_other_servers",
    "is_cluster", "primary_address", "resolve_url", "server_time",
]  # fmt: skip

Client = redis.Redis
"""What `connect` gives: the layers above name it without importing the driver."""

Address = tuple[str, int]
"""Host and port."""

CONNECT_TIMEOUT_S = 10.0
_NAMING = "client|setname"
WORK_TIMEOUT_S = 30.0
SCHEMES = (
    "redis", "rediss", "unix", "sentinel", "redis+sentinel", "rediss+sentinel",
    "cluster", "redis+cluster", "rediss+cluster",
)  # fmt: skip

_SETTINGS: dict[str, Any] = {
    "client_name": "dbtune",
    "decode_responses": False,
    # RESP2 is spoken by every server, and its replies have the same types in every redis-py.
    "protocol": 2,
    "socket_connect_timeout": CONNECT_TIMEOUT_S,
}


def resolve_url(given: str | None) -> str:
    """What the person named, else REDIS_URL.

    Raises Misused when neither names a server, Unreachable where the driver would misread the URL's password.
    """
    url = given or os.environ.get("REDIS_URL")
    if url:
        if mark := unescaped(url, "/?#"):
            raise Unreachable(
                f"the password in the URL of Redis has a {mark}, which ends it", hint=f"write %{ord(mark):X} for it"
            )
        return url
    raise Misused("no Redis is named", hint="give --redis URL, or set REDIS_URL; --embedded starts one")


def connect(url: str, *, work_timeout_s: float = WORK_TIMEOUT_S, named: bool = True) -> redis.Redis:
    """A client under dbtune's name that has answered once; its keys and values are bytes.

    With `sentinel://` it is of the primary that the sentinels name, and asks them again after each lost connection;
    with `cluster://` a RedisCluster, which takes the same calls. `redis+sentinel`, `rediss+sentinel`,
    `redis+cluster`, `rediss+cluster` say the same. A time-out that stands in the URL (`?socket_timeout=5`) wins.
    `named` False: without dbtune's name, which takes a permission of its own.
    Raises Unreachable, Refused, or Unsupported for another kind of URL.
    """
    target = describe_target(url)
    kind = _scheme(url).rpartition("+")[2]
    if _scheme(url) not in SCHEMES:
        raise Unsupported(
            f"{target}: dbtune reaches Redis through {', '.join(SCHEMES)} URLs", hint="redis://user@host:6379/0"
        )
    try:
        _check_database(url)
        client = _OPENERS.get(kind, _standalone)(url, _settings(work_timeout_s, named=named))
    except (ValueError, TypeError) as error:
        raise Unreachable(f"this is not a Redis URL: {error}", hint="redis://user@host:6379/0") from error
    except (redis.RedisError, RedisClusterException) as error:
        raise connection_error(error, target) from error
    try:
        if _scheme(url) == "rediss":
            _shake_hands(url, target, named=named)
        client.ping()
    except redis.exceptions.NoPermissionError as error:
        # A user who may neither PING nor name itself may still do what it is here for.
        if not named or _NAMING not in str(error):
            return client
        client.close()
        return connect(url, work_timeout_s=work_timeout_s, named=False)
    except (redis.RedisError, ValueError, TypeError) as error:
        client.close()
        raise connection_error(error, target) from error
    return client


def _settings(timeout_s: float, *, named: bool) -> dict[str, Any]:
    return {**_SETTINGS, "socket_timeout": timeout_s} | ({} if named else {"client_name": None})


def _shake_hands(url: str, target: str, *, named: bool) -> None:
    """A server without TLS says nothing to a handshake: that is not waited for as long as work is."""
    with contextlib.closing(_standalone(url, _settings(CONNECT_TIMEOUT_S, named=named))) as client:
        try:
            client.ping()
        except redis.TimeoutError as error:
            hint = "is it a server without TLS? then redis:// in place of rediss://"
            raise Unreachable(f"{target} does not answer to TLS", hint=hint) from error


def connect_whole(url: str) -> redis.Redis:
    """As `connect`; where the server is a node of a cluster, the client of the whole cluster."""
    client = connect(url)
    if is_cluster(client):
        return client
    try:
        is_node = int(client.info("cluster").get("cluster_enabled", 0)) == 1
    except redis.RedisError:
        is_node = False
    if not is_node:
        return client
    named = client.connection_pool.connection_kwargs.get("client_name") is not None
    client.close()
    if _scheme(url) == "unix":
        raise Unsupported(
            f"{describe_target(url)} is a node of a cluster, whose other nodes no socket leads to",
            hint="name a node by its host and port: redis://host:6379",
        )
    try:
        return _cluster(url, _settings(WORK_TIMEOUT_S, named=named))
    except (redis.RedisError, RedisClusterException) as error:
        raise connection_error(error, describe_target(url)) from error


def _check_database(url: str) -> None:
    """Raises ValueError where redis-py would go to database 0 without a word."""
    parts = urlsplit(url)
    database = parts.path.strip("/") if parts.scheme in {"redis", "rediss"} else ""
    if not database.isascii() or (database and not database.isdigit()):
        raise ValueError(f'"{database}" is not the number of a database')


def _standalone(url: str, settings: dict[str, Any]) -> redis.Redis:
    return redis.Redis.from_url(url, **settings, retry=_retry())


def _retry() -> Retry:
    """A server that is down should be reported, not waited for: a lost connection is tried again, silence is not."""
    return Retry(ExponentialBackoff(cap=0.5, base=0.05), 2, supported_errors=(redis.ConnectionError,))


def _cluster(url: str, settings: dict[str, Any]) -> redis.Redis:
    plain = urlunsplit(urlsplit(url)._replace(scheme="rediss" if _scheme(url).startswith("rediss") else "redis"))
    return cast("redis.Redis", _Closing.from_url(plain, **settings))


class _Closing(RedisCluster):
    """Its connections end with it: redis-py takes the pools of a cluster from a URL for somebody else's."""

    def close(self) -> None:
        manager = getattr(self, "nodes_manager", None)  # none where it could not be made
        nodes = () if manager is None else tuple(manager.nodes_cache.values())
        super().close()
        for node in nodes:
            if node.redis_connection is not None:
                node.redis_connection.connection_pool.disconnect()


def _sentinel(url: str, settings: dict[str, Any]) -> redis.Redis:
    """`sentinel://user:password@host:26379,host:26379/SERVICE/DB`; the password is the server's."""
    parts = urlsplit(url)
    service, _, database = parts.path.strip("/").partition("/")
    credentials, _, places = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    options = {name: values[0] for name, values in parse_qs(parts.query).items()}
    if not service:
        raise ValueError("it names no service: sentinel://host:26379/mymaster")
    shared = {**settings, "ssl": parts.scheme.startswith("rediss"), **_tls(options)}
    hosts = [place.rpartition(":") if ":" in place else (place, "", "26379") for place in places.split(",")]
    sentinels = Sentinel(  # type: ignore[no-untyped-call]
        [(host, int(port)) for host, _, port in hosts],
        sentinel_kwargs={
            **shared,
            "username": options.get("sentinel_username"),
            "password": options.get("sentinel_password"),
        },
        username=unquote(user) or None,
        password=unquote(password) or None,
        db=int(database or 0),
        retry=_retry(),
        **shared,
    )
    return cast("redis.Redis", sentinels.master_for(service, redis_class=_Named))  # type: ignore[no-untyped-call]


class _Named(redis.Redis):
    """Of the primary that sentinels name; what is said to them ends with it."""

    def close(self) -> None:
        pool = cast("SentinelConnectionPool", self.connection_pool)
        super().close()
        for sentinel in pool.sentinel_manager.sentinels:
            sentinel.close()


def _tls(options: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in options.items() if name.startswith("ssl_")}


_OPENERS = {"cluster": _cluster, "sentinel": _sentinel}


def _scheme(url: str) -> str:
    return url[: max(url.find("://"), 0)].lower()


def is_cluster(client: redis.Redis) -> bool:
    """Whether the keys lie on several servers."""
    return isinstance(client, RedisCluster)


def has_other_servers(client: redis.Redis) -> bool:
    """Whether another server may take over: in a cluster, or by a sentinel's word."""
    return is_cluster(client) or isinstance(client.connection_pool, SentinelConnectionPool)


def primary_address(client: redis.Redis) -> Address | None:
    """Whom the sentinels call the primary now; None where none are asked. Raises redis-py's errors."""
    pool = None if is_cluster(client) else client.connection_pool
    if not isinstance(pool, SentinelConnectionPool):
        return None
    return cast("Address", pool.get_master_address())  # type: ignore[no-untyped-call]


def forget_connections(client: redis.Redis) -> None:
    """The next use connects anew; by a sentinel's word, to whoever is the primary then."""
    with contextlib.suppress(redis.RedisError, RedisClusterException, OSError):
        if isinstance(client, RedisCluster):
            client.nodes_manager.initialize()
        else:
            # Not those that others work with: whose is broken finds it broken.
            client.connection_pool.disconnect(inuse_connections=False)


def server_time(client: redis.Redis) -> tuple[int, int]:
    """Seconds and microseconds of the server's clock; in a cluster the latest of its primaries'."""
    if not is_cluster(client):
        seconds, microseconds = client.time()
        return int(seconds), int(microseconds)
    found = cast("dict[str, tuple[int, int]]", client.execute_command("TIME", target_nodes="primaries"))  # type: ignore[no-untyped-call]
    return max(found.values())
