"""Positions: every finding of every built-in check has a line and a column of the file."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_metaopt import fail
from pytest_metaopt.core.check import Check
from pytest_metaopt.core.document import Position
from pytest_metaopt.core.finding import NotApplicable
from pytest_metaopt.core.outcome import Failure
from pytest_metaopt.documents.kinds import KINDS, Kind
from pytest_metaopt.session.catalog import checks_of_module
from pytest_metaopt.session.evaluation import evaluate
from tests.support import launches, run_configs
from tests.support.manifests import SAMPLE
from tests.support.project import CAMPAIGN

DOCUMENTS = {
    "campaign": CAMPAIGN,
    "manifest": SAMPLE,
    "run_config": run_configs.FULL,
    "launch": launches.FULL,
}
BAD: Mapping[str, Mapping[str, tuple[str, ...]]] = {"launch": launches.BAD, "run_config": run_configs.BAD}


def checks() -> Iterator[tuple[Kind, Check]]:
    for kind in KINDS.values():
        for name in (*kind.check_modules, *kind.online_check_modules):
            for check in checks_of_module(importlib.import_module(name), None):
                yield KINDS[check.document], check


CHECKS = list(checks())


def places(failure: Failure) -> list[tuple[int | None, int | None]]:
    return [(failure.line, failure.column), *((found.line, found.column) for found in failure.findings)]


@pytest.mark.parametrize(("kind", "check"), CHECKS, ids=[f"{kind.name}-{check.id}" for kind, check in CHECKS])
def test_a_finding_that_names_no_position_has_that_of_what_the_check_is_queried_of(
    tmp_path: Path, kind: Kind, check: Check
) -> None:
    path = tmp_path / f"document{kind.suffixes[0]}"
    path.write_text(f"\n{DOCUMENTS[kind.name]}")
    document = kind.load(path)
    subjects = kind.subjects[check.each](document) if check.each else []
    lines = path.read_text().splitlines()
    for keys in [subject.keys for subject in subjects] if check.each else [()]:
        position = document.position(keys)
        failure = evaluate(replace(check, function=lambda: fail("wrong")), {}, position)
        assert failure is not None
        assert failure.line is not None
        assert failure.column is not None
        assert lines[failure.line - 1][failure.column - 1 :].strip()
        assert (keys == ()) == (position == document.position(())), "parts have positions of their own"


def needs_the_file_only(kind: Kind, check: Check) -> bool:
    return kind.name in BAD and set(inspect.signature(check.function).parameters) == {kind.name}


OF_FILES = [(kind, check) for kind, check in CHECKS if needs_the_file_only(kind, check)]


@pytest.mark.parametrize(
    ("kind", "check"), OF_FILES, ids=[f"{kind.name}-{check.id}" for kind, check in OF_FILES]
)
def test_what_is_wrong_with_a_document_is_at_a_position_of_its_file(
    tmp_path: Path, kind: Kind, check: Check
) -> None:
    for name, (text, *_) in BAD[kind.name].items():
        path = tmp_path / f"{name}{kind.suffixes[0]}"
        path.write_text(text)
        document = kind.load(path)
        if check.when is not None and not check.when(document):
            continue
        last = len(text.splitlines())
        try:
            failure = evaluate(check, {kind.name: document}, Position(last + 1, 1))
        except NotApplicable:
            continue
        for line, column in places(failure) if failure else []:
            assert line is not None and line <= last, f"{name}: it has no position of its own"
            assert column is not None
