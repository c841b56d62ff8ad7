"""What a run config has to be: the rules that need no more than the file, as pydantic's models.

Imported only once a run config is asked for: pydantic takes longer to import than all the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from ..text import described, did_you_mean, enumeration
from .document import KeyPath, dotted
from .run_config import ACCELERATORS, Mistake
from .shapes import DIALECT, LONGEST_NAME, Integer

_LONGEST_NAME = 100
_MOST_LINES = 1000
_LONGEST_TOKEN = 64
_LONGEST_POLICY = 127
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_-]")
_BRANCH = re.compile(r"[\w./-]+")
_NOT_IN_BRANCH = re.compile(r"[^\w./-]")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

_UNKNOWN = "extra_forbidden"
_NO_STRING = "invalid_key"
_TOLD = "told"


def _refusal(told: str, kind: str = _TOLD) -> PydanticCustomError:
    """Return what a validator raises: *told* is the end of a sentence that begins with the value's path."""
    return PydanticCustomError(kind, "{told}", {_TOLD: told})


# -- single values: what is told never holds the value, which may be a secret ------------------------


def _not_blank(value: str) -> str:
    if not value.strip():
        raise _refusal("is an empty string; wanted: a string that is not blank")
    return value


def _not_longer(value: str, most: int) -> None:
    if len(value) > most:
        raise _refusal(f"has {len(value)} characters; wanted: {most} at most")


def _run_name(value: str) -> str:
    _not_blank(value)
    _not_longer(value, _LONGEST_NAME)
    if not _NAME.fullmatch(value):
        raise _refusal(
            f"has the character {_NOT_IN_NAME.findall(value)[0]!a}; wanted: A-Z, a-z, 0-9, _ and -"
        )
    return value


def _command(value: str) -> str:
    _not_blank(value)
    lines = value.count("\n") + 1
    if lines > _MOST_LINES:
        raise _refusal(f"has {lines} lines; wanted: {_MOST_LINES} at most; put them in a script")
    return value


def _secret(value: str) -> str:
    scope, slash, key = value.partition("/")
    if not slash or "/" in key or not scope.strip() or not key.strip():
        raise _refusal("is no reference to a secret; wanted: SCOPE/KEY, with exactly one '/'")
    return value


def _volume(value: str) -> str:
    if not value.startswith("/Volumes/"):
        raise _refusal("does not start with /Volumes/")
    return value


def _include_path(value: str) -> str:
    _not_blank(value)
    path = PurePosixPath(value)
    if path.is_absolute():
        raise _refusal("is an absolute path; wanted: one relative to root_path")
    if ".." in path.parts:
        raise _refusal("has a '..' part; wanted: a path below root_path")
    return value


def _include_paths(value: list[str]) -> list[str]:
    if not value:
        raise _refusal("is an empty list; name a path, or remove the key to include everything")
    return value


def _branch(value: str) -> str:
    _not_blank(value)
    if not _BRANCH.fullmatch(value):
        told = f"has the character {_NOT_IN_BRANCH.findall(value)[0]!a}"
        raise _refusal(f"{told}; wanted: letters, digits, '_', '.', '/' and '-'")
    return value


def _token(value: str) -> str:
    _not_blank(value)
    _not_longer(value.strip(), _LONGEST_TOKEN)
    return value


def _workspace(value: str) -> str:
    if not value.startswith("/Workspace"):
        raise _refusal("does not start with /Workspace")
    return value


def _policy_name(value: str) -> str:
    _not_blank(value)
    _not_longer(value, _LONGEST_POLICY)
    return value


def _uuid(value: str) -> str:
    if not _UUID.fullmatch(value):
        raise _refusal("is no UUID; if it is the policy's name, give it as usage_policy_name")
    return value


def _dependencies(value: Any) -> Any:
    if isinstance(value, str):
        return _not_blank(value)
    if not isinstance(value, list):
        raise _refusal(f"is {described(value)}; wanted: a list of packages")
    for item in value:
        if not isinstance(item, str) or not item.strip():
            raise _refusal(f"is a list with {described(item)} in it; wanted: a list of packages")
    return value


