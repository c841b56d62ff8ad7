"""A launch file of any format, read and parsed once for all readers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..core.document import DocumentError
from .sources.text import read_text
from .sources.yaml import YamlTree, read_yaml_mapping


@dataclass(frozen=True)
class LaunchFile:
    """A file that readers look at, read and parsed once for them all."""

    path: Path

    @cached_property
    def text(self) -> str:
        """Its text.

        :raises DocumentError: it cannot be read, or is not UTF-8.
        """
        return read_text(self.path)

    @cached_property
    def yaml(self) -> YamlTree:
        """Its one YAML mapping, with positions.

        :raises DocumentError: it cannot be read, or is not one YAML mapping.
        """
        return read_yaml_mapping(self.path, "launch spec")

    @cached_property
    def mapping(self) -> Mapping[Any, Any] | None:
        """The values of :attr:`yaml`; None where there are none."""
        try:
            return self.yaml.value  # type: ignore[no-any-return]
        except DocumentError:
            return None
