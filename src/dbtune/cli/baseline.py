"""baseline capture, compare and report; the others lie beside."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dbtune.cli.baseline_files import register
from dbtune.cli.baseline_options import DIRECTORY, Directory, Name, duration, named_probes, parsed_gates, share
from dbtune.cli.options import (
    Debug,
    Embedded,
    Format,
    Output,
    Postgres,
    Quiet,
    Redis,
    Var,
    Verbose,
    Yes,
    parse_vars,
)

if TYPE_CHECKING:
    from dbtune.app.load import LoadOrder
    from dbtune.app.targets import OpenTargets

app = typer.Typer(no_args_is_help=True, help="Measure, and compare measurements.")

Before = Annotated[str, typer.Argument(metavar="BEFORE", help="A baseline's name, or its file.")]
After = Annotated[str, typer.Argument(metavar="AFTER", help="A baseline's name, or its file.")]
Margin = Annotated[str, typer.Option(metavar="SHARE", help="A change within it does not matter.")]
Noise = Annotated[
    str,
    typer.Option(metavar="SHARE", help="How much a run's level varies from run to run; `selfcheck` measures it."),
]
Interleaved = Annotated[bool, typer.Option("--interleaved", help="The blocks of both took turns: no noise is assumed.")]
AcrossServers = Annotated[
    bool, typer.Option("--across-servers", help="Compare captures of different databases or servers.")
]
Gates = Annotated[
    list[str] | None,
    typer.Option("--gate", metavar="EXPRESSION", help="Must hold: 'latency.p95 < baseline * 0.5'. May be repeated."),
]


@app.command()
def capture(
    name: Name,
    window: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Watch the counters for so long. Without it: one snapshot.")
    ] = None,
    windows: Annotated[int, typer.Option(metavar="N", help="Sub-windows: the blocks that verdicts count.")] = 6,
    probe: Annotated[
        list[str] | None, typer.Option(metavar="NAME=SQL", help="Time this statement, read only. May be repeated.")
    ] = None,
    flow: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=MODULE:FUNCTION", help="Time what function(postgres_dsn, redis_url) returns."),
    ] = None,
    probes: Annotated[Path | None, typer.Option(metavar="FILE", help="YAML: probes with params and repeats.")] = None,
    repeat: Annotated[int, typer.Option(metavar="N", help="Repetitions of each probe; 72 give a P95, 368 a P99.")] = 50,
    statement: Annotated[
        list[str] | None, typer.Option(metavar="NAME=SQL", help="Keep the plan of this statement. May be repeated.")
    ] = None,
    http: Annotated[
        list[str] | None, typer.Option(metavar="NAME=URL", help="Time GET of this endpoint. May be repeated.")
    ] = None,
    plans: Annotated[int, typer.Option(metavar="N", min=0, help="Keep the plans of the N busiest statements.")] = 20,
    load: Annotated[
        Path | None,
        typer.Option(metavar="PLAYBOOK", help="Put the playbook's loads on, and watch the counters meanwhile."),
    ] = None,
    profile: Annotated[
        Literal["smoke", "ramp"] | None, typer.Option(help="Built-in stages in place of the load's own.")
    ] = None,
    var: Var = None,
    allow_writes: Annotated[bool, typer.Option("--allow-writes", help="Probes may change data.")] = False,
    yes: Yes = False,
    postgres: Postgres = None,
    redis: Redis = None,
    embedded: Embedded = False,
    directory: Directory = DIRECTORY,
    output_format: Format = None,
    output: Output = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Measure: counters over a window or a load, plans, timed probes. Resets nothing.

    Stored as DIRECTORY/NAME.json; an older one of that name is replaced. A load changes what its scripts change: on a
    terminal it asks first, unless --yes is given.

    Example:
      dbtune baseline capture before --window 30s --probe 'feed=select * from feed limit 20' --repeat 400
      dbtune baseline capture before --load feed.yml --profile smoke

    """
    from dbtune.app import baseline as use
    from dbtune.app.targets import Need, Targets, open_targets
    from dbtune.baseline.probes import Statement, parse_pair
    from dbtune.cli.output import choose
    from dbtune.cli.progress import say, shown
    from dbtune.render.baseline_captures import SHOW

    destination = choose(output_format, output, SHOW, verbose=verbose)
    wanted = named_probes(probe, flow, probes)
    statements = [Statement(*parse_pair(text, "--statement")) for text in statement or ()]
    urls = [parse_pair(text, "--http") for text in http or ()]
    watched = use.Window(duration(window, "--window"), windows) if window else use.NO_WINDOW
    order = _load_order(load, profile, var)
    with ExitStack() as stack:
        targets = stack.enter_context(open_targets(Targets(postgres, redis, embedded), redis=Need.IF_NAMED))
        if order is not None:
            _ask_before(targets, order, yes=yes)
        progress = stack.enter_context(shown(quiet=quiet))
        found = use.capture(
            name, targets, window=watched, probes=wanted, statements=statements, repeat=repeat, load=order,
            allow_writes=allow_writes, plans=plans, urls=urls, directory=directory, progress=progress,
        )  # fmt: skip
    destination.write(found, SHOW)
    say(f"stored as {directory / name}.json", quiet=quiet)