def _version(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise _refusal(f"is {described(value)}; wanted: a string or an integer")
    return value


def _tag_policy(value: str) -> str:
    if value.lower() not in {"auto", "latest"}:
        raise _refusal(f"is neither auto nor latest{_near(value, ('auto', 'latest'))}")
    return value


def _remote(value: Any) -> Any:
    if not isinstance(value, bool | str):
        raise _refusal(f"is {described(value)}; wanted: true, false or a name; better remove it")
    return value


def _near(value: str, known: Sequence[str]) -> str:
    return did_you_mean(value, known) if len(value) < LONGEST_NAME else ""


def _text_schema(**more: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", **more})


_VISIBLE = r"\S"
Words = Annotated[str, AfterValidator(_not_blank), _text_schema(pattern=_VISIBLE)]
RunName = Annotated[
    str, AfterValidator(_run_name), _text_schema(pattern=f"^{_NAME.pattern}$", maxLength=_LONGEST_NAME)
]
Command = Annotated[
    str,
    AfterValidator(_command),
    _text_schema(pattern=_VISIBLE, **{"not": {"pattern": rf"(?:\n[^\n]*){{{_MOST_LINES}}}"}}),
]
SecretReference = Annotated[
    str, AfterValidator(_secret), _text_schema(pattern=r"^\s*[^/\s][^/]*/\s*[^/\s][^/]*$")
]
Volume = Annotated[str, AfterValidator(_volume), _text_schema(pattern="^/Volumes/")]
IncludePath = Annotated[
    str,
    AfterValidator(_include_path),
    _text_schema(pattern=_VISIBLE, **{"not": {"pattern": r"^/|(?:^|/)\.\.(?:/|$)"}}),
]
IncludePaths = Annotated[
    list[IncludePath], AfterValidator(_include_paths), Field(json_schema_extra={"minItems": 1})
]
Branch = Annotated[str, AfterValidator(_branch), _text_schema(pattern=f"^{_BRANCH.pattern}$")]
Token = Annotated[str, AfterValidator(_token), _text_schema(pattern=_VISIBLE)]
Workspace = Annotated[str, AfterValidator(_workspace), _text_schema(pattern="^/Workspace")]
PolicyName = Annotated[
    str, AfterValidator(_policy_name), _text_schema(pattern=_VISIBLE, maxLength=_LONGEST_POLICY)
]
PolicyId = Annotated[
    str, AfterValidator(_uuid), _text_schema(pattern=f"^{_UUID.pattern.replace('a-f', 'a-fA-F')}$")
]
_PACKAGE = {"type": "string", "pattern": _VISIBLE}
Dependencies = Annotated[
    Any,
    AfterValidator(_dependencies),
    WithJsonSchema(
        {"anyOf": [{"type": "array", "items": _PACKAGE}, {**_PACKAGE, "deprecated": True}]},
    ),
]
Version = Annotated[Any, AfterValidator(_version), WithJsonSchema({"type": ["string", "integer"]})]
TagPolicy = Annotated[
    str, AfterValidator(_tag_policy), _text_schema(pattern="^(?:[aA][uU][tT][oO]|[lL][aA][tT][eE][sS][tT])$")
]
Remote = Annotated[
    Any, AfterValidator(_remote), WithJsonSchema({"type": ["boolean", "string"], "deprecated": True})
]


# -- blocks ------------------------------------------------------------------------------------------


def _one_of(*names: str) -> dict[str, Any]:
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
                    errors.append(InitErrorDetails(type=_refusal(told), loc=(name,), input=None))
            errors += [
                InitErrorDetails(type=_refusal(told), loc=keys, input=None) for keys, told in cls.rules(given)
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
            choices = get_args(cls.model_fields[key].annotation)
            told = f"is none of {', '.join(choices)}{_near(value, choices)}"
        elif kind in {"greater_than", "greater_than_equal"} or kind == "int_type":
            told = f"is {Integer().found(value)}; wanted: {_wanted_of(cls, key)}"
        elif keys[-1:] == ("[key]",):
            keys, told = keys[:-1], "is a key that is no string; quote it"
        else:
            told = f"is {described(value)}; wanted: {_WANTED.get(kind) or _wanted_of(cls, key)}"
        known = kind if kind == _UNKNOWN else _TOLD
        return InitErrorDetails(type=_refusal(told, known), loc=keys, input=None)

    @classmethod
    def _meant(cls, name: str, given: Any) -> str:
        if len(name) >= LONGEST_NAME:
            return ""
        # What is there already is not what was meant; what has to be there more likely is.
        absent = [field for field in cls.model_fields if field not in given]
        needed = [field for field in absent if cls.model_fields[field].is_required()]
        return did_you_mean(name, needed) or did_you_mean(name, absent)


_WANTED = {"string_type": "a string", "list_type": "a list", "dict_type": "a mapping"}


def _wanted_of(block: type[Block], key: str) -> str:
    """Say what belongs at *key* of a block; without one, what the block itself is."""
    field = block.model_fields.get(key)
    if field is None:
        return block.wanted
    told = (field.json_schema_extra or {}) if not callable(field.json_schema_extra) else {}
    inner = _block_of(field.annotation)
    return str(told.get("wanted") or (inner.wanted if inner is not None else "a string"))


def _wanted(told: str) -> dict[str, Any]:
    """Return what a field carries for messages; it is taken out of the JSON Schema again."""
    return {"wanted": told}


class Compute(Block):
    """What the run is computed on."""

    wanted = "a mapping with accelerator_type and num_accelerators"
    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                {
                    "if": {"properties": {"accelerator_type": {"const": name}}},
                    "then": {"properties": {"num_accelerators": {"multipleOf": count}}},
                }
                for name, count in ACCELERATORS.items()
                if count > 1
            ]
        }
    )

    accelerator_type: Literal["GPU_1xA10", "GPU_1xH100", "GPU_8xH100"] = Field(
        description="The kind of node: how many of which accelerator. Case matters.",
        json_schema_extra=_wanted(f"one of {', '.join(ACCELERATORS)}"),
    )
    num_accelerators: int = Field(
        gt=0,
        description="How many accelerators in all: a multiple of the count in accelerator_type.",
        json_schema_extra=_wanted("an integer, 1 or more"),
    )

    @classmethod
    def rules(cls, given: Mapping[Any, Any]) -> Iterator[tuple[KeyPath, str]]:  # noqa: D102
        kind, count = given.get("accelerator_type"), given.get("num_accelerators")
        each = ACCELERATORS.get(kind) if isinstance(kind, str) else None
        # What is no integer, or too small, is told by the field itself.
        if each is None or not isinstance(count, int) or isinstance(count, bool) or count < 1:
            return
        if count % each:
            told = f"is {Integer().found(count)}; wanted: a multiple of {each}, as a {kind} node has {each}"
            yield ("num_accelerators",), told


