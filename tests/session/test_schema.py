"""``metaopt-preflight schema``: what editors and check-jsonschema read says what the checks say."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, given, settings

from pytest_metaopt.documents.campaign import NAMES, json_schema
from tests.support import reference
from tests.support.manifests import SAMPLE, mixed
from tests.support.paths import ROOT
from tests.support.project import CAMPAIGN, Project
from tests.support.scale import examples
from tests.support.strategies import Tree, nearly_valid_campaigns, valid_campaigns
from tests.unit.documents.test_manifest import WRONG

needs_jsonschema = pytest.mark.skipif(
    importlib.util.find_spec("check_jsonschema") is None, reason="check-jsonschema is not installed"
)

INTEGERS = [
    ("compute", "num_sweep_agents"),
    ("compute", "idle_timeout_minutes"),
    ("stop_conditions", "max_iterations"),
    ("stop_conditions", "max_no_improve_iterations"),
]


def check_jsonschema(schema: Path, *instances: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--schemafile", str(schema), *map(str, instances)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def schema(project: Project) -> Path:
    """The schema as the command prints it."""
    done = project.command("schema", "campaign")
    assert (done.returncode, done.stderr) == (0, "")
    return project.write("campaign.schema.json", done.stdout)


@needs_jsonschema
def test_check_jsonschema_passes_good_campaigns_and_rejects_an_upward_direction(
    project: Project, schema: Path
) -> None:
    good = [project.campaign, *(ROOT / "conftest_examples").glob("*/*campaign.yaml")]
    assert len(good) >= 4
    done = check_jsonschema(schema, *good)
    assert done.returncode == 0, done.stdout
    project.edit("direction: maximize", "direction: upward")
    done = check_jsonschema(schema, project.campaign)
    assert done.returncode == 1
    assert "$.objective.direction: 'upward' is not one of ['maximize', 'minimize']" in done.stdout
    project.edit("direction: upward", "direction: minimize")
    for old, new, reported in [
        ("entity: me", "entity: me\n  tags: [[replace-me]]", "$.wandb"),
        ("num_sweep_agents: 1", "num_sweep_agents: 17", "$.compute.num_sweep_agents: 17 is greater than"),
        (
            "max_budget_usd: 1",
            "max_budget_usd: true",
            "$.compute.max_budget_usd: True is not of type 'number'",
        ),
        ("repo: .", "repo: <url>", "$.project.repo"),
    ]:
        project.campaign.write_text(CAMPAIGN.replace(old, new))
        done = check_jsonschema(schema, project.campaign)
        assert done.returncode == 1, new
        assert reported in done.stdout


@needs_jsonschema
def test_the_schema_is_one_of_draft_2020_12(project: Project, schema: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--check-metaschema", str(schema)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert json.loads(schema.read_text())["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_every_field_has_a_description_for_the_editor(schema: Path) -> None:
    sections = json.loads(schema.read_text())["properties"]
    assert list(sections) == list(NAMES)
    for section in sections.values():
        assert section["description"]
        assert all(field["description"] for field in section["properties"].values())


def refused_by_schema(tree: Tree) -> set[str]:
    jsonschema = pytest.importorskip("jsonschema")
    errors = jsonschema.Draft202012Validator(json_schema()).iter_errors(tree)
    missing = {name for name in NAMES if name not in tree}
    return missing | {str(error.absolute_path[0]) for error in errors if error.absolute_path}


@needs_jsonschema
@settings(max_examples=examples(200), deadline=None)
@given(tree=nearly_valid_campaigns())
def test_the_schema_refuses_the_sections_that_load_campaign_would_refuse_and_no_others(tree: Tree) -> None:
    read: Any = yaml.safe_load(yaml.safe_dump(tree))
    # JSON has neither dates nor infinities, and to it 4.0 is an integer.
    try:
        json.dumps(read, allow_nan=False)
    except (TypeError, ValueError):
        assume(False)
    values = [reference.looked_up(read, *keys) for keys in INTEGERS]
    assume(not any(isinstance(value, float) and value.is_integer() for value in values))
    assert refused_by_schema(read) == reference.refused_sections(read)


@needs_jsonschema
@settings(max_examples=examples(50), deadline=None)
@given(tree=valid_campaigns)
def test_the_schema_accepts_what_load_campaign_accepts(tree: Tree) -> None:
    assert refused_by_schema(tree) == set()


def test_a_kind_that_there_is_not_is_answered_with_those_that_there_are(project: Project) -> None:
    done = project.command("schema", "campain")
    assert done.returncode == 2
    assert "'campain'" in done.stderr
    assert "campaign" in done.stderr.split("choose from")[1]
    assert project.command("schema").returncode == 2


def test_docs_show_the_modeline_for_editors() -> None:
    text = (ROOT / "docs" / "editor.md").read_text()
    assert "metaopt-preflight schema campaign > campaign.schema.json\n" in text
    assert "\n# yaml-language-server: $schema=campaign.schema.json\n" in text


# -- the training manifest -------------------------------------------------------------------------


@needs_jsonschema
def test_check_jsonschema_accepts_good_manifests_and_rejects_wrong_ones(project: Project) -> None:
    done = project.command("schema", "manifest")
    assert (done.returncode, done.stderr) == (0, "")
    schema = project.write("manifest.schema.json", done.stdout)
    good = [project.write("sample.toml", SAMPLE), project.write("mixed.toml", mixed())]
    assert check_jsonschema(schema, *good).returncode == 0
    wrong = [
        project.write(f"{name}.toml", text) for name, (text, _) in WRONG.items() if name not in NOT_IN_JSON
    ]
    done = check_jsonschema(schema, *wrong)
    assert done.returncode == 1
    assert [path.name for path in wrong if f"{path.name}::" not in done.stdout] == []
    command = [sys.executable, "-m", "check_jsonschema", "--check-metaschema", str(schema)]
    assert subprocess.run(command, capture_output=True).returncode == 0
    job = json.loads(schema.read_text())["properties"]["jobs"]["items"]
    assert job["properties"]["min_ram_gib"]["default"] == 4.0
    assert all(field["description"] for field in job["properties"].values())


NOT_IN_JSON = {"hyper_date", "second_job", "defaults_type"}
"""What no JSON Schema says no to: what JSON cannot hold, and 1.0, which to it is an integer."""
