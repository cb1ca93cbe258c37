"""cache: how the cache does, and what would help."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dbtune.cli.options import Debug, Embedded, Format, Output, Quiet, Redis, Verbose, parse_seconds

if TYPE_CHECKING:
    from dbtune.cli.output import Destination
    from dbtune.core.cache_report import CacheReport


def cache(
    redis: Redis = None,
    embedded: Embedded = False,
    window: Annotated[str, typer.Option("--window", metavar="DURATION", help="Watch the counters for so long.")] = "5s",
    watch: Annotated[bool, typer.Option("--watch", help="Show it live until Ctrl-C: no sample, no advice.")] = False,
    every: Annotated[str, typer.Option("--every", metavar="DURATION", help="How often --watch looks.")] = "2s",
    times: Annotated[
        int | None, typer.Option("--times", metavar="N", min=1, help="How often --watch looks before it ends.")
    ] = None,
    monitor: Annotated[
        str,
        typer.Option(
            "--monitor", metavar="DURATION", help="MONITOR for so long, for reads by prefix. It slows the server down."
        ),
    ] = "0s",
    playbook: Annotated[
        Path | None,
        typer.Option("--advice-playbook", metavar="FILE", help="Write the advice as a playbook for plan and apply."),
    ] = None,
    output_format: Format = None,
    output: Output = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> int:
    """Show a cache's hit rate, memory, TTLs, evictions, command times and prefixes, with advice. Changes nothing.

    Rates come from the window alone: a restart within it is noticed, and dbtune's own commands are counted out. Keys
    are sampled after it, without a command that stalls the server. Misses by prefix need keyspace notifications. Of a
    cluster, named by any of its nodes, all primaries are shown together, with a line for each.

    Example:
      dbtune cache --redis redis://cache:6379/0 --window 30s
      dbtune cache --watch --every 1s
      dbtune cache --format html --output cache.html --advice-playbook advice.yml

    """
    from dbtune.app.cache import Look, look_at_cache
    from dbtune.app.targets import Need, Targets, open_targets
    from dbtune.cli.output import choose
    from dbtune.cli.progress import shown
    from dbtune.render.cache import RENDERERS

    destination = choose(output_format, output, RENDERERS.keys(), verbose=verbose)
    advice = choose("terminal", playbook, RENDERERS.keys()) if playbook else None
    look = Look(parse_seconds("--window", window), parse_seconds("--monitor", monitor))
    every_s = max(0.1, parse_seconds("--every", every))
    named = Targets(None, redis, embedded)
    with open_targets(named, postgres=Need.NONE, redis=Need.REQUIRED) as targets:
        if watch:
            return _watch(targets.redis or "", every_s, times, destination)
        with shown(quiet=quiet) as tell:
            report = look_at_cache(targets.redis or "", look, tell)
    destination.write(report, RENDERERS)
    if advice:
        _write_advice(report, advice, quiet=quiet)
    return 0


def _write_advice(report: CacheReport, destination: Destination, *, quiet: bool) -> None:
    from dbtune.app.fix_playbook import fix_playbook
    from dbtune.cli.progress import say

    made = fix_playbook(report, only_safe=False)
    if made.text is None:
        say(f"there is nothing to change: {destination.path} is not written", quiet=quiet)
        return
    destination.deliver(made.text)
    say(f"{made.steps} {'step is' if made.steps == 1 else 'steps are'} in {destination.path}", quiet=quiet)


def _watch(url: str, every_s: float, times: int | None, destination: Destination) -> int:
    """Live on a terminal; elsewhere a line for each look, as text or as JSON. Ctrl-C and SIGTERM end it well."""
    import contextlib

    from dbtune.app.cache_watch import beats, describe_target
    from dbtune.core.errors import Misused
    from dbtune.render.cache_watch import as_json, as_line, as_panel

    if destination.path is not None or destination.format not in ("terminal", "json"):
        raise Misused("--watch writes to standard output, as text or as JSON", hint="leave out --watch for a report")
    target = describe_target(url)
    live = sys.stdout.isatty() and destination.format == "terminal" and destination.path is None
    with contextlib.suppress(KeyboardInterrupt):
        if live:
            from rich.console import Console
            from rich.live import Live

            console = Console(no_color=bool(os.environ.get("NO_COLOR")), highlight=False)
            with Live(console=console, auto_refresh=False, transient=False) as screen:
                for beat in beats(url, every_s, times):
                    screen.update(as_panel(beat, target), refresh=True)
            return 0
        for beat in beats(url, every_s, times):
            text = as_json(beat, target) if destination.format == "json" else as_line(beat)
            print(text, flush=True)  # noqa: T201 - the result, as it comes
    return 0
