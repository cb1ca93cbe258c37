"""Writes cli.md, playbooks.md, checks.md and playbook.schema.json from the code, so that none can say what is not so.

`python docs/generate.py` writes them; with `--check` it only says which of them is stale, and fails.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from dbtune.app.rulebook import look_up
from dbtune.cli.main import COMMANDS, app, load
from dbtune.core.formats import Screen
from dbtune.playbook.outline import Event, Outline, StepOptions
from dbtune.playbook.schema import schema
from dbtune.render import rules
from dbtune.steps.step import kinds

DOCS = Path(__file__).resolve().parent
PLAYBOOKS = DOCS.parent / "playbooks"
GENERATED = "<!-- Written by `make docs`. Change the code, not this file. -->"


def main() -> int:
    stale = []
    documents = (
        ("cli.md", command_line()),
        ("playbooks.md", playbooks()),
        ("checks.md", checks()),
        ("playbook.schema.json", json_schema()),
    )
    for name, lines in documents:
        text = "\n".join(lines).rstrip("\n") + "\n"
        path = DOCS / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in sys.argv[1:]:
            path.write_text(text, encoding="utf-8")
    if stale and "--check" in sys.argv[1:]:
        print(f"stale: {', '.join(stale)}; run `make docs`", file=sys.stderr)
        return 1
    return 0


def command_line() -> Iterator[str]:
    """What `--help` prints, command by command."""
    from typer.main import get_command

    yield from ("# The command line", "", GENERATED, "")
    root = get_command(app)
    root.params = [param for param in root.params if not str(param.name).endswith("_completion")]
    yield from _help(root, "dbtune", "##")
    for name in COMMANDS:
        yield from _commands(load(name), f"dbtune {name}", "##")


def _commands(command: Any, words: str, level: str) -> Iterator[str]:  # noqa: ANN401 - Typer has no public type
    yield from _help(command, words, level)
    for name, child in getattr(command, "commands", {}).items():
        yield from _commands(child, f"{words} {name}", f"{level}#")


def _help(command: Any, words: str, level: str) -> Iterator[str]:  # noqa: ANN401
    context = command.context_class(command, info_name=words, terminal_width=100, max_content_width=100)
    yield from (f"{level} `{words}`", "", "```text", command.get_help(context).rstrip(), "```", "")


def playbooks() -> Iterator[str]:
    """The playbook's own keys, then every kind of step with its documentation, its keys and an example."""
    yield from ("# Playbooks", "", GENERATED, "")
    yield from (
        "A playbook is a YAML file. Durations and sizes carry units (`100ms`, `64MB`), shares a percent sign.",
        "",
    )
    for title, model in (
        ("The playbook", Outline),
        ("An event of `cache`", Event),
        ("Beside the kind of any step", StepOptions),
    ):
        yield from (f"## {title}", "", *_keys(model), "")
    yield from ("## Kinds of steps", "", "One to a step.", "")
    examples = dict(_examples())
    for kind, model in kinds().items():
        yield from (f"### `{kind}`", "", inspect.getdoc(model) or "", "", *_keys(model), "")
        if kind in examples:
            name, text = examples[kind]
            yield from (f"From [playbooks/{name}](../playbooks/{name}):", "", "```yaml", text, "```", "")


def checks() -> Iterator[str]:
    """What `dbtune rule` prints of every code."""
    yield from ("# Checks and insights", "", GENERATED, "")
    yield from ("What `dbtune audit` looks for, and what `dbtune explain` sees in a plan. Codes are never reused.", "")
    yield rules.markdown(look_up(), Screen())


def json_schema() -> Iterator[str]:
    """What `dbtune schema` prints, for editors that open the playbooks of this repository."""
    yield json.dumps(schema(), indent=2, ensure_ascii=False)


def _keys(model: type[BaseModel]) -> Iterator[str]:
    """A table of keys, then one for each model that they use."""
    schema = model.model_json_schema()
    yield from _table(schema, schema.get("$defs", {}))
    for name, inner in schema.get("$defs", {}).items():
        if name not in ("Event", "Cache") and inner.get("properties"):
            yield from (
                "",
                f"{name}: {inner.get('description', '').split(chr(10))[0]}",
                "",
                *_table(inner, schema["$defs"]),
            )


def _table(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[str]:
    yield from ("| key | value | default | |", "|---|---|---|---|")
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        default = "required" if name in required else _default(field.get("default"))
        cells = (f"`{name}`", _type(field, definitions), default, field.get("description", ""))
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _default(value: object) -> str:
    if value is None or value in ([], {}):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _type(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """A JSON Schema type in words."""
    if "examples" in field:
        return f"such as `{field['examples'][0]}`"
    if "$ref" in field:
        return str(field["$ref"].rpartition("/")[2])
    if "anyOf" in field:
        return " or ".join(
            dict.fromkeys(_type(option, definitions) for option in field["anyOf"] if option != {"type": "null"})
        )
    if "enum" in field:
        return ", ".join(f"`{choice}`" for choice in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    kind = field.get("type")
    if kind == "array":
        return f"list of {_type(field.get('items', {}), definitions)}"
    words = {"string": "text", "boolean": "true or false", "integer": "number", "object": "mapping", None: "anything"}
    return words.get(kind, str(kind)) if not isinstance(kind, list) else "text or number"


def _examples() -> Iterator[tuple[str, tuple[str, str]]]:
    """For each kind the first step of the playbooks that has it, as it is written there."""
    seen = set()
    for path in sorted(PLAYBOOKS.glob("*.yml")):
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        steps = next(value for key, value in root.value if key.value == "steps")
        for step in steps.value:
            for key, _ in step.value:
                if key.value in kinds() and key.value not in seen:
                    seen.add(key.value)
                    written = "- " + text[step.start_mark.index : step.end_mark.index].rstrip()
                    lines = [line for line in written.splitlines() if not line.strip().startswith("#")]
                    yield (
                        key.value,
                        (
                            path.name,
                            "\n".join(line[2:] if line.startswith("    ") else line for line in lines).rstrip(),
                        ),
                    )


if __name__ == "__main__":
    sys.exit(main())
