"""Checks of a project's own, beside its campaign.

Each is declared as the built-in ones are, takes fixtures, and shows up in the same reports.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_metaopt import check, fail, not_applicable, probe

SEED = 17


@pytest.fixture
def split_file(project_root: Path) -> Path:
    """Where the fixed train/validation split is kept."""
    return project_root / "split.json"


@pytest.fixture
def bootstrap_split(split_file: Path) -> str:
    """Write the split; what a bootstrap returns is reported as what it changed."""
    split_file.write_text(json.dumps({"seed": SEED, "validation": [3, 8, 11]}) + "\n")
    return f"wrote {split_file.name} with seed {SEED}"


@check(
    "split_is_fixed",
    group="data",
    bootstrap="bootstrap_split",
    remediation="Write split.json, so that every sweep agent validates on the same examples.",
)
def split_is_fixed(split_file):
    """The train/validation split is fixed in split.json."""
    assert split_file.exists(), "split.json is missing"
    assert json.loads(split_file.read_text())["seed"] == SEED, f"split.json is not of seed {SEED}"


@check(
    "budget_is_modest",
    group="policy",
    severity="advisory",
    remediation="Ask for approval, or lower compute.max_budget_usd.",
)
def budget_is_modest(campaign):
    """The budget is one that needs no approval."""
    budget = campaign.get("compute.max_budget_usd")
    if campaign.get("compute.provider") != "local":
        not_applicable("the cloud account has a limit of its own")
    if budget > 0.5:
        fail(f"a budget of {budget} USD needs approval", line=campaign.line("compute.max_budget_usd"))


@probe("tracked_files")
def tracked_files(project_root, run):
    """The files that git tracks; gathered in the background, once, and only if a selected check takes it."""
    listed = run(["git", "-C", str(project_root), "ls-files", "-z"])
    if not listed.succeeded:
        raise RuntimeError(f"git ls-files: {listed.problem}")
    return [name for name in listed.stdout.split("\0") if name]


@check(
    "data_is_not_committed",
    group="data",
    remediation="Take the data out of git (git rm --cached FILE): every agent checks all of it out.",
)
def data_is_not_committed(tracked_files):
    """No data file is committed."""
    data = [name for name in tracked_files if name.endswith((".parquet", ".npy", ".pt"))]
    assert not data, f"git tracks {', '.join(data)}"


def pytest_metaopt_modify_checks(checks):
    """The smoke test of this project is run by its own CI, so R7 is turned off."""
    del checks["R7"]
