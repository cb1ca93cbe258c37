"""twin dump."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dbtune.cli.options import Debug, Format, Output, Postgres, Quiet, Verbose

app = typer.Typer(no_args_is_help=True, help="Schema and statistics of a database, to advise elsewhere.")


@app.callback()
def twin() -> None:
    """Schema and statistics of a database without its rows, to advise elsewhere."""


@app.command()
def dump(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where it goes; NAME.gz is compressed.")],
    table: Annotated[
        list[str] | None,
        typer.Option("--table", metavar="NAME", help="Only this table, and what it needs. May be repeated."),
    ] = None,
    touched: Annotated[
        bool, typer.Option("--touched", help="Only what the statements of pg_stat_statements name.")
    ] = False,
    no_values: Annotated[
        bool, typer.Option("--no-values", help="Leave out most common values and bounds of histograms.")
    ] = False,
    no_statements: Annotated[
        bool, typer.Option("--no-statements", help="Leave out the workload of pg_stat_statements.")
    ] = False,
    postgres: Postgres = None,
    output_format: Format = None,
    output: Output = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Write a database's schema, planner statistics and workload to a file. No rows, and nothing is changed.

    `dbtune advise --from FILE` then needs no connection. Statistics hold samples of the columns' values; without
    them (--no-values) a comparison gets the average selectivity and a range a guess, so that skewed columns, ranges and
    partial indexes are judged less well. The file is for its owner's eyes only.

    Example:
      dbtune twin dump app.twin.gz --postgres postgresql://me@db/app
      dbtune twin dump app.twin --touched --no-values

    """
    from dbtune.app.targets import Targets, open_targets
    from dbtune.app.twin import Wish
    from dbtune.app.twin import dump as write
    from dbtune.cli.output import choose
    from dbtune.cli.progress import shown
    from dbtune.core.errors import Misused
    from dbtune.render.twin import RENDERERS

    destination = choose(output_format, output, RENDERERS.keys(), verbose=verbose)
    if table and touched:
        raise Misused("--table and --touched exclude each other", hint="name the tables, or let the workload name them")
    wish = Wish(tuple(table) if table else None, touched, values=not no_values, statements=not no_statements)
    with open_targets(Targets(postgres)) as targets, shown(quiet=quiet) as progress:
        report = write(targets.postgres or "", file, wish, progress)
    destination.write(report, RENDERERS)
