"""The parts of a session that its items work with."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import pytest

from ..results.ledger import Plan
from .catalog import Catalog
from .coordination import Coordination
from .documents import Documents
from .first_evaluation import FirstEvaluations


@dataclass(frozen=True)
class Parts:
    """The parts of the session that items work with.

    :param plan: is called with the plan of each document, before anything is selected away.
    :param bootstraps: whether bootstraps may run.
    """

    documents: Documents
    catalog: Catalog
    first_evaluations: FirstEvaluations
    coordination: Coordination
    plan: Callable[[Plan], None]
    bootstraps: bool
    fixtures: dict[object, Any] = field(default_factory=dict)
    """What pytest found out of the fixtures of a check, which is the same for all its subjects."""


def shown(path: os.PathLike[str] | str, config: pytest.Config) -> str:
    """Return *path* as people see it: relative to the invocation folder where it is below that."""
    return _shown(os.fspath(path), str(config.invocation_params.dir))


@lru_cache(maxsize=1024)
def _shown(text: str, folder: str) -> str:
    relative = os.path.relpath(text, folder)
    return text if relative.startswith("..") else relative
