"""demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dbtune.cli.options import Debug, Format, Output, Quiet, Verbose


def demo(
    scale: Annotated[
        float, typer.Option("--scale", help="How big: 1 is 200,000 contents and 2,000,000 interactions.")
    ] = 1.0,
    seconds: Annotated[float, typer.Option("--seconds", help="Measured traffic in each of the measurements.")] = 15.0,
    clients: Annotated[int, typer.Option("--clients", help="How many send requests side by side.")] = 4,
    report: Annotated[Path, typer.Option("--report", metavar="FILE", help="Where the HTML report goes.")] = Path(
        "dbtune-demo.html"
    ),
    directory: Annotated[
        Path, typer.Option("--dir", metavar="DIRECTORY", help="Where the captures of the measurements go.")
    ] = Path(".dbtune/baselines"),
    output_format: Format = None,
    output: Output = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Show the whole story on private servers: measure, tune, measure again, compare.

    Starts PostgreSQL and Valkey of its own, loads the sample (a media backend with the flaws that such systems
    have), and measures it three times under the same traffic: as found, after the playbooks, and after the code
    fixes as well. Every figure is measured in this run, and stands beside the target that such a project sets
    itself, met or missed. Nothing is left running.

    Example:
      dbtune demo
      dbtune demo --scale 0.1 --seconds 6 --report quick.html

    """
    from dbtune.app.demo import Setting, keep, run_demo
    from dbtune.cli.output import choose
    from dbtune.cli.progress import shown
    from dbtune.render.demo import RENDERERS

    destination = choose(output_format, output, RENDERERS.keys(), verbose=verbose)
    page = choose("html", report, RENDERERS.keys())
    setting = Setting(scale, seconds, clients)
    with shown(quiet=quiet) as tell:
        told = keep(run_demo(setting, tell), report, directory)
    page.write(told.report, RENDERERS)
    destination.write(told.report, RENDERERS)
