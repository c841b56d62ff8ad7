"""``metaopt-preflight verify``: what the readiness artifact is worth, reported as LOAD_CAMPAIGN would."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pytest_metaopt.__main__ import main
from pytest_metaopt.documents.campaign import load_campaign

# Named here, or pytester would take what main() imports out of sys.modules again at the end of each test.
from pytest_metaopt.results import freshness  # noqa: F401
from pytest_metaopt.results.freshness import look
from tests.support.project import CAMPAIGN, CAMPAIGN_NAME, Project, make_empty_repository

IDENTITY = ["campaign.name", "objective.metric", "objective.direction", "wandb.entity", "wandb.project"]


class Reported(NamedTuple):
    status: int
    out: str
    err: str


def verify(*arguments: str | Path) -> Reported:
    """What ``metaopt-preflight verify`` says, without the time that a process takes to start."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            status = main(["verify", *map(str, arguments)])
        except SystemExit as ended:
            status = int(ended.code or 0)
    return Reported(status, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def good_artifact(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a preflight of the good campaign wrote."""
    folder = tmp_path_factory.mktemp("good")
    (folder / CAMPAIGN_NAME).write_text(CAMPAIGN)
    make_empty_repository(folder / ".git")
    command = [sys.executable, "-m", "pytest_metaopt", "--campaign", CAMPAIGN_NAME]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return (folder / ".ml-metaopt" / "preflight-readiness.json").read_text()


@pytest.fixture
def ready(project: Project, good_artifact: str, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project that a preflight has found READY."""
    monkeypatch.chdir(project.path)
    project.write(".ml-metaopt/preflight-readiness.json", good_artifact)
    return project


def rewrite(project: Project, **fields: Any) -> None:
    """Change fields of the artifact; ``...`` removes one."""
    artifact = {**project.artifact(), **fields}
    project.artifact_path.write_text(
        json.dumps({name: value for name, value in artifact.items() if value is not ...})
    )


def test_after_a_preflight_that_was_ready_the_exit_status_is_0_until_the_identity_changes(
    ready: Project,
) -> None:
    before = ready.tree()
    done = ready.command("verify")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "status:   fresh READY\nartifact: .ml-metaopt/preflight-readiness.json\n"
    ready.edit("metric: val/accuracy", "metric: val/f1")
    done = ready.command("verify", "--campaign", CAMPAIGN_NAME)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "status:   stale",
        "reason:   objective.metric changed since the preflight",
        "next:     run the preflight again",
        "artifact: .ml-metaopt/preflight-readiness.json",
    ]
    ready.edit("metric: val/f1", "metric: val/accuracy")
    assert ready.tree() == before, "verify writes nothing"


@pytest.mark.parametrize(
    ("edits", "changed"),
    [
        ([("name: demo", "name: other")], "campaign.name"),
        ([("direction: maximize", "direction: minimize")], "objective.direction"),
        ([("entity: me", "entity: you")], "wandb.entity"),
        ([("entity: me\n  project: demo", "entity: me\n  project: other")], "wandb.project"),
        ([("metric: val/accuracy", "metric: [1]"), ("entity: me", "")], "objective.metric and wandb.entity"),
        ([(CAMPAIGN, "{}\n")], ", ".join(IDENTITY[:-1]) + " and wandb.project"),
    ],
)
def test_stale_artifact_is_reported_with_the_fields_that_changed(
    ready: Project, edits: list[tuple[str, str]], changed: str
) -> None:
    for old, new in edits:
        ready.edit(old, new)
    reported = verify()
    assert reported.status == 1
    assert f"status:   stale\nreason:   {changed} changed since the preflight\n" in reported.out


def test_identity_in_the_artifact_is_hashes_only(ready: Project) -> None:
    identity = ready.artifact()["identity"]
    assert list(identity) == IDENTITY
    assert all(value.startswith("sha256:") and len(value) == 71 for value in identity.values())


def test_artifact_of_another_program_that_is_stale_names_every_identity_field(ready: Project) -> None:
    missing: list[Any] = [..., None, {}]
    for identity in missing:
        rewrite(ready, identity=identity, campaign_identity_hash=f"sha256:{0:064}")
        reported = verify()
        assert reported.status == 1
        names = ", ".join(IDENTITY[:-1])
        assert (
            f"status:   stale\nreason:   {names} {'or' if identity != {} else 'and'} wandb.project"
            in reported.out
        )


def test_a_changed_runtime_configuration_is_stale(ready: Project) -> None:
    ready.edit("max_iterations: 5", "max_iterations: 6")
    assert verify().out.startswith("status:   fresh READY\nartifact:")
    ready.edit("num_sweep_agents: 1", "num_sweep_agents: 2")
    reported = verify()
    assert reported.status == 1
    assert (
        "status:   stale\nreason:   compute, wandb or project changed since the preflight\n" in reported.out
    )


def test_fresh_failed_gives_the_artifacts_next_action(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.path)
    project.edit("num_sweep_agents: 1", "num_sweep_agents: 17")
    assert project.preflight("-q").ret == 1
    reported = verify()
    assert reported.status == 1
    action = project.artifact()["next_action"]
    assert reported.out.startswith(f"status:   fresh FAILED\nnext:     {action}\n")
    assert action.startswith("Fix 1 failure(s): [compute].")
    # Age does not matter to what has to be mended, and what an artifact says cannot steer a terminal.
    rewrite(project, next_action="\x1b[31mdo\nthis", emitted_at="2001-01-01T00:00:00Z")
    assert verify("--max-age", "1s").out.startswith("status:   fresh FAILED\nnext:     \\x1b[31mdo this\n")
    project.edit("name: demo", "name: other")
    assert verify().out.startswith("status:   stale\n")


def write(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text)


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut_short": (lambda path: path.write_text(path.read_text()[:100]), "it is not JSON"),
    "empty": (write(""), "it is not JSON"),
    "deep": (write("[" * 100_000), "it is not JSON"),
    "list": (write("[]"), "it is not a JSON object"),
    "null": (write("null"), "it is not a JSON object"),
    "huge_integer": (write('{"schema_version": ' + "1" * 5000 + "}"), ""),
    "latin1": (lambda path: path.write_bytes(b'{"a": "\xe9"}'), "byte 0xe9 is not UTF-8"),
    "nul": (lambda path: path.write_bytes(b"{}\0"), "holds a NUL byte"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_artifact_that_can_not_be_made_out_is_unreadable(ready: Project, name: str) -> None:
    spoil, reason = BROKEN[name]
    spoil(ready.artifact_path)
    reported = verify()
    assert (reported.status, reported.err) == (1, "")
    assert reported.out.startswith(f"status:   unreadable\nreason:   {reason}")
    assert "next:     run the preflight again\n" in reported.out


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"schema_version": 2}, "its schema_version is not 1"),
        ({"schema_version": "1"}, "its schema_version is not 1"),
        ({"schema_version": True}, "its schema_version is not 1"),
        ({"schema_version": ...}, "its schema_version is not 1"),
        ({"status": "INCOMPLETE"}, "its status is neither READY nor FAILED"),
        ({"status": ["READY"]}, "its status is neither READY nor FAILED"),
        ({"status": ...}, "its status is neither READY nor FAILED"),
    ],
)
def test_artifact_of_another_version_or_status_is_unreadable(
    ready: Project, fields: dict[str, Any], reason: str
) -> None:
    rewrite(ready, **fields)
    assert verify().out.startswith(f"status:   unreadable\nreason:   {reason}\n")


