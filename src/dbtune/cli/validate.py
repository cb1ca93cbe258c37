"""validate and schema: what can be said about playbooks without a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dbtune.cli.options import Debug, Format, Output, Quiet, Var, parse_vars
from dbtune.core.formats import OutputFormat

INVALID_EXIT = 2

PlaybookPaths = Annotated[
    list[Path], typer.Argument(metavar="PLAYBOOK...", help="One or more YAML playbooks.", show_default=False)
]


def validate(
    playbooks: PlaybookPaths,
    var: Var = None,
    output_format: Format = None,
    output: Output = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> int:
    """Check playbooks without a server: all mistakes at once, with their places.

    Exits with 2 when a playbook is invalid. The forms are terminal, json and github.

    Example:
      dbtune validate playbooks/*.yml
      dbtune validate service.yml --format github

    """
    from dbtune.cli.output import choose
    from dbtune.render.validation import RENDERERS

    destination = choose(output_format, output, RENDERERS)
    variables = parse_vars(var)
    from dbtune.app.validate import validate as check

    report = check(playbooks, variables)
    if not (quiet and report.ok):
        destination.write(report, RENDERERS)
    return 0 if report.ok else INVALID_EXIT


def schema(output: Output = None, debug: Debug = False) -> int:
    """Print the JSON Schema of playbooks, for editors.

    An editor with a YAML language server completes and checks a playbook whose first line names the file:
    `# yaml-language-server: $schema=dbtune.schema.json`.

    Example:
      dbtune schema --output dbtune.schema.json

    """
    import json

    from dbtune.cli.output import choose

    only: tuple[OutputFormat] = ("json",)
    destination = choose("json", output, only)
    from dbtune.playbook.schema import schema as playbook_schema

    destination.deliver(json.dumps(playbook_schema(), indent=2, ensure_ascii=False))
    return 0
