"""The run config: the YAML file that a serverless GPU run is started from."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..core.document import Document, KeyPath, thawed
from ..core.problem import Problem
from .sources.yaml import read_yaml_mapping

if TYPE_CHECKING:
    from .run_config_model import RunConfigModel

SECTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "experiment_name": ("experiment_name",),
        "compute": ("compute",),
        "environment": ("environment", "env_variables"),
        "command": ("command", "parameters"),
        "secrets": ("secrets",),
        "code_source": ("code_source",),
        "limits": ("max_retries", "timeout_minutes", "idempotency_token"),
        "mlflow": ("mlflow_run_name", "mlflow_experiment_directory"),
        "permissions": ("permissions",),
        "usage_policy": ("usage_policy_name", "usage_policy_id"),
    }
)
"""The checks of a run config by section, and the top-level keys that each is about."""
REQUIRED = ("experiment_name", "compute", "command")
UNKNOWN_KEYS = "unknown_keys"

SNAPSHOT = ("code_source", "snapshot")
DEPENDENCIES = ("environment", "dependencies")

_SECTION_OF = {key: section for section, keys in SECTIONS.items() for key in keys}
_HINT = re.compile(r"^experiment_name\s*:", re.MULTILINE)


@dataclass(frozen=True, eq=False)
class RunConfig(Document):
    """A parsed run config.

    :param changes: what the overrides changed, one sentence each.
    :param overridden: the places that overrides gave.
    """

    changes: tuple[str, ...] = ()
    overridden: tuple[KeyPath, ...] = ()

    @cached_property
    def _validated(self) -> tuple[RunConfigModel | None, Sequence[Problem]]:
        from .run_config_model import validate

        model, mistakes = validate(thawed(self.data))
        return model, [self._attributed(mistake) for mistake in mistakes]

    @property
    def model(self) -> RunConfigModel | None:
        """The run config with every value typed; None where something is wrong with it."""
        return self._validated[0]

    @property
    def problems(self) -> Sequence[Problem]:
        """Everything that is wrong with it."""
        return self._validated[1]

    def problems_of(self, section: str) -> list[Problem]:
        """Return what is wrong with a section of ``SECTIONS``, or with ``unknown_keys``."""
        return [problem for problem in self.problems if _section_of(problem) == section]

    def has(self, section: str) -> bool:
        """Return whether the file has something of a section."""
        return any(key in self.data for key in SECTIONS[section])

    def text(self, keys: KeyPath) -> str | None:
        """Return the text at *keys*; None where there is none, or a blank one."""
        value = self.get(keys)
        return value if isinstance(value, str) and value.strip() else None

    def path_of(self, value: str) -> Path:
        """Return the path that *value* means: relative to the run config's directory."""
        return Path(os.path.normpath(self.path.parent / os.path.expanduser(value)))  # noqa: PTH111 - never raises

    @property
    def root_path(self) -> Path | None:
        """The folder that is copied; None where none is named."""
        value = self.text((*SNAPSHOT, "root_path"))
        return self.path_of(value) if value is not None and "\0" not in value else None

    @property
    def include_paths(self) -> Iterator[tuple[KeyPath, str]]:
        """Yield what of it is copied, with what leads there; what is not a path is left out."""
        keys = (*SNAPSHOT, "include_paths")
        found = self.get(keys)
        for index, value in enumerate(found if isinstance(found, tuple) else ()):
            if isinstance(value, str) and value.strip() and "\0" not in value:
                yield (*keys, index), value

    @property
    def pin(self) -> tuple[KeyPath, str] | None:
        """The branch or commit that is pinned, with what leads there; None: neither, or both."""
        keys = (*SNAPSHOT, "git")
        found = [
            ((*keys, name), value) for name in ("branch", "commit") if (value := self.text((*keys, name)))
        ]
        return found[0] if len(found) == 1 else None

    def _attributed(self, mistake: Problem) -> Problem:
        if any(mistake.keys[: len(keys)] == keys for keys in self.overridden):
            return Problem(mistake.keys, f"{mistake.message} (from --metaopt-override)", mistake.unknown)
        return mistake


def _section_of(mistake: Problem) -> str | None:
    return UNKNOWN_KEYS if mistake.unknown else _SECTION_OF.get(mistake.keys[0])


def load_run_config(path: Path) -> RunConfig:
    """Read the run config *path*; its checks report what is wrong in it.

    :raises DocumentError: it cannot be read, is not a YAML mapping, or is larger than a run's payload may be.
    """
    tree = read_yaml_mapping(path, "run config")
    return RunConfig(path, tree.value, tree.positions, duplicates=tree.duplicates)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a run config, made of the models that validate one."""
    from .run_config_model import json_schema as of_models

    return of_models()


def looks_like_run_config(path: Path, head: str) -> bool:
    """Return whether a YAML file that was named without saying its kind is a run config.

    It is one by its name (``*run_config*``) or by a top-level ``experiment_name`` in *head*, the beginning of
    its text.
    """
    return "run_config" in path.stem.lower().replace("-", "_") or _HINT.search(head) is not None
