"""A campaign's companions: documents that it names, whose failures count against its readiness."""

from __future__ import annotations

import pytest

from tests.support.manifests import MANIFEST_NAME, SAMPLE
from tests.support.project import CAMPAIGN, CAMPAIGN_NAME, Project

MEANT = "; did you mean 'training_manifest'?"
NAMED = f"preflight:\n  training_manifest: {MANIFEST_NAME}\n"


@pytest.fixture
def fleet(project: Project) -> Project:
    """A project whose campaign names the sample manifest as its companion."""
    project.campaign.write_text(CAMPAIGN + NAMED)
    project.write(MANIFEST_NAME, SAMPLE)
    return project


@pytest.mark.parametrize("way", ["option", "path", pytest.param("workers", marks=pytest.mark.soak)])
def test_a_companion_is_looked_at_and_counts(fleet: Project, way: str) -> None:
    arguments = {
        "option": ["--metaopt-campaign", CAMPAIGN_NAME],
        "path": [CAMPAIGN_NAME],
        "workers": ["--metaopt-campaign", CAMPAIGN_NAME, "-n", "1"],
    }[way]
    result = fleet.pytest(*arguments)
    assert result.ret == 0
    artifact = fleet.artifact()
    assert artifact["status"] == "READY"
    assert artifact["campaign_id"] == "demo"
    documents = [check["document"] for check in artifact["checks"]]
    assert set(documents) == {CAMPAIGN_NAME, MANIFEST_NAME}
    assert documents.count(MANIFEST_NAME) == 12
    fleet.write(MANIFEST_NAME, SAMPLE.replace('model = "gbt"', 'model = "gbd"'))
    result = fleet.pytest(*arguments)
    assert result.ret == 1
    artifact = fleet.artifact()
    assert artifact["status"] == "FAILED"
    assert [failure["check_id"] for failure in artifact["failures"]] == ["model_known-gbt-realistic"]
    assert "[model_known-gbt-realistic]" in artifact["next_action"]
    flat = " ".join(result.stdout.str().split())
    assert (
        f"metaopt: {CAMPAIGN_NAME} -> .ml-metaopt/preflight-readiness.json metaopt: {MANIFEST_NAME}" in flat
    )
    assert f"({MANIFEST_NAME}:17)" in flat


def test_naming_companions_changes_no_hash(fleet: Project) -> None:
    assert fleet.preflight("-q").ret == 0
    named = fleet.artifact()
    fleet.campaign.write_text(CAMPAIGN)
    assert fleet.preflight("-q").ret == 0
    alone = fleet.artifact()
    for name in ("campaign_identity_hash", "runtime_config_hash"):
        assert named[name] == alone[name]
    assert {check["document"] for check in alone["checks"]} == {CAMPAIGN_NAME}
    assert "companions" in {check["id"] for check in named["checks"]} - {
        check["id"] for check in alone["checks"]
    }


def test_a_manifest_beside_a_campaign_that_does_not_name_it_does_not_count(fleet: Project) -> None:
    fleet.campaign.write_text(CAMPAIGN)
    fleet.write(MANIFEST_NAME, SAMPLE.replace('model = "gbt"', 'model = "gbd"'))
    result = fleet.preflight("--metaopt-manifest", MANIFEST_NAME)
    assert result.ret == 1
    assert fleet.artifact()["status"] == "READY"
    result.stdout.fnmatch_lines([f"{CAMPAIGN_NAME}: READY*", f"{MANIFEST_NAME}: FAILED*"])


def test_without_its_companion_the_look_is_not_full(fleet: Project) -> None:
    result = fleet.pytest(f"{CAMPAIGN_NAME}::repo[R7]")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [f"{CAMPAIGN_NAME}: INCOMPLETE*", f"*no check of {MANIFEST_NAME} was collected*"]
    )
    result = fleet.preflight("-k", CAMPAIGN_NAME)
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"{CAMPAIGN_NAME}: INCOMPLETE*", "*blocking checks were not evaluated*"])
    assert not fleet.artifact_path.exists()


def test_companions_that_are_not_there_or_of_no_known_kind_are_findings(fleet: Project) -> None:
    block = "preflight:\n  training_manifest: nowhere.toml\n  training_manifst: x\n  launch: [a]\n"
    fleet.campaign.write_text(CAMPAIGN + block)
    result = fleet.preflight("-q")
    assert result.ret == 1
    failures = {failure["check_id"]: failure["message"] for failure in fleet.artifact()["failures"]}
    line = CAMPAIGN.count("\n") + 2
    assert failures["companions"].splitlines() == [
        "3 problems",
        f"line {line}: preflight.training_manifest: nowhere.toml: no such file; check the path",
        f"line {line + 1}: preflight.training_manifst is not a known kind of companion{MEANT}",
        f"line {line + 2}: preflight.launch is a list; expected the path of a file",
    ]
    for text, reported in [
        ("preflight: x\n", "preflight is a string; expected a mapping"),
        (
            "preflight: {training_manifest: 3}\n",
            "preflight.training_manifest is a number; expected the path of a file",
        ),
    ]:
        fleet.campaign.write_text(CAMPAIGN + text)
        assert fleet.preflight("-q").ret == 1
        assert reported in {failure["message"] for failure in fleet.artifact()["failures"]}


def test_a_campaign_that_names_itself_is_looked_at_once(fleet: Project) -> None:
    fleet.campaign.write_text(CAMPAIGN + NAMED.replace(MANIFEST_NAME, CAMPAIGN_NAME))
    assert fleet.preflight("-q").ret == 0
    keys = [(check["document"], check["id"]) for check in fleet.artifact()["checks"]]
    assert len(keys) == len(set(keys))


def test_a_malformed_companion_ends_with_2_and_writes_nothing(fleet: Project) -> None:
    fleet.write(MANIFEST_NAME, "jobs = [\n")
    result = fleet.preflight()
    assert result.ret == 2
    result.stdout.fnmatch_lines([f"*{MANIFEST_NAME}:*is not TOML*"])
    assert not fleet.artifact_path.exists()
