"""Redis and Valkey in the shapes that they have in production: a cluster, a Sentinel, TLS, users with few rights."""

from __future__ import annotations

import contextlib
import functools
import select
import socket
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import redis
from patience import until

from dbtune.servers.embedded.accounts import server_account
from dbtune.servers.embedded.binaries import wheel_valkey
from dbtune.servers.embedded.places import new_place
from dbtune.servers.embedded.ports import free_port
from dbtune.servers.embedded.process import Program, hand_over, running
from dbtune.servers.embedded.valkey import STOP, EmbeddedValkey, embedded_valkey

SLOTS = 16384
SERVICE = "mycache"
# A Sentinel's own periods are for networks: it looks at a replica every 10 s and makes one of a former primary after 8.
SENTINEL_PERIODS_MS = {"info-period": 500, "ping-period": 200, "ask-period": 200, "publish-period": 200}


@dataclass(frozen=True, slots=True)
class Cluster:
    """Three primaries without replicas, a third of the slots each; the ports in the order of the slots."""

    ports: tuple[int, ...]
    nodes: tuple[EmbeddedValkey, ...]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.ports[0]}/0"

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(f"redis://127.0.0.1:{port}/0" for port in self.ports)


@dataclass(frozen=True, slots=True)
class Sentinel:
    """A primary with one replica, and the Sentinel that watches them as `service`."""

    primary: int
    replica: int
    port: int
    service: str = SERVICE

    def client(self) -> redis.Redis:
        """Of the Sentinel itself."""
        return redis.Redis(port=self.port, decode_responses=True)

    def fail_over(self) -> None:
        """Returns once the Sentinel says that the replica is the primary."""
        with self.client() as client:
            # It refuses while what it knows of the replica is old.
            until(lambda: client.sentinel_failover(self.service), "it fails over", passing=(redis.ResponseError,))
            until(lambda: client.sentinel_masters()[self.service]["port"] == self.replica, "the replica takes over")


@dataclass(frozen=True, slots=True)
class Secured:
    """A server that speaks TLS only, and the certificate that it shows, which nobody vouches for but itself."""

    port: int
    certificate: Path

    @property
    def url(self) -> str:
        return f"rediss://localhost:{self.port}/0?ssl_ca_certs={self.certificate}"


@contextlib.contextmanager
def plain_server(program: Path | None = None, **settings: str) -> Iterator[tuple[EmbeddedValkey, int]]:
    """One server without a password on a port of the loopback; `a_b` names the setting `a-b`."""
    port = free_port()
    # A replica is not kept waiting for others that might want the same copy.
    wanted = {"port": str(port), "requirepass": "", "repl-diskless-sync-delay": "0"}
    wanted |= {name.replace("_", "-"): text for name, text in settings.items()}
    with embedded_valkey(wanted, program=program, tcp=True) as server:
        yield server, port


@contextlib.contextmanager
def cluster(program: Path | None = None) -> Iterator[Cluster]:
    """Ready when every node says that every slot is served."""
    with contextlib.ExitStack() as stack:
        started = [
            stack.enter_context(
                plain_server(program, cluster_enabled="yes", cluster_port=str(free_port()), cluster_node_timeout="5000")
            )
            for _ in range(3)
        ]
        made = Cluster(tuple(port for _, port in started), tuple(server for server, _ in started))
        clients = [stack.enter_context(redis.Redis(port=port, decode_responses=True)) for port in made.ports]
        share = SLOTS // 3
        for number, client in enumerate(clients):
            last = SLOTS - 1 if number == 2 else (number + 1) * share - 1
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", number * share, last)
            # Two nodes that begin with the same epoch would settle it between them, which takes time.
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for client, port in zip(clients[1:], made.ports[1:], strict=True):
            bus = int(str(client.config_get("cluster-port")["cluster-port"]))
            clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", port, bus)
        for client in clients:
            until(functools.partial(_whole, client), "the cluster is whole")
        yield made


@contextlib.contextmanager
def sentinel(program: Path | None = None) -> Iterator[Sentinel]:
    """Ready when the Sentinel knows the replica, and the replica has its primary's data."""
    with plain_server(program) as (_, primary), plain_server(program, replicaof=f"127.0.0.1 {primary}") as (_, replica):
        with redis.Redis(port=replica, decode_responses=True) as client:
            until(lambda: client.info("replication").get("master_link_status") == "up", "the replica has its primary")
        port = free_port()
        with _watcher(program, port, primary):
            made = Sentinel(primary, replica, port)
            with made.client() as client:
                for name, period_ms in SENTINEL_PERIODS_MS.items():
                    client.execute_command("SENTINEL", "DEBUG", name, period_ms)
                until(functools.partial(_may_fail_over, client), "the Sentinel would promote the replica")
            yield made


@contextlib.contextmanager
def secured(program: Path | None = None) -> Iterator[Secured]:
    """A server behind TLS with a made-up certificate for localhost.

    The servers of the wheels were built without TLS: it ends in a relay before the server, as with stunnel.
    """
    with tempfile.TemporaryDirectory(prefix="dbtune-tls-") as directory:
        certificate, key = Path(directory, "certificate.pem"), Path(directory, "key.pem")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", certificate],
            check=True, capture_output=True,
        )  # fmt: skip
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        with plain_server(program) as (_, port), socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=_relay, args=(listener, context, port), daemon=True).start()
            yield Secured(listener.getsockname()[1], certificate)
            # Wakes accept(), which close() alone would leave waiting.
            listener.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def _watcher(program: Path | None, port: int, primary: int) -> Iterator[None]:
    account = server_account()
    with new_place(account) as place:
        lines = (
            f"port {port}",
            "bind 127.0.0.1",
            f'dir "{place.directory}"',
            'logfile ""',
            f"sentinel monitor {SERVICE} 127.0.0.1 {primary} 1",
            f"sentinel down-after-milliseconds {SERVICE} 1000",
            f"sentinel failover-timeout {SERVICE} 5000",
        )
        hand_over(place, {"sentinel.conf": "".join(f"{line}\n" for line in lines)}, account)
        path = program or wheel_valkey(account)
        serve = Program("Sentinel", serve=[str(path), str(place.directory / "sentinel.conf"), "--sentinel"], stop=STOP)
        with running(serve, place, account, functools.partial(_listens, port)):
            yield


def _whole(client: redis.Redis) -> bool:
    found: dict[str, str] = client.cluster("info")
    return found["cluster_state"] == "ok" and found["cluster_known_nodes"] == "3"


def _may_fail_over(client: redis.Redis) -> bool:
    replicas = client.sentinel_slaves(SERVICE)
    return [replica.get("master-link-status") for replica in replicas] == ["ok"]


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
        return True
    return False


def _relay(listener: socket.socket, context: ssl.SSLContext, port: int) -> None:
    """Every client gets a connection of its own to the server, until the listener is closed."""
    while True:
        try:
            accepted, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_relay_one, args=(accepted, context, port), daemon=True).start()


def _relay_one(accepted: socket.socket, context: ssl.SSLContext, port: int) -> None:
    with (
        contextlib.suppress(OSError),
        accepted,
        socket.create_connection(("127.0.0.1", port)) as server,
        context.wrap_socket(accepted, server_side=True) as client,
    ):
        while True:
            # What TLS has read ahead is not seen by select().
            ready = [client] if client.pending() else select.select([client, server], [], [])[0]
            for source, target in ((client, server), (server, client)):
                if source in ready:
                    data = source.recv(1 << 16)
                    if not data:
                        return
                    target.sendall(data)
