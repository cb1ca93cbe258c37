"""schedule: a playbook's warm-ups by the clock."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dbtune.cli.options import Debug, Output, PlaybookPath, Quiet, Var, parse_vars

if TYPE_CHECKING:
    from dbtune.core.formats import OutputFormat
    from dbtune.core.schedule import Schedule

Clock = Literal["terminal", "crontab", "systemd", "kubernetes", "json"]


def schedule(
    playbook: PlaybookPath,
    clock: Annotated[
        Clock, typer.Option("--format", help="terminal is the crontab. systemd with --output DIRECTORY writes files.")
    ] = "terminal",
    env_file: Annotated[
        Path | None,
        typer.Option("--env-file", metavar="FILE", help="The file that sets DATABASE_URL and REDIS_URL for the jobs."),
    ] = None,
    program: Annotated[
        Path | None,
        typer.Option("--program", metavar="PATH", help="Where dbtune lies there. Otherwise where this one does."),
    ] = None,
    metrics_dir: Annotated[
        Path | None,
        typer.Option("--metrics-dir", metavar="DIR", help="The textfile collector's; each job writes a file there."),
    ] = None,
    image: Annotated[str, typer.Option("--image", help="The container image, for Kubernetes.")] = "dbtune",
    var: Var = None,
    output: Output = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> int:
    """Print crontab lines, systemd units or Kubernetes CronJobs for the warm-ups of a playbook. Changes nothing.

    One job for each interval (`every:`). Jobs of one playbook begin in different minutes, wait for each other's lock,
    and pass over what is not due yet. Passwords are in none of it: the jobs take DATABASE_URL and REDIS_URL from
    --env-file, from the crontab, or from a Secret.

    Example:
      dbtune schedule playbooks/product-catalog.yml --env-file /etc/dbtune/shop.env | crontab -
      dbtune schedule playbooks/product-catalog.yml --format systemd --output /etc/systemd/system
      dbtune schedule playbooks/product-catalog.yml --format kubernetes | kubectl apply -f -

    """
    from dbtune.app.schedule import Surroundings, make_schedule
    from dbtune.playbook.load import load

    loaded = load(playbook, variables=parse_vars(var))
    made = make_schedule(
        loaded, Surroundings(_program(program), _absolute(env_file), _absolute(metrics_dir), image or "dbtune")
    )
    from dbtune.app.streams import is_stream
    from dbtune.cli.output import choose

    if clock == "systemd" and output is not None and not is_stream(output):
        _write_units(made, output, quiet=quiet)
        return 0
    from dbtune.render.schedule import cronjobs, crontab, json_document, systemd

    forms = {"systemd": systemd, "kubernetes": cronjobs, "json": json_document}
    plain: tuple[OutputFormat] = ("terminal",)
    choose("terminal", output, plain).deliver(forms.get(clock, crontab)(made))
    return 0


def _write_units(made: Schedule, directory: Path, *, quiet: bool) -> None:
    from dbtune.cli.output import Destination
    from dbtune.cli.progress import say
    from dbtune.core.errors import Misused
    from dbtune.render.schedule import units

    if not directory.is_dir():
        raise Misused(f"--output {directory} is no directory, and each unit is a file", hint=f"mkdir -p {directory}")
    for name, text in units(made).items():
        Destination("terminal", directory / name).deliver(text)
        say(f"wrote {directory / name}", quiet=quiet)


def _program(given: Path | None) -> Path:
    """The one that is named, else the one that runs: cron's PATH is too short to find it."""
    import shutil

    if given is not None:
        return given if len(given.parts) == 1 else given.absolute()
    started = Path(sys.argv[0])
    if started.name == "dbtune":
        return started.absolute()
    beside = Path(sys.executable).parent / "dbtune"
    return beside if beside.exists() else Path(shutil.which("dbtune") or "dbtune")


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.absolute()
