"""What a run config has to be: the rules that need no more than the file, as pydantic's models.

Imported only once a run config is asked for: pydantic takes longer to import than all the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema

from ..core.document import KeyPath, dotted
from ..core.problem import Problem
from ..core.text import described, enumeration
from .block import (
    VISIBLE,
    Block,
    Words,
    block_of,
    near,
    not_blank,
    one_of,
    refusal,
    text_schema,
    validated,
    wanting,
)
from .block import json_schema as json_schema_of
from .run_config import ACCELERATORS
from .shapes import Integer

_LONGEST_NAME = 100
_MOST_LINES = 1000
_LONGEST_TOKEN = 64
_LONGEST_POLICY = 127
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_-]")
_BRANCH = re.compile(r"[\w./-]+")
_NOT_IN_BRANCH = re.compile(r"[^\w./-]")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def _not_longer(value: str, most: int) -> None:
    if len(value) > most:
        raise refusal(f"has {len(value)} characters; wanted: {most} at most")


def _run_name(value: str) -> str:
    not_blank(value)
    _not_longer(value, _LONGEST_NAME)
    if not _NAME.fullmatch(value):
        raise refusal(f"has the character {_NOT_IN_NAME.findall(value)[0]!a}; wanted: A-Z, a-z, 0-9, _ and -")
    return value


def _command(value: str) -> str:
    not_blank(value)
    lines = value.count("\n") + 1
    if lines > _MOST_LINES:
        raise refusal(f"has {lines} lines; wanted: {_MOST_LINES} at most; put them in a script")
    return value


def _secret(value: str) -> str:
    scope, slash, key = value.partition("/")
    if not slash or "/" in key or not scope.strip() or not key.strip():
        raise refusal("is no reference to a secret; wanted: SCOPE/KEY, with exactly one '/'")
    return value


def _volume(value: str) -> str:
    if not value.startswith("/Volumes/"):
        raise refusal("does not start with /Volumes/")
    return value


def _include_path(value: str) -> str:
    not_blank(value)
    path = PurePosixPath(value)
    if path.is_absolute():
        raise refusal("is an absolute path; wanted: one relative to root_path")
    if ".." in path.parts:
        raise refusal("has a '..' part; wanted: a path below root_path")
    return value


def _include_paths(value: list[str]) -> list[str]:
    if not value:
        raise refusal("is an empty list; name a path, or remove the key to include everything")
    return value


def _branch(value: str) -> str:
    not_blank(value)
    if not _BRANCH.fullmatch(value):
        told = f"has the character {_NOT_IN_BRANCH.findall(value)[0]!a}"
        raise refusal(f"{told}; wanted: letters, digits, '_', '.', '/' and '-'")
    return value


def _token(value: str) -> str:
    not_blank(value)
    _not_longer(value.strip(), _LONGEST_TOKEN)
    return value


def _workspace(value: str) -> str:
    if not value.startswith("/Workspace"):
        raise refusal("does not start with /Workspace")
    return value


def _policy_name(value: str) -> str:
    not_blank(value)
    _not_longer(value, _LONGEST_POLICY)
    return value


def _uuid(value: str) -> str:
    if not _UUID.fullmatch(value):
        raise refusal("is no UUID; if it is the policy's name, give it as usage_policy_name")
    return value


def _dependencies(value: Any) -> Any:
    if isinstance(value, str):
        return not_blank(value)
    if not isinstance(value, list):
        raise refusal(f"is {described(value)}; wanted: a list of packages")
    for item in value:
        if not isinstance(item, str) or not item.strip():
            raise refusal(f"is a list with {described(item)} in it; wanted: a list of packages")
    return value


def _version(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise refusal(f"is {described(value)}; wanted: a string or an integer")
    return value


def _tag_policy(value: str) -> str:
    if value.lower() not in {"auto", "latest"}:
        raise refusal(f"is neither auto nor latest{near(value, ('auto', 'latest'))}")
    return value


def _remote(value: Any) -> Any:
    if not isinstance(value, bool | str):
        raise refusal(f"is {described(value)}; wanted: true, false or a name; better remove it")
    return value


RunName = Annotated[
    str, AfterValidator(_run_name), text_schema(pattern=f"^{_NAME.pattern}$", maxLength=_LONGEST_NAME)
]
Command = Annotated[
    str,
    AfterValidator(_command),
    text_schema(pattern=VISIBLE, **{"not": {"pattern": rf"(?:\n[^\n]*){{{_MOST_LINES}}}"}}),
]
SecretReference = Annotated[
    str, AfterValidator(_secret), text_schema(pattern=r"^\s*[^/\s][^/]*/\s*[^/\s][^/]*$")
]
Volume = Annotated[str, AfterValidator(_volume), text_schema(pattern="^/Volumes/")]
IncludePath = Annotated[
    str,
    AfterValidator(_include_path),
    text_schema(pattern=VISIBLE, **{"not": {"pattern": r"^/|(?:^|/)\.\.(?:/|$)"}}),
]
IncludePaths = Annotated[
    list[IncludePath], AfterValidator(_include_paths), Field(json_schema_extra={"minItems": 1})
]
Branch = Annotated[str, AfterValidator(_branch), text_schema(pattern=f"^{_BRANCH.pattern}$")]
Token = Annotated[str, AfterValidator(_token), text_schema(pattern=VISIBLE)]
Workspace = Annotated[str, AfterValidator(_workspace), text_schema(pattern="^/Workspace")]
PolicyName = Annotated[
    str, AfterValidator(_policy_name), text_schema(pattern=VISIBLE, maxLength=_LONGEST_POLICY)
]
PolicyId = Annotated[
    str, AfterValidator(_uuid), text_schema(pattern=f"^{_UUID.pattern.replace('a-f', 'a-fA-F')}$")
]
_PACKAGE = {"type": "string", "pattern": VISIBLE}
Dependencies = Annotated[
    Any,
    AfterValidator(_dependencies),
    WithJsonSchema(
        {"anyOf": [{"type": "array", "items": _PACKAGE}, {**_PACKAGE, "deprecated": True}]},
    ),
]
Version = Annotated[Any, AfterValidator(_version), WithJsonSchema({"type": ["string", "integer"]})]
TagPolicy = Annotated[
    str, AfterValidator(_tag_policy), text_schema(pattern="^(?:[aA][uU][tT][oO]|[lL][aA][tT][eE][sS][tT])$")
]
Remote = Annotated[
    Any, AfterValidator(_remote), WithJsonSchema({"type": ["boolean", "string"], "deprecated": True})
]


# -- blocks ------------------------------------------------------------------------------------------
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
        json_schema_extra=wanting(f"one of {', '.join(ACCELERATORS)}"),
    )
    num_accelerators: int = Field(
        gt=0,
        description="How many accelerators in all: a multiple of the count in accelerator_type.",
        json_schema_extra=wanting("an integer, 1 or more"),
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
    model_config = ConfigDict(json_schema_extra=one_of("branch", "commit"))

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

    type: Literal["snapshot"] = Field(description="How it is brought.", json_schema_extra=wanting("snapshot"))
    snapshot: Snapshot = Field(description="What is copied.")


_HOLDERS = ("user_name", "group_name", "service_principal_name")


class Permission(Block):
    """Who may do what with the run."""

    wanted = f"a mapping with level and one of {enumeration(_HOLDERS, 'or')}"
    model_config = ConfigDict(json_schema_extra=one_of(*_HOLDERS))

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
        None, description="Environment variables, by name.", json_schema_extra=wanting("a mapping")
    )
    secrets: dict[str, SecretReference] | None = Field(
        None,
        description="Environment variables from secrets: name and SCOPE/KEY.",
        json_schema_extra=wanting("a mapping"),
    )
    code_source: CodeSource | None = Field(None, description="Where the code comes from.")
    max_retries: int = Field(
        3, ge=0, description="Retries.", json_schema_extra=wanting("an integer, 0 or more")
    )
    timeout_minutes: int | None = Field(
        None, ge=1, description="Minutes at most.", json_schema_extra=wanting("an integer, 1 or more")
    )
    idempotency_token: Token | None = Field(
        None, description=f"Starts a run once only; {_LONGEST_TOKEN} characters at most."
    )
    parameters: dict[Any, Any] | None = Field(
        None,
        description="Hyperparameters, as the run finds them.",
        json_schema_extra=wanting("a mapping"),
    )
    mlflow_run_name: RunName | None = Field(None, description="The run's name in MLflow.")
    mlflow_experiment_directory: Workspace | None = Field(
        None, description="Where the experiment is kept: a path below /Workspace."
    )
    permissions: list[Permission] | None = Field(
        None, description="Who may do what with the run.", json_schema_extra=wanting("a list")
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


def override_problem(keys: KeyPath) -> str | None:
    """Say why there is nothing at *keys* that could be overridden; None where there is."""
    block: type[Block] = RunConfigModel
    for depth, key in enumerate(keys):
        rest = len(keys) - depth - 1
        if key not in block.model_fields:
            level = dotted(keys[:depth]) or "a run config"
            fields = list(block.model_fields)
            told = f"there is no {dotted(keys[: depth + 1])}; {level} has {enumeration(fields)}"
            return f"{told}{near(key, fields)}"
        annotation = block.model_fields[key].annotation
        if not rest or key == "parameters":
            return None
        inner = block_of(annotation)
        if inner is None:
            if rest == 1 and _is_map(annotation):
                return None
            return f"{dotted(keys[: depth + 1])} has no fields; override it as a whole"
        block = inner
    return None


def _is_map(annotation: Any) -> bool:
    return any(get_origin(candidate) is dict for candidate in (annotation, *get_args(annotation)))


def validate(data: Mapping[Any, Any]) -> tuple[RunConfigModel | None, list[Problem]]:
    """Return the typed run config, or None and everything that is wrong with *data*.

    :param data: made of plain dicts and lists.
    """
    return validated(RunConfigModel, data)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a run config."""
    return json_schema_of(RunConfigModel, "run config")
