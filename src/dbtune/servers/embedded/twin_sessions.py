"""The twin's three sessions."""

from __future__ import annotations

from dataclasses import dataclass

from dbtune.servers.postgres.session import Connection

OWNER = "dbtune_twin"
"""Owns everything in the twin, and plans there. No superuser: texts of a file are performed under it."""


@dataclass(frozen=True, slots=True)
class Sessions:
    """`admin` is the superuser's, for catalog and files; `builder` makes and `planner` explains, without rights."""

    admin: Connection
    builder: Connection
    planner: Connection
