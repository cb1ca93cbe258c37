"""Under which account a server runs: PostgreSQL refuses to run as root."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from dbtune.core.errors import Unsupported

USER_VARIABLE = "DBTUNE_SERVER_USER"
USUAL_USERS = ("dbtune", "postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    name: str
    uid: int
    gid: int


def server_account() -> Account | None:
    """None when dbtune is an ordinary user: then the servers are that user's own.

    As root DBTUNE_SERVER_USER decides, else the first of dbtune, postgres and nobody that exists. Raises Unsupported.
    """
    if os.geteuid() != 0:
        return None
    named = os.environ.get(USER_VARIABLE)
    for name in (named,) if named else USUAL_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise Unsupported(
        f"embedded servers do not run as root, and there is no account to run them under"
        f" ({named or ', '.join(USUAL_USERS)})",
        hint=f"useradd --system dbtune, or name an unprivileged account in {USER_VARIABLE}",
    )


def can_run(program: Path, account: Account | None) -> bool:
    """Whether that account reaches and starts the program: tried, as no reading of modes is as sure."""
    try:
        return (
            subprocess.run(  # noqa: S603
                [program, "--version"],
                cwd="/",
                capture_output=True,
                check=False,
                timeout=30,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
            ).returncode
            == 0
        )
    except (OSError, subprocess.SubprocessError):
        return False


def can_pass(directory: Path, account: Account | None) -> bool:
    """Whether that account may walk into `directory` by the rights that everybody has."""
    resolved = directory.resolve()
    return account is None or all(path.stat().st_mode & stat.S_IXOTH for path in (resolved, *resolved.parents))
