"""Run configs for the tests."""

from __future__ import annotations

from typing import Any

import yaml

RUN_CONFIG_NAME = "train.yaml"

MINIMAL = """\
experiment_name: air-cuj
command: python train.py
compute: {accelerator_type: GPU_1xH100, num_accelerators: 1}
"""
FULL = """\
experiment_name: full-run
command: |
  pip install -r requirements.txt
  python train.py
compute: {accelerator_type: GPU_8xH100, num_accelerators: 16}
environment: {dependencies: [torch==2.3.0], version: 5}
env_variables: {WANDB_PROJECT: demo}
secrets: {HF_TOKEN: my_scope/hf_token}
parameters: {lr: 0.001, epochs: 3}
mlflow_run_name: full-run-v2
max_retries: 2
timeout_minutes: 120
"""
ITEMS_OF_FULL = 10
WRONG = """\
# 4 mistakes: the name, the count, the secret, an unknown key
experiment_name: bad.name
command: x
compute: {accelerator_type: GPU_8xH100, num_accelerators: 3}
secrets: {HF_TOKEN: no-slash}
priority: 100
"""
"""The samples of the run config's contract."""

NASTY = "; rm -rf /"

UUID = "0e6c8f9a-1b2c-4d3e-8f90-a1b2c3d4e5f6"


def config(**changes: Any) -> str:
    """A run config with top-level keys changed, or left out where the value is ``...``."""
    data = {**yaml.safe_load(MINIMAL), **changes}
    return str(
        yaml.safe_dump({key: value for key, value in data.items() if value is not ...}, sort_keys=False)
    )


def compute(kind: Any, count: Any) -> str:
    return config(compute={"accelerator_type": kind, "num_accelerators": count})


def snapshot(**entries: Any) -> str:
    return config(code_source={"type": "snapshot", "snapshot": {"root_path": ".", **entries}})


def environment(**entries: Any) -> str:
    return config(environment=entries)


def image(**entries: Any) -> str:
    return environment(docker_image={"url": "u", **entries})


def permission(**entries: Any) -> str:
    return config(permissions=[{"level": "CAN_VIEW", **entries}])


GOOD: dict[str, str] = {
    "minimal": MINIMAL,
    "full": FULL,
    "name_100": config(experiment_name="a-_9" * 25),
    "one_a10": compute("GPU_1xA10", 7),
    "eights": compute("GPU_8xH100", 24),
    "lines_1000": config(command="x\n" * 999),
    "deps_only": environment(dependencies=["torch==2.3.0", "numpy"]),
    "version_text": environment(dependencies=["torch"], version="5-gpu"),
    "image": image(),
    "image_auto": image(tag_policy="AUTO"),
    "image_credentials": image(tag_policy="Latest", credentials_scope="s", credentials_key="k"),
    "variables": config(env_variables={"A": NASTY, "EMPTY": ""}),
    "secrets": config(secrets={"A": "scope/key", "B": "s c/k"}),
    "volume": snapshot(remote_volume="/Volumes/a/b"),
    "retries_0": config(max_retries=0),
    "minutes_1": config(timeout_minutes=1),
    "token_64": config(idempotency_token=f"  {'x' * 64}  "),
    "parameters": config(parameters={"a": {"b": [1, None]}, 3: "x"}),
    "run_name": config(mlflow_run_name="x" * 100),
    "directory": config(mlflow_experiment_directory="/Workspace/x"),
    "user": permission(user_name="me"),
    "group": permission(group_name="us"),
    "principal": permission(service_principal_name="it"),
    "nobody": config(permissions=[]),
    "policy_name": config(usage_policy_name="x" * 127),
    "policy_id": config(usage_policy_id=UUID),
    "nasty": config(command=NASTY, parameters={"x": NASTY}),
}
"""What every check is content with, in a folder of its own."""

_NAME = "expected A-Z, a-z, 0-9, _ and -"
_SNAPSHOT = "code_source.snapshot"
_HOLDERS = "user_name, group_name, service_principal_name"

