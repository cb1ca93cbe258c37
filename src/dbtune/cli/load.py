"""dbtune load: staged load, judged by thresholds."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dbtune.cli.options import (
    Debug,
    Embedded,
    Format,
    Only,
    Output,
    Postgres,
    Quiet,
    Redis,
    Tags,
    Var,
    Verbose,
    Yes,
    parse_tags,
    parse_vars,
)

if TYPE_CHECKING:
    from dbtune.app.load import LoadOrder
    from dbtune.baseline.capture import Capture
    from dbtune.load.report import LoadReport

_DIRECTORY = Path(".dbtune") / "baselines"


def load(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PLAYBOOK", help="A YAML playbook; with --merge the workers' result files.")
    ],
    postgres: Postgres = None,
    redis: Redis = None,
    embedded: Embedded = False,
    var: Var = None,
    only: Only = None,
    tags: Tags = None,
    profile: Annotated[
        Literal["smoke", "ramp"] | None,
        typer.Option(
            help="Built-in stages in place of the playbook's: 10 s, or 12 minutes up to 100 clients and back."
        ),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(metavar="NAME", help="What relative thresholds (baseline * 1.10) compare with.")
    ] = None,
    capture: Annotated[
        str | None, typer.Option(metavar="NAME", help="Store the load and the servers' counters as this baseline.")
    ] = None,
    directory: Annotated[
        Path, typer.Option("--dir", metavar="DIRECTORY", help="Where the baselines lie.", show_default=True)
    ] = _DIRECTORY,
    worker: Annotated[
        str | None, typer.Option(metavar="I/N", help="Run worker I's share of N, and write the result for --merge.")
    ] = None,
    merge: Annotated[bool, typer.Option("--merge", help="Judge the result files of several workers as one.")] = False,
    yes: Yes = False,
    output_format: Format = None,
    output: Output = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> int:
    """Put load on in stages, and judge it by thresholds. It changes what its scripts change.

    Runs the playbook's steps of the kind `load`: SQL scripts with pgbench, HTTP endpoints with k6 or httpx, Python
    flows in threads. Exit code 1 when a threshold does not hold, has no data, or the load broke off; 3 when pgbench
    or k6 is missing or the server cannot be reached. On a terminal it asks first, unless --yes is given.

    Example:
      dbtune load feed.yml --postgres postgresql://me@staging/app --profile smoke
      dbtune load feed.yml --worker 1/2 --output one.json    # and 2/2 elsewhere
      dbtune load --merge one.json two.json --output report.html

    """
    from dbtune.cli.output import choose
    from dbtune.cli.progress import say
    from dbtune.render.loads import LOAD

    destination = choose(
        output_format or ("json" if worker and output is None else None), output, LOAD, verbose=verbose
    )
    before = _baseline(baseline, directory)
    if merge:
        from dbtune.app.load_merge import merge_files

        report = merge_files(paths, before)
    else:
        order = _order(paths, var, only, tags, profile, worker, before)
        report = _run(order, postgres, redis, capture, directory, embedded=embedded, yes=yes, quiet=quiet)
    destination.write(report, LOAD)
    if output is not None:
        say(f"written to {output}", quiet=quiet)
    return report.exit_code


def _order(
    paths: list[Path],
    var: list[str] | None,
    only: list[str] | None,
    tags: list[str] | None,
    profile: Literal["smoke", "ramp"] | None,
    worker: str | None,
    baseline: Capture | None,
) -> LoadOrder:
    from dbtune.app.load import LoadOrder
    from dbtune.app.selection import Selection
    from dbtune.core.errors import Misused
    from dbtune.load.document import parse_worker
    from dbtune.playbook.load import load as read

    if len(paths) != 1:
        raise Misused("load takes one playbook", hint="several result files are for `dbtune load --merge`")
    try:
        place = parse_worker(worker) if worker is not None else None
    except ValueError as error:
        raise Misused(f"--worker {error}", hint="write --worker 1/3") from error
    return LoadOrder(
        playbook=read(paths[0], variables=parse_vars(var)),
        selection=Selection(ids=tuple(only or ()), tags=parse_tags(tags)),
        profile=profile,
        worker=place,
        baseline=baseline,
    )


def _run(
    order: LoadOrder,
    postgres: str | None,
    redis: str | None,
    capture: str | None,
    directory: Path,
    *,
    embedded: bool,
    yes: bool,
    quiet: bool,
) -> LoadReport:
    from dbtune.app import load as use
    from dbtune.app.targets import Targets, open_targets
    from dbtune.cli.progress import say, shown

    needs = use.needs(order, capturing=capture is not None)
    with ExitStack() as stack:
        targets = stack.enter_context(
            open_targets(Targets(postgres, redis, embedded), postgres=needs.postgres, redis=needs.redis)
        )
        ask_first(use.intention(targets, order), yes=yes)
        tell = stack.enter_context(shown(quiet=quiet))
        if capture is None:
            return use.run_loads(targets, order, tell)
        report = use.run_into_capture(targets, order, tell, capture, directory)
    say(f"stored as {directory / capture}.json", quiet=quiet)
    return report


def ask_first(question: str, *, yes: bool) -> None:
    """Where a person can answer. Elsewhere the command itself is the yes: it says load."""
    if yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    if not typer.confirm(question, err=True):
        raise typer.Exit(130)


def _baseline(name: str | None, directory: Path) -> Capture | None:
    if name is None:
        return None
    from dbtune.app.baseline_store import load as read

    return read(name, directory)
