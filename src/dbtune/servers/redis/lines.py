"""Where packed commands go: down one connection in a window, or to the nodes of a cluster by their slots."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import redis
from redis import exceptions
from redis.cluster import ClusterNode, RedisCluster

from dbtune.servers.redis.commands import Command
from dbtune.servers.redis.wire import Reply, Window, Wire, borrowed

WINDOW_BYTES = 2 << 20
ATTEMPTS = 6
_AGAIN = (exceptions.MovedError, exceptions.AskError, exceptions.TryAgainError, exceptions.ClusterDownError)

Done = Callable[[Command, list[Reply]], None]


class Line(Protocol):
    """Takes commands; `done` hears of each with its replies, at the latest when `settle` returns."""

    def send(self, commands: Sequence[Command]) -> None: ...

    def settle(self) -> None: ...


@contextmanager
def opened_line(client: redis.Redis, done: Done) -> Iterator[Line]:
    """Of a cluster's client one to each node, else one connection."""
    if isinstance(client, RedisCluster):
        with contextlib.ExitStack() as stack:
            yield _ClusterLine(client, stack, done)
        return
    with borrowed(client) as wire:
        yield Window(wire, WINDOW_BYTES, done)


class _ClusterLine:
    """Every node gets its commands, then every node's replies are read: the nodes work at the same time.

    A command that was refused because its slot lives elsewhere now (MOVED, ASK) is sent there.
    """

    def __init__(self, cluster: RedisCluster, stack: contextlib.ExitStack, done: Done) -> None:
        self._cluster, self._stack, self._done = cluster, stack, done
        self._wires: dict[str, Wire] = {}

    def send(self, commands: Sequence[Command]) -> None:
        left = list(commands)
        for attempt in range(ATTEMPTS):
            left = self._round(left, last=attempt == ATTEMPTS - 1)
            if not left:
                return
            # A slot that is on its way, or a node that takes over, needs a moment.
            time.sleep(0.05 * 2**attempt)
            with contextlib.suppress(exceptions.RedisClusterException, exceptions.ConnectionError):
                self._cluster.nodes_manager.initialize()

    def settle(self) -> None:
        """Nothing is ever left under way."""

    def _round(self, commands: Sequence[Command], *, last: bool) -> list[Command]:
        """What has to be sent again."""
        by_node: dict[str, list[Command]] = {}
        for command in commands:
            by_node.setdefault(self._node(command.slot), []).append(command)
        sent: dict[str, list[Command]] = {}
        # A megabyte a node at most is under way: more would wait in the server's memory.
        for name, given in by_node.items():
            self._wire(name).write(b"".join([one.data for one in given]), sum(one.replies for one in given))
            sent[name] = given
        again: list[Command] = []
        for name, given in sent.items():
            wire = self._wire(name)
            for command in given:
                replies = wire.read_all(command.replies)
                moved = next((reply for reply in replies if isinstance(reply, _AGAIN)), None)
                if isinstance(moved, exceptions.AskError):
                    again += self._ask(command, moved)
                elif moved is not None and not last:
                    again.append(command)
                else:
                    self._done(command, replies)
        return again

    def _ask(self, command: Command, told: exceptions.AskError) -> list[Command]:
        """The slot is on its way to another node, which takes this one command when it is told that we know."""
        wire = self._wire(f"{told.host}:{told.port}")
        if wire.waiting:
            return [command]
        wire.call(b"ASKING")
        wire.write(command.data, command.replies)
        replies = wire.read_all(command.replies)
        if any(isinstance(reply, _AGAIN) for reply in replies):
            return [command]
        self._done(command, replies)
        return []

    def _node(self, slot: int) -> str:
        return str(self._cluster.nodes_manager.get_node_from_slot(slot).name)

    def _wire(self, name: str) -> Wire:
        if name not in self._wires:
            node: ClusterNode | None = self._cluster.get_node(node_name=name)  # type: ignore[no-untyped-call]
            if node is None:
                raise exceptions.ConnectionError(f"the cluster has no node {name}")
            self._wires[name] = self._stack.enter_context(borrowed(self._cluster.get_redis_connection(node)))
        return self._wires[name]
