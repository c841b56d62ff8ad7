from __future__ import annotations

import json
import random
from collections import OrderedDict
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_metaopt.core.document import DocumentError
from pytest_metaopt.documents.campaign import load_campaign
from pytest_metaopt.documents.identity import (
    NotJsonError,
    campaign_id,
    campaign_identity_hash,
    canonical_json,
    runtime_config_hash,
)
from tests.support.project import CAMPAIGN, Project
from tests.support.reference import hashes as plain_hashes
from tests.support.scale import examples

# The orchestrator's own example, as the campaign contract names it.
SAMPLE = """\
# ml_metaopt_campaign.example.yaml
# v4 — WandB Sweeps + SkyPilot + Vast.ai

campaign:
  name: gnn-mnist-optimization
  description: "Optimize GNN hyperparameters for MNIST graph classification accuracy"

project:
  repo: git@github.com:my-org/dg_image.git
  # Must not crash within 60 seconds. Reads wandb.config, logs to wandb.
  smoke_test_command: "python train.py --smoke --max-steps 10"

wandb:
  entity: my-wandb-entity
  project: gnn-mnist-metaopt

compute:
  provider: vast_ai          # SkyPilot cloud provider
  accelerator: A100:1        # Instance type requested from Vast.ai
  num_sweep_agents: 4        # Parallel WandB agents per sweep
  idle_timeout_minutes: 15   # Kill agent if no WandB logs for this long
  max_budget_usd: 10         # Hard spend cap — enforced on every poll

objective:
  metric: val/accuracy
  direction: maximize        # maximize | minimize
  improvement_threshold: 0.005  # Minimum gain to count as improvement

proposal_policy:
  current_target: 5          # Proposals needed in pool before selection

stop_conditions:
  max_iterations: 20
  target_metric: 0.990       # Stop when baseline reaches this value
  max_no_improve_iterations: 5
"""

CAFE = """\
campaign: {name: café}
objective: {metric: m, direction: minimize}
wandb: {entity: e, project: p}
compute: null
"""

VECTORS = {
    "sample": (
        SAMPLE,
        "sha256:76d87a271abe95ba765ac749237a1383dd4c75956671de88f15bba9cca13bc81",
        "sha256:e3b28ae7896694e9e0e492cd48a3cab6493d8da637392b4e58a4cc73dbf18a96",
    ),
    "empty": (
        "{}\n",
        "sha256:712c12b370997b493dbc4bc39034c57066266a308de182236da1314d3ea218e0",
        "sha256:8d9eca2ad84644be76f7bb53d58aea488feb89507de23ee4b28a699184450d52",
    ),
    "cafe": (
        CAFE,
        "sha256:7b3c8a82995cd01bc5b477e726ac1c5f9a621ede16500fe333d1446120364f4a",
        "sha256:8b5c455de4a9e6e0f3e6505a1d3c08b0a9e2008a306b19350b5b5cbe6e17270b",
    ),
}


def hashes(tree: Mapping[Any, Any]) -> tuple[str, str]:
    return campaign_identity_hash(tree), runtime_config_hash(tree)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def section(*names: str) -> st.SearchStrategy[Any]:
    fields: dict[str, st.SearchStrategy[Any]] = dict.fromkeys(names, JSON_VALUES)
    return st.fixed_dictionaries({}, optional={**fields, "other": JSON_VALUES}) | JSON_VALUES


CAMPAIGNS = st.fixed_dictionaries(
    {},
    optional={
        "campaign": section("name"),
        "objective": section("metric", "direction"),
        "wandb": section("entity", "project"),
        "compute": section("provider", "accelerator"),
        "project": section("repo", "smoke_test_command"),
        "campaign_name": JSON_VALUES,
        "notes": JSON_VALUES,
    },
)


@pytest.mark.parametrize("name", VECTORS)
def test_contract_vectors_hold(tmp_path: Path, name: str) -> None:
    text, identity, runtime = VECTORS[name]
    path = tmp_path / "campaign.yaml"
    path.write_text(text, encoding="utf-8")
    campaign = load_campaign(path)
    assert (campaign.identity_hash, campaign.runtime_hash) == (identity, runtime)
    # The independent implementation is held against the same vectors.
    assert plain_hashes(yaml.safe_load(text)) == (identity, runtime)


@pytest.mark.usefixtures("repo_checks_only")
def test_artifact_carries_the_sample_campaigns_id_and_hashes(project: Project) -> None:
    project.campaign.write_text(SAMPLE, encoding="utf-8")
    assert project.preflight("-q").ret == 0
    artifact = project.artifact()
    found = [artifact[name] for name in ("campaign_id", "campaign_identity_hash", "runtime_config_hash")]
    assert found == ["gnn-mnist-optimization", *VECTORS["sample"][1:]]


