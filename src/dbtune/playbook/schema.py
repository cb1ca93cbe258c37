"""The JSON Schema of playbooks (draft 2020-12), made of the models that check them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.json_schema import models_json_schema

from dbtune.playbook.complaints import models_in
from dbtune.playbook.outline import Outline, StepOptions
from dbtune.steps.step import Step, kinds

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_EXPRESSION: Mapping[str, Any] = {"type": "string", "pattern": r"\{\{"}
# Text to every reader of YAML 1.2, and truth values to us.
_SWITCH: Mapping[str, Any] = {"enum": ["on", "off", "yes", "no"]}
_OUTSIDE = ("description", "default", "examples")


def schema() -> dict[str, Any]:
    """The schema of a whole playbook, for editors and other checkers."""
    models: list[type[BaseModel]] = [Outline, StepOptions, *kinds().values()]
    references, document = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/$defs/{model}"
    )
    every = {model.__name__: model for root in models for model in _with_inner(root)}
    found = {name: _definition(body, every.get(name)) for name, body in document["$defs"].items()}
    outline, options = found.pop("Outline"), found.pop("StepOptions")
    properties = outline["properties"]
    steps = {key: value for key, value in document["$defs"]["Outline"]["properties"]["steps"].items() if key != "title"}
    properties["steps"] = steps | {"items": {"$ref": "#/$defs/Step"}}
    properties |= {name: _or_null(properties[name]) for name in ("vars", "cache")}
    bodies = {kind: _body(model, references[model, "validation"]) for kind, model in kinds().items()}
    found["Step"] = {
        "type": "object",
        "description": "One step: exactly one kind, and the options that every step may have.",
        "properties": options["properties"] | bodies,
        "oneOf": [{"required": [kind]} for kind in bodies],
        "additionalProperties": False,
    }
    return {"$schema": DIALECT, **outline, "title": "dbtune playbook", "$defs": found}


def _with_inner(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for field in model.model_fields.values():
        for inner in models_in(field.annotation):
            yield from _with_inner(inner)


def _body(model: type[Step], reference: Mapping[str, Any]) -> dict[str, Any]:
    """A kind's options; nothing at all where none is required."""
    summary = " ".join((model.__doc__ or "").partition("\n\n")[0].split())
    described = {"description": summary, **reference}
    needs = any(field.is_required() for field in model.model_fields.values())
    return described if needs else _or_null(described)


def _or_null(body: dict[str, Any]) -> dict[str, Any]:
    outside, inside = _split(body)
    return {**outside, "anyOf": [inside, {"type": "null"}]}


def _split(body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What describes a value, which editors look for at the top, and what constrains it."""
    outside = {key: value for key, value in body.items() if key in _OUTSIDE}
    return outside, {key: value for key, value in body.items() if key not in _OUTSIDE}


def _definition(body: dict[str, Any], model: type[BaseModel] | None) -> dict[str, Any]:
    """One model. pydantic's titles repeat the names, and would fill the editor's tooltips."""
    body = {key: value for key, value in body.items() if key != "title"}
    properties = {}
    for name, part in body.get("properties", {}).items():
        described = _as_written({key: value for key, value in part.items() if key != "title"})
        properties[name] = _or_one(described) if model is not None and _takes_one(model, name) else described
    return body | {"properties": properties}


def _takes_one(model: type[BaseModel], name: str) -> bool:
    """Whether a list may be written as its only text: asked of the model itself, since a validator decides."""
    annotation = next((f.annotation for key, f in model.model_fields.items() if name in (f.alias, key)), None)
    if "tuple" not in str(annotation):
        return False
    try:
        model.model_validate({name: "x"})
    except ValidationError as error:
        return not any(
            detail["loc"][:1] == (name,) and detail["type"] in ("tuple_type", "list_type") for detail in error.errors()
        )
    return True


def _or_one(body: dict[str, Any]) -> dict[str, Any]:
    outside, inside = _split(body)
    return {**outside, "anyOf": _flat([inside, {"type": "string"}])}


def _as_written(body: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """Lets `"{{ … }}"` stand where something else than text is wanted: it is rendered before it is checked."""
    if isinstance(body, list):
        return [_as_written(part) for part in body]
    if not isinstance(body, dict):
        return body
    body = {key: value if key in _OUTSIDE else _as_written(value) for key, value in body.items()}
    if "anyOf" in body:
        return body | {"anyOf": _flat(body["anyOf"])}
    kind = body.get("type")
    # Durations, sizes and shares are numbers or text of a certain form.
    in_form = "enum" in body or "pattern" in body
    if "const" in body or (kind not in ("integer", "number", "boolean", "array") and not in_form):
        return body
    outside, inside = _split(body)
    inside.pop("gt", None)  # pydantic's constraint on a duration, which is no keyword of JSON Schema
    alternatives = [inside, dict(_EXPRESSION), *([dict(_SWITCH)] if kind == "boolean" else [])]
    return {**outside, "anyOf": alternatives}


def _flat(alternatives: list[Any]) -> list[Any]:
    """Alternatives of alternatives are alternatives; each once."""
    flat: list[Any] = []
    for part in alternatives:
        for inner in part.get("anyOf", [part]):
            if inner not in flat:
                flat.append(inner)
    return flat
