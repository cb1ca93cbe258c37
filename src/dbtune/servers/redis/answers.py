"""Questions of steps that Redis answers."""

from __future__ import annotations

import redis
from redis import exceptions

from dbtune.core.questions import CachedValue, Failed
from dbtune.servers.redis.errors import server_error


def answer(client: redis.Redis, question: CachedValue) -> str | Failed | None:
    """The text of a key of ours, None where there is none, `Failed` when the server will not say.

    A GET counts as one hit or miss in the server's own statistics, as every command does that returns a value
    without writing; one a step is accepted, since `plan` must be able to ask a replica too.
    Raises Unreachable when the connection is lost.
    """
    doing = f"reading {question.key}"
    try:
        value = client.get(question.key)
    except exceptions.ResponseError as error:
        told = server_error(error, doing)
        return Failed(told.message, hint=told.hint)
    except exceptions.RedisError as error:
        raise server_error(error, doing) from error
    return value.decode(errors="replace") if isinstance(value, bytes) else None
