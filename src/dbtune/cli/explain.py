"""explain."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from dbtune.cli.options import Debug, Embedded, Format, Output, Postgres, Quiet, Verbose

_MOST_BYTES = 64 << 20


def explain(
    sql: Annotated[
        str | None, typer.Argument(metavar="SQL", help="One statement; $1, $2 … take --param.", show_default=False)
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Read the statement there; - is stdin.")
    ] = None,
    queryid: Annotated[
        str | None, typer.Option("--queryid", metavar="ID", help="A statement of pg_stat_statements.")
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option("--plan", metavar="FILE", help="A saved plan, JSON or text; - is stdin. Needs no server."),
    ] = None,
    param: Annotated[
        list[str] | None, typer.Option("--param", metavar="VALUE", help="The value of $1, then $2 … May be repeated.")
    ] = None,
    analyze: Annotated[
        bool, typer.Option("--analyze", help="Execute it: a SELECT only, in a read-only transaction.")
    ] = False,
    allow_writes: Annotated[
        bool,
        typer.Option("--allow-writes", help="With --analyze: a statement that writes too, in one rolled back."),
    ] = False,
    timeout: Annotated[str, typer.Option("--timeout", metavar="DURATION", help="How long it may take.")] = "30s",
    postgres: Postgres = None,
    embedded: Embedded = False,
    output_format: Format = None,
    output: Output = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Show one statement's plan as a tree, and what it tells: where the time goes, why, and what to try.

    Plans that psql, pgAdmin, auto_explain and Hasura print are read as they are. Without --analyze nothing is
    executed. Statements with $1 get the generic plan, or the one for the values of --param. The forms are terminal,
    json, markdown and html.

    Example:
      dbtune explain 'select * from items where owner = $1' --param 7 --analyze
      dbtune explain --queryid 3505374748520851129 --output plan.html
      psql -XAtc 'explain (analyze, buffers) select 1' | dbtune explain --plan -

    """
    from dbtune.app import explain as use
    from dbtune.app.targets import Targets, open_targets
    from dbtune.cli.output import choose
    from dbtune.cli.progress import shown
    from dbtune.core.errors import Misused
    from dbtune.render.explain import RENDERERS

    destination = choose(output_format, output, RENDERERS, verbose=verbose)
    if sum(one is not None for one in (sql, file, queryid, plan)) != 1:
        raise Misused("name one of SQL, --file, --queryid and --plan", hint="dbtune explain 'select 1'")
    if plan is not None:
        if analyze or param:
            raise Misused("a saved plan is not executed", hint="leave out --analyze and --param")
        destination.write(
            use.explain_saved(_read(plan, "--plan"), "standard input" if str(plan) == "-" else str(plan)), RENDERERS
        )
        return
    wish = use.Wish(
        sql=_read(file, "--file") if file is not None else sql,
        queryid=None if queryid is None else _queryid(queryid),
        params=tuple(param or ()),
        analyze=analyze,
        allow_writes=allow_writes,
        timeout_s=_timeout(timeout),
    )
    wish.check()
    with open_targets(Targets(postgres, None, embedded)) as targets, shown(quiet=quiet) as progress:
        report = use.explain_statement(targets, wish, progress)
    destination.write(report, RENDERERS)


def _read(path: Path, option: str) -> str:
    """A file's text, or standard input's for `-`. Raises Misused."""
    from dbtune.core.errors import Misused

    try:
        with sys.stdin.buffer if str(path) == "-" else path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise Misused(
            f"{option} {path} cannot be read: {error.strerror}", hint="name a file, or - for stdin"
        ) from error
    if len(raw) > _MOST_BYTES:
        raise Misused(f"{option} {path} is larger than {_MOST_BYTES >> 20} MB", hint="cut out what matters")
    try:
        # Windows saves what its console printed in UTF-16.
        return raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise Misused(f"{option} {path} is not text in UTF-8", hint="save it as UTF-8") from error


def _queryid(text: str) -> int:
    from dbtune.core.errors import Misused

    try:
        number = int(text)
    except ValueError:
        number = 1 << 64
    if not -(1 << 63) <= number < 1 << 63:
        raise Misused(
            f"--queryid {text} is not an id", hint="it is a whole number of 64 bits, as `dbtune audit` prints it"
        )
    return number


def _timeout(text: str) -> float:
    from dbtune.core.errors import Misused
    from dbtune.core.units import parse_duration

    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise Misused(f"--timeout: {error}", hint="write --timeout 30s") from error
    if seconds < 0.001:
        raise Misused("--timeout has to be at least 1ms", hint="write --timeout 30s")
    return seconds
