"""The base of all models of documents: pydantic validates, and every problem comes at once, in our words.

Import it only for a document: pydantic takes longer to import than all the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from ..core.document import KeyPath, dotted
from ..core.problem import Problem
from ..core.text import described, described_number, did_you_mean, enumeration, nearest

LONGEST_NAME = 40
"""Longer keys and words are not compared with known ones."""
_MOST_COMPARED = 1000
_MOST_HINTS = 50

UNKNOWN_KEY = "unknown key"
_UNKNOWN = "extra_forbidden"
_NO_STRING = "invalid_key"
_MESSAGE = "message"

_Model = TypeVar("_Model", bound="Block")


def refusal(message: str, kind: str = _MESSAGE) -> PydanticCustomError:
    """Return what a validator raises: *message* continues a sentence that begins with the value's path."""
    return PydanticCustomError(kind, "{message}", {_MESSAGE: message})


def not_blank(value: str) -> str:
    """Return *value*, which must not be blank."""
    if not value.strip():
        raise refusal("is an empty string; expected a string that is not blank")
    return value


def near(value: str, known: Sequence[str]) -> str:
    """Return the question whether *value* is a typo of one of *known*; empty where nothing is near."""
    return did_you_mean(value, known) if len(value) < LONGEST_NAME else ""


def text_schema(**more: Any) -> WithJsonSchema:
    """Return the JSON Schema of a text that has to be *more*."""
    return WithJsonSchema({"type": "string", **more})


@dataclass(frozen=True)
class Expected:
    """What a field's type is called in messages; empty where any value will do."""

    words: str


VISIBLE = r"\S"
Words = Annotated[str, AfterValidator(not_blank), text_schema(pattern=VISIBLE)]


def one_of(*names: str) -> dict[str, Any]:
    """Return the JSON Schema of a block that has exactly one of *names*."""
    return {"oneOf": [{"required": [name]} for name in names]}


class Block(BaseModel):
    """A mapping with known keys only; everything that is wrong in it is reported at once."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)
    expected: ClassVar[str] = "a mapping"

    @classmethod
    def rules(cls, given: Mapping[Any, Any]) -> Iterator[tuple[KeyPath, str]]:  # noqa: ARG003
        """Yield what is wrong between the values of the block, whether or not each by itself is right."""
        yield from ()

    @model_validator(mode="wrap")
    @classmethod
    def _everything(cls, given: Any, handler: ModelWrapValidatorHandler[Any]) -> Any:
        # pydantic does not run validators of a whole model where a field is wrong.
        errors: list[InitErrorDetails] = []
        valid = None
        try:
            valid = handler(given)
        except ValidationError as error:
            errors += cls._in_words(error, given)
        if isinstance(given, Mapping):
            refused = {details["loc"] for details in errors}
            for name in cls.model_fields:
                if name in given and given[name] is None and (name,) not in refused:
                    errors.append(InitErrorDetails(type=refusal(cls._null(name)), loc=(name,), input=None))
            errors += [
                InitErrorDetails(type=refusal(message), loc=keys, input=None)
                for keys, message in cls.rules(given)
            ]
        if errors:
            raise ValidationError.from_exception_data(cls.__name__, errors)
        return valid

    @classmethod
    def _in_words(cls, error: ValidationError, given: Any) -> Iterator[InitErrorDetails]:
        hints = 0
        for details in error.errors(include_url=False):
            hints += details["type"] == _UNKNOWN
            yield cls._translated(details, given, hint=hints <= _MOST_HINTS)

    @classmethod
    def _translated(cls, details: Mapping[str, Any], given: Any, *, hint: bool) -> InitErrorDetails:
        """Return pydantic's error in our words."""
        kind, keys, value = details["type"], details["loc"], details.get("input")
        context = details.get("ctx", {})
        # Without keys, the block itself is not a mapping.
        key = str(keys[-1]) if keys else ""
        if _MESSAGE in context:
            message = context[_MESSAGE]
        elif kind == _UNKNOWN:
            message = f"{UNKNOWN_KEY}{cls._meant(key, given) if hint else ''}"
        elif kind == _NO_STRING:
            kind, message = _UNKNOWN, f"{UNKNOWN_KEY}; a key is a string"
        elif kind == "missing":
            message = cls._missing(key, given)
        elif kind == "literal_error" and isinstance(value, str) and value.strip():
            choices = _choices(cls.model_fields[key].annotation)
            pair = len(choices) == _PAIR
            neither = f"neither {' nor '.join(choices)}" if pair else f"not one of {', '.join(choices)}"
            message = f"is {neither}{near(value, choices)}"
        elif kind in _NUMERIC:
            # A validator may have replaced the value that was written.
            written = given[key] if len(keys) == 1 and key in given else value
            message = f"is {described_number(written)}; expected {expected_of(cls, key)}"
        elif keys[-1:] == ("[key]",):
            keys, message = keys[:-1], "is a key that is not a string; quote it"
        else:
            expected = _expected(cls, key) or _EXPECTED.get(kind) or expected_of(cls, key)
            message = f"is {described(value)}; expected {expected}"
        known = kind if kind == _UNKNOWN else _MESSAGE
        return InitErrorDetails(type=refusal(message, known), loc=keys, input=None)

    @classmethod
    def _missing(cls, key: str, given: Any) -> str:  # noqa: ARG003
        """Return the end of the sentence about a key that is required and not there."""
        expected = expected_of(cls, key)
        return f"is missing; expected {expected}" if expected else "is missing"

    @classmethod
    def _null(cls, name: str) -> str:  # noqa: ARG003
        """Return the end of the sentence about an optional key that is null."""
        return "is empty (null); give it a value or remove the key"

    @classmethod
    def _meant(cls, name: str, given: Any) -> str:
        if len(name) >= LONGEST_NAME:
            return ""
        # What is there already is not what was meant; what has to be there more likely is.
        absent = [field for field in cls.model_fields if field not in given]
        needed = [field for field in absent if cls.model_fields[field].is_required()]
        return did_you_mean(name, needed) or did_you_mean(name, absent)


