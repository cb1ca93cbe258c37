"""warm: fill the cache. Made for cron: silent when all went well and nobody looks."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dbtune.cli.options import (
    Debug,
    Embedded,
    Format,
    Only,
    Output,
    PlaybookPath,
    Postgres,
    Quiet,
    Redis,
    Tags,
    Var,
    Verbose,
    parse_seconds,
    parse_tags,
    parse_vars,
)

if TYPE_CHECKING:
    from dbtune.core.warm_report import WarmReport


def warm(
    playbook: PlaybookPath,
    postgres: Postgres = None,
    redis: Redis = None,
    embedded: Embedded = False,
    var: Var = None,
    only: Only = None,
    tags: Tags = None,
    force: Annotated[bool, typer.Option("--force", help="Also what is not due yet by its `every`.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is due, and write nothing.")] = False,
    parallel: Annotated[int, typer.Option("--parallel", min=1, max=16, help="How many steps at the same time.")] = 2,
    max_rate: Annotated[
        float | None, typer.Option("--max-rate", min=1, metavar="KEYS", help="No more keys a second than this.")
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option("--time-budget", metavar="DURATION", help="Stop after this long; the next run goes on there."),
    ] = None,
    lock_wait: Annotated[
        str, typer.Option("--lock-wait", metavar="DURATION", help="How long to wait for another run to end.")
    ] = "0s",
    ignore_memory: Annotated[
        bool, typer.Option("--ignore-memory", help="Go on although it will not fit, or the server evicts keys.")
    ] = False,
    full_speed: Annotated[
        bool, typer.Option("--full-speed", help="Do not back off while the server's latency is doubled.")
    ] = False,
    metrics_file: Annotated[
        Path | None,
        typer.Option("--metrics-file", metavar="FILE", help="Write metrics for Prometheus' textfile collector."),
    ] = None,
    pushgateway: Annotated[
        str | None, typer.Option("--pushgateway", metavar="URL", help="Push the metrics to a Pushgateway.")
    ] = None,
    output_format: Format = None,
    output: Output = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> int:
    """Fill the cache from the cache_warm steps of a playbook: those that are due.

    A step with `every` is due when that is over, one without it always. What was written is never older than the
    query's snapshot, and expires counted from it. Killed at any moment, the next run goes on where this one stopped.
    Two runs never warm the same step (exit code 5). It backs off while the server's latency is doubled, stops when
    the server evicts keys, and prints nothing when all went well, unless on a terminal or asked to (--format,
    --output, --verbose).

    Example:
      dbtune warm playbooks/warm-cache.yml --postgres postgresql://me@db/app --redis redis://cache
      */5 * * * * dbtune warm /etc/dbtune/shop.yml --metrics-file /var/lib/node_exporter/dbtune_warm.prom

    """
    from dbtune.app.selection import Selection
    from dbtune.app.targets import Need, Targets, open_targets
    from dbtune.app.warm import WarmOrder, opened_for_warming, warm_playbook
    from dbtune.cli.output import choose
    from dbtune.cli.progress import say, shown
    from dbtune.playbook.load import load
    from dbtune.render.warms import RENDERERS

    destination = choose(output_format, output, RENDERERS.keys(), verbose=verbose)
    _check_metrics(metrics_file)
    loaded = load(playbook, variables=parse_vars(var))
    selection = Selection(ids=tuple(only or ()), tags=parse_tags(tags))
    deadline_s = time.monotonic() + parse_seconds("--time-budget", budget) if budget else None
    lock_wait_s = parse_seconds("--lock-wait", lock_wait)
    told: list[str] = []
    with (
        open_targets(Targets(postgres, redis, embedded), redis=Need.REQUIRED) as targets,
        shown(quiet=quiet) as tell,
        opened_for_warming(targets, told, deadline_s, tell) as (workspace, breaker),
    ):
        order = WarmOrder(
            playbook=loaded,
            redis_url=targets.redis or "",
            selection=selection,
            force=force,
            dry_run=dry_run,
            parallel=parallel,
            max_rate=max_rate,
            deadline_s=deadline_s,
            lock_wait_s=lock_wait_s,
            ignore_memory=ignore_memory,
            full_speed=full_speed,
        )
        report = warm_playbook(workspace, order, breaker, told, tell)
    for transition in report.transitions:
        say(transition, quiet=quiet)
    if not dry_run:
        _measure(report, metrics_file, pushgateway)
    asked_for = output_format is not None or output is not None or verbose or dry_run
    if report.exit_code or asked_for or sys.stdout.isatty():
        destination.write(report, RENDERERS)
    return report.exit_code


def _check_metrics(path: Path | None) -> None:
    from dbtune.app.streams import is_stream
    from dbtune.core.errors import Misused

    if path is None:
        return
    if is_stream(path) or path.is_dir() or not path.absolute().parent.is_dir():
        problem = "is no file" if path.exists() else "lies in a directory that does not exist"
        raise Misused(f"--metrics-file {path} {problem}", hint="name a file in a directory that exists")


def _measure(report: WarmReport, path: Path | None, gateway: str | None) -> None:
    """The keys are warm whatever becomes of their metrics: a failure is said, and the exit code stays."""
    from dbtune.core.errors import DbtuneError
    from dbtune.core.secrets import mask_password

    try:
        if path is not None:
            from dbtune.render.warm_metrics import write_metrics

            write_metrics(report, path)
        if gateway is not None:
            from dbtune.render.warm_metrics import measured
            from dbtune.servers.pushgateway import push

            push(gateway, report.playbook, measured(report))
    except DbtuneError as error:
        print(mask_password(f"warning: {error.message}"), file=sys.stderr)  # noqa: T201
