"""Fresh clusters that are kept and copied: initdb takes most of the time in which a server starts.

One directory for each PostgreSQL and each set of options, below the user's cache: `cluster` is as initdb left it,
without any password, and `files` holds how many files that is. Removing all of it only costs the next start.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from dbtune.core.errors import Refused
from dbtune.servers.embedded.binaries import CACHE, CACHE_VARIABLE
from dbtune.servers.embedded.places import own_directory


def kept_cluster(programs: Path, version: str, options: Sequence[str]) -> Path:
    """Where the cluster that the initdb of that `version` makes with these options is kept, or would be."""
    digest = hashlib.sha256("\0".join((str(programs), *options)).encode()).hexdigest()[:12]
    return _cache() / f"cluster-{version}-{platform.machine()}-{digest}"


def is_whole(kept: Path) -> bool:
    """Whether it is there, ours, and nobody has taken a file out of it."""
    try:
        wanted = int((kept / "files").read_text(encoding="ascii"))
        return kept.stat().st_uid == os.geteuid() and _count(kept / "cluster") == wanted
    except (OSError, ValueError):
        return False


def copying(source: Path, target: Path) -> list[str]:
    """The command that makes `target` a copy of the directory `source`, in the rights of whoever runs it."""
    command = shutil.which("cp", path=os.pathsep.join((os.defpath, os.environ.get("PATH", ""))))
    return [command or "cp", "-R", str(source), str(target)]


def keep(fresh: Path, kept: Path) -> None:
    """Moves a copy of `fresh` to its place in one step. Where that cannot be, there is none: nothing needs it."""
    with contextlib.suppress(OSError, Refused, shutil.Error):
        cache = own_directory(_made(kept.parent), 0o755 if os.geteuid() == 0 else 0o700)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=cache) as directory:
            ready = Path(directory, kept.name)
            shutil.copytree(fresh, ready / "cluster")
            (ready / "files").write_text(str(_count(ready / "cluster")), encoding="ascii")
            if os.geteuid() == 0:
                # The account that copies it is another one. There is nothing secret in it.
                for path in (ready, *ready.rglob("*")):
                    path.chmod(0o755 if path.is_dir() else 0o644)
            if is_whole(kept):
                # Somebody was faster, and others may be copying it.
                return
            if kept.exists():
                kept.rename(Path(directory, "old"))
            ready.rename(kept)


def _cache() -> Path:
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named, "dbtune")
    if os.geteuid() == 0:
        return Path(CACHE, "dbtune")
    from platformdirs import user_cache_path

    return user_cache_path("dbtune")


def _made(cache: Path) -> Path:
    cache.parent.mkdir(parents=True, exist_ok=True)
    return cache


def _count(directory: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(directory))