@app.command()
def compare(
    before: Before,
    after: After,
    margin: Margin = "5%",
    noise: Noise = "5%",
    interleaved: Interleaved = False,
    gate: Gates = None,
    fail_on: Annotated[
        Literal["regression"] | None, typer.Option("--fail-on", help="Exit with 1 on a regression.")
    ] = None,
    across_servers: AcrossServers = False,
    directory: Directory = DIRECTORY,
    output_format: Format = None,
    output: Output = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Judge AFTER against BEFORE: improved, regressed, no change, or inconclusive, with intervals.

    Exits with 1 when a --gate does not hold, and on a regression with --fail-on. With --format github and
    $GITHUB_STEP_SUMMARY the result also goes there, as Markdown.

    Example:
      dbtune baseline compare before after --fail-on regression --gate 'latency.p95 < baseline * 1.1'

    """
    from dbtune.app import baseline as use
    from dbtune.cli.output import choose
    from dbtune.cli.progress import say
    from dbtune.core.errors import AnswerIsNo
    from dbtune.render.baseline import COMPARISON

    destination = choose(output_format, output, COMPARISON, verbose=verbose)
    found = use.compare(
        before, after, directory=directory, margin=share(margin, "--margin"), noise=share(noise, "--noise"),
        interleaved=interleaved, across_servers=across_servers, gates=parsed_gates(gate),
    )  # fmt: skip
    destination.write(found, COMPARISON)
    if output is not None:
        say(f"written to {output}", quiet=quiet)
    broken = [one.expression for one in found.gates if not one.ok]
    if broken:
        raise AnswerIsNo(f"{before} → {after}: {len(broken)} of {len(found.gates)} gates do not hold: {broken[0]}",
                         hint="the report says what was measured")  # fmt: skip
    if fail_on == "regression" and found.verdict == "regressed":
        raise AnswerIsNo(f"{before} → {after}: regressed", hint="the report says what, and by how much")


@app.command()
def report(
    before: Before,
    after: After,
    margin: Margin = "5%",
    noise: Noise = "5%",
    interleaved: Interleaved = False,
    gate: Gates = None,
    across_servers: AcrossServers = False,
    directory: Directory = DIRECTORY,
    output_format: Format = None,
    output: Output = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Write the comparison as one HTML file: no script, for browsers, mail and print. Exits with 0 whatever it says.

    Without --output and --format it goes to dbtune-report.html.

    Example:
      dbtune baseline report before after --output report.html

    """
    from dbtune.app import baseline as use
    from dbtune.cli.output import choose
    from dbtune.cli.progress import say
    from dbtune.render.baseline import COMPARISON

    place = output or (None if output_format else Path("dbtune-report.html"))
    destination = choose(output_format or (None if output else "html"), place, COMPARISON, verbose=verbose)
    found = use.compare(
        before, after, directory=directory, margin=share(margin, "--margin"), noise=share(noise, "--noise"),
        interleaved=interleaved, across_servers=across_servers, gates=parsed_gates(gate),
    )  # fmt: skip
    destination.write(found, COMPARISON)
    if place is not None:
        say(f"written to {place}", quiet=quiet)


def _load_order(path: Path | None, profile: Literal["smoke", "ramp"] | None, var: list[str] | None) -> LoadOrder | None:
    """Raises Misused for a playbook without a load, before anything is measured."""
    from dbtune.core.errors import Misused

    if path is None:
        if profile is not None or var:
            raise Misused("--profile and --var belong to a load", hint="name its playbook with --load")
        return None
    from dbtune.app.load import LoadOrder, chosen_loads
    from dbtune.playbook.load import load as read

    order = LoadOrder(read(path, variables=parse_vars(var)), profile=profile)
    chosen_loads(order)
    return order


def _ask_before(targets: OpenTargets, order: LoadOrder, *, yes: bool) -> None:
    from dbtune.app.load import intention
    from dbtune.cli.load import ask_first

    ask_first(intention(targets, order), yes=yes)


register(app)
