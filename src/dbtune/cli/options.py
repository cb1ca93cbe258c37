"""The options that commands share, so that each means the same everywhere.

A command takes those it needs: `def plan(playbook: PlaybookPath, postgres: Postgres = None, quiet: Quiet = False)`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dbtune.core.formats import OutputFormat

PlaybookPath = Annotated[Path, typer.Argument(metavar="PLAYBOOK", help="A YAML playbook.", show_default=False)]

Postgres = Annotated[
    str | None,
    typer.Option(
        "--postgres",
        metavar="URL",
        help="The PostgreSQL server. Otherwise DATABASE_URL, then libpq's PGHOST, PGSERVICE and so on.",
    ),
]
Redis = Annotated[
    str | None,
    typer.Option(
        "--redis",
        metavar="URL",
        help="The Redis or Valkey server: redis://, rediss://, unix://, cluster:// or sentinel://HOST/SERVICE."
        " Otherwise REDIS_URL.",
    ),
]
Embedded = Annotated[bool, typer.Option("--embedded", help="Start private servers and use those.")]

Format = Annotated[
    OutputFormat | None,
    typer.Option("--format", help="Otherwise what the name of --output ends in, else terminal.", show_default=False),
]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write the result there, not to standard output."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no messages, only the result.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="More detail in the result and in the messages.")]
Debug = Annotated[bool, typer.Option("--debug", help="On an error, print where in dbtune it happened.")]

Var = Annotated[
    list[str] | None,
    typer.Option("--var", metavar="NAME=VALUE", help="Set a variable of the playbook. May be repeated."),
]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="ID", help="Only the step with this id. May be repeated."),
]
Tags = Annotated[
    list[str] | None,
    typer.Option("--tags", metavar="TAG", help="Only steps with this tag. May be repeated, or separated by commas."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def parse_vars(given: list[str] | None) -> dict[str, str]:
    """`["top=10"]` → `{"top": "10"}`. Raises Misused for what is not NAME=VALUE."""
    from dbtune.core.errors import Misused

    values = {}
    for entry in given or ():
        name, equals, value = entry.partition("=")
        if not equals or not name.strip().isidentifier():
            raise Misused(f"--var {entry}: this is not NAME=VALUE", hint="write --var top=100")
        values[name.strip()] = value
    return values


def parse_tags(given: list[str] | None) -> tuple[str, ...]:
    """Repeated or separated by commas → one tuple."""
    return tuple(tag.strip() for entry in given or () for tag in entry.split(",") if tag.strip())


def parse_seconds(option: str, text: str) -> float:
    """`("--window", "90s")` → 90.0. Raises Misused, naming the option."""
    from dbtune.core.errors import Misused
    from dbtune.core.units import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise Misused(f"{option}: {error}") from error
