"""The outputs and files in README.md and docs/, and the page of the options."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pytest_metaopt.session.options import add_options
from tests.pages import checks
from tests.support.paths import ROOT

README = ROOT / "README.md"
DOCS = ROOT / "docs"

_VERSIONS = re.compile(
    r"^(platform|rootdir|configfile|plugins|cachedir|metadata|hypothesis|Test order|=+ test sess)"
)


@cache
def quickstart() -> str:
    """Return what the README's first command prints in a fresh clone."""
    return _session(lambda text: text)


@cache
def failed() -> str:
    """Return what it prints when the smoke test command is empty."""
    return _session(lambda text: text.replace("python train.py --smoke", '""'))


def _session(change: Callable[[str], str]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder)
        quickstart = clone / "conftest_examples" / "quickstart"
        quickstart.mkdir(parents=True)
        shutil.copy(ROOT / "conftest_examples/quickstart/train.py", quickstart)
        original = (ROOT / "conftest_examples/quickstart/ml_metaopt_campaign.yaml").read_text()
        (quickstart / "ml_metaopt_campaign.yaml").write_text(change(original))
        subprocess.run(["git", "init", "-q", str(clone)], check=True)
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
        arguments = readme_commands()[0].split("/bin/pytest ")[1].split()
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *arguments],
            cwd=clone,
            env={**environment, "COLUMNS": "80"},
            capture_output=True,
            text=True,
            check=False,
        )
    return unversioned(done.stdout)


def unversioned(output: str) -> str:
    """Return what a session printed without the lines that name versions and folders, in 0.10 s."""
    text = "\n".join(line.rstrip() for line in output.splitlines() if not _VERSIONS.match(line)).strip("\n")
    return re.sub(r"=+ (.*) in [\d.]+s =+", lambda found: f" {found[1]} in 0.10s ".center(80, "="), text)


def verdict() -> str:
    """Return the end of what the README's first command prints, from the verdict on."""
    text = quickstart()
    return text[text.index("===== preflight readiness") :].split("\n", 1)[1]


def finding() -> str:
    """Return the first finding of a session with an empty smoke test command."""
    text = failed()
    lines = text[text.index(" FAILURES ") :].splitlines()[1:]
    end = next(number for number, line in enumerate(lines[1:], 1) if line.startswith(("___", "===")))
    return "\n".join(lines[:end])


class _Options:
    """Stands in for pytest's parser and collects the rows of the page of options."""

    def __init__(self) -> None:
        self.options: list[str] = []
        self.keys: list[str] = []

    def getgroup(self, *_: str) -> _Options:
        return self

    def addoption(self, name: str, **given: Any) -> None:
        value = f" {given['metavar']}" if given.get("metavar") else ""
        self.options.append(f"| `{name}{_cell(value)}` | {_cell(given['help'])} |")

    def addini(self, name: str, text: str, **_: Any) -> None:
        self.keys.append(f"| `{name}` | {_cell(text)} |")


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("<", r"\<").replace("*", r"\*")


def options() -> str:
    """Return the page of the options and ini keys."""
    found = _Options()
    add_options(found)  # type: ignore[arg-type]
    head = "| {} | what it does |\n| --- | --- |\n"
    return "\n".join(
        [
            "# Options\n",
            head.format("option") + "\n".join(found.options) + "\n",
            head.format("ini key") + "\n".join(found.keys) + "\n",
        ]
    )


def readme_commands() -> list[str]:
    """Return the commands of the README's ``sh`` blocks."""
    return [block.strip() for block in re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL)]


_OTHERS = {"extending.md"}
"""Pages with generators of their own that use the same markers."""

OUTPUTS: Mapping[str, Callable[[], str]] = {
    "quickstart": quickstart,
    "failed": failed,
    "verdict": verdict,
    "finding": finding,
}
_OUTPUT = re.compile(r"(<!-- output: (\w+) -->\n```text\n).*?(```)", re.DOTALL)
_FILE = re.compile(r"(<!-- file: (\S+) -->\n```python\n).*?(```)", re.DOTALL)


def generated(text: str) -> str:
    """Return the *text* of a page with every output and file in it made anew."""
    text = _OUTPUT.sub(lambda found: f"{found[1]}{OUTPUTS[found[2]]()}\n{found[3]}", text)
    return _FILE.sub(lambda found: f"{found[1]}{(ROOT / found[2]).read_text()}{found[3]}", text)


def pages() -> dict[Path, str]:
    """Return the text that each generated page, and each page with generated parts, should have."""
    parts = {
        page: generated(text)
        for page in (README, *sorted(DOCS.glob("*.md")))
        if page.name not in _OTHERS
        if _OUTPUT.search(text := page.read_text()) or _FILE.search(text)
    }
    return {**parts, DOCS / "options.md": options(), **checks.pages()}