# What an artifact says against itself; each is a change of the good one's fields.
CONTRADICTIONS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a failure": (
        lambda found: found["failures"].append(
            {"check_id": "R7", "category": "repo", "message": "m", "remediation": "r"}
        ),
        "it lists 1 failures and counts 0",
    ),
    "counts that do not add up": (
        lambda found: found["checks_summary"].update(passed=1),
        "its checks_summary does not add up",
    ),
    "no check at all": (
        lambda found: found.update(checks=[], checks_summary=dict.fromkeys(found["checks_summary"], 0)),
        "it is READY with a failed check, or without any check",
    ),
    "something to fix": (
        lambda found: found.update(next_action="Fix 1 failure(s): [R7]."),
        "its next_action is not one of READY",
    ),
    "a check that failed": (
        lambda found: found["checks"][-1].update(outcome="failed", severity="blocking"),
        "its checks are not those that its checks_summary counts",
    ),
    "a status without its failures": (
        lambda found: found.update(status="FAILED"),
        "its next_action is not one of FAILED",
    ),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_an_artifact_that_contradicts_itself_is_unreadable(ready: Project, name: str) -> None:
    change, reason = CONTRADICTIONS[name]
    found = ready.artifact()
    change(found)
    ready.artifact_path.write_text(json.dumps(found))
    reported = verify()
    assert (reported.status, reported.err) == (1, "")
    assert reported.out.startswith(f"status:   unreadable\nreason:   {reason}\n")


