"""Read a YAML file that nobody has looked at: bounded, strict, with every place remembered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ...core.document import DocumentError, KeyPath, Position, frozen
from ...core.text import printable
from .text import MAX_DEPTH, read_text

MAX_VALUES = 100_000
"""Most values a document may hold once aliases are expanded."""

_MAX_NUMBER = 4300
# As many digits as Python makes an integer of; PyYAML's base 60 would take minutes over a longer one.
_MAX_SCAN = 1 << 17

_Loader: type[yaml.SafeLoader] | type[yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_OPENING = (
    yaml.FlowSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.BlockMappingStartToken,
)
_CLOSING = (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken, yaml.BlockEndToken)

_MERGE = "tag:yaml.org,2002:merge"
_VALUE = "tag:yaml.org,2002:value"
_SCALARS = frozenset(
    f"tag:yaml.org,2002:{name}" for name in ("bool", "float", "int", "null", "str", "timestamp")
)


@dataclass
class YamlTree:
    """What a YAML file holds: a read-only value, where each part stands, and what was said twice."""

    value: Any
    positions: dict[KeyPath, Position]
    duplicates: dict[KeyPath, Position]


def read_yaml_mapping(path: Path, what: str) -> YamlTree:
    """Return the YAML mapping in the file *path*, read as PyYAML's safe loader (YAML 1.1) reads it.

    :param what: the kind of document, for messages ("campaign").
    :raises DocumentError: the file cannot be read, is not one YAML document, nests deeper than
        ``MAX_DEPTH``, holds more than ``MAX_VALUES`` values with aliases expanded, has a tag that is
        not one of YAML's own scalars, or is not a mapping.
    """
    text = read_text(path)
    if not text.strip():
        raise DocumentError(path, f"is empty; a {what} is a YAML mapping")
    try:
        _check_shape(path, text)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                raise DocumentError(path, f"holds only comments; a {what} is a YAML mapping")
            positions = _Positions(path, loader)
            positions.found[()] = _mark(node.start_mark)
            positions.visit(node)
            value = frozen(loader.construct_document(node))
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise _yaml_problem(path, text, error) from None
    if not isinstance(value, Mapping):
        kind = "a list" if isinstance(value, tuple) else "a single value"
        raise DocumentError(path, f"is {kind}; a {what} is a YAML mapping", position=_mark(node.start_mark))
    return YamlTree(value, positions.found, positions.duplicates)


def _check_shape(path: Path, text: str) -> None:
    """Refuse what is too deep, or more than one document, before anything recursive sees it."""
    if ("\t" in text or "!" in text) and len(text) <= _MAX_SCAN:
        # yaml.safe_load, which the orchestrator reads with, refuses tabs that libyaml lets pass, and reads
        # the tag "!" as another value.
        open_now = 0
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            if isinstance(token, yaml.TagToken) and token.value == (None, "!"):
                raise DocumentError(
                    path, "the tag ! is not supported; remove it", position=_mark(token.start_mark)
                )
            if isinstance(token, _OPENING):
                open_now += 1
                # The scanner goes over all that is open for each token: depth bounds the time that it takes.
                if open_now > MAX_DEPTH:
                    raise _too_deep(path, token.start_mark)
            elif isinstance(token, _CLOSING):
                open_now -= 1
    depth = 0
    documents = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise _too_deep(path, event.start_mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise DocumentError(
                    path,
                    "a second YAML document begins here; keep one per file",
                    position=_mark(event.start_mark),
                )


def _too_deep(path: Path, mark: Any) -> DocumentError:
    return DocumentError(path, f"is nested deeper than {MAX_DEPTH} levels", position=_mark(mark))


class _Positions:
    """Walks PyYAML's nodes, and notes where each value stands before the values themselves are made.

    It refuses what the values must not hold, and counts each as often as it is referred to: what it accepts
    can be constructed in a bounded time.
    """

    def __init__(self, path: Path, loader: yaml.SafeLoader | yaml.CSafeLoader) -> None:
        self.path = path
        self.loader = loader
        self.found: dict[KeyPath, Position] = {}
        self.duplicates: dict[KeyPath, Position] = {}
        self._count = 0
        self._open: set[int] = set()

    def visit(self, node: yaml.Node, keys: KeyPath = ()) -> None:
        """Note the positions at and below *node*, to which *keys* lead.

        :raises DocumentError: the node, or one below it, is not supported.
        """
        self._count += 1
        if self._count > MAX_VALUES:
            raise self._error(node, f"holds more than {MAX_VALUES} values (aliases expanded)")
        if isinstance(node, yaml.ScalarNode):
            self._scalar(node)
            return
        if id(node) in self._open:
            raise self._error(node, "an alias refers to the value that it is part of")
        if len(keys) >= MAX_DEPTH:
            raise self._error(node, f"is nested deeper than {MAX_DEPTH} levels (aliases expanded)")
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                self._mapping(node, keys)
            else:
                self._sequence(node, keys)
        finally:
            self._open.discard(id(node))

    def _error(self, node: yaml.Node, problem: str) -> DocumentError:
        return DocumentError(self.path, problem, position=_mark(node.start_mark))

    def _require_tag(self, node: yaml.Node, tag: str) -> None:
        if node.tag != f"tag:yaml.org,2002:{tag}":
            raise self._error(node, f"the tag {printable(node.tag)} is not supported; remove it")

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        if node.tag not in _SCALARS:
            raise self._error(node, f"the tag {printable(node.tag)} is not supported; remove it")
        kind = node.tag.rpartition(":")[2]
        if kind in {"int", "float"} and len(node.value) > _MAX_NUMBER:
            raise self._error(node, f"is a number of more than {_MAX_NUMBER} characters; quote it")
        try:
            return self.loader.construct_object(node)
        except yaml.YAMLError:
            raise
        except Exception:  # noqa: BLE001 - PyYAML lets pass what int(), float() and its own tables raise
            raise self._error(node, f"cannot be read as a value of type {kind}; quote it") from None

    def _sequence(self, node: yaml.Node, keys: KeyPath) -> None:
        self._require_tag(node, "seq")
        for index, item in enumerate(node.value):
            self.found.setdefault((*keys, index), _mark(item.start_mark))
            self.visit(item, (*keys, index))

    def _mapping(self, node: yaml.MappingNode, keys: KeyPath) -> None:
        self._require_tag(node, "map")
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                self._merged(value_node, keys)
        own = set()
        # In a second pass, so that a key of the mapping's own has its own position.
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._error(key_node, "a key is a list or mapping; use a string")
            key = "=" if key_node.tag == _VALUE else self._scalar(key_node)
            place = (*keys, key)
            if key in own:
                self.duplicates[place] = _mark(key_node.start_mark)
            own.add(key)
            self.found[place] = _entry_mark(key_node, value_node)
            self.visit(value_node, place)

    def _merged(self, node: yaml.Node, keys: KeyPath) -> None:
        """Note what ``<<:`` brings in; of several mappings the first one that has a key counts."""
        for source in reversed(node.value) if isinstance(node, yaml.SequenceNode) else [node]:
            # PyYAML refuses anything else, unless what it would be merged into is itself merged away.
            if isinstance(source, yaml.MappingNode):
                self.visit(source, keys)


def _mark(mark: Any) -> Position:
    return Position(mark.line + 1, mark.column + 1)


def _entry_mark(key: yaml.Node, value: yaml.Node) -> Position:
    """Where a mapping's entry stands: its value if that begins on the key's line, else its key."""
    if value.start_mark.line == key.start_mark.line and isinstance(value, yaml.ScalarNode) and value.value:
        return _mark(value.start_mark)
    return _mark(key.start_mark)


def _yaml_problem(path: Path, text: str, error: yaml.YAMLError) -> DocumentError:
    if isinstance(error, yaml.reader.ReaderError):
        before = text[: error.position] if isinstance(error.position, int) else ""
        column = len(before) - (before.rfind("\n") + 1) + 1
        return DocumentError(
            path,
            f"character U+{ord(text[len(before)]):04X} is not allowed in YAML; remove or escape it"
            if len(before) < len(text)
            else "a character is not allowed in YAML",
            position=Position(before.count("\n") + 1, column),
        )
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    if mark is None:
        return DocumentError(path, f"is not YAML: {printable(problem)}")
    if isinstance(error, yaml.constructor.ConstructorError) and "for merging" in problem:
        return DocumentError(path, "'<<' takes a mapping or a list of mappings", position=_mark(mark))
    lines = text.split("\n")
    line = lines[mark.line] if mark.line < len(lines) else ""
    if line[mark.column : mark.column + 1] == "\t" or (
        "\t" in line[: len(line) - len(line.lstrip())] and "token" in problem
    ):
        return DocumentError(
            path, "a tab is used as indentation; YAML takes spaces only", position=_mark(mark)
        )
    context = getattr(error, "context", None)
    message = f"{problem} ({context})" if context else problem
    return DocumentError(path, f"is not YAML: {printable(message)}", position=_mark(mark))
