"""What a run config has to be: the rules that need no more than the file, as pydantic's models.

Imported only once a run config is named: pydantic takes longer to import than all the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

from pydantic import ConfigDict, Field

from ..core.document import KeyPath
from ..core.problem import Problem
from ..core.text import described_number, enumeration
from .json_schema import json_schema as json_schema_of
from .run_config_fields import (
    LONGEST_TOKEN,
    Branch,
    Command,
    Dependencies,
    IncludePaths,
    PolicyId,
    PolicyName,
    Remote,
    RunName,
    SecretReference,
    TagPolicy,
    Token,
    Version,
    Volume,
    Workspace,
)
from .schema import (
    Block,
    Words,
    one_of,
    validated,
    wanting,
)

ACCELERATORS: Mapping[str, int] = MappingProxyType({"GPU_1xA10": 1, "GPU_1xH100": 1, "GPU_8xH100": 8})
"""The kinds of node, and how many accelerators each has."""


class Compute(Block):
    """The compute that the run uses."""

    expected = "a mapping with accelerator_type and num_accelerators"
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
        description="The kind of node, case-sensitive: the number and model of its accelerators.",
        json_schema_extra=wanting(f"one of {', '.join(ACCELERATORS)}"),
    )
    num_accelerators: int = Field(
        gt=0,
        description="The total number of accelerators, a multiple of the number in accelerator_type.",
        json_schema_extra=wanting("an integer, 1 or more"),
    )

    @classmethod
    def rules(cls, given: Mapping[Any, Any]) -> Iterator[tuple[KeyPath, str]]:  # noqa: D102
        kind, count = given.get("accelerator_type"), given.get("num_accelerators")
        each = ACCELERATORS.get(kind) if isinstance(kind, str) else None
        # The field itself reports what is not an integer, or too small.
        if each is None or not isinstance(count, int) or isinstance(count, bool) or count < 1:
            return
        if count % each:
            message = (
                f"is {described_number(count)}; expected a multiple of {each}, as a {kind} node has {each}"
            )
            yield ("num_accelerators",), message


class DockerImage(Block):
    """A container image to run in."""

    expected = "a mapping with url"
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
    """The environment of the run."""

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

    expected = "a mapping with branch or commit"
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
            yield ("commit",), "is given together with branch; keep one of them"


class Snapshot(Block):
    """What is copied to where the run is."""

    expected = "a mapping with root_path"

    root_path: Words = Field(description="The directory that is copied, relative to the run config's.")
    remote_volume: Volume | None = Field(None, description="The destination, a path below /Volumes/.")
    include_paths: IncludePaths | None = Field(
        None, description="The paths below root_path that are copied; default: all."
    )
    git: Git | None = Field(None, description="The pinned revision.")


class CodeSource(Block):
    """Where the code comes from."""

    expected = "a mapping with type and snapshot"

    type: Literal["snapshot"] = Field(
        description="How the code is transferred.", json_schema_extra=wanting("snapshot")
    )
    snapshot: Snapshot = Field(description="What is copied.")


_HOLDERS = ("user_name", "group_name", "service_principal_name")


class Permission(Block):
    """The permissions on the run."""

    expected = f"a mapping with level and one of {enumeration(_HOLDERS, 'or')}"
    model_config = ConfigDict(json_schema_extra=one_of(*_HOLDERS))

    user_name: Words | None = Field(None, description="A user.")
    group_name: Words | None = Field(None, description="A group.")
    service_principal_name: Words | None = Field(None, description="A service principal.")
    level: Words = Field(description="The permission level.")

    @classmethod
    def rules(cls, given: Mapping[Any, Any]) -> Iterator[tuple[KeyPath, str]]:  # noqa: D102
        named = [name for name in _HOLDERS if name in given]
        if not named:
            yield (), f"has none of {', '.join(_HOLDERS)}; give one of them"
        elif len(named) > 1:
            yield (named[1],), f"is given together with {named[0]}; keep one of them"


class RunConfigModel(Block):
    """What a serverless GPU run is started from (pytest-metaopt)."""

    model_config = ConfigDict(
        json_schema_extra={"not": {"required": ["usage_policy_name", "usage_policy_id"]}}
    )

    experiment_name: RunName = Field(description="The experiment of the run.")
    compute: Compute = Field(description="The compute that the run uses.")
    command: Command = Field(description="The shell command of the run.")
    environment: Environment | None = Field(None, description="The environment of the run.")
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
        None,
        ge=1,
        description="The maximum duration, in minutes.",
        json_schema_extra=wanting("an integer, 1 or more"),
    )
    idempotency_token: Token | None = Field(
        None,
        description="The token under which repeated submissions start one run; at most"
        f" {LONGEST_TOKEN} characters.",
    )
    parameters: dict[Any, Any] | None = Field(
        None,
        description="Hyperparameters, passed to the run.",
        json_schema_extra=wanting("a mapping"),
    )
    mlflow_run_name: RunName | None = Field(None, description="The run's name in MLflow.")
    mlflow_experiment_directory: Workspace | None = Field(
        None, description="The directory of the experiment, below /Workspace."
    )
    permissions: list[Permission] | None = Field(
        None, description="The permissions on the run.", json_schema_extra=wanting("a list")
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
            yield ("usage_policy_id",), "is given together with usage_policy_name; keep one of them"


def validate(data: Mapping[Any, Any]) -> tuple[RunConfigModel | None, list[Problem]]:
    """Return the typed run config, or None and everything that is wrong with *data*.

    :param data: made of plain dicts and lists.
    """
    return validated(RunConfigModel, data)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a run config."""
    return json_schema_of(RunConfigModel, "run config")
