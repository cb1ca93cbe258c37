"""What the commands of `baseline` share: options, and how their texts are read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from dbtune.baseline.gates import Expression
    from dbtune.baseline.probes import Probe

Name = Annotated[str, typer.Argument(metavar="NAME", help="Letters, digits, dot, dash, underscore.")]
Directory = Annotated[
    Path, typer.Option("--dir", metavar="DIRECTORY", help="Where the baselines lie.", show_default=True)
]
DIRECTORY = Path(".dbtune") / "baselines"


def duration(text: str, option: str) -> float:
    """Seconds. Raises Misused."""
    from dbtune.core.errors import Misused
    from dbtune.core.units import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise Misused(f"{option}: {error}") from error


def share(text: str, option: str) -> float:
    """A fraction. Raises Misused."""
    from dbtune.core.errors import Misused
    from dbtune.core.units import parse_share

    try:
        return parse_share(text)
    except ValueError as error:
        raise Misused(f"{option}: {error}") from error


def parsed_gates(texts: list[str] | None) -> list[Expression]:
    """Raises Misused with the column of what does not parse."""
    from dbtune.baseline.gates import GateSyntaxError, parse
    from dbtune.core.errors import Misused

    found = []
    for text in texts or ():
        try:
            found.append(parse(text))
        except GateSyntaxError as error:
            raise Misused(f"--gate {error}", hint="write --gate 'latency.p95 < baseline * 0.5'") from error
    return found


def named_probes(probe: list[str] | None, flow: list[str] | None, file: Path | None) -> list[Probe]:
    """Probes of the command line and of a file. Raises Misused."""
    from dbtune.baseline.probes import Probe, parse_pair, parse_probes
    from dbtune.core.errors import Misused

    found = [Probe(name, sql=sql) for name, sql in (parse_pair(text, "--probe") for text in probe or ())]
    found += [Probe(name, flow=place) for name, place in (parse_pair(text, "--flow") for text in flow or ())]
    if file is not None:
        try:
            found += parse_probes(file.read_text(encoding="utf-8"), str(file))
        except (OSError, UnicodeDecodeError) as error:
            raise Misused(f"--probes {file} cannot be read: {error}", hint="name a YAML file") from error
    return found
