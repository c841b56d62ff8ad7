"""The generated parts of README.md; ``python -m tests.readme`` from the project's root writes them.

It writes docs/mistakes.md too, which ``tests/mistakes.py`` makes, the outputs of docs/extending.md, and
docs/nodes.md, where a laboratory of network namespaces can be made.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from pytest_metaopt.documents.kinds import KINDS
from pytest_metaopt.documents.provider import CLOUDS
from pytest_metaopt.session.catalog import checks_of_module

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"

_VERSIONS = re.compile(
    r"^(platform|rootdir|configfile|plugins|cachedir|metadata|hypothesis|Test order|=+ test sess)"
)


_MANY_CLOUDS = {f"{cloud}_configured" for cloud in CLOUDS if cloud != "aws"}
"""One row of the table stands for the checks of all clouds."""


def quickstart() -> str:
    """Return what the README's first command prints in a fresh clone."""
    return _session(lambda text: text)


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


def checks() -> str:
    """Return the table of the built-in checks."""
    modules = [
        importlib.import_module(name)
        for kind in KINDS.values()
        for name in kind.check_modules + kind.online_check_modules
    ]
    catalog = [check for module in modules for check in checks_of_module(module, None)]
    rows = ["| check | severity | holds when | bootstrap |", "| --- | --- | --- | --- |"]
    for check in catalog:
        if check.id in _MANY_CLOUDS:
            continue
        bootstrap = f"`{check.bootstrap}`" if check.bootstrap else ""
        name, description = check.id, check.description
        if check.id == "aws_configured":
            name, description = "CLOUD_configured", description.replace("aws", "CLOUD")
        severity = f"{check.severity}, *online*" if check.online else check.severity
        rows.append(f"| `{check.group}[{name}]` | {severity} | {description} | {bootstrap} |")
    return "\n".join(rows)


def readme_commands() -> list[str]:
    """Return the commands of the README's ``sh`` blocks."""
    return [block.strip() for block in re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL)]


def generated(text: str) -> str:
    """Return the README's *text* with every generated part made anew."""
    outputs = {"quickstart": quickstart, "failed": failed}
    for name, output in outputs.items():
        text = _replace(text, rf"<!-- output: {name} -->\n```text\n", "```", f"{output()}\n")
    text = _replace(text, r"<!-- table: checks -->\n", r"\n`pytest --metaopt-checks`", f"{checks()}\n")
    source = (ROOT / "conftest_examples/custom_checks/conftest.py").read_text()
    return _replace(text, r"<!-- file: \S+custom_checks/conftest.py -->\n```python\n", "```", source)


def _replace(text: str, before: str, after: str, new: str) -> str:
    pattern = re.compile(rf"({before}).*?({after})", re.DOTALL)
    assert pattern.search(text), before
    return pattern.sub(lambda found: found[1] + new + found[2], text)


if __name__ == "__main__":
    from tests import extending, lab, mistakes, nodes_page

    README.write_text(generated(README.read_text()))
    mistakes.PAGE.write_text(mistakes.page())
    extending.PAGE.write_text(extending.renewed_page())
    missing = lab.available()
    if missing is None:
        nodes_page.PAGE.write_text(nodes_page.page())
    else:
        print(f"docs/nodes.md is left as it was: {missing}")