class DockerImage(Block):
    """A container image to run in."""

    wanted = "a mapping with url"
    model_config = ConfigDict(
        json_schema_extra={
            "dependentRequired": {
                "credentials_scope": ["credentials_key", "tag_policy"],
                "credentials_key": ["credentials_scope", "tag_policy"],
            },
            "if": {"anyOf": [{"required": ["credentials_scope"]}, {"required": ["credentials_key"]}]},
            "then": {"properties": {"tag_policy": {"pattern": "^[lL][aA][tT][eE][sS][tT]$"}}},
        }
    )

    url: Words = Field(description="The image.")
    tag_policy: TagPolicy | None = Field(None, description="auto (default) or latest, in any case.")
    credentials_scope: Words | None = Field(None, description="The scope of the registry's credentials.")
    credentials_key: Words | None = Field(None, description="Their key in that scope.")

    @classmethod
    def rules(cls, given: Mapping[Any, Any]) -> Iterator[tuple[KeyPath, str]]:  # noqa: D102
        named = [name for name in ("credentials_scope", "credentials_key") if name in given]
        other = {"credentials_scope": "credentials_key", "credentials_key": "credentials_scope"}
        if len(named) == 1:
            yield (named[0],), f"is given without {other[named[0]]}; give both or neither"
        policy = given.get("tag_policy", "auto")
        if named and isinstance(policy, str) and policy.lower() == "auto":
            yield (named[0],), "is only for tag_policy: latest; set that, or remove the credentials"