BAD: dict[str, tuple[str, str, str]] = {
    # what is wrong: the file, the check that fails, and what it says
    "no_name": (
        config(experiment_name=...),
        "experiment_name",
        "experiment_name is missing; expected a string",
    ),
    "name_dot": (config(experiment_name="a.b"), "experiment_name", f"has the character '.'; {_NAME}"),
    "name_unicode": (config(experiment_name="é"), "experiment_name", f"has the character '\\xe9'; {_NAME}"),
    "name_101": (
        config(experiment_name="x" * 101),
        "experiment_name",
        "has 101 characters; expected at most 100",
    ),
    "name_blank": (config(experiment_name=" "), "experiment_name", "is an empty string"),
    "name_number": (config(experiment_name=3), "experiment_name", "is a number; expected a string"),
    "name_null": (config(experiment_name=None), "experiment_name", "is empty (null)"),
    "no_compute": (
        config(compute=...),
        "compute",
        "compute is missing; expected a mapping with accelerator_type",
    ),
    "compute_text": (config(compute="x"), "compute", "compute is a string; expected a mapping with"),
    "type_case": (compute("gpu_8xh100", 8), "compute", "did you mean 'GPU_8xH100'?"),
    "type_list": (
        compute(["GPU_1xH100"], 8),
        "compute",
        "accelerator_type is a list; expected one of GPU_1xA10",
    ),
    "count_0": (compute("GPU_1xA10", 0), "compute", "num_accelerators is 0; expected an integer, 1 or more"),
    "count_text": (
        compute("GPU_1xA10", "2"),
        "compute",
        "is a string (remove the quotes); expected an integer",
    ),
    "count_true": (compute("GPU_1xA10", True), "compute", "is a boolean (true); expected an integer"),
    "count_12": (compute("GPU_8xH100", 12), "compute", "is 12; expected a multiple of 8"),
    "no_command": (config(command=...), "command", "command is missing; expected a string"),
    "command_blank": (config(command=" \n"), "command", "command is an empty string"),
    "lines_1001": (config(command="x\n" * 1000), "command", "has 1001 lines; expected at most 1000"),
    "parameters": (config(parameters=[1]), "command", "parameters is a list; expected a mapping"),
    "deps_type": (environment(dependencies=3), "environment", "dependencies is a number; expected a list"),
    "deps_item": (environment(dependencies=["a", 3]), "environment", "is a list with a number in it"),
    "version_type": (
        environment(dependencies=["a"], version=1.5),
        "environment",
        "expected a string or an int",
    ),
    "version_alone": (environment(version=5), "environment", "version is given without dependencies"),
    "version_path": (
        environment(dependencies="r.txt", version=5),
        "environment",
        "version takes a list of dependencies",
    ),
    "image_url": (image(url=" "), "environment", "environment.docker_image.url is an empty string"),
    "image_deps": (
        environment(docker_image={"url": "u"}, dependencies=["a"]),
        "environment",
        "docker_image excludes dependencies; keep the image or that",
    ),
    "image_version": (
        environment(docker_image={"url": "u"}, version=5),
        "environment",
        "docker_image excludes version",
    ),
    "tag_policy": (image(tag_policy="newest"), "environment", "tag_policy is neither auto nor latest"),
    "scope_alone": (
        image(tag_policy="latest", credentials_scope="s"),
        "environment",
        "credentials_scope is given without credentials_key",
    ),
    "credentials_auto": (
        image(credentials_scope="s", credentials_key="k"),
        "environment",
        "credentials_scope is only for tag_policy: latest",
    ),
    "variable": (
        config(env_variables={"A": 3}),
        "environment",
        "env_variables.A is a number; expected a string",
    ),
    "variable_key": (
        config(env_variables={3: "a"}),
        "environment",
        "env_variables.3 is a key that is not a string",
    ),
    "secret_slash": (config(secrets={"A": "a"}), "secrets", "secrets.A is not a reference to a secret"),
    "secret_slashes": (config(secrets={"A": "a/b/c"}), "secrets", "secrets.A is not a reference to a secret"),
    "secret_scope": (config(secrets={"A": "/b"}), "secrets", "secrets.A is not a reference to a secret"),
    "secret_key": (config(secrets={"A": "a/ "}), "secrets", "secrets.A is not a reference to a secret"),
    "secret_twice": (
        config(env_variables={"A": "x"}, secrets={"A": "a/b"}),
        "secrets",
        "secrets.A is in env_variables too",
    ),
    "source_type": (
        config(code_source={"type": "git", "snapshot": {"root_path": "."}}),
        "code_source",
        "code_source.type is not one of snapshot",
    ),
    "no_snapshot": (
        config(code_source={"type": "snapshot"}),
        "code_source",
        "code_source.snapshot is missing; expected a mapping with root_path",
    ),
    "root_blank": (snapshot(root_path=""), "code_source", f"{_SNAPSHOT}.root_path is an empty string"),
    "volume": (snapshot(remote_volume="/tmp"), "code_source", "remote_volume does not start with /Volumes/"),
    "include_none": (snapshot(include_paths=[]), "code_source", "include_paths is an empty list"),
    "include_blank": (snapshot(include_paths=[" "]), "code_source", "include_paths.0 is an empty string"),
    "include_absolute": (snapshot(include_paths=["/etc"]), "code_source", "is an absolute path"),
    "include_up": (snapshot(include_paths=["a/../.."]), "code_source", "has a '..' part"),
    "git_both": (
        snapshot(git={"branch": "a", "commit": "b"}),
        "code_source",
        "git.commit is given together with branch",
    ),
    "git_none": (snapshot(git={}), "code_source", f"{_SNAPSHOT}.git has neither branch nor commit"),
    "git_branch": (snapshot(git={"branch": NASTY}), "code_source", "git.branch has the character ';'"),
    "retries": (config(max_retries=-1), "limits", "max_retries is -1; expected an integer, 0 or more"),
    "retries_float": (config(max_retries=1.0), "limits", "max_retries is 1.0; expected an integer"),
    "retries_null": (config(max_retries=None), "limits", "max_retries is empty (null)"),
    "minutes": (config(timeout_minutes=0), "limits", "timeout_minutes is 0; expected an integer, 1 or more"),
    "token_blank": (config(idempotency_token=" "), "limits", "idempotency_token is an empty string"),
    "token_65": (
        config(idempotency_token="x" * 65),
        "limits",
        "idempotency_token has 65 characters; expected at most 64",
    ),
    "run_name": (config(mlflow_run_name="a b"), "mlflow", f"mlflow_run_name has the character ' '; {_NAME}"),
    "directory": (config(mlflow_experiment_directory="/Users"), "mlflow", "does not start with /Workspace"),
    "permissions": (config(permissions={"a": 1}), "permissions", "permissions is a mapping; expected a list"),
    "permission": (
        config(permissions=["me"]),
        "permissions",
        "permissions.0 is a string; expected a mapping with",
    ),
    "nobody": (permission(), "permissions", f"permissions.0 has none of {_HOLDERS}; give one"),
    "two_people": (
        permission(user_name="a", group_name="b"),
        "permissions",
        "permissions.0.group_name is given together with user_name",
    ),
    "user_blank": (permission(user_name=""), "permissions", "permissions.0.user_name is an empty string"),
    "level": (permission(user_name="a", level=" "), "permissions", "permissions.0.level is an empty string"),
    "no_level": (config(permissions=[{"user_name": "a"}]), "permissions", "permissions.0.level is missing"),
    "policies": (
        config(usage_policy_name="a", usage_policy_id=UUID),
        "usage_policy",
        "usage_policy_id is given together with usage_policy_name",
    ),
    "policy_blank": (config(usage_policy_name=" "), "usage_policy", "usage_policy_name is an empty string"),
    "policy_128": (
        config(usage_policy_name="x" * 128),
        "usage_policy",
        "has 128 characters; expected at most 127",
    ),
    "policy_id": (
        config(usage_policy_id="my policy"),
        "usage_policy",
        "is not a UUID; if it is the policy's name",
    ),
    "priority": (config(priority=100), "unknown_keys", "unknown key priority"),
    "bases": (config(_bases_=["x"]), "unknown_keys", "unknown key _bases_"),
    "node_pool": (config(node_pool_id="x"), "unknown_keys", "unknown key node_pool_id"),
    "pool": (config(pool_name="x"), "unknown_keys", "unknown key pool_name"),
    "key_number": (config() + "3: x\n", "unknown_keys", "unknown key 3"),
    "key_number_deep": (
        config(compute=...) + "compute: {accelerator_type: GPU_1xA10, num_accelerators: 1, 3: x}\n",
        "unknown_keys",
        "unknown key compute.3; a key is a string",
    ),
    "key_deep": (
        snapshot(git={"branch": "main", "brnch": 1}),
        "unknown_keys",
        f"unknown key {_SNAPSHOT}.git.brnch",
    ),
    "key_compute": (
        config(compute={"accelerator_type": "GPU_1xA10", "num_accelerators": 1, "n": 1}),
        "unknown_keys",
        "unknown key compute.n",
    ),
    "key_environment": (environment(dependancies=["a"]), "unknown_keys", "did you mean 'dependencies'?"),
    "key_image": (
        image(tag_polcy="auto"),
        "unknown_keys",
        "unknown key environment.docker_image.tag_polcy; did you mean",
    ),
    "key_source": (
        config(code_source={"type": "snapshot", "snapshot": {"root_path": "."}, "kind": 1}),
        "unknown_keys",
        "unknown key code_source.kind",
    ),
    "key_snapshot": (snapshot(include_path=["a"]), "unknown_keys", "did you mean 'include_paths'?"),
    "key_permission": (permission(user_name="a", x=1), "unknown_keys", "unknown key permissions.0.x"),
}
"""What is wrong, each with the check that says so and with what it says."""

NOT_IN_JSON = {"retries_float", "secret_twice", "token_65", "variable_key", "key_number", "key_number_deep"}
"""What the JSON Schema says nothing to: what it cannot express, 1.0, and keys that are no strings in YAML."""
