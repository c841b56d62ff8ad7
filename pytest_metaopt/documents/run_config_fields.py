"""The values of a run config, each as a type that pydantic validates."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema

from ..core.text import described
from .schema import VISIBLE, near, not_blank, refusal, text_schema

_LONGEST_NAME = 100
_MOST_LINES = 1000
LONGEST_TOKEN = 64
_LONGEST_POLICY = 127
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_-]")
_BRANCH = re.compile(r"[\w./-]+")
_NOT_IN_BRANCH = re.compile(r"[^\w./-]")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def _not_longer(value: str, most: int) -> None:
    if len(value) > most:
        raise refusal(f"has {len(value)} characters; expected at most {most}")


def _run_name(value: str) -> str:
    not_blank(value)
    _not_longer(value, _LONGEST_NAME)
    if not _NAME.fullmatch(value):
        raise refusal(
            f"has the character {_NOT_IN_NAME.findall(value)[0]!a}; expected A-Z, a-z, 0-9, _ and -"
        )
    return value


def _command(value: str) -> str:
    not_blank(value)
    lines = value.count("\n") + 1
    if lines > _MOST_LINES:
        raise refusal(f"has {lines} lines; expected at most {_MOST_LINES}; put them in a script")
    return value


def _secret(value: str) -> str:
    scope, slash, key = value.partition("/")
    if not slash or "/" in key or not scope.strip() or not key.strip():
        raise refusal("is not a reference to a secret; expected SCOPE/KEY, with exactly one '/'")
    return value


def _volume(value: str) -> str:
    if not value.startswith("/Volumes/"):
        raise refusal("does not start with /Volumes/")
    return value


def _include_path(value: str) -> str:
    not_blank(value)
    path = PurePosixPath(value)
    if path.is_absolute():
        raise refusal("is an absolute path; expected one relative to root_path")
    if ".." in path.parts:
        raise refusal("has a '..' part; expected a path below root_path")
    return value


def _include_paths(value: list[str]) -> list[str]:
    if not value:
        raise refusal("is an empty list; name a path, or remove the key to include everything")
    return value


def _branch(value: str) -> str:
    not_blank(value)
    if not _BRANCH.fullmatch(value):
        message = f"has the character {_NOT_IN_BRANCH.findall(value)[0]!a}"
        raise refusal(f"{message}; expected letters, digits, '_', '.', '/' and '-'")
    return value


def _token(value: str) -> str:
    not_blank(value)
    _not_longer(value.strip(), LONGEST_TOKEN)
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
        raise refusal("is not a UUID; if it is the policy's name, give it as usage_policy_name")
    return value


def _dependencies(value: Any) -> Any:
    if isinstance(value, str):
        return not_blank(value)
    if not isinstance(value, list):
        raise refusal(f"is {described(value)}; expected a list of packages")
    for item in value:
        if not isinstance(item, str) or not item.strip():
            raise refusal(f"is a list with {described(item)} in it; expected a list of packages")
    return value


def _version(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise refusal(f"is {described(value)}; expected a string or an integer")
    return value


def _tag_policy(value: str) -> str:
    if value.lower() not in {"auto", "latest"}:
        raise refusal(f"is neither auto nor latest{near(value, ('auto', 'latest'))}")
    return value


def _remote(value: Any) -> Any:
    if not isinstance(value, bool | str):
        raise refusal(f"is {described(value)}; expected true, false or a name; better remove it")
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
