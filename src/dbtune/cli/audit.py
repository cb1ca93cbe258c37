"""audit and rule."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dbtune.cli.options import Debug, Embedded, Format, Output, Postgres, Quiet, Redis, Verbose, parse_seconds

if TYPE_CHECKING:
    from dbtune.app.accepted import Acceptance
    from dbtune.app.audit import Wish
    from dbtune.app.targets import OpenTargets
    from dbtune.cli.output import Destination
    from dbtune.core.findings import AuditReport

FailOn = Literal["critical", "warning", "info", "never"]
FOUND_EXIT = 1


def audit(
    postgres: Postgres = None,
    redis: Redis = None,
    embedded: Embedded = False,
    window: Annotated[
        str | None,
        typer.Option("--window", metavar="DURATION", help="Watch for so long: hit rates and N+1 need it."),
    ] = None,
    windows: Annotated[
        int | None,
        typer.Option("--windows", metavar="N", min=1, help="Sub-windows of --window; else of 5 s each, 6 to 24."),
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option(
            "--log",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            readable=True,
            help="The server's log, written meanwhile (jsonlog, csvlog, stderr): its values confirm an N+1.",
        ),
    ] = None,
    slow: Annotated[
        str, typer.Option("--slow", metavar="DURATION", help="A statement is slow from here on.")
    ] = "100ms",
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="CHECK", help="Only this check, by code or name. May be repeated."),
    ] = None,
    skip: Annotated[
        list[str] | None,
        typer.Option("--skip", metavar="CHECK", help="Not this check, by code or name. May be repeated."),
    ] = None,
    fail_on: Annotated[
        FailOn, typer.Option("--fail-on", help="Exit with 1 when anything so severe or worse is found.")
    ] = "never",
    accepted: Annotated[
        Path | None,
        typer.Option("--accept", metavar="FILE", help="YAML: accepted findings, each with a reason and an expiry."),
    ] = None,
    write_accepted: Annotated[
        Path | None,
        typer.Option("--write-accepted", metavar="FILE", help="Write what was found as such a file, to be edited."),
    ] = None,
    playbook: Annotated[
        Path | None,
        typer.Option("--fix-playbook", metavar="FILE", help="Write the safe fixes as a playbook for plan and apply."),
    ] = None,
    output_format: Format = None,
    output: Output = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> int:
    """Say what is wrong with a live PostgreSQL and Redis, how one knows, and what to do. Changes nothing.

    PostgreSQL, Redis or both; what could not be examined is said with its remedy. Sessions are read-only, and no
    command is used that stalls a server. Without --fail-on the exit code is 0 whatever is found.

    Example:
      dbtune audit --postgres postgresql://me@db/app --redis redis://cache:6379/0 --window 60s
      dbtune audit --postgres postgresql://me@db/app --fix-playbook fixes.yml && dbtune plan fixes.yml
      dbtune audit --only missing-foreign-key-index --fail-on warning --format junit --output audit.xml

    """
    from dbtune.app.audit import audit as look
    from dbtune.cli.output import choose
    from dbtune.cli.progress import shown
    from dbtune.render.audits import RENDERERS

    destination = choose(output_format, output, RENDERERS.keys(), verbose=verbose)
    files = [choose("terminal", path, RENDERERS.keys()) if path else None for path in (write_accepted, playbook)]
    wish = replace(_wish(window, windows, slow, only, skip), log=log)
    entries = _accepted(accepted)
    with _no_collection(), _opened(postgres, redis, embedded=embedded) as targets, shown(quiet=quiet) as tell:
        report = look(targets, wish, tell)
    if entries:
        report = _without_accepted(report, entries, quiet=quiet)
    destination.write(report, RENDERERS)
    if files[0]:
        from dbtune.app.accepted import dump_accepted

        files[0].deliver(dump_accepted(report.findings, entries, report.started_at.date()))
    if files[1]:
        _write_playbook(report, files[1], quiet=quiet)
    return FOUND_EXIT if _is_bad(report, fail_on) else 0


def rule(
    check: Annotated[
        str | None, typer.Argument(metavar="[CODE|NAME]", help="A check or an insight; without it, all are listed.")
    ] = None,
    output_format: Format = None,
    output: Output = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Explain a finding: what it means, why it matters, what to do.

    Knows every check of audit and every insight of explain. The forms are terminal, markdown and json.

    Example:
      dbtune rule
      dbtune rule PG001
      dbtune rule unused-index --format markdown

    """
    from dbtune.cli.output import choose
    from dbtune.render.rules import RENDERERS

    destination = choose(output_format, output, RENDERERS.keys())
    from dbtune.app.rulebook import look_up

    destination.write(look_up(check), RENDERERS)


