"""The reference of recipes, made from the schema and the registries.

It is a page of the docs, a text for the terminal, and a JSON schema by which editors complete and
check recipes.
"""

import json
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, NamedTuple

import pydantic
from pydantic.fields import FieldInfo

from tfface.errors import InputError
from tfface.recipe.errors import sections_in, unknown_message
from tfface.recipe.renamed import Renames
from tfface.recipe.schema import (
    AugmentationConfig,
    BackboneConfig,
    ComponentConfig,
    HeadConfig,
    OptimizerConfig,
    Recipe,
    ScheduleConfig,
    SourceConfig,
)
from tfface.registry import Registry, options_schema, summary

_COMPONENTS: tuple[type[ComponentConfig], ...] = (
    SourceConfig,
    AugmentationConfig,
    BackboneConfig,
    HeadConfig,
    OptimizerConfig,
    ScheduleConfig,
)
_HEAD = """\
# Recipe reference

<!-- Made by `python tools/update_reference.py` from the descriptions in the code; do not edit. -->

All keys of a recipe, and all options of the components that it may name.
[Write a recipe](../guides/recipes.md) explains how to use them. `N` is a position in a list,
counted from 0. Where null is allowed, the word `none` means the same.

In a terminal, after `source .venv/bin/activate`: `tfface train --help-recipe`, or with a
key, `tfface train --help-recipe model.head.arcface`.
"""


SCHEMA_TITLE = "tfface recipe"


class Row(NamedTuple):
    """A key or option.

    Attributes:
        key: dotted from the top of the recipe, with `N` for a position in a list; or an option.
        type: what may be given.
        default: what is taken otherwise, "required", or "" for a section with defaults of its own.
        meaning: the description.
    """

    key: str
    type: str
    default: str
    meaning: str


class Section(NamedTuple):
    """A section of a recipe: its dotted path, what it is, and its keys."""

    path: str
    meaning: str
    rows: list[Row]


def page(registries: Mapping[str, Registry]) -> str:
    """Returns the reference page, in Markdown.

    Args:
        registries: as for `tfface.recipe.load`.
    """
    parts = [_HEAD.rstrip()]
    for section in _sections():
        parts.append(f"{'###' if '.' in section.path else '##'} {section.path}")
        parts += [section.meaning, _table("key", section.rows)]
    for config in _COMPONENTS:
        registry = registries[f"{config.kind}s"]
        parts.append(f"## {config.kind.capitalize()}s")
        plain = [name for name in registry if not options_schema(registry[name]).model_fields]
        if plain:
            lines = [f"| `{name}` | {_cell(summary(registry[name]))} |" for name in plain]
            parts.append("\n".join([f"| {config.kind} | meaning |", "| --- | --- |", *lines]))
        for name, component in registry.items():
            if name not in plain:
                parts += [f"### {name}", summary(component), _table("option", _options(component))]
    return "\n\n".join(part for part in parts if part) + "\n"


def help_text(registries: Mapping[str, Registry], key: str | None = None) -> str:
    """Returns what is known of a key, a section or a component, for the terminal.

    Args:
        registries: as for `tfface.recipe.load`.
        key: such as `data`, `training.stages.0.epochs`, `model.head` or `model.head.arcface`; None
            for all keys.

    Raises:
        InputError: there is no such key or component.
    """
    sections = {section.path: section for section in _sections()}
    if key is None:
        return "\n\n".join(map(_section_text, sections.values()))
    rows = {row.key: row for section in sections.values() for row in section.rows}
    path = _schema_path(key)
    if path in sections:
        return _section_text(sections[path])
    if path in rows:
        registry = _registry_of(rows[path], registries)
        listed = [_wrapped(f"{path}.NAME: {', '.join(registry)}")] if registry else []
        return "\n\n".join([_row_text(rows[path]), *listed])
    parent, _, name = path.rpartition(".")
    registry = _registry_of(rows[parent], registries) if parent in rows else {}
    if name in registry:
        rows_of = map(_row_text, _options(registry[name]))
        return "\n\n".join([_wrapped(f"{path}: {summary(registry[name])}"), *rows_of])
    siblings = [row.key for row in sections[parent].rows] if parent in sections else [*sections]
    message = (
        unknown_message(f"name '{name}'", name, registry)
        if registry
        else unknown_message("key", path, siblings)
    )
    raise InputError(f"--help-recipe {key}: {message}")


