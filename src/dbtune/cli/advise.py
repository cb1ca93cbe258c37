"""advise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dbtune.cli.options import Debug, Embedded, Format, Output, Postgres, Quiet, Verbose

if TYPE_CHECKING:
    from dbtune.advisor.advice import Advice
    from dbtune.advisor.states import Limits
    from dbtune.app.advise import Given
    from dbtune.cli.output import Destination

_MOST_BYTES = 256 << 20


def advise(
    sql: Annotated[str | None, typer.Option("--sql", metavar="SQL", help="Advise on this statement alone.")] = None,
    queries: Annotated[
        list[Path] | None,
        typer.Option(
            "--queries", metavar="FILE", help="Statements in a file; `-- weight: 120` before one counts its calls."
        ),
    ] = None,
    log: Annotated[
        list[Path] | None,
        typer.Option("--log", metavar="FILE", help="A server log with slow statements or auto_explain's plans."),
    ] = None,
    dump: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="A file of `dbtune twin dump`: connects to nothing.")
    ] = None,
    window: Annotated[
        str | None, typer.Option("--window", metavar="DURATION", help="Only what is called during this time.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="SIZE", help="All advised indexes together, as 500MB or 2GB.")
    ] = None,
    max_indexes: Annotated[
        int | None, typer.Option("--max-indexes", min=1, metavar="N", help="No more than so many.")
    ] = None,
    max_per_table: Annotated[
        int | None, typer.Option("--max-per-table", min=1, metavar="N", help="No more than so many on one table.")
    ] = None,
    max_time: Annotated[str, typer.Option("--max-time", metavar="DURATION", help="How long to search.")] = "30s",
    why: Annotated[
        str | None,
        typer.Option("--why", metavar="INDEX", help="Show plans without and with this index, by name or number."),
    ] = None,
    write: Annotated[
        Path | None, typer.Option("--write", metavar="FILE", help="Write the indexes as a playbook.")
    ] = None,
    measure: Annotated[
        bool,
        typer.Option("--measure", help="Build the indexes, run the statements, keep what helps; drops them again."),
    ] = False,
    disposable: Annotated[
        bool, typer.Option("--disposable", help="With --measure: this server may be changed and blocked meanwhile.")
    ] = False,
    postgres: Postgres = None,
    embedded: Embedded = False,
    output_format: Format = None,
    output: Output = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Say which indexes a workload should have, which could go, and what each costs and brings. Changes nothing.

    The workload is that of pg_stat_statements, or comes from --sql, --queries and --log. Schema and statistics are
    read, and the advice is worked out on a private twin without a row of data: nothing is installed, run or changed on
    the server. What could not be examined is said. The forms are terminal, json, markdown and html.

    Example:
      dbtune advise --postgres postgresql://me@db/app --budget 2GB --write indexes.yml
      dbtune advise --queries slow.sql --why 1
      dbtune twin dump app.twin.gz && dbtune advise --from app.twin.gz

    """
    from dbtune.app import advise as use
    from dbtune.app.targets import Need, Targets, open_targets
    from dbtune.cli.output import choose
    from dbtune.cli.progress import shown
    from dbtune.core.errors import Misused
    from dbtune.render.advice import RENDERERS

    destination = choose(output_format, output, RENDERERS, verbose=verbose)
    playbook = choose("terminal", write, RENDERERS, option="--write") if write is not None else None
    if window is not None and (sql is not None or queries or log or dump is not None):
        raise Misused(
            "--window watches pg_stat_statements, and the statements are given",
            hint="leave out --window, or --sql, --queries, --log and --from",
        )
    if measure and not (disposable or embedded):
        raise Misused(
            "--measure builds indexes and blocks writers meanwhile",
            hint="add --disposable if this server may be changed; never on production",
        )
    if measure and dump is not None:
        raise Misused("--measure needs a server, and --from is a file", hint="leave out one of them")
    wish = use.Wish(
        sql=sql,
        queries=_read(queries, "--queries"),
        logs=_read(log, "--log"),
        dump=dump,
        window_s=None if window is None else _duration(window, "--window"),
        limits=_limits(budget, max_indexes, max_per_table),
        max_time_s=_duration(max_time, "--max-time"),
        why=why,
        measure=measure,
    )
    needs = Need.NONE if dump is not None else Need.REQUIRED
    with open_targets(Targets(postgres, None, embedded), postgres=needs) as targets, shown(quiet=quiet) as progress:
        advice = use.advise(targets, wish, progress)
    destination.write(advice, RENDERERS)
    if playbook is not None:
        _write(advice, playbook, quiet=quiet)


def _write(advice: Advice, playbook: Destination, *, quiet: bool) -> None:
    from dbtune.app.advice_playbook import advice_playbook

    text = advice_playbook(advice)
    if text is None:
        typer.echo(f"no index is advised, so {playbook.path} was not written", err=True)
        return
    playbook.deliver(text)
    if not quiet:
        typer.echo(f"{playbook.path} is written; next: dbtune plan {playbook.path}", err=True)


def _limits(budget: str | None, indexes: int | None, per_table: int | None) -> Limits:
    from dbtune.advisor.states import Limits
    from dbtune.core.errors import Misused
    from dbtune.core.units import parse_size

    try:
        size = None if budget is None else parse_size(budget)
    except ValueError as error:
        raise Misused(f"--budget: {error}", hint="write --budget 500MB") from error
    if size is not None and size <= 0:
        raise Misused("--budget has to be more than nothing", hint="write --budget 500MB")
    return Limits(size, indexes, per_table)


def _duration(text: str, option: str) -> float:
    from dbtune.core.errors import Misused
    from dbtune.core.units import parse_duration

    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise Misused(f"{option}: {error}", hint=f"write {option} 30s") from error
    if seconds <= 0:
        raise Misused(f"{option} has to be more than nothing", hint=f"write {option} 30s")
    return seconds


def _read(paths: list[Path] | None, option: str) -> tuple[Given, ...]:
    """Raises Misused for a file that cannot be read."""
    from dbtune.app.advise import Given
    from dbtune.app.streams import read_at_most
    from dbtune.core.errors import Misused

    found = []
    for path in paths or ():
        try:
            content = read_at_most(path, _MOST_BYTES)
        except OSError as error:
            kind = "a server's log" if option == "--log" else "a file of SQL"
            raise Misused(f"{option} {path} cannot be read: {error.strerror}", hint=f"name {kind}") from error
        if content is None:
            raise Misused(f"{option} {path} is larger than {_MOST_BYTES >> 20} MB", hint="cut out what matters")
        found.append(Given(content.decode("utf-8-sig", "replace"), str(path)))
    return tuple(found)