class Environment(Block):
    """What the run finds installed."""

    model_config = ConfigDict(
        json_schema_extra={
            "dependentRequired": {"version": ["dependencies"]},
            "dependentSchemas": {
                "docker_image": {
                    "not": {"anyOf": [{"required": ["dependencies"]}, {"required": ["version"]}]}
                },
                "version": {"properties": {"dependencies": {"type": "array"}}},
            },
        }
    )

    dependencies: Dependencies | None = Field(
        None, description="The packages, each as pip's requirement. A path is no longer supported."
    )
    version: Version | None = Field(
        None, description="The version of the environment; only beside a list of dependencies."
    )
    docker_image: DockerImage | None = Field(
        None, description="An image, instead of dependencies and version."
    )

    @classmethod
    def rules(cls, given: Mapping[Any, Any]) -> Iterator[tuple[KeyPath, str]]:  # noqa: D102
        beside = [name for name in ("dependencies", "version") if name in given]
        if "docker_image" in given:
            if beside:
                yield ("docker_image",), f"excludes {enumeration(beside)}; keep the image or {_these(beside)}"
        elif "version" in given and "dependencies" not in given:
            yield ("version",), "is given without dependencies; list them, or remove the version"
        elif "version" in given and isinstance(given["dependencies"], str):
            yield ("version",), "takes a list of dependencies; dependencies is a string"


def _these(names: Sequence[str]) -> str:
    return "those" if len(names) > 1 else "that"


class Git(Block):
    """What is pinned of the repository."""

    wanted = "a mapping with branch or commit"
    model_config = ConfigDict(json_schema_extra=_one_of("branch", "commit"))

    branch: Branch | None = Field(None, description="The branch; else a commit.")
    commit: Words | None = Field(None, description="The commit; else a branch.")
    remote: Remote | None = Field(None, description="No longer supported.")

    @classmethod
    def rules(cls, given: Mapping[Any, Any]) -> Iterator[tuple[KeyPath, str]]:  # noqa: D102
        named = [name for name in ("branch", "commit") if name in given]
        if not named:
            yield (), "has neither branch nor commit; give one of them"
        elif len(named) > 1:
            yield ("commit",), "is given beside branch; keep one of them"


class Snapshot(Block):
    """What is copied to where the run is."""

    wanted = "a mapping with root_path"

    root_path: Words = Field(description="The folder that is copied, as seen from the run config's own.")
    remote_volume: Volume | None = Field(None, description="Where to: a path below /Volumes/.")
    include_paths: IncludePaths | None = Field(
        None, description="What of root_path is copied, each relative to it; default: all."
    )
    git: Git | None = Field(None, description="The pinned revision.")


class CodeSource(Block):
    """Where the code comes from."""

    wanted = "a mapping with type and snapshot"

    type: Literal["snapshot"] = Field(description="How it is brought.", json_schema_extra=_wanted("snapshot"))
    snapshot: Snapshot = Field(description="What is copied.")


_HOLDERS = ("user_name", "group_name", "service_principal_name")


class Permission(Block):
    """Who may do what with the run."""

    wanted = f"a mapping with level and one of {enumeration(_HOLDERS, 'or')}"
    model_config = ConfigDict(json_schema_extra=_one_of(*_HOLDERS))

    user_name: Words | None = Field(None, description="A user.")
    group_name: Words | None = Field(None, description="A group.")
    service_principal_name: Words | None = Field(None, description="A service principal.")
    level: Words = Field(description="What they may do.")

    @classmethod
    def rules(cls, given: Mapping[Any, Any]) -> Iterator[tuple[KeyPath, str]]:  # noqa: D102
        named = [name for name in _HOLDERS if name in given]
        if not named:
            yield (), f"has none of {', '.join(_HOLDERS)}; give one of them"
        elif len(named) > 1:
            yield (named[1],), f"is given beside {named[0]}; keep one of them"