def _registry_of(row: Row, registries: Mapping[str, Registry]) -> Registry:
    """Returns the components that a key may name; none for a key with other values."""
    return registries.get(f"{row.type.removesuffix(' or null')}s", {})


def json_schema(registries: Mapping[str, Registry]) -> dict[str, Any]:
    """Returns the JSON schema (draft 2020-12) of recipes.

    Args:
        registries: as for `tfface.recipe.load`.
    """
    schema = Recipe.model_json_schema()
    for config in _COMPONENTS:
        schema["$defs"][config.kind] = _component_schema(config, registries[f"{config.kind}s"])
    schema = _with_references(schema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": SCHEMA_TITLE,
        **{key: value for key, value in schema.items() if key != "title"},
    }


def _component_schema(config: type[ComponentConfig], registry: Registry) -> dict[str, Any]:
    """Returns the schema of a component: a name, `{NAME: {...}}` or `{name: NAME, ...}`."""
    own = {key: _json_type(config.model_fields[key]) for key in config.own_keys()}
    alike: dict[str, list[str]] = {}
    for name, component in registry.items():
        alike.setdefault(json.dumps(options_schema(component).model_json_schema()), []).append(name)
    forms: list[dict[str, Any]] = [{"enum": [*registry]}]
    for text, names in alike.items():
        schema = json.loads(text)
        options, required = own | schema.get("properties", {}), schema.get("required", [])
        with_name = {config.key: {"enum": names}} | options
        short = _mapping(options, required)
        if not required:
            short["type"] = ["object", "null"]
        forms += [
            _mapping(with_name, [config.key, *required]),
            {
                "type": "object",
                "patternProperties": {f"^({'|'.join(names)})$": short},
                "additionalProperties": False,
                "minProperties": 1,
                "maxProperties": 1,
            },
        ]
    return {"anyOf": forms}


