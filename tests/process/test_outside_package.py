"""What another package can add: a kind of document, a check, a probe, a bootstrap and a report format."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_metaopt.__main__ import main as metaopt_main
from pytest_metaopt.documents import kinds, launch_reader
from tests.support.in_process import run_here
from tests.support.paths import ROOT
from tests.support.project import LIGHT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EXAMPLE = ROOT / "conftest_examples" / "outside_package"


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The example's package, installed as an installer leaves it, and its document in a folder."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    site = tmp_path / "site"
    shutil.copytree(
        EXAMPLE / "metaopt_sweep", site / "metaopt_sweep", ignore=shutil.ignore_patterns("__pycache__")
    )
    information = site / f"metaopt_sweep-{project['version']}.dist-info"
    information.mkdir()
    name, version = project["name"], project["version"]
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    groups = [
        "\n".join([f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())])
        for group, entries in project["entry-points"].items()
    ]
    (information / "entry_points.txt").write_text("\n".join(groups))
    work = tmp_path / "work"
    work.mkdir()
    shutil.copy(EXAMPLE / "sweep.yaml", work)
    return work


def forget_entry_points() -> None:
    """Let the next session look for other packages' kinds and readers again, as a new process would."""
    kinds.outside_kinds.cache_clear()
    launch_reader.outside_readers.cache_clear()


def pytest_main(arguments: list[str]) -> int:
    return int(pytest.main(arguments))


def run(work: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a module's command line with the package on the path: in this process, but for workers."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    paths = [str(work.parent / "site"), *filter(None, [environment.get("PYTHONPATH")])]
    environment.update(PYTHONPATH=os.pathsep.join(paths), PYTEST_ADDOPTS=LIGHT)
    module, *arguments = command
    if "-n" not in arguments:
        main = pytest_main if module == "pytest" else metaopt_main
        forget_entry_points()
        try:
            return run_here(main, arguments, work, environment)
        finally:
            forget_entry_points()
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["one process", "xdist"])
def test_a_kind_of_document_of_another_package_has_option_checks_probe_and_bootstrap(
    installed: Path, workers: tuple[str, ...]
) -> None:
    done = run(installed, "pytest", "--metaopt-sweep", "sweep.yaml", "-v", *workers)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sweep.yaml::sweep[results]" in done.stdout
    assert "sweep.yaml::sweep[learning_rate-careful]" in done.stdout
    assert "BOOTSTRAPPED" in done.stdout
    assert "sweep.yaml: READY" in done.stdout
    assert (installed / "results").is_dir()


def test_it_is_recognised_without_its_option(installed: Path) -> None:
    done = run(installed, "pytest", "sweep.yaml", "--metaopt-no-bootstrap")
    assert done.returncode == 1, done.stdout
    assert "sweep.yaml:1:10: results: results is not a directory" in done.stdout


def test_its_findings_have_a_position_and_its_report_format_is_written(installed: Path) -> None:
    (installed / "sweep.yaml").write_text("trials:\n  bold: 7\n")
    done = run(installed, "pytest", "--metaopt-sweep=sweep.yaml", "--metaopt-report=lines=out.txt")
    assert done.returncode == 1
    assert "sweep.yaml:2:9: learning_rate: bold: expected a learning rate below 1.0, got 7" in done.stdout
    assert (installed / "out.txt").read_text().splitlines() == [
        "sweep.yaml results bootstrapped",
        "sweep.yaml learning_rate-bold failed",
    ]


def test_it_is_in_help_and_in_the_list_of_schemas(installed: Path) -> None:
    assert "--metaopt-sweep=PATH" in run(installed, "pytest", "--help").stdout.replace(" PATH", "=PATH")
    schema = run(installed, "pytest_metaopt", "schema", "sweep")
    assert '"trials"' in schema.stdout, schema.stderr


def test_a_missing_file_is_reported_as_for_built_in_kinds(installed: Path) -> None:
    done = run(installed, "pytest", "--metaopt-sweep", "swep.yaml")
    assert done.returncode == 2
    assert "no such sweep file; did you mean 'sweep.yaml'?" in done.stderr


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("raise RuntimeError('boom')", "RuntimeError: boom"),
        ("KIND = 7", "expected a Kind"),
        (
            "from pytest_metaopt.documents.kinds import KINDS; KIND = KINDS['launch']",
            "the name 'launch' is taken",
        ),
    ],
)
def test_a_kind_that_cannot_be_used_is_named(installed: Path, source: str, problem: str) -> None:
    (installed.parent / "site" / "metaopt_sweep" / "document.py").write_text(source + "\n")
    done = run(installed, "pytest", "--metaopt-campaign", "campaign.yaml")
    assert done.returncode == 4
    assert "entry point 'sweep' of metaopt-sweep" in done.stderr
    assert problem in done.stderr
    # A session that has none of our options is not bothered.
    assert run(installed, "pytest", "-q", "--co").returncode == 5


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("raise RuntimeError('boom')", "launch.yaml: launch format 'pods': RuntimeError: boom"),
        ("recognises = None", "has no functions recognises(file) and read(file)"),
    ],
)
def test_a_launch_reader_that_cannot_be_used_is_named(installed: Path, source: str, problem: str) -> None:
    site = installed.parent / "site"
    (site / "pods.py").write_text(source + "\n")
    with next(site.glob("*.dist-info/entry_points.txt")).open("a") as file:
        file.write("\n[pytest_metaopt.launch_readers]\npods = pods\n")
    (installed / "launch.yaml").write_text("nodes: [local]\n")
    done = run(installed, "pytest", "--metaopt-launch", "launch.yaml")
    assert done.returncode == 2, done.stdout
    reported = " ".join((done.stdout + done.stderr).split())
    assert problem in reported
    assert "Traceback" not in reported


def test_an_unknown_report_format_is_refused(installed: Path) -> None:
    done = run(installed, "pytest", "--metaopt-sweep=sweep.yaml", "--metaopt-report=gihub")
    assert done.returncode == 4
    assert "unknown report format 'gihub'; did you mean 'github'?" in done.stderr


def test_github_annotations_have_file_line_and_column(installed: Path) -> None:
    (installed / "sweep.yaml").write_text("results: .\ntrials:\n  bold: 7\n")
    done = run(installed, "pytest", "-q", "--metaopt-sweep=sweep.yaml", "--metaopt-report=github")
    assert (
        "::error file=sweep.yaml,line=3,col=9,title=learning_rate-bold::bold: expected a learning rate"
        " below 1.0, got 7%0Afix: Use a rate below 1." in done.stdout.splitlines()
    )
