"""Imports training code, in a process of its own: ``python -m pytest_metaopt.probes.local.child FOLDER``.

It reads ``request.json`` in the folder and writes ``answer.json`` there, so what the training code prints
does not matter. Neither does a hang, a crash or a thread left behind: the parent process has a time limit and
kills this one.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import Any

_MOST_MODELS = 10_000
_MOST_CHARACTERS = 300
_LONGEST_COMPARED = 200


class Refused(Exception):  # noqa: N818 - the training code is not as it has to be
    """The requested object does not exist, or is something else; ``str()`` of it says which."""


def main(folder: Path) -> None:
    """Answer the request in *folder*, and end without waiting for what the training code left running."""
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    try:
        answer = {"models": models, "trainer": trainer}[request["query"]](request)
    except Refused as error:
        answer = {"problem": str(error)}
    except BaseException as error:  # noqa: BLE001 - whatever the training code raises is the answer
        answer = {"problem": f"{request['name']} raised {_describe(error)}"}
    unfinished = folder / "answer.unfinished"
    unfinished.write_text(json.dumps(answer), encoding="utf-8")
    unfinished.replace(folder / "answer.json")
    os._exit(0)


def models(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the names in a registry: the keys of a mapping, or what an iterable yields."""
    registry = _looked_up(request["module"], request["name"])
    try:
        names = list(islice(registry, _MOST_MODELS + 1))
    except TypeError:
        raise Refused(
            f"{request['name']} is a {type(registry).__name__}; it has to be a mapping or iterable of names"
        ) from None
    if len(names) > _MOST_MODELS:
        raise Refused(f"{request['name']} yields more than {_MOST_MODELS} names")
    found = [name.value if isinstance(name, Enum) and isinstance(name.value, str) else name for name in names]
    for name in found:
        if not isinstance(name, str):
            raise Refused(f"{request['name']} has a {type(name).__name__} in it; it has to hold strings")
    if not found:
        raise Refused(f"{request['name']} is empty; is it filled by an import that is missing here?")
    return {"models": [str(name) for name in found]}


def trainer(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an argparse parser says of the values of each key, as far as it refuses them."""
    build = _looked_up(request["module"], request["name"])
    parser = build() if callable(build) else build
    if not isinstance(parser, argparse.ArgumentParser):
        raise Refused(
            f"{request['name']} returned a {type(parser).__name__}; expected an argparse.ArgumentParser"
        )
    actions = _by_name(parser)
    unknown, refused = [], []
    for key, values in request["values"].items():
        options = actions.get(key.replace("-", "_"))
        if options is None:
            unknown.append(key)
            continue
        for value in values:
            refusals = [_refusal(option, value) for option in options]
            # A parser of subcommands may have several of one name: one that takes it will do.
            if None not in refusals:
                refused.append([key, json.dumps(value, sort_keys=True), refusals[0]])
    return {"names": sorted(actions), "unknown": unknown, "refused": refused}


def _by_name(parser: argparse.ArgumentParser) -> dict[str, list[argparse.Action]]:
    """Return the options of *parser* and of its subcommands, by long name and by destination."""
    found: dict[str, list[argparse.Action]] = {}
    for action in parser._actions:  # noqa: SLF001 - argparse has no public way to list them
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - as above
            for inner in action.choices.values():
                for name, options in _by_name(inner).items():
                    found.setdefault(name, []).extend(options)
            continue
        if isinstance(action, argparse._HelpAction | argparse._VersionAction):  # noqa: SLF001 - as above
            continue
        names = [option[2:] for option in action.option_strings if option.startswith("--")]
        for name in {name.replace("-", "_") for name in [*names, action.dest]}:
            found.setdefault(name, []).append(action)
    return found


def _refusal(action: argparse.Action, value: Any) -> str | None:
    """Return why *action* would not take *value*, as the end of a sentence; None where it would."""
    if action.nargs == 0:
        return None if isinstance(value, bool) else f"is {_kind(value)}; it is a flag: expected true or false"
    if isinstance(value, dict):
        return f"is a table; expected {_expected(action)}"
    if isinstance(value, list):
        takes_many = action.nargs is not None or type(action).__name__ in {"_AppendAction", "_ExtendAction"}
        if not takes_many:
            return f"is a list; expected {_expected(action)}"
        if isinstance(action.nargs, int) and len(value) != action.nargs:
            return f"is a list of {len(value)}; expected {action.nargs} of {_expected(action)}"
        return next(
            (problem for item in value if (problem := _refusal_of_one(action, item)) is not None), None
        )
    return _refusal_of_one(action, value)


def _refusal_of_one(action: argparse.Action, value: Any) -> str | None:
    if isinstance(value, dict | list):
        return f"has {_kind(value)} in it; expected {_expected(action)}"
    convert = action.type if callable(action.type) else str
    if isinstance(value, bool) and convert is str and not action.choices:
        return f"is {_kind(value)}; expected {_expected(action)}"
    words = [str(value).lower(), str(value)] if isinstance(value, bool) else [_word(value)]
    problem = None
    for word in words:
        try:
            taken = convert(word)
        except (TypeError, ValueError, argparse.ArgumentTypeError) as error:
            reason = f" ({error})" if isinstance(error, argparse.ArgumentTypeError) else ""
            problem = f"is {_kind(value)}{reason}; expected {_expected(action)}"
            continue
        if action.choices is None or taken in action.choices:
            return None
        problem = f"is not one of {', '.join(_choices(action.choices))}{_near(str(value), action.choices)}"
    return problem


def _word(value: object) -> str:
    """Return *value* as it stands on a command line."""
    return repr(value) if isinstance(value, float) else str(value)


def _choices(choices: Iterable[Any]) -> Iterator[str]:
    return (str(choice) for choice in islice(choices, 20))


def _near(value: str, choices: Iterable[Any]) -> str:
    if len(value) > _LONGEST_COMPARED:
        return ""
    near = difflib.get_close_matches(value, list(_choices(choices)), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _expected(action: argparse.Action) -> str:
    if action.choices is not None:
        return " or ".join(_choices(action.choices))
    convert: Callable[..., object] | None = action.type if callable(action.type) else None
    known: dict[Any, str] = {int: "an integer", float: "a number", None: "a string", str: "a string"}
    return known.get(convert) or f"what {getattr(convert, '__name__', 'its type')} takes"


def _kind(value: object) -> str:
    """Say what *value* is; a number is shown, a text may be a secret."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return _word(value)[:40]
    words: dict[Any, str] = {str: "a string", dict: "a table", list: "a list"}
    return words.get(type(value), "something else")


def _looked_up(module: str, name: str) -> Any:
    try:
        value: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and (module == error.name or module.startswith(f"{error.name}.")):
            raise Refused(f"module {error.name!r} not found; is the training code installed here?") from None
        raise Refused(f"{module} imports {error.name!r}, which is not installed here") from None
    except BaseException as error:  # noqa: BLE001 - as in main
        raise Refused(f"the import of {module} raised {_describe(error)}") from None
    for part in name.split("."):
        if not hasattr(value, part):
            raise Refused(f"{module} has no {part!r}{_near(part, [n for n in dir(value) if n[0] != '_'])}")
        value = getattr(value, part)
    return value


def _describe(error: BaseException) -> str:
    text = " ".join(str(error).split())[:_MOST_CHARACTERS]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


if __name__ == "__main__":
    main(Path(sys.argv[1]))