def _mapping(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _with_references(schema: Any) -> Any:
    """Replaces the marks of components in a schema by references to their schemas."""
    if isinstance(schema, list):
        return [_with_references(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _with_references(value) for key, value in schema.items()}
    kind = found.pop("component", None)
    return found | {"$ref": f"#/$defs/{kind}"} if isinstance(kind, str) else found


def _sections() -> list[Section]:
    """Returns all sections of a recipe, each before those in it."""
    found: list[Section] = []
    for name, field in Recipe.model_fields.items():
        [section] = sections_in(field.annotation)
        found += _sections_of(section, name, field.description or "")
    return found


def _sections_of(section: type[pydantic.BaseModel], path: str, meaning: str) -> Iterator[Section]:
    rows: list[Row] = []
    yield Section(path, meaning, rows)
    for name, field in section.model_fields.items():
        key = f"{path}.{name}"
        rows.append(_row(key, field))
        inner = f"{key}.N" if rows[-1].type.startswith("list") else key
        for model in sections_in(field.annotation):
            if issubclass(model, ComponentConfig):
                for own in model.own_keys():
                    own_field = model.model_fields[own]
                    rows.append(_row(f"{inner}.{own}", own_field))
                    for inner_model in sections_in(own_field.annotation):
                        inner_meaning = own_field.description or ""
                        yield from _sections_of(inner_model, f"{inner}.{own}", inner_meaning)
            else:
                yield from _sections_of(model, inner, field.description or "")


def _options(component: Callable) -> list[Row]:
    fields = options_schema(component).model_fields
    return [_row(name, field) for name, field in fields.items()]


def _row(key: str, field: FieldInfo) -> Row:
    schema = _json_type(field)
    type_text = _type_text(schema, schema.get("$defs", {}))
    return Row(key, type_text, _default_text(field), field.description or "")


def _json_type(field: FieldInfo) -> dict[str, Any]:
    """Returns the JSON schema of a key's values."""
    annotation: Any = (
        Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    )
    return pydantic.TypeAdapter(annotation).json_schema()


def _type_text(schema: Mapping[str, Any], named: Mapping[str, Any]) -> str:
    """Returns a JSON schema in words, as Markdown.

    Args:
        schema: the schema of a key's values.
        named: the schemas that it refers to.
    """
    if "$ref" in schema:
        return _type_text(named[schema["$ref"].rpartition("/")[2]], named)
    if "anyOf" in schema:
        # The page says of all aliases at once that they are allowed.
        texts = [_type_text(one, named) for one in schema["anyOf"] if set(one) != {"const"}]
        return " or ".join(dict.fromkeys(texts))
    if "component" in schema:
        return schema["component"]
    choices = schema.get("enum") or ([schema["const"]] if "const" in schema else [])
    if choices:
        return ", ".join(f"`{choice}`" for choice in choices)
    kind = schema.get("type")
    if kind in ("integer", "number"):
        return f"{kind}{_bounds_text(schema)}"
    if kind == "array":
        if "prefixItems" in schema:
            return f"[{', '.join(_type_text(one, named) for one in schema['prefixItems'])}]"
        count = schema.get("minItems")
        exactly = f"{count} x " if count and count == schema.get("maxItems") else ""
        return f"list of {exactly}{_type_text(schema.get('items', {}), named)}"
    if kind == "string":
        return "path" if schema.get("format") == "path" else "text"
    if kind == "boolean":
        return "`true`, `false`"
    return "section" if "properties" in schema else {"null": "null"}.get(str(kind), "mapping")


def _bounds_text(schema: Mapping[str, Any]) -> str:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    above, below = "minimum" in schema, "maximum" in schema
    low, high = (f"{one:.6g}" if isinstance(one, float) else one for one in (low, high))
    if low is None and high is None:
        return ""
    if high is None:
        return f" {'>=' if above else '>'} {low}"
    if low is None:
        return f" {'<=' if below else '<'} {high}"
    return f" in {'[' if above else '('}{low}, {high}{']' if below else ')'}"


def _default_text(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if isinstance(field.default, pydantic.BaseModel):
        return ""
    return f"`{json.dumps(field.default).strip(chr(34)) or chr(34) * 2}`"


def _table(what: str, rows: list[Row]) -> str:
    lines = [f"| {what} | type | default | meaning |", "| --- | --- | --- | --- |"]
    for row in rows:
        lines.append(f"| `{row.key}` | {row.type} | {row.default} | {_cell(row.meaning)} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    """Returns a description as a cell of a table: a sentence without its full stop."""
    if re.match(r"[a-z]+ ", text):
        text = text[0].upper() + text[1:]
    return text.replace("|", "\\|").removesuffix(".")


def _section_text(section: Section) -> str:
    rows = map(_row_text, section.rows)
    return "\n\n".join([_wrapped(f"{section.path}: {section.meaning}"), *rows])


def _row_text(row: Row) -> str:
    default = row.default if row.default in ("", "required") else f"default {row.default}"
    head = f"{row.key}  ({', '.join(text for text in (row.type, default) if text)})"
    return f"{_wrapped(head, indent=2)}\n{_wrapped(row.meaning, indent=6)}".replace("`", "")


def _wrapped(text: str, indent: int = 0) -> str:
    return textwrap.fill(
        text, 100, initial_indent=" " * indent, subsequent_indent=" " * (indent or 2)
    )


def _schema_path(key: str) -> str:
    """Returns a key as the reference writes it, an old one with its new name."""
    keys, _ = Renames("--help-recipe").apply_to_override(key.split("."), None)
    return ".".join("N" if key.isdecimal() else key for key in keys)
