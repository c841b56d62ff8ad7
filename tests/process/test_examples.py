from __future__ import annotations

import json
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from pytest_metaopt.documents.campaign import NAMES
from tests.support.paths import ROOT
from tests.support.project import CAMPAIGN_NAME, Project

EXAMPLES = ROOT / "conftest_examples"


@pytest.fixture
def example(project: Project, request: pytest.FixtureRequest) -> Project:
    """The example of that name, in a clone of its own."""
    project.campaign.unlink()
    shutil.rmtree(project.path / ".git")
    subprocess.run(["git", "init", "-q", str(project.path)], check=True)
    folder = project.path / "examples" / request.param
    shutil.copytree(
        EXAMPLES / request.param,
        folder,
        ignore=shutil.ignore_patterns(".*", "*.json", "*.xml", "__pycache__"),
    )
    project.pytester.chdir()
    project.path = folder
    return project


def run(example: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", *arguments], cwd=example.path, capture_output=True, text=True
    )


@pytest.mark.parametrize("example", ["quickstart"], indirect=True)
def test_quickstart_ends_ready(example: Project) -> None:
    done = run(example, "--metaopt-campaign", CAMPAIGN_NAME, "--metaopt-root", ".")
    assert done.returncode == 0, done.stdout
    assert example.artifact()["status"] == "READY"


@pytest.mark.parametrize("example", ["custom_checks"], indirect=True)
def test_custom_checks_show_their_own_bootstrap_and_severities(example: Project) -> None:
    done = run(example, "--metaopt-campaign", CAMPAIGN_NAME, "--metaopt-root", ".", "-v")
    assert done.returncode == 0, done.stdout
    assert "data[split_is_fixed] BOOTSTRAPPED" in done.stdout
    assert "policy[budget_is_modest] ADVISORY" in done.stdout
    assert "turned off by the project: R7" in done.stdout
    severities = {check["id"]: check["severity"] for check in example.artifact()["checks"]}
    assert severities["R2"] == severities["budget_is_modest"] == "advisory"
    assert "R7" not in severities
    assert json.loads((example.path / "split.json").read_text())["seed"] == 17


@pytest.mark.parametrize("example", ["ci_gate"], indirect=True)
def test_ci_gate_leaves_reports_for_a_dashboard(example: Project) -> None:
    done = run(example)
    assert done.returncode == 0, done.stdout
    suite = ET.parse(example.path / "preflight.xml").getroot()
    assert {case.get("name") for case in suite.iter("testcase")} == {
        *(f"repo[R{n}]" for n in (1, 3, 4, 5, 6, 7, 8, 9)),
        *(f"campaign[{name}]" for name in NAMES),
        "backend[repo_access]",
    }
    assert json.loads((example.path / "preflight.json").read_text())["readiness"]["status"] == "READY"
    campaign = example.path / CAMPAIGN_NAME
    campaign.write_text(campaign.read_text().replace("python train.py --smoke", '""'))
    assert run(example).returncode == 1
    suite = ET.parse(example.path / "preflight.xml").getroot()
    assert [case.get("name") for case in suite.iter("testcase") if case.find("failure") is not None] == [
        "repo[R7]"
    ]


@pytest.mark.parametrize("example", ["training_manifest"], indirect=True)
def test_training_manifest_is_queried_of_the_training_code(example: Project) -> None:
    done = run(example, "-v")
    assert done.returncode == 0, done.stdout
    items = {
        line.split()[0].split("::")[1]: line.split()[1] for line in done.stdout.splitlines() if "::" in line
    }
    assert len(items) == 4 + 6 * 2
    assert {word for item, word in items.items() if "fits_host" not in item} == {"PASSED"}
    assert items["job[fits_host-gru-oracle]"] in {"PASSED", "ADVISORY"}
    manifest = example.path / "training_manifest.toml"
    manifest.write_text(
        manifest.read_text().replace("epochs = 40", "epoch = 40").replace('model = "knn"', 'model = "mlp"')
    )
    done = run(example)
    assert done.returncode == 1
    flat = " ".join(done.stdout.split())
    assert "hyper.epoch is unknown to fleet.train:build_parser; did you mean 'epochs'?" in flat
    assert (
        "the model mlp is not in the registry fleet.models:REGISTRY, which is older than the manifest" in flat
    )


@pytest.mark.parametrize("example", ["run_config"], indirect=True)
def test_run_config_is_queried_with_a_check_of_the_projects_own(example: Project) -> None:
    done = run(example, "-v")
    assert done.returncode == 0, done.stdout
    assert "train.yaml::policy[budget] PASSED" in done.stdout
    assert "train.yaml::run_config[include_paths] PASSED" in done.stdout
    done = run(example, "--metaopt-override", "compute.num_accelerators=64")
    assert done.returncode == 1
    assert "metaopt: override compute.num_accelerators: 16 → 64" in done.stdout
    assert "train.yaml:24: budget: 128 accelerator hours are over 100" in " ".join(done.stdout.split())


@pytest.mark.parametrize("example", ["launch_spec"], indirect=True)
def test_launch_spec_asks_this_machine_and_a_check_of_its_own(example: Project) -> None:
    done = run(example, "-v")
    assert done.returncode == 0, done.stdout
    for check in ("node[disk_space-local]", "node[checkpoint_dir-local]", "policy[kernel-local]"):
        assert f"launch.yaml::{check} PASSED" in done.stdout
    assert "launch[checkpoint_cadence] PASSED" in done.stdout
