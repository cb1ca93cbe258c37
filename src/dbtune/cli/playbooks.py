"""plan, apply, verify, rollback and history."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
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
    Yes,
    parse_seconds,
    parse_tags,
    parse_vars,
)

if TYPE_CHECKING:
    from dbtune.app.selection import Selection
    from dbtune.app.targets import OpenTargets
    from dbtune.core.reports import RunReport
    from dbtune.playbook.model import Playbook

PENDING_EXIT = 6

LockWait = Annotated[
    str, typer.Option("--lock-wait", metavar="DURATION", help="How long to wait for another run to end.")
]


def plan(
    playbook: PlaybookPath,
    postgres: Postgres = None,
    redis: Redis = None,
    embedded: Embedded = False,
    var: Var = None,
    only: Only = None,
    tags: Tags = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 6 when there is something to do.")] = False,
    output_format: Format = None,
    output: Output = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> int:
    """Show what apply would do: exact SQL, locks, blockers, sizes. Changes nothing.

    The session is read-only, and the server holds it to that. Exit code 1 when a step conflicts with what is there,
    3 when the role or the server cannot do it, 6 with --exit-code when changes are pending.

    Example:
      dbtune plan playbooks/auth-service.yml --postgres postgresql://me@db/app
      dbtune plan tune.yml --format json --output plan.json && dbtune apply tune.yml --plan plan.json --yes

    """
    from dbtune.app.plan import make_plan
    from dbtune.app.workspace import opened
    from dbtune.cli.output import choose
    from dbtune.render.runs import RENDERERS

    destination = choose(output_format, output, RENDERERS["plan"].keys(), verbose=verbose)
    loaded, selection = _load(playbook, var), _selection(only, tags)
    with _targets(postgres, redis, embedded=embedded) as targets, opened(targets) as workspace:
        report = make_plan(workspace, loaded, selection)
    destination.write(report, RENDERERS["plan"])
    pending = exit_code and any(step.status == "change" for step in report.steps)
    return report.exit_code or (PENDING_EXIT if pending else 0)


def apply(
    playbook: PlaybookPath,
    postgres: Postgres = None,
    redis: Redis = None,
    embedded: Embedded = False,
    var: Var = None,
    only: Only = None,
    tags: Tags = None,
    yes: Yes = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the last unfinished run of this playbook, under its id.")
    ] = False,
    saved_plan: Annotated[
        Path | None,
        typer.Option("--plan", metavar="FILE", help="Do exactly what this saved plan (JSON) says, or refuse."),
    ] = None,
    lock_wait: LockWait = "0s",
    output_format: Format = None,
    output: Output = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> int:
    """Make the servers as the playbook says, and verify each step.

    Indexes are built CONCURRENTLY, one after the other. What is so already is left alone, so a second apply changes
    nothing. It stops at the first failure; what was done stays, and `dbtune rollback RUN` takes it back. Interrupted
    or killed, run it again: it goes on from what the server really has.

    Example:
      dbtune apply playbooks/auth-service.yml --postgres postgresql://me@db/app --yes

    """
    from dbtune.app.apply import Order, apply_playbook
    from dbtune.app.saved_plan import read_saved_plan
    from dbtune.app.workspace import opened
    from dbtune.cli.output import choose
    from dbtune.cli.progress import shown
    from dbtune.render.runs import RENDERERS

    destination = choose(output_format, output, RENDERERS["apply"].keys(), verbose=verbose)
    loaded = _load(playbook, var)
    order = Order(
        playbook=loaded,
        selection=_selection(only, tags),
        resume=resume,
        approved=read_saved_plan(saved_plan, loaded) if saved_plan else None,
        lock_wait_s=parse_seconds("--lock-wait", lock_wait),
    )
    with _targets(postgres, redis, embedded=embedded) as targets, opened(targets) as workspace:
        _ask_first(f"Apply {loaded.name} to {workspace.target}?", yes=yes or saved_plan is not None)
        with shown(quiet=quiet) as tell:
            report = apply_playbook(workspace, order, tell)
    destination.write(report, RENDERERS["apply"])
    return report.exit_code


def verify(
    playbook: PlaybookPath,
    postgres: Postgres = None,
    redis: Redis = None,
    embedded: Embedded = False,
    var: Var = None,
    only: Only = None,
    tags: Tags = None,
    output_format: Format = None,
    output: Output = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> int:
    """Check that the servers are as the playbook says, and that it helps. Changes nothing.

    Indexes must be valid and of the same definition, settings in effect for new sessions, statements planned and as
    fast as expected. Exit code 1 when something is not so.

    Example:
      dbtune verify playbooks/auth-service.yml --postgres postgresql://me@db/app

    """
    from dbtune.app.verify import verify_playbook
    from dbtune.app.workspace import opened
    from dbtune.cli.output import choose
    from dbtune.cli.progress import shown
    from dbtune.render.runs import RENDERERS

    destination = choose(output_format, output, RENDERERS["verify"].keys(), verbose=verbose)
    loaded, selection = _load(playbook, var), _selection(only, tags)
    with (
        _targets(postgres, redis, embedded=embedded) as targets,
        opened(targets) as workspace,
        shown(quiet=quiet) as tell,
    ):
        report = verify_playbook(workspace, loaded, selection, tell)
    destination.write(report, RENDERERS["verify"])
    return report.exit_code


def rollback(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run's id from `dbtune history`, or `last`.")],
    postgres: Postgres = None,
    redis: Redis = None,
    yes: Yes = False,
    lock_wait: LockWait = "0s",
    output_format: Format = None,
    output: Output = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> int:
    """Undo what a run changed, in reverse order.

    Only what that run changed, and only where it still stands: an index that was there before stays, a setting gets
    its prior entry or none, and what somebody changed since is kept and said.

    Example:
      dbtune rollback last --postgres postgresql://me@db/app --yes

    """
    from dbtune.app.rollback import roll_back
    from dbtune.app.workspace import opened
    from dbtune.cli.output import choose
    from dbtune.cli.progress import shown
    from dbtune.render.runs import RENDERERS

    destination = choose(output_format, output, RENDERERS["rollback"].keys(), verbose=verbose)
    wait_s = parse_seconds("--lock-wait", lock_wait)
    with _targets(postgres, redis) as targets, opened(targets) as workspace:
        _ask_first(f"Roll back {run} on {workspace.target}?", yes=yes)
        with shown(quiet=quiet) as tell:
            report: RunReport = roll_back(workspace, run, tell, lock_wait_s=wait_s)
    destination.write(report, RENDERERS["rollback"])
    return report.exit_code


def history(
    postgres: Postgres = None,
    most: Annotated[int, typer.Option("--most", min=1, help="How many runs, the newest first.")] = 50,
    output_format: Format = None,
    output: Output = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Show the journal of runs.

    The journal lies in schema `dbtune` of the target, or in a local file where the role may not make one.

    Example:
      dbtune history --postgres postgresql://me@db/app

    """
    from dbtune.app.history import read_history
    from dbtune.app.workspace import opened
    from dbtune.cli.output import choose
    from dbtune.render.history import RENDERERS

    destination = choose(output_format, output, RENDERERS.keys(), verbose=verbose)
    with _targets(postgres, None, use_redis=False) as targets, opened(targets) as workspace:
        report = read_history(workspace, most)
    destination.write(report, RENDERERS)


def _load(path: Path, var: list[str] | None) -> Playbook:
    from dbtune.playbook.load import load

    return load(path, variables=parse_vars(var))


def _selection(only: list[str] | None, tags: list[str] | None) -> Selection:
    from dbtune.app.selection import Selection

    return Selection(ids=tuple(only or ()), tags=parse_tags(tags))


def _targets(
    postgres: str | None, redis: str | None, *, embedded: bool = False, use_redis: bool = True
) -> AbstractContextManager[OpenTargets]:
    from dbtune.app.targets import Need, Targets, open_targets

    named = Targets(postgres, redis, embedded)
    needed = Need.REQUIRED if embedded else Need.IF_NAMED
    return open_targets(named, redis=needed if use_redis else Need.NONE)


def _ask_first(question: str, *, yes: bool) -> None:
    """A change needs a yes: on a terminal it can be given there, elsewhere it must have been given before."""
    from dbtune.core.errors import Misused

    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Misused("a change needs a yes, and nobody can be asked here", hint="look at the plan, then give --yes")
    if not typer.confirm(question, err=True):
        raise typer.Exit(130)
