"""Generated campaign files: nothing that is thrown at the loader or the checks breaks them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_metaopt.checks import campaign as campaign_checks
from pytest_metaopt.core.check import Check
from pytest_metaopt.core.document import DocumentError
from pytest_metaopt.core.finding import NotApplicable
from pytest_metaopt.core.outcome import Failure
from pytest_metaopt.documents.campaign import NAMES, Campaign, load_campaign
from pytest_metaopt.session.catalog import checks_of_module
from pytest_metaopt.session.evaluation import evaluate
from tests.support import reference
from tests.support.scale import examples, times
from tests.support.strategies import campaign_files, nearly_valid_campaigns, valid_campaigns, written

CHECKS = {check.id: check for check in checks_of_module(campaign_checks, None)}

few = settings(max_examples=examples(200), deadline=None, suppress_health_check=list(HealthCheck))
many = settings(few, max_examples=times(10_000))


def load(folder: Path, data: bytes) -> Campaign | DocumentError:
    """Return the campaign, or the one line that refuses it; anything else that is raised fails the test."""
    path = folder / "campaign.yaml"
    path.write_bytes(data)
    try:
        return load_campaign(path)
    except DocumentError as error:
        assert str(error).startswith(f"{path}:")
        assert str(error).isprintable(), str(error)
        return error


def ask(check: Check, campaign: Campaign) -> Failure | None:
    try:
        failure = evaluate(check, {"campaign": campaign})
    except NotApplicable:
        return None
    assert failure is None or not failure.crash, failure
    return failure


def ask_all(campaign: Campaign) -> dict[str, Failure]:
    failures = {name: ask(check, campaign) for name, check in CHECKS.items()}
    return {name: failure for name, failure in failures.items() if failure is not None}


def look(folder: Path, data: bytes) -> None:
    campaign = load(folder, data)
    if isinstance(campaign, DocumentError):
        return
    lines = data.decode("utf-8-sig").splitlines()
    for failure in ask_all(campaign).values():
        assert failure.message.replace("\n", "").isprintable()
        for line in (failure.line, *(found.line for found in failure.findings)):
            assert line is None or 1 <= line <= len(lines)


@few
@given(data=campaign_files)
def test_any_generated_campaign_is_read_or_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    look(tmp_path, data)


@pytest.mark.soak
@many
@given(data=campaign_files)
def test_thousands_of_generated_campaigns_are_read_or_refused_in_one_line(
    tmp_path: Path, data: bytes
) -> None:
    look(tmp_path, data)


@few
@given(data=st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    look(tmp_path, data)


@pytest.mark.soak
@many
@given(data=st.binary(max_size=1000))
def test_thousands_of_times_any_bytes_are_read_or_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    look(tmp_path, data)


# -- what the checks say is what the contract says ------------------------------------------------


def compare(folder: Path, text: str) -> None:
    campaign = load(folder, text.encode())
    if isinstance(campaign, DocumentError):
        return
    failed = {name for name in ask_all(campaign) if name in NAMES}
    assert failed == reference.refused_sections(yaml.safe_load(text)), text


@few
@given(text=written(nearly_valid_campaigns()))
def test_checks_fail_for_the_sections_that_load_campaign_would_refuse_and_no_others(
    tmp_path: Path, text: str
) -> None:
    compare(tmp_path, text)


@pytest.mark.soak
@many
@given(text=written(nearly_valid_campaigns()))
def test_thousands_of_times_checks_fail_for_the_sections_that_load_campaign_would_refuse(
    tmp_path: Path, text: str
) -> None:
    compare(tmp_path, text)


@few
@given(text=written(valid_campaigns))
def test_what_load_campaign_accepts_passes_every_blocking_check(tmp_path: Path, text: str) -> None:
    campaign = load(tmp_path, text.encode())
    assert isinstance(campaign, Campaign), campaign
    assert not [name for name in ask_all(campaign) if CHECKS[name].severity == "blocking"]


# -- identity -------------------------------------------------------------------------------------


def random_value(source: random.Random, depth: int = 3) -> Any:
    kind = source.randrange(9 if depth else 6)
    if kind < 3:
        return "".join(
            chr(source.choice([*range(32, 127), 0xE9, 0x4E00, 0x1F600])) for _ in range(source.randrange(6))
        )
    if kind < 6:
        return [
            None,
            True,
            False,
            source.randrange(-99, 99),
            source.uniform(-1e6, 1e6),
            10 ** source.randrange(40),
        ][source.randrange(6)]
    if kind == 6:
        return [random_value(source, depth - 1) for _ in range(source.randrange(4))]
    return {f"k{source.randrange(9)}": random_value(source, depth - 1) for _ in range(source.randrange(4))}


def random_campaign(source: random.Random) -> dict[str, Any]:
    """Return a campaign of which each hashed part may be anything, or missing."""
    tree: dict[str, Any] = {}
    for section, keys in {
        "campaign": ["name"],
        "objective": ["metric", "direction"],
        "wandb": ["entity", "project"],
        "project": ["repo", "smoke_test_command"],
        "compute": ["provider", "accelerator", "x"],
        "notes": ["a"],
    }.items():
        if source.random() < 0.9:
            tree[section] = {key: random_value(source) for key in keys if source.random() < 0.9}
        elif source.random() < 0.5:
            tree[section] = random_value(source)
    return tree


def test_hashes_of_seeded_campaigns_agree_with_an_independent_implementation(
    tmp_path: Path,
) -> None:
    source = random.Random("identity")
    path = tmp_path / "campaign.yaml"
    seen = set()
    for _ in range(times(2000)):
        text = yaml.safe_dump(random_campaign(source), allow_unicode=source.random() < 0.5)
        path.write_text(text, encoding="utf-8")
        campaign = load_campaign(path)
        hashes = (campaign.identity_hash, campaign.runtime_hash)
        assert hashes == reference.hashes(yaml.safe_load(text)), text
        seen.add(hashes)
    # The campaigns are as different as they are meant to be.
    assert len(seen) > 0.95 * times(2000)


def test_checks_see_documents_that_can_not_be_changed(tmp_path: Path) -> None:
    campaign = load(tmp_path, b"wandb: {tags: [a], inner: {k: v}}\n")
    assert isinstance(campaign, Campaign)
    inner = campaign.get("wandb.inner")
    assert isinstance(inner, Mapping)
    with pytest.raises(TypeError):
        inner["k"] = "w"  # type: ignore[index]
    assert campaign.get("wandb.tags") == ("a",)
