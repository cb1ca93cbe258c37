"""baseline list, show, trend, prune, import, export and selfcheck."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dbtune.cli.baseline_ab import ab
from dbtune.cli.baseline_options import DIRECTORY, Directory, Name, duration, named_probes, share
from dbtune.cli.options import Debug, Embedded, Format, Output, Postgres, Quiet, Redis, Verbose, Yes


def list_(
    directory: Directory = DIRECTORY,
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


def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A baseline's name, or its file.")],
    directory: Directory = DIRECTORY,
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


def trend(
    metric: Annotated[str, typer.Argument(metavar="METRIC", help="latency.p95, redis.hit_rate, NAME.p50 …")],
    last: Annotated[int, typer.Option(metavar="N", min=2, help="Only the newest N baselines.")] = 30,
    directory: Directory = DIRECTORY,
    output_format: Format = None,
    output: Output = None,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Show one figure over many baselines, oldest first.

    Example:
      dbtune baseline trend latency.p95 --last 20

    """
    from dbtune.app.baseline_store import load_all
    from dbtune.baseline.capture import Capture
    from dbtune.baseline.gates import GateSyntaxError
    from dbtune.baseline.trend import trend as follow
    from dbtune.cli.output import choose
    from dbtune.core.errors import Misused
    from dbtune.render.baseline_trend import TREND

    destination = choose(output_format, output, TREND, verbose=verbose)
    captures = [found for _, found in load_all(directory) if isinstance(found, Capture)]
    newest = sorted(captures, key=lambda capture: capture.started_at)[-last:]
    try:
        found = follow(metric, newest)
    except GateSyntaxError as error:
        raise Misused(str(error), hint="write a metric such as latency.p95") from error
    if not found.points:
        raise Misused(f"none of {len(newest)} baselines in {directory} has {metric}", hint="see `baseline show NAME`")
    destination.write(found, TREND)


def prune(
    keep: Annotated[int | None, typer.Option(metavar="N", min=0, help="Keep the newest N.")] = None,
    older_than: Annotated[str | None, typer.Option(metavar="DURATION", help="Delete those older than that.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and delete nothing.")] = False,
    directory: Directory = DIRECTORY,
    yes: Yes = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Delete old baselines. Files that are no baseline of dbtune's stay.

    Example:
      dbtune baseline prune --keep 20 --yes

    """
    from dbtune.app.baseline_store import prune as delete
    from dbtune.app.baseline_store import superfluous
    from dbtune.cli.progress import say
    from dbtune.core.errors import Misused

    if keep is None and older_than is None:
        raise Misused("nothing says what to delete", hint="give --keep N, or --older-than 30d")
    age = duration(older_than, "--older-than") if older_than else None
    names = superfluous(directory, keep=keep, older_than_s=age)
    if names and not dry_run and not yes and not typer.confirm(f"Delete {len(names)} baselines?", err=True):
        raise Misused("nothing was deleted", hint="--yes does not ask")
    if not dry_run:
        delete(names, directory)
    for name in names:
        typer.echo(name)
    say(f"{len(names)} baselines {'would go' if dry_run else 'deleted'}", quiet=quiet)


def import_(
    name: Name,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Compressed with gzip or not.")],
    tool: Annotated[
        Literal["auto", "k6", "pgbench", "hyperfine"], typer.Option("--from", help="Whose file; auto looks into it.")
    ] = "auto",
    with_lag: Annotated[bool, typer.Option("--with-lag", help="pgbench ran with --rate.")] = False,
    with_retries: Annotated[bool, typer.Option("--with-retries", help="pgbench ran with --max-tries.")] = False,
    directory: Directory = DIRECTORY,
    output_format: Format = None,
    output: Output = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Make a baseline of another tool's file: k6 (summaries, NDJSON), pgbench's logs, hyperfine.

    Example:
      dbtune baseline import last-week k6-samples.json.gz

    """
    from dbtune.app.importing import import_baseline
    from dbtune.cli.output import choose
    from dbtune.cli.progress import say
    from dbtune.load.pgbench_log import Columns
    from dbtune.render.baseline_captures import SHOW

    destination = choose(output_format, output, SHOW, verbose=verbose)
    columns = Columns(lag=with_lag, retries=with_retries) if with_lag or with_retries else None
    found = import_baseline(name, files, directory, tool=tool, columns=columns)
    destination.write(found, SHOW)
    say(f"stored as {directory / name}.json", quiet=quiet)


def export(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A baseline's name, or its file.")],
    form: Annotated[
        Literal["json", "markdown", "bencher", "benchmark", "prometheus"],
        typer.Option("--to", help="bencher: BMF; benchmark: github-action-benchmark; prometheus: textfile collector."),
    ] = "json",
    directory: Directory = DIRECTORY,
    output: Output = None,
    debug: Debug = False,
) -> None:
    """Write one baseline for another tool.

    Example:
      dbtune baseline export nightly --to prometheus --output /var/lib/node_exporter/dbtune.prom

    """
    from dbtune.app.baseline_store import load
    from dbtune.cli.output import choose
    from dbtune.render.baseline_captures import SHOW
    from dbtune.render.baseline_exports import render

    destination = choose("json", output, SHOW)
    destination.deliver(render(load(name, directory), form))


def selfcheck(
    runs: Annotated[int, typer.Option(metavar="N", help="A/A comparisons.")] = 20,
    probe: Annotated[
        list[str] | None, typer.Option(metavar="NAME=SQL", help="Time this statement, read only. May be repeated.")
    ] = None,
    repeat: Annotated[int, typer.Option(metavar="N", help="Repetitions of each probe in each capture.")] = 50,
    margin: Annotated[str, typer.Option(metavar="SHARE", help="A change within it does not matter.")] = "5%",
    postgres: Postgres = None,
    redis: Redis = None,
    embedded: Embedded = False,
    output_format: Format = None,
    output: Output = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Measure the same state twice, again and again: how often does a verdict say that it changed?

    Promised are at most 5 %; more exit with 1. It also measures the noise between runs, for `compare --noise`.

    Example:
      dbtune baseline selfcheck --runs 40 --probe 'feed=select * from feed limit 20'

    """
    from dbtune.app.selfcheck import self_check
    from dbtune.app.targets import Need, Targets, open_targets
    from dbtune.cli.output import choose
    from dbtune.cli.progress import shown
    from dbtune.core.errors import AnswerIsNo
    from dbtune.render.selfcheck import SELFCHECK

    destination = choose(output_format, output, SELFCHECK, verbose=verbose)
    with (
        open_targets(Targets(postgres, redis, embedded), redis=Need.IF_NAMED) as targets,
        shown(quiet=quiet) as progress,
    ):
        found = self_check(
            targets, runs=runs, probes=named_probes(probe, None, None), repeat=repeat,
            margin=share(margin, "--margin"), progress=progress,
        )  # fmt: skip
    destination.write(found, SELFCHECK)
    if not found.ok:
        raise AnswerIsNo(
            f"{found.false_verdict_rate:.1%} of the verdicts were false",
            hint="levels vary too much here: --repeat more, a quieter machine, or interleaved blocks",
        )


def register(app: typer.Typer) -> None:
    """Adds these commands to `baseline`."""
    app.command("list")(list_)
    app.command()(show)
    app.command()(trend)
    app.command()(prune)
    app.command("import")(import_)
    app.command()(export)
    app.command()(selfcheck)
    app.command()(ab)
