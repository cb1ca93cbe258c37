"""baseline ab."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dbtune.cli.baseline_options import named_probes, share
from dbtune.cli.options import (
    Debug,
    Embedded,
    Format,
    Only,
    Output,
    PlaybookPath,
    Postgres,
    Quiet,
    Tags,
    Var,
    Verbose,
    parse_tags,
    parse_vars,
)


def ab(
    path: PlaybookPath,
    probe: Annotated[
        list[str] | None, typer.Option(metavar="NAME=SQL", help="Time this statement, read only. May be repeated.")
    ] = None,
    probes: Annotated[Path | None, typer.Option(metavar="FILE", help="YAML: probes with params and repeats.")] = None,
    blocks: Annotated[int, typer.Option(metavar="N", help="Blocks a side, at least 4.")] = 8,
    repeat: Annotated[int, typer.Option(metavar="N", help="Executions of each probe in a block.")] = 40,
    margin: Annotated[str, typer.Option(metavar="SHARE", help="A change within it does not matter.")] = "5%",
    disposable: Annotated[
        bool, typer.Option("--disposable", help="This server is not in production: indexes may be hidden for a while.")
    ] = False,
    var: Var = None,
    only: Only = None,
    tags: Tags = None,
    postgres: Postgres = None,
    embedded: Embedded = False,
    output_format: Format = None,
    output: Output = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Measure without and with steps in turns, in random order: drift falls on both sides alike.

    Index steps must be applied already; they are hidden from the planner and shown again, on servers that are not in
    production only. Settings are made in the measuring session, anywhere.

    Example:
      dbtune baseline ab indexes.yml --only s1 --disposable --probe 'feed=select * from feed where user_id = 42'

    """
    from dbtune.app.interleaved import Turns, interleave
    from dbtune.app.selection import Selection
    from dbtune.app.targets import Targets, open_targets
    from dbtune.cli.output import choose
    from dbtune.cli.progress import shown
    from dbtune.playbook.load import load
    from dbtune.render.baseline import COMPARISON

    destination = choose(output_format, output, COMPARISON, verbose=verbose)
    playbook = load(path, variables=parse_vars(var))
    steps = [step for step in Selection(tuple(only or ()), parse_tags(tags)).of(playbook) if step.enabled]
    turns = Turns(blocks, repeat, share(margin, "--margin"), disposable=disposable or embedded)
    wanted = named_probes(probe, None, probes)
    with open_targets(Targets(postgres, None, embedded)) as targets, shown(quiet=quiet) as progress:
        found = interleave(targets, steps, wanted, turns, progress)
    destination.write(found, COMPARISON)
