"""baseline capture, compare, list and show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dbtune.cli.options import Debug, Embedded, Format, Output, Postgres, Quiet, Redis, Verbose

if TYPE_CHECKING:
    from dbtune.baseline.probes import Probe

app = typer.Typer(no_args_is_help=True, help="Measure, and compare measurements.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Letters, digits, dot, dash, underscore.")]
Directory = Annotated[
    Path, typer.Option("--dir", metavar="DIRECTORY", help="Where the baselines lie.", show_default=True)
]
_DIRECTORY = Path(".dbtune") / "baselines"


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
    allow_writes: Annotated[bool, typer.Option("--allow-writes", help="Probes may change data.")] = False,
    postgres: Postgres = None,
    redis: Redis = None,
    embedded: Embedded = False,
    directory: Directory = _DIRECTORY,
    output_format: Format = None,
    output: Output = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Measure: counters over a window, plans, timed probes. Resets nothing.

    Stored as DIRECTORY/NAME.json; an older one of that name is replaced.

    Example:
      dbtune baseline capture before --window 30s --probe 'feed=select * from feed limit 20' --repeat 400

    """
    from dbtune.app import baseline as use
    from dbtune.app.targets import Need, Targets, open_targets
    from dbtune.baseline.probes import Statement, parse_pair
    from dbtune.cli.output import choose
    from dbtune.cli.progress import say, shown
    from dbtune.render.baseline_captures import SHOW

    destination = choose(output_format, output, SHOW, verbose=verbose)
    wanted = _probes(probe, flow, probes)
    statements = [Statement(*parse_pair(text, "--statement")) for text in statement or ()]
    watched = use.Window(_duration(window), windows) if window else use.NO_WINDOW
    with (
        open_targets(Targets(postgres, redis, embedded), redis=Need.IF_NAMED) as targets,
        shown(quiet=quiet) as progress,
    ):
        found = use.capture(
            name, targets, window=watched, probes=wanted, statements=statements, repeat=repeat,
            allow_writes=allow_writes, directory=directory, progress=progress,
        )  # fmt: skip
    destination.write(found, SHOW)
    say(f"stored as {directory / name}.json", quiet=quiet)


@app.command()
def compare(
    before: Annotated[str, typer.Argument(metavar="BEFORE", help="A baseline's name, or its file.")],
    after: Annotated[str, typer.Argument(metavar="AFTER", help="A baseline's name, or its file.")],
    margin: Annotated[str, typer.Option(metavar="SHARE", help="A change within it does not matter.")] = "5%",
    noise: Annotated[
        str, typer.Option(metavar="SHARE", help="How much a run's level varies from run to run, as you measured it.")
    ] = "5%",
    interleaved: Annotated[
        bool, typer.Option("--interleaved", help="The blocks of both took turns: no noise is assumed.")
    ] = False,
    fail_on: Annotated[
        Literal["regression"] | None, typer.Option("--fail-on", help="Exit with 1 on a regression.")
    ] = None,
    across_servers: Annotated[
        bool, typer.Option("--across-servers", help="Compare captures of different databases or servers.")
    ] = False,
    directory: Directory = _DIRECTORY,
    output_format: Format = None,
    output: Output = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Judge AFTER against BEFORE: improved, regressed, no change, or inconclusive, with intervals.

    Example:
      dbtune baseline compare before after --fail-on regression --output report.html

    """
    from dbtune.app import baseline as use
    from dbtune.cli.output import choose
    from dbtune.cli.progress import say
    from dbtune.core.errors import AnswerIsNo
    from dbtune.render.baseline import COMPARISON

    destination = choose(output_format, output, COMPARISON, verbose=verbose)
    found = use.compare(
        before, after, directory=directory, margin=_share(margin, "--margin"), noise=_share(noise, "--noise"),
        interleaved=interleaved, across_servers=across_servers,
    )  # fmt: skip
    destination.write(found, COMPARISON)
    if output is not None:
        say(f"written to {output}", quiet=quiet)
    if fail_on == "regression" and found.verdict == "regressed":
        raise AnswerIsNo(f"{before} → {after}: regressed", hint="the report says what, and by how much")


@app.command("list")
def list_(
    directory: Directory = _DIRECTORY,
    output_format: Format = None,
    output: Output = None,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """List the stored baselines, the damaged ones with what is wrong.

    Example:
      dbtune baseline list

    """
    from dbtune.app.baseline_store import load_all
    from dbtune.baseline.capture import Capture
    from dbtune.cli.output import choose
    from dbtune.render.baseline_captures import LIST, Entry

    destination = choose(output_format, output, LIST, verbose=verbose)
    entries = [
        Entry(name, found) if isinstance(found, Capture) else Entry(name, None, found.message)
        for name, found in load_all(directory)
    ]
    destination.write(entries, LIST)


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A baseline's name, or its file.")],
    directory: Directory = _DIRECTORY,
    output_format: Format = None,
    output: Output = None,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Show what one baseline holds.

    Example:
      dbtune baseline show before

    """
    from dbtune.app.baseline_store import load
    from dbtune.cli.output import choose
    from dbtune.render.baseline_captures import SHOW

    destination = choose(output_format, output, SHOW, verbose=verbose)
    destination.write(load(name, directory), SHOW)


def _probes(probe: list[str] | None, flow: list[str] | None, file: Path | None) -> list[Probe]:
    from dbtune.baseline.probes import Probe, parse_pair, parse_probes
    from dbtune.core.errors import Misused

    found = [Probe(name, sql=sql) for name, sql in (parse_pair(text, "--probe") for text in probe or ())]
    found += [Probe(name, flow=place) for name, place in (parse_pair(text, "--flow") for text in flow or ())]
    if file is not None:
        try:
            found += parse_probes(file.read_text(encoding="utf-8"), str(file))
        except (OSError, UnicodeDecodeError) as error:
            raise Misused(f"--probes {file} cannot be read: {error}", hint="name a YAML file") from error
    return found


def _duration(text: str) -> float:
    from dbtune.core.errors import Misused
    from dbtune.core.units import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise Misused(f"--window: {error}") from error


def _share(text: str, option: str) -> float:
    from dbtune.core.errors import Misused
    from dbtune.core.units import parse_share

    try:
        return parse_share(text)
    except ValueError as error:
        raise Misused(f"{option}: {error}") from error