def _wish(window: str | None, windows: int | None, slow: str, only: list[str] | None, skip: list[str] | None) -> Wish:
    from dbtune.app.audit import Wish

    window_s = parse_seconds("--window", window) if window else 0.0
    wish = Wish(_names(only), _names(skip), window_s, windows, parse_seconds("--slow", slow))
    # A check that does not exist should be said before anybody waits for a server.
    wish.chosen()
    return wish


def _names(given: list[str] | None) -> tuple[str, ...]:
    """Repeated or separated by commas; codes in either case."""
    import re

    from dbtune.cli.options import parse_tags

    return tuple(name.upper() if re.fullmatch(r"[a-zA-Z]{2}\d+", name) else name for name in parse_tags(given))


def _accepted(path: Path | None) -> tuple[Acceptance, ...]:
    if path is None:
        return ()
    from dbtune.app.accepted import read_accepted

    return read_accepted(path)


def _without_accepted(report: AuditReport, entries: tuple[Acceptance, ...], *, quiet: bool) -> AuditReport:
    from dbtune.app.accepted import accept
    from dbtune.cli.progress import say

    settled = accept(report, entries, report.started_at.date())
    for entry in settled.unused:
        say(f"accepted, and not found any more: {entry.code} {entry.object}", quiet=quiet)
    return settled.report


@contextmanager
def _no_collection() -> Iterator[None]:
    """Searching thousands of rows for cycles, of which there are none, would take a tenth of the time."""
    import gc

    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextmanager
def _opened(postgres: str | None, redis: str | None, *, embedded: bool) -> Iterator[OpenTargets]:
    """PostgreSQL, Redis or both: whatever is named."""
    from dbtune.app.targets import Need, Targets, open_targets
    from dbtune.core.errors import Misused

    needed = Need.REQUIRED if embedded else Need.IF_NAMED
    with open_targets(Targets(postgres, redis, embedded), postgres=needed, redis=needed) as targets:
        if targets.postgres is None and targets.redis is None:
            raise Misused(
                "no server is named",
                hint="give --postgres URL or --redis URL, or set DATABASE_URL or REDIS_URL; --embedded starts both",
            )
        yield targets


def _write_playbook(report: AuditReport, destination: Destination, *, quiet: bool) -> None:
    from dbtune.app.fix_playbook import fix_playbook
    from dbtune.cli.progress import say

    made = fix_playbook(report)
    if made.text is None:
        say(f"no fix is safe to apply without judgement: {destination.path} is not written", quiet=quiet)
        return
    destination.deliver(made.text)
    more = f"; {made.left_out} more did not fit, so run the audit again after applying it" if made.left_out else ""
    say(f"{made.steps} safe fixes are in {destination.path}{more}", quiet=quiet)


def _is_bad(report: AuditReport, fail_on: FailOn) -> bool:
    from dbtune.core.findings import SEVERITIES

    if fail_on == "never":
        return False
    worst = SEVERITIES[: SEVERITIES.index(fail_on) + 1]
    return any(finding.severity in worst for finding in report.findings)
