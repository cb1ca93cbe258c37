"""CONFIG GET and CONFIG SET, on one server or on every node of a cluster."""

from __future__ import annotations

from collections.abc import Sequence

import redis
from redis import exceptions

from dbtune.core.actions import SetRedisSetting
from dbtune.core.errors import ChangeFailed
from dbtune.core.questions import Failed, RedisSetting
from dbtune.servers.redis.errors import server_error, translated

MANAGED = "managed services and careful administrators forbid CONFIG: change the setting where they keep it"


def answer_setting(client: redis.Redis | redis.RedisCluster, question: RedisSetting) -> str | Failed | None:
    """The value as the server writes it, None where it knows no such setting, `Failed` when it will not say.

    Raises Unreachable when the connection is lost.
    """
    doing = f"reading {question.name}"
    try:
        found = {_read(node, question.name) for node in _nodes(client)}
    except exceptions.ResponseError as error:
        return Failed(server_error(error, doing).message, hint=MANAGED)
    except exceptions.RedisError as error:
        raise server_error(error, doing) from error
    if len(found) > 1:
        return Failed(
            f"the nodes of the cluster differ in {question.name}: {', '.join(map(str, sorted(map(str, found))))}"
        )
    return found.pop()


def set_setting(client: redis.Redis | redis.RedisCluster, action: SetRedisSetting) -> None:
    """At once on every node; with `persist` in their files, too. Raises ChangeFailed, Refused, Unreachable."""
    doing = f"setting {action.name}"
    for node in _nodes(client):
        with translated(doing):
            if action.persist and not node.info("server").get("config_file"):
                raise ChangeFailed(
                    f"{doing}: the server was started without a configuration file, so nothing can be kept",
                    hint="leave out `persist`, and set it where the server is started",
                )
            node.config_set(action.name, action.value)
            if action.persist:
                node.config_rewrite()


def _nodes(client: redis.Redis | redis.RedisCluster) -> Sequence[redis.Redis]:
    if isinstance(client, redis.RedisCluster):
        return [client.get_redis_connection(node) for node in client.get_nodes()]  # type: ignore[no-untyped-call]
    return (client,)


def _read(node: redis.Redis, name: str) -> str | None:
    found = {_text(key): _text(value) for key, value in node.config_get(name).items()}
    return found.get(name)


def _text(value: object) -> str:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)
