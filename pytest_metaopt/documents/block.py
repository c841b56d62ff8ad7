"""Mappings of a document as pydantic's models: all that is wrong is told at once, in our words.

Imported only once such a document is asked for: pydantic takes longer to import than all the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from ..core.document import KeyPath, dotted
from ..core.problem import Problem
from ..core.text import described, did_you_mean
from .shapes import DIALECT, LONGEST_NAME, Integer

_UNKNOWN = "extra_forbidden"
_NO_STRING = "invalid_key"
_TOLD = "told"

_Model = TypeVar("_Model", bound="Block")


def refusal(told: str, kind: str = _TOLD) -> PydanticCustomError:
    """Return what a validator raises: *told* is the end of a sentence that begins with the value's path."""
    return PydanticCustomError(kind, "{told}", {_TOLD: told})


def not_blank(value: str) -> str:
    """Return *value*, which must not be blank."""
    if not value.strip():
        raise refusal("is an empty string; wanted: a string that is not blank")
    return value


def near(value: str, known: Sequence[str]) -> str:
    """Return the question whether *value* is a typo of one of *known*; empty where nothing is near."""
    return did_you_mean(value, known) if len(value) < LONGEST_NAME else ""


def text_schema(**more: Any) -> WithJsonSchema:
    """Return the JSON Schema of a text that has to be *more*."""
    return WithJsonSchema({"type": "string", **more})


VISIBLE = r"\S"
Words = Annotated[str, AfterValidator(not_blank), text_schema(pattern=VISIBLE)]


def one_of(*names: str) -> dict[str, Any]:
    """Return the JSON Schema of a block that has exactly one of *names*."""
    return {"oneOf": [{"required": [name]} for name in names]}


class Block(BaseModel):
    """A mapping with known keys only; all that is wrong in it is told at once."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    wanted: ClassVar[str] = "a mapping"

    @classmethod
    def rules(cls, given: Mapping[Any, Any]) -> Iterator[tuple[KeyPath, str]]:  # noqa: ARG003
        """Yield what is wrong between the values of the block, whether or not each by itself is right."""
        yield from ()

    @model_validator(mode="wrap")
    @classmethod
    def _everything(cls, given: Any, handler: ModelWrapValidatorHandler[Any]) -> Any:
        # pydantic's own validators of a whole model are not asked where a field is wrong.
        errors: list[InitErrorDetails] = []
        valid = None
        try:
            valid = handler(given)
        except ValidationError as error:
            errors += [cls._told(details, given) for details in error.errors(include_url=False)]
        if isinstance(given, Mapping):
            refused = {details["loc"] for details in errors}
            for name in cls.model_fields:
                if name in given and given[name] is None and (name,) not in refused:
                    told = "is empty (null); give it a value or remove the key"
                    errors.append(InitErrorDetails(type=refusal(told), loc=(name,), input=None))
            errors += [
                InitErrorDetails(type=refusal(told), loc=keys, input=None) for keys, told in cls.rules(given)
            ]
        if errors:
            raise ValidationError.from_exception_data(cls.__name__, errors)
        return valid

    @classmethod
    def _told(cls, details: Mapping[str, Any], given: Any) -> InitErrorDetails:
        """Return pydantic's error in our words."""
        kind, keys, value = details["type"], details["loc"], details.get("input")
        context = details.get("ctx", {})
        # Without keys, it is the block itself that is no mapping.
        key = str(keys[-1]) if keys else ""
        if _TOLD in context:
            told = context[_TOLD]
        elif kind == _UNKNOWN:
            told = f"is no known key{cls._meant(key, given)}"
        elif kind == _NO_STRING:
            kind, told = _UNKNOWN, "is no known key; a key is a string"
        elif kind == "missing":
            told = f"is missing; wanted: {_wanted_of(cls, key)}"
        elif kind == "literal_error" and isinstance(value, str):
            choices = _choices(cls.model_fields[key].annotation)
            told = f"is none of {', '.join(choices)}{near(value, choices)}"
        elif kind in _NUMERIC:
            told = f"is {Integer().found(value)}; wanted: {_wanted_of(cls, key)}"
        elif keys[-1:] == ("[key]",):
            keys, told = keys[:-1], "is a key that is no string; quote it"
        else:
            told = f"is {described(value)}; wanted: {_WANTED.get(kind) or _wanted_of(cls, key)}"
        known = kind if kind == _UNKNOWN else _TOLD
        return InitErrorDetails(type=refusal(told, known), loc=keys, input=None)

    @classmethod
    def _meant(cls, name: str, given: Any) -> str:
        if len(name) >= LONGEST_NAME:
            return ""
        # What is there already is not what was meant; what has to be there more likely is.
        absent = [field for field in cls.model_fields if field not in given]
        needed = [field for field in absent if cls.model_fields[field].is_required()]
        return did_you_mean(name, needed) or did_you_mean(name, absent)


