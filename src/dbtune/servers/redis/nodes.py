"""One server, or all primaries of a cluster, under the same three questions: who there is, who has this key, send."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import redis
from redis import exceptions

from dbtune.cache.slots import slot
from dbtune.core.errors import Unreachable
from dbtune.servers.redis.errors import translated
from dbtune.servers.redis.session import connect_whole
from dbtune.servers.redis.wire import CHUNK_KEYS, Reply, packed

REDIRECTIONS = 5
"""How often a command is sent after a slot that moves (redis-py tries sixteen times, with pauses)."""

Command = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class OneServer:
    client: redis.Redis

    @property
    def is_cluster(self) -> bool:
        """Whether a command may name keys of one slot only."""
        return False

    def primaries(self) -> Sequence[redis.Redis]:
        """Every server that holds keys, each once."""
        return (self.client,)

    def slots(self) -> object:
        """Who serves which slots: equal as long as nothing moves."""
        return None

    def send(self, commands: Sequence[tuple[bytes, Command]]) -> list[Reply]:
        """The replies in the order of the commands, each sent to the server of its key, errors among them."""
        return pipelined(self.client, [command for _, command in commands])


@dataclass(frozen=True, slots=True)
class Cluster:
    """Commands are grouped by node; what a node redirects is sent once more to where it points."""

    client: redis.RedisCluster

    @property
    def is_cluster(self) -> bool:
        return True

    def primaries(self) -> Sequence[redis.Redis]:
        # Slots may have moved since: who has none now has no keys.
        self.client.nodes_manager.initialize()
        return [self.client.get_redis_connection(node) for node in self.client.get_primaries()]  # type: ignore[no-untyped-call]

    def slots(self) -> object:
        self.client.nodes_manager.initialize()
        return {number: nodes[0].name for number, nodes in self.client.nodes_manager.slots_cache.items()}

    def send(self, commands: Sequence[tuple[bytes, Command]]) -> list[Reply]:
        replies: dict[int, Reply] = {}
        waiting = list(range(len(commands)))
        for _ in range(REDIRECTIONS):
            moved = []
            for name, places in self._by_node(commands, waiting).items():
                found = pipelined(self._connection(name), [commands[place][1] for place in places])
                for place, reply in zip(places, found, strict=True):
                    replies[place] = self._asked(reply, commands[place][1])
                    if isinstance(replies[place], exceptions.MovedError):
                        moved.append(place)
            if not moved:
                break
            self.client.nodes_manager.initialize()
            waiting = moved
        return [replies[place] for place in range(len(commands))]

    def _by_node(self, commands: Sequence[tuple[bytes, Command]], places: Sequence[int]) -> Mapping[str, list[int]]:
        found: dict[str, list[int]] = {}
        for place in places:
            node = self.client.nodes_manager.get_node_from_slot(slot(commands[place][0]))
            found.setdefault(node.name, []).append(place)
        return found

    def _connection(self, name: str) -> redis.Redis:
        node = self.client.get_node(node_name=name)  # type: ignore[no-untyped-call]
        if node is None:
            raise Unreachable(f"{name} is no node of the cluster any more", hint="run it again")
        return self.client.get_redis_connection(node)

    def _asked(self, reply: Reply, command: Command) -> Reply:
        """A slot that is being moved: its new node answers once it is told that we were sent there."""
        if not isinstance(reply, exceptions.AskError):
            return reply
        node = self.client.get_node(host=reply.host, port=reply.port)  # type: ignore[no-untyped-call]
        if node is None:
            self.client.nodes_manager.initialize()
            return exceptions.MovedError(f"{reply.slot_id} {reply.host}:{reply.port}")
        return pipelined(self.client.get_redis_connection(node), [(b"ASKING",), command])[1]


Nodes = OneServer | Cluster


@contextlib.contextmanager
def opened_nodes(url: str) -> Iterator[Nodes]:
    """A server, or the whole cluster when the server named is one of its nodes. Raises what `connect` raises."""
    with contextlib.closing(connect_whole(url)) as opened:
        # redis-py's two clients share no base, and what they share is all that is asked of them elsewhere.
        client: redis.Redis | redis.RedisCluster = opened
        yield Cluster(client) if isinstance(client, redis.RedisCluster) else OneServer(client)


def node_urls(url: str) -> tuple[str, ...]:
    """The URL itself, or of a cluster one for each of its primaries, with the same user, password and options.

    Raises what `connect_whole` raises.
    """
    with contextlib.closing(connect_whole(url)) as opened:
        client: redis.Redis | redis.RedisCluster = opened
        if not isinstance(client, redis.RedisCluster):
            return (url,)
        places = sorted((node.host, node.port) for node in client.get_primaries())  # type: ignore[no-untyped-call]
    parts = urlsplit(url)
    user = parts.netloc.rpartition("@")[0]
    plain = parts._replace(scheme="rediss" if parts.scheme.startswith("rediss") else "redis", path="")
    return tuple(
        plain._replace(
            netloc=f"{user}@" * bool(user) + (f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        ).geturl()
        for host, port in places
    )


def pipelined(client: redis.Redis, commands: Sequence[Command]) -> list[Reply]:
    """The replies in order, errors among them; at most a thousand commands are under way.

    Over redis-py's own connection, which keeps TLS and passwords, and makes a dropped one anew.
    """
    replies: list[Reply] = []
    with translated("talking to the server"), _borrowed(client) as connection:
        for start in range(0, len(commands), CHUNK_KEYS):
            chunk = commands[start : start + CHUNK_KEYS]
            connection.send_packed_command([b"".join(packed(*command) for command in chunk)])
            for _ in chunk:
                try:
                    replies.append(connection.read_response())
                except exceptions.ResponseError as error:
                    replies.append(error)
    return replies


@contextlib.contextmanager
def _borrowed(client: redis.Redis) -> Iterator[Any]:
    """A connection of the client's pool; closed after an error in mid-stream, as replies are still to come."""
    connection = client.connection_pool.get_connection()
    try:
        yield connection
    except BaseException:
        connection.disconnect()  # type: ignore[no-untyped-call]
        raise
    finally:
        client.connection_pool.release(connection)
