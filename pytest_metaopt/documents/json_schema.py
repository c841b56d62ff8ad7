"""The JSON Schema of a document, made of the models that validate it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE = "reference"


class _Schema(GenerateJsonSchema):
    """pydantic's JSON Schema, without null, which the models refuse."""

    schema_dialect = DIALECT

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default") is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


def json_schema(model: type[BaseModel], title: str) -> dict[str, Any]:
    """Return the JSON Schema of a document that is a *model*."""
    schema = model.model_json_schema(schema_generator=_Schema)
    _strip(schema)
    return {"$schema": DIALECT, **schema, "title": title}


def inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """Return *schema* with each definition in the place that refers to it."""
    definitions = schema.get("$defs", {})

    def put_in(value: Any) -> Any:
        if isinstance(value, list):
            return [put_in(item) for item in value]
        if not isinstance(value, dict):
            return value
        name = str(value.get("$ref", "")).removeprefix("#/$defs/")
        if name not in definitions:
            return {key: put_in(item) for key, item in value.items()}
        return put_in({**definitions[name], **{key: item for key, item in value.items() if key != "$ref"}})

    whole: dict[str, Any] = put_in({key: value for key, value in schema.items() if key != "$defs"})
    return whole


def reference(name: str) -> dict[str, Any]:
    """Return what stands in a field's JSON Schema for a definition that is not a model's.

    pydantic looks up each ``$ref`` among its own definitions, so it becomes one only afterwards.
    """
    return {_REFERENCE: f"#/$defs/{name}"}


def _strip(schema: Any) -> None:
    """Take out what is for messages, and the titles that pydantic makes of names; put in references."""
    if isinstance(schema, dict):
        if _REFERENCE in schema:
            schema["$ref"] = schema.pop(_REFERENCE)
        for name in ("expected", "title"):
            if isinstance(schema.get(name), str):
                del schema[name]
        for value in schema.values():
            _strip(value)
    elif isinstance(schema, list):
        for value in schema:
            _strip(value)