REQUIRED = (
    "schema_version",
    "status",
    "campaign_id",
    "campaign_identity_hash",
    "runtime_config_hash",
    "emitted_at",
    "preflight_duration_seconds",
    "checks_summary",
    "failures",
    "next_action",
    "diagnostics",
)


@pytest.mark.parametrize("name", REQUIRED)
def test_every_field_of_the_contract_is_there_with_its_type(ready: Project, name: str) -> None:
    good = ready.artifact()[name]
    for value in (..., [good], {"a": good}, True, "" if isinstance(good, str) else "text"):
        if (name, value) == ("diagnostics", ""):
            continue  # free text
        rewrite(ready, **{name: value})
        reported = verify()
        assert (reported.status, reported.err) == (1, ""), value
        assert reported.out.startswith(("status:   unreadable\n", "status:   stale\n")), value
        rewrite(ready, **{name: good})
    assert verify().status == 0


def test_directory_and_fifo_in_its_place_are_unreadable_and_nobody_waits(ready: Project) -> None:
    ready.artifact_path.unlink()
    os.mkfifo(ready.artifact_path)
    assert verify().out.startswith("status:   unreadable\nreason:   is a FIFO")
    ready.artifact_path.unlink()
    ready.artifact_path.mkdir()
    assert verify().out.startswith("status:   unreadable\nreason:   is a directory")


def test_missing_artifact_is_reported(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.path)
    state = project.path / ".ml-metaopt"

    def missing() -> None:
        reported = verify()
        assert (reported.status, reported.err) == (1, "")
        assert reported.out.startswith(
            "status:   missing\nreason:   no preflight has written it\nnext:     run the preflight\n"
        )

    missing()
    state.mkdir()
    missing()
    project.artifact_path.symlink_to("nowhere")
    missing()
    project.artifact_path.unlink()
    state.rmdir()
    state.write_text("a file where the folder was to be")
    missing()


# -- age ------------------------------------------------------------------------------------------


def emitted(project: Project, **ago: float) -> None:
    moment = datetime.now(timezone.utc) - timedelta(**ago)
    rewrite(project, emitted_at=moment.strftime("%Y-%m-%dT%H:%M:%SZ"))


def test_max_age_turns_an_old_ready_into_stale(ready: Project) -> None:
    emitted(ready, hours=5)
    assert verify().status == 0
    # A minute of room on both sides of five hours.
    for enough in ("5h1m", "301m", "18060s", "1d"):
        assert verify("--max-age", enough).out.startswith("status:   fresh READY\n")
    for short in ("4h59m", "299m", "0s", "17940s"):
        reported = verify("--max-age", short)
        assert reported.status == 1
        assert reported.out.startswith("status:   stale\nreason:   it is 5h old, and at most ")
    emitted(ready, days=3)
    assert "it is 3d old, and at most 48h is allowed" in verify("--max-age", "1d24h").out.replace("2d", "48h")
    emitted(ready, hours=-2)
    for arguments in ([], ["--max-age", "7d"]):
        assert "reason:   its emitted_at lies in the future; check the clocks" in verify(*arguments).out
    emitted(ready, seconds=-20)
    assert verify("--max-age", "7d").status == 0, "clocks of two machines differ a little"


@pytest.mark.parametrize("moment", [..., None, 5, "", "yesterday", "2026-01-01", "2026-01-01T00:00:00+01:00"])
def test_the_time_is_one_that_the_contract_prescribes(ready: Project, moment: Any) -> None:
    rewrite(ready, emitted_at=moment)
    reported = verify()
    assert reported.status == 1
    assert reported.out.startswith(
        "status:   unreadable\nreason:   its emitted_at is not a time such as 2026-01-31T23:59:59Z"
    )