_NUMERIC = {"greater_than", "greater_than_equal", "less_than", "less_than_equal", "int_type"}
_WANTED = {"string_type": "a string", "list_type": "a list", "dict_type": "a mapping"}


def _wanted_of(block: type[Block], key: str) -> str:
    """Say what belongs at *key* of a block; without one, what the block itself is."""
    field = block.model_fields.get(key)
    if field is None:
        return block.wanted
    told = (field.json_schema_extra or {}) if not callable(field.json_schema_extra) else {}
    inner = block_of(field.annotation)
    return str(told.get("wanted") or (inner.wanted if inner is not None else "a string"))


def _choices(annotation: Any) -> list[str]:
    """Return the words of a ``Literal``, which may be optional."""
    return [
        word for part in get_args(annotation) for word in (get_args(part) or (part,)) if isinstance(word, str)
    ]


def wanting(told: str) -> dict[str, Any]:
    """Return what a field carries for messages; it is taken out of the JSON Schema again."""
    return {"wanted": told}


def block_of(annotation: Any) -> type[Block] | None:
    """Return the block that a field of the type *annotation* holds, or None."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, Block):
            return candidate
    return None


def validated(model: type[_Model], data: Mapping[Any, Any]) -> tuple[_Model | None, list[Problem]]:
    """Return *data* as a *model*, or None and everything that is wrong with it.

    :param data: made of plain dicts and lists.
    """
    keyed: dict[Any, Any] = {}
    mistakes = []
    for key, value in data.items():
        if isinstance(key, str):
            keyed[key] = value
        else:
            mistakes.append(
                Problem((key,), f"{dotted((key,))} is no known key; a key is a string", unknown=True)
            )
    try:
        found = model.model_validate(keyed)
    except ValidationError as error:
        for details in error.errors(include_url=False, include_input=False):
            keys = details["loc"]
            told = details["ctx"][_TOLD]
            mistakes.append(Problem(keys, f"{dotted(keys)} {told}", unknown=details["type"] == _UNKNOWN))
        return None, mistakes
    return (None, mistakes) if mistakes else (found, [])


class _Schema(GenerateJsonSchema):
    """pydantic's JSON Schema, where null is no value, as it is none for the models."""

    schema_dialect = DIALECT

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default") is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


def json_schema(model: type[Block], title: str) -> dict[str, Any]:
    """Return the JSON Schema of a document that is a *model*."""
    schema = model.model_json_schema(schema_generator=_Schema)
    _strip(schema)
    return {"$schema": DIALECT, **schema, "title": title}


def _strip(schema: Any) -> None:
    """Take out what is for messages, and the titles that pydantic makes of names."""
    if isinstance(schema, dict):
        for name in ("wanted", "title"):
            if isinstance(schema.get(name), str):
                del schema[name]
        for value in schema.values():
            _strip(value)
    elif isinstance(schema, list):
        for value in schema:
            _strip(value)
