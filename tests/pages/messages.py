"""Every text of the package that a user may read: ``python -m tests.pages`` writes one file for each room.

They are the string literals of two words or more, in the order of the code. What is filled in stands in
braces as the code has it. Left out are docstrings, but for those of checks, which catalogs show, and programs
(regular expressions, shell scripts, queries).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.support.paths import ROOT

PACKAGE = ROOT / "pytest_metaopt"
FOLDER = ROOT / "tests" / "messages"
_PROGRAM = re.compile(
    r"\\[sd.(]|\(\?|\^|2>|\$\(|\$\w|; (then|do|else)\b|^query |\\\$|/\w+/\*|\+%|\.\*|; exit "
)


def pages() -> Mapping[Path, str]:
    """Return the text of every page by its path."""
    parts: dict[Path, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        module = path.relative_to(PACKAGE)
        texts = list(dict.fromkeys(_texts(path.read_text(encoding="utf-8"))))
        if texts:
            parts.setdefault(FOLDER / f"{_page(module)}.txt", []).append(
                "\n".join([f"{module.as_posix()}:", *(f"  {text}" for text in texts), ""])
            )
    return {page: "\n".join(texts) for page, texts in parts.items()}


def stale() -> list[str]:
    """Return the names of the pages that are not what the code says, or that nothing belongs to."""
    texts = pages()
    written = {path: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.txt")}
    return sorted(path.name for path in texts.keys() | written.keys() if texts.get(path) != written.get(path))


def write() -> None:
    """Write every page, and remove those that nothing belongs to."""
    texts = pages()
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.txt"):
        if path not in texts:
            path.unlink()
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")


def _page(module: Path) -> str:
    """Return the name of a module's page: the group of a check, else the room."""
    room, *rest = module.with_suffix("").parts
    if not rest:
        return "root"
    return f"{room}_{rest[0]}" if room in {"checks", "probes"} and rest[0] != "__init__" else room


def _texts(source: str) -> Iterator[str]:
    """Yield the texts of a module."""
    tree = ast.parse(source)
    skipped = {id(part) for node in _left_out(tree) for part in ast.walk(node)}
    found: list[tuple[int, int, str]] = []
    # Breadth first: a text of several parts comes before its parts.
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.JoinedStr):
            skipped.update(id(part) for part in node.values)
            found.append((node.lineno, node.col_offset, _shown(node)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append((node.lineno, node.col_offset, node.value))
    for _, _, text in sorted(found):
        words = text.split()
        if len(words) > 1 and any(word.isalpha() for word in words) and not _is_program(text):
            yield " ".join(words)


def _is_program(text: str) -> bool:
    return text.strip().count("\n") > 2 or _PROGRAM.search(text) is not None


def _left_out(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield annotations, docstrings, and other texts that stand alone, but for docstrings of checks."""
    for node in ast.walk(tree):
        for name in ("annotation", "returns"):
            if (annotation := getattr(node, name, None)) is not None:
                yield annotation
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) or _is_check(node):
            continue
        for statement in node.body:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                yield statement.value


def _is_check(node: ast.AST) -> bool:
    if not isinstance(node, ast.FunctionDef):
        return False
    called = [decorator.func for decorator in node.decorator_list if isinstance(decorator, ast.Call)]
    return any(isinstance(function, ast.Name) for function in called)


def _shown(node: ast.JoinedStr) -> str:
    return "".join(
        str(part.value) if isinstance(part, ast.Constant) else f"{{{ast.unparse(part.value)}}}"
        for part in node.values
        if isinstance(part, ast.Constant | ast.FormattedValue)
    )