@pytest.mark.parametrize(
    "text", ["", "5", "h", "5 h", "-5h", "5w", "1.5h", "5h!", "0x5s", "9999999999s", "\u0665h"]
)
def test_what_is_no_duration_is_a_usage_error(ready: Project, text: str) -> None:
    reported = verify(f"--max-age={text}")
    assert (reported.status, reported.out) == (2, "")
    assert "is not a duration; write 90s, 15m, 12h, 7d or 1h30m" in reported.err


# -- which campaign, which artifact ---------------------------------------------------------------


def test_campaign_that_is_missing_or_malformed_is_a_usage_error(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.path)
    line = "ERROR: nope.yaml: no such file; check the path\n"
    assert verify("--campaign", "nope.yaml") == Reported(2, "", line)
    project.write("bad.yaml", "a: [1\n")
    reported = verify("--campaign", "bad.yaml")
    assert (reported.status, reported.out, reported.err.count("\n")) == (2, "", 1)
    assert reported.err.startswith("ERROR: bad.yaml:2:1: is not YAML")
    project.write("list.yaml", "- a\n")
    assert verify("--campaign", "list.yaml").status == 2
    assert verify("--cwd", "nope").status == 2
    assert verify("--what").status == 2
    assert verify(CAMPAIGN_NAME).status == 2
    project.campaign.unlink()
    reported = verify()
    assert reported.status == 2
    assert f"{CAMPAIGN_NAME}: no such file" in reported.err


def test_artifact_is_found_where_pytest_and_the_reference_command_line_write_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    nested = project.write(f"deep/er/{CAMPAIGN_NAME}", CAMPAIGN)
    make_empty_repository(nested.parent / "repository")
    nested.write_text(CAMPAIGN.replace("repo: .", f"repo: {nested.parent / 'repository'}"))
    monkeypatch.chdir(nested.parent)
    assert project.pytest("--metaopt-campaign", nested, "-q").ret == 0
    assert verify().status == 0
    assert f"artifact: {project.artifact_path}\n" in verify().out
    assert verify("--cwd", ".").out.startswith("status:   missing")
    assert (
        project.command("--campaign", nested.name, "--cwd", nested.parent, cwd=nested.parent).returncode == 0
    )
    assert "artifact: .ml-metaopt/preflight-readiness.json\n" in verify("--cwd", ".").out
    elsewhere = project.path / "out" / "ready.json"
    assert verify("--readiness", elsewhere).out.startswith("status:   missing")
    assert project.pytest("--metaopt-campaign", nested, "--metaopt-readiness", elsewhere, "-q").ret == 0
    assert verify("--readiness", elsewhere).status == 0


def test_a_campaign_named_like_a_look_up_is_still_the_reference_command_lines(project: Project) -> None:
    project.campaign.rename(project.path / "verify")
    done: subprocess.CompletedProcess[str] = project.command("--campaign", "verify")
    assert done.returncode == 0, done.stdout
    assert "status:   READY" in done.stdout


@pytest.mark.parametrize(
    ("age", "word"),
    [(-61, "unreadable"), (-60, "fresh READY"), (0, "fresh READY"), (90, "fresh READY"), (91, "stale")],
)
def test_max_age_is_the_age_that_is_still_allowed(ready: Project, age: int, word: str) -> None:
    # Clocks may differ by a minute.
    emitted = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
    artifact = ready.artifact()
    artifact["emitted_at"] = emitted.strftime("%Y-%m-%dT%H:%M:%SZ")
    ready.artifact_path.write_text(json.dumps(artifact))
    found = look(
        load_campaign(ready.campaign), ready.artifact_path, max_age=90, now=emitted + timedelta(seconds=age)
    )
    assert found.word == word


def test_an_artifact_of_more_than_64_mib_is_not_read(ready: Project) -> None:
    text = ready.artifact_path.read_text().rstrip()
    for size, word in ((64 << 20, "fresh READY"), ((64 << 20) + 1, "unreadable")):
        ready.artifact_path.write_text(text.ljust(size))
        now = datetime.now(timezone.utc)
        found = look(load_campaign(ready.campaign), ready.artifact_path, max_age=None, now=now)
        assert found.word == word
