"""invalidate: what is stale goes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dbtune.cli.options import Debug, Embedded, Format, Output, Quiet, Redis, Var, Verbose, parse_vars

if TYPE_CHECKING:
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

    Example:
      dbtune invalidate playbooks/recommendation-service.yml --event content.updated content_id=42
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
    needed = Targets(None, redis, embedded)
    with open_targets(needed, postgres=Need.NONE, redis=Need.REQUIRED) as targets, shown(quiet=quiet) as tell:
        report = remove(targets.redis or "", wanted, loaded, bounds, tell, dry_run=dry_run)
    destination.write(report, RENDERERS)
    return report.exit_code


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
