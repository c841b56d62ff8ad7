"""Overrides of a run config: what ``KEY=VALUE`` means, and the run config that they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args, get_origin

import yaml

from ..core.document import Document, DocumentError, KeyPath, dotted, frozen, thawed
from ..core.override import Override
from ..core.redaction import safe
from ..core.secret_names import names_secret
from ..core.text import described, enumeration, one_line, shortened
from .run_config import RunConfig
from .run_config_model import RunConfigModel
from .schema import Block, block_of, near

_SHOWN_CHARACTERS = 60
_SECRET_BLOCKS = frozenset({"env_variables", "secrets", "idempotency_token"})
_NOTHING = object()


def parse_override(text: str) -> Override:
    """Return the override that ``KEY=VALUE`` means: a dotted path, and a value as YAML reads it.

    :raises ValueError: it is not of that form, or a run config has no such place.
    """
    path, equals, value = text.partition("=")
    keys = tuple(path.strip().split("."))
    if not equals or not all(keys):
        raise ValueError(f"{safe(dotted((path,)))} is not a KEY=VALUE, such as compute.num_accelerators=2")
    problem = _problem(keys)
    if problem is not None:
        raise ValueError(safe(problem))
    try:
        return Override(keys, yaml.safe_load(value))
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ValueError(
            f"the value of {safe(dotted(keys))} is not YAML; quote it within the quotes"
        ) from None


def _problem(keys: KeyPath) -> str | None:
    """Return why there is nothing at *keys* that could be overridden; None where there is."""
    block: type[Block] = RunConfigModel
    for depth, key in enumerate(keys):
        rest = len(keys) - depth - 1
        if key not in block.model_fields:
            level = dotted(keys[:depth]) or "a run config"
            fields = list(block.model_fields)
            message = f"unknown key {dotted(keys[: depth + 1])}; {level} has {enumeration(fields)}"
            return f"{message}{near(key, fields)}"
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


def with_overrides(config: Document, overrides: Sequence[Override]) -> RunConfig:
    """Return the run config *config* with the values that *overrides* give; the last of several counts.

    :raises DocumentError: an override leads through something that is not a mapping.
    """
    data = thawed(config.data)
    before: dict[KeyPath, Override] = {}
    for override in overrides:
        before.pop(override.keys, None)
        before[override.keys] = override
        block = data
        for depth, key in enumerate(override.keys[:-1], start=1):
            block = block.setdefault(key, {})
            if not isinstance(block, dict):
                keys = override.keys[:depth]
                message = (
                    f"{dotted(keys)} is {described(block)}, so {dotted(override.keys)} cannot be overridden"
                )
                raise DocumentError(config.path, message, position=config.position(keys))
        block[override.keys[-1]] = override.value
    return RunConfig(
        config.path,
        frozen(data),
        # What an override gave stands nowhere in the file.
        {
            keys: position
            for keys, position in config.positions.items()
            if not any(keys[: len(gone)] == gone for gone in before)
        },
        duplicates=config.duplicates,
        changes=tuple(_change(override, config.get(override.keys, _NOTHING)) for override in before.values()),
        overridden=tuple(before),
    )


def _change(override: Override, before: object) -> str:
    """Return what an override changes, ``compute.num_accelerators: 1 → 2``, without anything secret.

    :param before: what stands there without it.
    """
    return (
        f"{dotted(override.keys)}: {_shown(override.keys, before)} → {_shown(override.keys, override.value)}"
    )


def _shown(keys: KeyPath, value: object) -> str:
    if value is _NOTHING:
        return "(not given)"
    if isinstance(value, Mapping | list | tuple):
        return f"({described(value)})"
    secret = isinstance(value, str) and any(names_secret(str(key)) for key in keys)
    if secret or not _SECRET_BLOCKS.isdisjoint(keys):
        return "(not shown)"
    return shortened(safe(one_line(_yaml(value))), _SHOWN_CHARACTERS)


def _yaml(value: object) -> str:
    return str(yaml.safe_dump(value, allow_unicode=True, width=10**6)).removesuffix("...\n")