class RunConfigModel(Block):
    """What a serverless GPU run is started from (pytest-metaopt)."""

    model_config = ConfigDict(
        json_schema_extra={"not": {"required": ["usage_policy_name", "usage_policy_id"]}}
    )

    experiment_name: RunName = Field(description="The experiment that the run belongs to.")
    compute: Compute = Field(description="What the run is computed on.")
    command: Command = Field(description="The shell command of the run.")
    environment: Environment | None = Field(None, description="What the run finds installed.")
    env_variables: dict[str, str] | None = Field(
        None, description="Environment variables, by name.", json_schema_extra=_wanted("a mapping")
    )
    secrets: dict[str, SecretReference] | None = Field(
        None,
        description="Environment variables from secrets: name and SCOPE/KEY.",
        json_schema_extra=_wanted("a mapping"),
    )
    code_source: CodeSource | None = Field(None, description="Where the code comes from.")
    max_retries: int = Field(
        3, ge=0, description="Retries.", json_schema_extra=_wanted("an integer, 0 or more")
    )
    timeout_minutes: int | None = Field(
        None, ge=1, description="Minutes at most.", json_schema_extra=_wanted("an integer, 1 or more")
    )
    idempotency_token: Token | None = Field(
        None, description=f"Starts a run once only; {_LONGEST_TOKEN} characters at most."
    )
    parameters: dict[Any, Any] | None = Field(
        None, description="Hyperparameters, as the run finds them.", json_schema_extra=_wanted("a mapping")
    )
    mlflow_run_name: RunName | None = Field(None, description="The run's name in MLflow.")
    mlflow_experiment_directory: Workspace | None = Field(
        None, description="Where the experiment is kept: a path below /Workspace."
    )
    permissions: list[Permission] | None = Field(
        None, description="Who may do what with the run.", json_schema_extra=_wanted("a list")
    )
    usage_policy_name: PolicyName | None = Field(None, description="The usage policy; else its id.")
    usage_policy_id: PolicyId | None = Field(None, description="The usage policy's id; else its name.")

    @classmethod
    def rules(cls, given: Mapping[Any, Any]) -> Iterator[tuple[KeyPath, str]]:  # noqa: D102
        plain, secret = given.get("env_variables"), given.get("secrets")
        if isinstance(plain, Mapping) and isinstance(secret, Mapping):
            for name in secret:
                if name in plain and isinstance(name, str):
                    yield ("secrets", name), "is in env_variables too; keep one of them"
        if "usage_policy_name" in given and "usage_policy_id" in given:
            yield ("usage_policy_id",), "is given beside usage_policy_name; keep one of them"


# -- asked from outside ------------------------------------------------------------------------------


def validate(data: Mapping[Any, Any]) -> tuple[RunConfigModel | None, list[Mistake]]:
    """Return the typed run config, or None and everything that is wrong with *data*.

    :param data: made of plain dicts and lists.
    """
    keyed: dict[Any, Any] = {}
    mistakes = []
    for key, value in data.items():
        if isinstance(key, str):
            keyed[key] = value
        else:
            mistakes.append(
                Mistake((key,), f"{dotted((key,))} is no known key; a key is a string", unknown=True)
            )
    try:
        model = RunConfigModel.model_validate(keyed)
    except ValidationError as error:
        for details in error.errors(include_url=False, include_input=False):
            keys = details["loc"]
            told = details["ctx"][_TOLD]
            mistakes.append(Mistake(keys, f"{dotted(keys)} {told}", unknown=details["type"] == _UNKNOWN))
        return None, mistakes
    return (None, mistakes) if mistakes else (model, [])


def _block_of(annotation: Any) -> type[Block] | None:
    """Return the block that a field of the type *annotation* holds, or None."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, Block):
            return candidate
    return None


def override_problem(keys: KeyPath) -> str | None:
    """Say why there is nothing at *keys* that could be overridden; None where there is."""
    block: type[Block] = RunConfigModel
    for depth, key in enumerate(keys):
        rest = len(keys) - depth - 1
        if key not in block.model_fields:
            level = dotted(keys[:depth]) or "a run config"
            fields = list(block.model_fields)
            told = f"there is no {dotted(keys[: depth + 1])}; {level} has {enumeration(fields)}"
            return f"{told}{_near(key, fields)}"
        annotation = block.model_fields[key].annotation
        if not rest or key == "parameters":
            return None
        inner = _block_of(annotation)
        if inner is None:
            if rest == 1 and _is_map(annotation):
                return None
            return f"{dotted(keys[: depth + 1])} has no fields; override it as a whole"
        block = inner
    return None


def _is_map(annotation: Any) -> bool:
    return any(get_origin(candidate) is dict for candidate in (annotation, *get_args(annotation)))


class _Schema(GenerateJsonSchema):
    """pydantic's JSON Schema, where null is no value, as it is none for the models."""

    schema_dialect = DIALECT

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default") is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a run config."""
    schema = RunConfigModel.model_json_schema(schema_generator=_Schema)
    _strip(schema)
    return {"$schema": DIALECT, **schema, "title": "run config"}


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
