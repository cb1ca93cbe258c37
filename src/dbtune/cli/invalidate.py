"""invalidate: what is stale goes."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dbtune.cli.options import Debug, Embedded, Format, Output, Postgres, Quiet, Redis, Var, Verbose, parse_vars
from dbtune.core.invalidation_channel import CHANNEL

if TYPE_CHECKING:
    from dbtune.app.invalidate import Wanted
    from dbtune.app.targets import Targets
    from dbtune.cli.output import Destination
    from dbtune.playbook.model import Playbook

Repeated = list[str] | None


def invalidate(
    playbook: Annotated[
        Path | None, typer.Argument(metavar="[PLAYBOOK]", help="Its `cache: events:` say what events make stale.")
    ] = None,
    arguments: Annotated[
        Repeated, typer.Argument(metavar="[NAME=VALUE]...", help="The arguments of the events.")
    ] = None,
    event: Annotated[
        Repeated, typer.Option("--event", metavar="NAME", help="What happened: content.updated. May be repeated.")
    ] = None,
    key: Annotated[Repeated, typer.Option("--key", metavar="KEY", help="This key. May be repeated.")] = None,
    tag: Annotated[
        Repeated, typer.Option("--tag", metavar="TAG", help="Every key warmed with this tag. May be repeated.")
    ] = None,
    pattern: Annotated[
        Repeated,
        typer.Option("--pattern", metavar="GLOB", help="Every key that matches: 'rec:user:*'. May be repeated."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count and sample; remove nothing.")] = False,
    max_keys: Annotated[
        int, typer.Option("--max-keys", metavar="N", min=1, help="Refuse to remove more keys than this.")
    ] = 1_000_000,
    max_share: Annotated[
        str | None,
        typer.Option(
            "--max-share",
            metavar="SHARE",
            help="Refuse to remove more of the keyspace than this. Otherwise patterns may match half of it.",
        ),
    ] = None,
    listen: Annotated[
        bool, typer.Option("--listen", help="Invalidate by the events that PostgreSQL sends, until Ctrl-C or SIGTERM.")
    ] = False,
    channel: Annotated[
        str, typer.Option("--channel", metavar="NAME", help="The channel that --listen listens on.")
    ] = CHANNEL,
    skip_catch_up: Annotated[
        bool,
        typer.Option(
            "--skip-catch-up", help="With --listen: do not begin with what may have been missed before the start."
        ),
    ] = False,
    postgres: Postgres = None,
    redis: Redis = None,
    embedded: Embedded = False,
    var: Var = None,
    output_format: Format = None,
    output: Output = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> int:
    """Remove what is stale from the cache: by event, key, tag or pattern.

    Values that go into a pattern stand for themselves, whatever they hold. A pattern needs a literal prefix, nothing
    is ever flushed, and warm-ups that are under way learn of it, so that they bring no older value back. Exit code 4
    when something could not be removed, or when it would be more than the caps allow (then nothing is removed).

    With --listen, triggers (step kind invalidate_on) or the application send the events. What may have been missed,
    before the start or while a server was away, is made good by removing whatever any event could make stale.

    Example:
      dbtune invalidate playbooks/recommendation-service.yml --event content.updated content_id=42
      dbtune invalidate service.yml --listen --postgres postgresql://me@db/app --redis redis://cache:6379/0
      dbtune invalidate --tag contents --pattern 'rec:user:*' --dry-run --redis redis://cache:6379/0

    """
    from dbtune.app.invalidate import Bounds, Wanted
    from dbtune.app.invalidate import invalidate as remove
    from dbtune.app.targets import Need, Targets, open_targets
    from dbtune.cli.output import choose
    from dbtune.cli.progress import shown
    from dbtune.render.invalidation import RENDERERS

    destination = choose(output_format, output, RENDERERS.keys(), verbose=verbose)
    wanted = Wanted(*(tuple(given or ()) for given in (event, arguments, key, tag, pattern)))
    loaded, bounds = _load(playbook, var, wanted.events), Bounds(max_keys, _share(max_share))
    named = Targets(postgres, redis, embedded)
    if listen:
        return _listen(named, wanted, loaded, destination, _Ears(channel, not skip_catch_up, quiet))
    with open_targets(named, postgres=Need.NONE, redis=Need.REQUIRED) as targets, shown(quiet=quiet) as tell:
        report = remove(targets.redis or "", wanted, loaded, bounds, tell, dry_run=dry_run)
    destination.write(report, RENDERERS)
    return report.exit_code


@dataclass(frozen=True, slots=True)
class _Ears:
    channel: str
    catch_up: bool
    quiet: bool


def _listen(named: Targets, wanted: Wanted, playbook: Playbook | None, destination: Destination, ears: _Ears) -> int:
    """A line for each batch on standard output, as text or as JSON; what is not a result goes to standard error."""
    import contextlib

    from dbtune.app.invalidate import Wanted, rules
    from dbtune.app.listen import Listening
    from dbtune.app.targets import Need, open_targets
    from dbtune.core.errors import Misused
    from dbtune.core.invalidation import InvalidationReport
    from dbtune.core.secrets import mask_password
    from dbtune.render.invalidation import as_line

    if wanted != Wanted() or playbook is None:
        raise Misused(
            "--listen takes a playbook, and its events from PostgreSQL", hint="dbtune invalidate FILE --listen"
        )
    if destination.path is not None or destination.format not in ("terminal", "json"):
        raise Misused("--listen writes to standard output, as text or as JSON", hint="leave out --output")

    def said(news: InvalidationReport | str) -> None:
        if isinstance(news, InvalidationReport):
            print(as_line(news, as_json=destination.format == "json"), flush=True)  # noqa: T201 - the result
        elif not ears.quiet:
            print(mask_password(news), file=sys.stderr, flush=True)  # noqa: T201 - for the service's log

    with (
        contextlib.suppress(KeyboardInterrupt),
        open_targets(named, postgres=Need.REQUIRED, redis=Need.REQUIRED) as targets,
    ):
        Listening(targets.postgres or "", targets.redis or "", rules(playbook), ears.channel, said).run(
            catch_up=ears.catch_up
        )
    return 0


def _load(path: Path | None, var: list[str] | None, events: tuple[str, ...]) -> Playbook | None:
    from dbtune.core.errors import Misused

    if path is None:
        if events:
            raise Misused(
                f"--event {events[0]}: no playbook is named that knows it",
                hint="dbtune invalidate PLAYBOOK --event NAME argument=value",
            )
        return None
    if "=" in path.name and not path.exists():
        raise Misused(f"{path} is an argument of an event, and no playbook is named", hint="name the playbook first")
    from dbtune.playbook.load import load

    return load(path, variables=parse_vars(var))


def _share(text: str | None) -> float | None:
    from dbtune.core.errors import Misused
    from dbtune.core.units import parse_share

    try:
        return None if text is None else parse_share(text)
    except ValueError as error:
        raise Misused(f"--max-share: {error}") from error