class Section(Block):
    """A mapping with known keys; others may stand beside them."""

    model_config = ConfigDict(extra="ignore")

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Make what messages call the section of its required keys."""
        required = [name for name, field in cls.model_fields.items() if field.is_required()]
        if required:
            cls.expected = f"a mapping with {enumeration(required)}"

    @classmethod
    def _missing(cls, key: str, given: Any) -> str:
        return f"{super()._missing(key, given)}{cls._misspelt(key, given)}"

    @classmethod
    def _null(cls, name: str) -> str:
        return f"is empty (null); expected {expected_of(cls, name)}"

    @classmethod
    def _misspelt(cls, name: str, given: Mapping[Any, Any]) -> str:
        """Return the question whether a key that is there was meant for *name*, which is not."""
        if len(given) > _MOST_COMPARED:
            return ""
        others = [
            key
            for key in given
            if isinstance(key, str) and key not in cls.model_fields and len(key) < LONGEST_NAME
        ]
        found = nearest(name, others)
        return f"; is {found!r} meant for it?" if found is not None else ""


_PAIR = 2
_NUMERIC = {
    *("greater_than", "greater_than_equal", "less_than", "less_than_equal"),
    *("int_type", "float_type", "finite_number"),
}
_EXPECTED = {"string_type": "a string", "list_type": "a list", "dict_type": "a mapping"}


@lru_cache(maxsize=1024)
def _expected(block: type[Block], key: str) -> str | None:
    """Return what the type of a field says that it expects; None where it says nothing."""
    field = block.model_fields.get(key)
    if field is None:
        return None
    inner = (getattr(part, "__metadata__", ()) for part in get_args(field.annotation))
    return next((item.words for item in chain(field.metadata, *inner) if isinstance(item, Expected)), None)


@lru_cache(maxsize=1024)
def expected_of(block: type[Block], key: str) -> str:
    """Return what belongs at *key* of a block, in words; without that field, what the block itself is."""
    field = block.model_fields.get(key)
    if field is None:
        return block.expected
    expected = _expected(block, key)
    if expected is not None:
        return expected
    extra = (field.json_schema_extra or {}) if not callable(field.json_schema_extra) else {}
    inner = block_of(field.annotation)
    if extra.get("expected") or inner is not None:
        return str(extra.get("expected") or (inner.expected if inner is not None else ""))
    return _of_type(field.annotation, field.metadata)


def _of_type(annotation: Any, metadata: Sequence[Any]) -> str:
    """Return in words what a plain type with limits expects."""
    types = {annotation, *get_args(annotation)}
    limits = {
        name: bound
        for item in metadata
        for name in ("gt", "ge", "le")
        if (bound := getattr(item, name, None)) is not None
    }
    if get_origin(annotation) is Literal:
        return " or ".join(_choices(annotation))
    if bool in types:
        return "true or false"
    if int in types:
        return _integer(limits.get("ge"), limits.get("le"))
    return _number(limits) if float in types else "a string"


def _integer(least: int | None, most: int | None) -> str:
    if least is None:
        return "an integer" if most is None else f"an integer, {most} or less"
    if most is None:
        return f"an integer, {least} or more"
    return str(least) if least == most else f"an integer from {least} to {most}"


def _number(limits: Mapping[str, float]) -> str:
    if limits.keys() == {"ge", "le"}:
        return f"a number from {limits['ge']:.12g} to {limits['le']:.12g}"
    words = []
    if "gt" in limits:
        words.append(f" above {limits['gt']:g}")
    if "ge" in limits:
        words.append(f" of at least {limits['ge']:g}")
    if "le" in limits:
        words.append(f"{',' if words else ' of'} at most {limits['le']:g}")
    return f"a number{''.join(words)}"


def _choices(annotation: Any) -> list[str]:
    """Return the words of a ``Literal``, which may be optional."""
    return [
        word for part in get_args(annotation) for word in (get_args(part) or (part,)) if isinstance(word, str)
    ]


def wanting(words: str) -> dict[str, Any]:
    """Return what a field carries for messages; it is taken out of the JSON Schema again."""
    return {"expected": words}


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
        elif model.model_config.get("extra") == "forbid":
            mistakes.append(
                Problem((key,), f"{UNKNOWN_KEY} {dotted((key,))}; a key is a string", unknown=True)
            )
    try:
        found = model.model_validate(keyed)
    except ValidationError as error:
        return None, [*mistakes, *problems_of(error)]
    return (None, mistakes) if mistakes else (found, [])


def problems_of(error: ValidationError, keys: KeyPath = ()) -> list[Problem]:
    """Return what a block's *error* says.

    :param keys: what leads to the block in its document.
    """
    return [
        Problem(
            (*keys, *details["loc"]),
            _sentence(dotted((*keys, *details["loc"])), details["ctx"][_MESSAGE]),
            unknown=details["type"] == _UNKNOWN,
        )
        for details in error.errors(include_url=False, include_input=False)
    ]


def _sentence(path: str, message: str) -> str:
    if message.startswith(UNKNOWN_KEY):
        return f"{UNKNOWN_KEY} {path}{message.removeprefix(UNKNOWN_KEY)}"
    return f"{path} {message}"
