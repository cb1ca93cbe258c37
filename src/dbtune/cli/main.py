"""The command line: which commands there are. Each is imported only when it runs."""

from __future__ import annotations

import importlib
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from dbtune import __version__

# name: (module:function or module:Typer, the first line of its help)
COMMANDS = {
    "demo": ("demo:demo", "Show the whole story on private servers: measure, tune, measure again, compare."),
    "audit": (
        "audit:audit",
        "Say what is wrong with a live PostgreSQL and Redis, how one knows, and what to do. Changes nothing.",
    ),
    "advise": (
        "advise:advise",
        "Say which indexes a workload should have, which could go, and what each costs and brings. Changes nothing.",
    ),
    "rule": ("audit:rule", "Explain a finding: what it means, why it matters, what to do."),
    "validate": ("validate:validate", "Check playbooks without a server: all mistakes at once, with their places."),
    "plan": ("playbooks:plan", "Show what apply would do: exact SQL, locks, blockers, sizes. Changes nothing."),
    "apply": ("playbooks:apply", "Make the servers as the playbook says, and verify each step."),
    "verify": (
        "playbooks:verify",
        "Check that the servers are as the playbook says, and that it helps. Changes nothing.",
    ),
    "rollback": ("playbooks:rollback", "Undo what a run changed, in reverse order."),
    "history": ("playbooks:history", "Show the journal of runs."),
    "load": ("load:load", "Put load on in stages, and judge it by thresholds. It changes what its scripts change."),
    "baseline": ("baseline:app", "Measure, and compare measurements."),
    "explain": (
        "explain:explain",
        "Show one statement's plan as a tree, and what it tells: where the time goes, why, and what to try.",
    ),
    "warm": (
        "warm:warm",
        "Fill the cache from the cache_warm steps of a playbook: those that are due.",
    ),
    "invalidate": (
        "invalidate:invalidate",
        "Remove what is stale from the cache: by event, key, tag or pattern.",
    ),
    "cache": (
        "cache:cache",
        "Show a cache's hit rate, memory, TTLs, evictions, command times and prefixes, with advice. Changes nothing.",
    ),
    "schedule": (
        "schedule:schedule",
        "Print crontab lines, systemd units or Kubernetes CronJobs for the warm-ups of a playbook. Changes nothing.",
    ),
    "twin": ("twin:app", "Schema and statistics of a database, to advise elsewhere."),
    "schema": ("validate:schema", "Print the JSON Schema of playbooks, for editors."),
}


class Commands(TyperGroup):
    """Knows every command by name and summary; imports one when it is called.

    Building the options of all of them would double the time that `dbtune --help` takes.
    """

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401 - Typer's own arguments, passed on
        super().__init__(**attributes)
        for name, (_, summary) in COMMANDS.items():
            self.add_command(TyperCommand(name, short_help=summary))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:  # noqa: ANN401
        """In place of the outline, the command itself."""
        name, outline, rest = super().resolve_command(ctx, args)
        return name, load(name) if outline is not None and name is not None else None, rest


def load(name: str) -> Any:  # noqa: ANN401 - a command or a group of Typer's, which has no public type
    """The command under `name`, with its options."""
    module, attribute = COMMANDS[name][0].split(":")
    target = getattr(importlib.import_module(f"dbtune.cli.{module}"), attribute)
    if not isinstance(target, typer.Typer):
        single = typer.Typer(rich_markup_mode=None, add_completion=False)
        single.command(name)(target)
        target = single
    target.rich_markup_mode = None
    target._add_completion = False  # noqa: SLF001 - the root offers it once
    command = get_command(target)
    command.name = name
    _keep_examples(command)
    return command


def _keep_examples(command: Any) -> None:  # noqa: ANN401
    """A paragraph that begins with "Example" is printed as it stands, line by line."""
    command.help = (command.help or "").replace("\n\nExample", "\n\n\b\nExample")
    for child in getattr(command, "commands", {}).values():
        _keep_examples(child)
        # Otherwise the list of a group's commands cuts each summary short.
        child.short_help = child.help.partition("\n")[0]


# Typer's rich help costs more than everything else at start-up, and wraps examples.
app = typer.Typer(cls=Commands, rich_markup_mode=None, pretty_exceptions_enable=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dbtune {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Tunes PostgreSQL and Redis from playbooks, and proves that it helped.

    Every command's --help ends with an example. Exit codes: 0 fine, 1 the answer is no, 2 usage or an invalid
    playbook, 3 a server is unreachable or refuses, 4 a change failed, 5 another run holds the lock, 6 changes are
    pending (plan --exit-code), 70 a bug of dbtune, 130 interrupted.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