@settings(
    max_examples=examples(200), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(tree=CAMPAIGNS, unicode=st.booleans(), flow=st.booleans())
def test_hashes_agree_with_an_independent_implementation(
    tmp_path: Path, tree: dict[str, Any], unicode: bool, flow: bool
) -> None:
    text = yaml.safe_dump(tree, allow_unicode=unicode, default_flow_style=flow)
    path = tmp_path / "campaign.yaml"
    path.write_text(text, encoding="utf-8")
    campaign = load_campaign(path)
    assert (campaign.identity_hash, campaign.runtime_hash) == plain_hashes(yaml.safe_load(text))


def reordered(value: Any, source: random.Random) -> Any:
    """The same value with its keys in another order, in other types of mapping and list."""
    if isinstance(value, dict):
        items = [(key, reordered(item, source)) for key, item in value.items()]
        source.shuffle(items)
        return source.choice([dict(items), OrderedDict(items), MappingProxyType(dict(items))])
    if isinstance(value, list):
        return source.choice([list, tuple])(reordered(item, source) for item in value)
    return value


@settings(max_examples=examples(200), deadline=None)
@given(tree=CAMPAIGNS, source=st.randoms(use_true_random=False))
def test_hashes_depend_neither_on_key_order_nor_on_the_type_of_mapping(
    tree: dict[str, Any], source: random.Random
) -> None:
    assert hashes(reordered(tree, source)) == hashes(tree)


@settings(max_examples=examples(200), deadline=None)
@given(value=JSON_VALUES)
def test_canonical_json_is_ascii_without_spaces_and_reads_back_as_the_value(value: Any) -> None:
    data = canonical_json(value)
    assert json.loads(data.decode("ascii")) == value
    assert data == json.dumps(value, sort_keys=True, separators=(",", ":")).encode("utf-8")


@pytest.mark.parametrize(
    "tree",
    [
        {"campaign": None, "objective": None, "wandb": None, "compute": None, "project": None},
        {"campaign": "text", "objective": 1, "wandb": [], "compute": "A100", "project": True},
        {"campaign": {"name": None}, "wandb": {"project": None}, "compute": ["A100"], "notes": "any"},
    ],
    ids=["sections null", "sections no mappings", "fields null"],
)
def test_missing_path_and_path_through_no_mapping_count_as_null(tree: dict[str, Any]) -> None:
    assert hashes(tree) == VECTORS["empty"][1:]


def test_empty_compute_block_is_not_the_same_as_none() -> None:
    assert runtime_config_hash({"compute": {}}) != runtime_config_hash({"compute": None})


@pytest.mark.parametrize(
    ("section", "key", "changes"),
    [
        ("campaign", "name", "identity"),
        ("objective", "metric", "identity"),
        ("objective", "direction", "identity"),
        ("objective", "improvement_threshold", "neither"),
        ("wandb", "entity", "both"),
        ("wandb", "project", "both"),
        ("compute", "provider", "runtime"),
        ("compute", "a_key_of_their_own", "runtime"),
        ("project", "repo", "runtime"),
        ("project", "smoke_test_command", "runtime"),
        ("stop_conditions", "max_iterations", "neither"),
    ],
)
def test_each_field_changes_the_hashes_that_are_taken_over_it(section: str, key: str, changes: str) -> None:
    tree = yaml.safe_load(SAMPLE)
    identity, runtime = hashes(tree)
    tree[section][key] = "something else"
    assert (campaign_identity_hash(tree) != identity) == (changes in {"identity", "both"})
    assert (runtime_config_hash(tree) != runtime) == (changes in {"runtime", "both"})


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ({"campaign": {"name": "nested"}, "campaign_name": "flat"}, "nested"),
        ({"campaign": {"name": ""}, "campaign_name": "flat"}, "flat"),
        ({"campaign": {"name": None}, "campaign_name": "flat"}, "flat"),
        ({"campaign": {}, "campaign_name": "flat"}, "flat"),
        ({"campaign": "text", "campaign_name": "flat"}, "flat"),
        ({"campaign": ["name"], "campaign_name": "flat"}, "flat"),
        ({"campaign_name": "flat"}, "flat"),
        ({"campaign_name": ""}, "unknown"),
        ({"campaign_name": None}, "unknown"),
        ({"campaign": {"name": ""}}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_campaign_id_is_the_nested_name_then_the_flat_one_then_unknown(
    tree: dict[str, Any], expected: str
) -> None:
    assert campaign_id(tree) == expected


@pytest.mark.usefixtures("repo_checks_only")
def test_artifacts_campaign_id_is_the_name_to_the_letter(project: Project) -> None:
    # An ideographic space, a joined emoji and a tab are not "printable", but the orchestrator compares.
    name = "実験\u3000一 \U0001f469\u200d\U0001f52c a\tb café"
    text = CAMPAIGN.replace("name: demo", f"name: {json.dumps(name, ensure_ascii=False)}")
    project.campaign.write_text(text, encoding="utf-8")
    assert project.preflight("-q").ret == 0
    assert project.artifact()["campaign_id"] == name


HUGE_HEX = "0x1" + "f" * 4000

NOT_JSON = {
    "date": ("campaign: {name: 2024-01-01}\n", "campaign.name", 1),
    "datetime": ("compute:\n  until: 2024-01-01T10:00:00Z\n", "compute.until", 2),
    "nan": ("objective:\n  metric: .nan\n", "objective.metric", 2),
    "infinity": ("wandb:\n  project: x\n  entity: -.inf\n", "wandb.entity", 3),
    "in_a_list": ("compute:\n  when: [1, 2024-01-01]\n", "compute.when.1", 2),
    "mixed_keys": ("compute:\n  sizes: {1: a, b: c}\n", "compute.sizes", 2),
    "date_key": ("compute:\n  2024-01-01: x\n", "compute.2024-01-01", 2),
    "smoke": ("project:\n\n  smoke_test_command: 2024-01-01\n", "project.smoke_test_command", 3),
    "huge_key": (f"compute:\n  ? {HUGE_HEX}\n  : x\n", "compute", 1),
    "huge": (f"compute:\n  budget: {HUGE_HEX}\n", "compute.budget", 2),
}


def test_values_that_json_cannot_hold_end_the_session_with_exit_2_and_say_quote_it(project: Project) -> None:
    arguments: list[str] = []
    for name, (text, _, _) in NOT_JSON.items():
        project.write(f"{name}/.git/config", "")
        project.write(f"{name}/campaign.yaml", text)
        arguments += ["--metaopt-campaign", f"{name}/campaign.yaml"]
    result = project.pytest(*arguments)
    assert result.ret == 2
    for name, (_, field, line) in NOT_JSON.items():
        reported = [entry for entry in result.outlines if entry.startswith(f"{name}/campaign.yaml:{line}:")]
        assert len(reported) == 1, (name, reported)
        assert field in reported[0]
        assert "quote it" in reported[0] or "quote them" in reported[0], reported[0]
    assert "Traceback" not in result.stdout.str()
    assert not [name for name in project.tree() if ".ml-metaopt" in name or ".gitignore" in name]


@pytest.mark.parametrize(
    "text",
    [f"campaign:\n  name: {HUGE_HEX}\n", f"campaign_name: {HUGE_HEX}\n"],
    ids=["campaign.name", "campaign_name"],
)
def test_a_huge_integer_as_the_campaigns_name_has_to_be_quoted(tmp_path: Path, text: str) -> None:
    # Python refuses to write integers of more than 4,300 digits; the id is written, and so is the hash.
    path = tmp_path / "campaign.yaml"
    path.write_text(text)
    with pytest.raises(DocumentError, match="quote it"):
        load_campaign(path)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (b"bytes", "bytes"),
        (date(2024, 1, 1), "date"),
        (datetime(2024, 1, 1), "datetime"),
        ({1, 2}, "set"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (1 << 20_000, "too large"),
    ],
    # Ids of their own: pytest cannot write the last value.
    ids=["bytes", "date", "datetime", "set", "nan", "infinity", "huge"],
)
@pytest.mark.parametrize("place", [("campaign", "name"), ("objective", "direction"), ("wandb", "entity")])
def test_hash_over_a_value_that_json_cannot_hold_names_the_field(
    place: tuple[str, str], value: object, problem: str
) -> None:
    section, key = place
    with pytest.raises(NotJsonError) as caught:
        campaign_identity_hash({section: {key: value}})
    assert caught.value.keys == place
    assert str(caught.value).startswith(f"{section}.{key} ")
    assert problem in str(caught.value)
    assert str(caught.value).endswith("quote it")


def test_value_outside_the_hashed_fields_may_be_anything(tmp_path: Path) -> None:
    path = tmp_path / "campaign.yaml"
    path.write_text(f"{CAFE}started: 2024-01-01\nlimit: .inf\nmask: {HUGE_HEX}\nsizes: {{1: a, b: c}}\n")
    campaign = load_campaign(path)
    assert (campaign.identity_hash, campaign.runtime_hash) == VECTORS["cafe"][1:]
