from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from _pytest.pytester import RunResult

from pytest_metaopt.probes.command import Result
from tests.support.probing import wait_until_gone, written_number
from tests.support.project import CAMPAIGN, CAMPAIGN_NAME, Project
from tests.support.recordings import recorded
from tests.support.servers import (
    PASSWORD,
    USER,
    git_daemon,
    https_server,
    make_certificate,
    make_repository,
)

KEY = "0123456789abcdef0123456789abcdef01234567"
CLOUDY = CAMPAIGN.replace("provider: local", "provider: vast_ai").replace("  mode: offline\n", "")

Script = Callable[[str, str], Path]


@pytest.fixture
def cloudy(project: Project, home: Path) -> Project:
    """A project whose campaign runs on Vast, and a home in which nothing is set up."""
    project.campaign.write_text(CLOUDY)
    return project


@pytest.fixture
def only_git(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, git: str) -> None:
    """Of all the tools there is git alone."""
    folder = tmp_path / "only-git"
    folder.mkdir()
    (folder / "git").symlink_to(git)
    monkeypatch.setenv("PATH", str(folder))


def play(script: Script, folder: Path, answers: dict[str, Result]) -> None:
    """Put a ``sky`` on PATH that gives recorded answers, by its arguments."""
    cases = []
    for number, (arguments, answer) in enumerate(answers.items()):
        out, err = folder / f"{number}.out", folder / f"{number}.err"
        out.write_text(answer.stdout)
        err.write_text(answer.stderr)
        cases.append(f"'{arguments}') cat {out}; cat {err} >&2; exit {answer.status};;")
    script("sky", f'case "$*" in {" ".join(cases)} *) echo "unexpected: $*" >&2; exit 70;; esac')


def found(project: Project) -> dict[str, dict[str, Any]]:
    """Return what the artifact says of each check, by id."""
    return {check["id"]: check for check in project.artifact()["checks"]}


def everything(project: Project, result: RunResult, *files: str) -> str:
    """Return all that left the session: the terminal, the artifact and other files."""
    texts = [result.stdout.str(), result.stderr.str(), project.artifact_path.read_text()]
    return "\n".join(texts + [(project.path / name).read_text() for name in files])


# -- SkyPilot ---------------------------------------------------------------------------------


def test_without_a_tool_but_git_a_local_offline_campaign_is_ready(project: Project, only_git: None) -> None:
    result = project.preflight("-v")
    assert result.ret == 0
    queried = set(found(project))
    assert {"repo_access", "smoke_test_command_nonempty"} <= queried
    assert not {"skypilot_installed", "wandb_credentials"} & queried
    assert not [check_id for check_id in queried if check_id.endswith("_configured")]


def test_without_a_tool_a_cloud_campaign_is_reported_what_to_install(cloudy: Project, only_git: None) -> None:
    result = cloudy.preflight()
    assert result.ret == 1
    assert "Traceback" not in result.stdout.str()
    artifact = cloudy.artifact()
    failures = {failure["check_id"]: failure for failure in artifact["failures"]}
    assert list(failures) == ["skypilot_installed", "vast_configured", "wandb_credentials"]
    assert {failure["category"] for failure in failures.values()} == {"backend"}
    assert failures["skypilot_installed"]["message"] == "command 'sky' not found on PATH"
    assert "pip install skypilot" in failures["skypilot_installed"]["remediation"]
    assert "wandb login" in failures["wandb_credentials"]["remediation"]
    for check_id, failure in failures.items():
        assert f"guidance: {check_id}: {failure['remediation']}" in artifact["diagnostics"]
        assert failure["remediation"].rstrip(".") in artifact["next_action"]


ANSWERS = {
    "0.14.1": {"check vast -o json": "vast-json-no-key", "check vast": "vast-plain-no-key"},
    "0.8.1": {"check vast -o json": "vast-json", "check vast": "vast-plain-no-key"},
}


@pytest.mark.parametrize("version", ANSWERS)
def test_skypilots_own_reason_is_reported_by_each_version_of_it(
    cloudy: Project, script: Script, tmp_path: Path, version: str
) -> None:
    known = recorded("skypilot", version)
    names = {"--version": "version", **ANSWERS[version]}
    play(script, tmp_path, {arguments: known[name] for arguments, name in names.items()})
    result = cloudy.preflight()
    assert result.ret == 1
    assert found(cloudy)["skypilot_installed"]["outcome"] == "passed"
    vast = found(cloudy)["vast_configured"]
    assert vast["message"].startswith("SkyPilot reports vast as disabled: ")
    assert "vast_api_key" in vast["message"]
    assert "\x1b" not in everything(cloudy, result)
    assert "vastai set api-key KEY" in vast["remediation"]
    assert vast["line"] == 1 + CLOUDY.split("\n").index("  provider: vast_ai")


def test_a_cloud_that_skypilot_calls_enabled_passes(cloudy: Project, script: Script, tmp_path: Path) -> None:
    known = recorded("skypilot", "0.14.1")
    play(script, tmp_path, {"--version": known["version"], "check vast -o json": known["vast-json-key"]})
    cloudy.preflight()
    assert found(cloudy)["vast_configured"]["outcome"] == "passed"


def test_providers_become_the_checks_of_their_clouds(project: Project) -> None:
    expected = {
        "vast": "vast",
        "vastai": "vast",
        "Vast_AI": "vast",
        "aws": "aws",
        "gcp": "gcp",
        "azure": "azure",
        "lambda": "lambda",
        "runpod": "runpod",
        "kubernetes": "kubernetes",
        "k8s": "kubernetes",
    }
    arguments = []
    for provider in expected:
        project.write(f"{provider}/campaign.yaml", CLOUDY.replace("vast_ai", provider))
        project.write(f"{provider}/.git/config", "")
        arguments.append(f"--metaopt-campaign={provider}/campaign.yaml")
    result = project.pytest(
        *arguments, "--collect-only", "-q", "-k", "configured or installed or provider_known"
    )
    collected = [line for line in result.outlines if "::" in line]
    assert collected == [
        f"{provider}/campaign.yaml::backend[{check_id}]"
        for provider, cloud in expected.items()
        for check_id in ("skypilot_installed", f"{cloud}_configured")
    ]


@pytest.mark.parametrize(
    ("provider", "message"),
    [
        ("vats", "compute.provider is 'vats', which is not a cloud of SkyPilot's; did you mean 'vast'?"),
        ("Local", "compute.provider is 'Local', which is not a cloud of SkyPilot's; did you mean 'local'?"),
        ("[a]", "compute.provider is a list"),
    ],
)
def test_an_unknown_provider_is_a_failure_that_lists_the_known_ones(
    project: Project, home: Path, provider: str, message: str
) -> None:
    project.edit("provider: local", f"provider: {provider}")
    result = project.preflight()
    assert result.ret == 1
    failure = found(project)["provider_known"]
    assert (failure["outcome"], failure["severity"]) == ("failed", "blocking")
    assert failure["message"] == message
    assert all(name in failure["remediation"] for name in ("'local'", "vast", "aws", "kubernetes"))
    assert not [check_id for check_id in found(project) if check_id.endswith("_configured")]


def test_a_sky_that_never_returns_costs_the_time_limit_and_leaves_nothing_behind(
    cloudy: Project, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    script("sky", f"sleep 300 & echo $! > {tmp_path}/$1.pid; wait")
    started = time.monotonic()
    result = cloudy.preflight("--metaopt-timeout", "3")
    took = time.monotonic() - started
    assert result.ret == 1
    outcomes = {check_id: check["outcome"] for check_id, check in found(cloudy).items()}
    assert [check_id for check_id, outcome in outcomes.items() if outcome == "failed"] == [
        "skypilot_installed",
        "vast_configured",
    ]
    assert "timed out after 3 s" in found(cloudy)["skypilot_installed"]["message"]
    assert "timed out after 3 s" in found(cloudy)["vast_configured"]["message"]
    # One limit for both, the promised 2 s, and a slow machine's start of Python and pytest.
    assert took < 3 + 2 + 3
    assert artifact_seconds(cloudy) < 3 + 2
    for name in ("--version", "check"):
        assert wait_until_gone(written_number(tmp_path / f"{name}.pid"))


def artifact_seconds(project: Project) -> float:
    seconds: float = project.artifact()["preflight_duration_seconds"]
    return seconds


def test_a_session_that_stops_early_stops_what_it_queried(
    cloudy: Project, script: Script, tmp_path: Path
) -> None:
    script("sky", f"sleep 300 & echo $! > {tmp_path}/$1.pid; wait")
    cloudy.write(
        "conftest.py",
        f"""
        import time
        from pathlib import Path
        from pytest_metaopt import check

        @check("R1", group="repo")
        def both_are_running():
            while len(list(Path({str(tmp_path)!r}).glob("*.pid"))) < 2:
                time.sleep(0.01)
            assert False
        """.replace("\n        ", "\n"),
    )
    result = cloudy.preflight("-x", "-k", "R1 or configured or installed", "--metaopt-timeout=200")
    result.assert_outcomes(failed=1)
    for name in ("--version", "check"):
        assert wait_until_gone(written_number(tmp_path / f"{name}.pid"))


@pytest.mark.parametrize("value", ["0", "-1", "soon", "nan", "inf", "1e9"])
def test_a_time_limit_that_is_none_is_refused(project: Project, value: str) -> None:
    result = project.preflight(f"--metaopt-timeout={value}")
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"ERROR: --metaopt-timeout: {value} is not a number of seconds*"])
    assert not project.artifact_path.exists()


# -- W&B --------------------------------------------------------------------------------------


def wandb_outcome(project: Project) -> tuple[str, str]:
    project.preflight("-k", "wandb_credentials", f"--metaopt-readiness={project.path / 'w.json'}")
    readiness = project.path / "w.json"
    if not readiness.exists():
        return "passed", ""
    reported = json.loads(readiness.read_text())["checks"][0]
    readiness.unlink()
    return reported["outcome"], reported["message"]


def test_credentials_are_found_as_the_client_finds_them(
    cloudy: Project, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = home / ".netrc"
    outcome, message = wandb_outcome(cloudy)
    assert outcome == "failed"
    assert f"WANDB_API_KEY is not set, and {netrc} does not exist" in message
    netrc.write_text(f"# machine api.wandb.ai password {KEY}\nmachine example.test password {KEY}\n")
    netrc.chmod(0o600)
    outcome, message = wandb_outcome(cloudy)
    assert outcome == "failed", "a comment, and another host"
    assert f"{netrc} has no entry for it" in message
    netrc.write_text(f"machine api.wandb.ai login user password {KEY}\n")
    assert wandb_outcome(cloudy) == ("passed", "")
    netrc.write_text(f"machine api.wandb.ai login user password {KEY[:20]}\n")
    outcome, message = wandb_outcome(cloudy)
    assert (outcome, KEY[:20] in message) == ("failed", False)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert wandb_outcome(cloudy) == ("passed", "")


def test_the_campaigns_own_server_needs_an_entry_of_its_own(cloudy: Project, home: Path) -> None:
    cloudy.edit("  project: demo\n", "  project: demo\n  base_url: https://wandb.example.test\n")
    netrc = home / ".netrc"
    netrc.write_text(f"machine api.wandb.ai login user password {KEY}\n")
    assert "no credential for wandb.example.test" in wandb_outcome(cloudy)[1]
    netrc.write_text(f"machine wandb.example.test login user password {KEY}\n")
    assert wandb_outcome(cloudy) == ("passed", "")


def test_offline_is_enough_on_this_machine_and_not_in_a_cloud(cloudy: Project, home: Path) -> None:
    cloudy.edit("  project: demo\n", "  project: demo\n  mode: offline\n")
    outcome, message = wandb_outcome(cloudy)
    assert outcome == "failed"
    assert message.startswith("wandb.mode is 'offline', but a sweep")
    cloudy.edit("provider: vast_ai", "provider: local")
    result = cloudy.preflight("--collect-only", "-q")
    assert "wandb_credentials" not in result.stdout.str()


def test_a_netrc_file_that_others_can_read_is_advice(cloudy: Project, home: Path, git: str) -> None:
    netrc = home / ".netrc"
    netrc.write_text(f"machine api.wandb.ai login user password {KEY}\n")
    netrc.chmod(0o644)
    cloudy.edit("provider: vast_ai", "provider: local")
    result = cloudy.preflight()
    assert result.ret == 0
    reported = found(cloudy)["netrc_private"]
    assert reported["outcome"] == "warning"
    assert "0644" in reported["message"]
    assert f"chmod 600 {netrc}" in reported["remediation"]
    netrc.chmod(0o600)
    cloudy.preflight()
    assert found(cloudy)["netrc_private"]["outcome"] == "passed"


def test_the_real_client_logs_in_and_the_key_is_nowhere(
    cloudy: Project, home: Path, wandb_client: str, git: str
) -> None:
    cloudy.edit("provider: vast_ai", "provider: local")
    subprocess.run([wandb_client, "login", "--no-verify", KEY], check=True, capture_output=True)
    assert KEY in (home / ".netrc").read_text()
    result = cloudy.preflight("-v", "--junitxml=j.xml", "--json-report", "--json-report-file=r.json")
    assert result.ret == 0
    assert found(cloudy)["wandb_credentials"]["outcome"] == "passed"
    assert KEY not in everything(cloudy, result, "j.xml", "r.json")


# -- the repository ---------------------------------------------------------------------------


def ask_repository(project: Project, repo: str) -> tuple[RunResult, dict[str, Any]]:
    """Ask a project about *repo* and return what came of repo_access."""
    lines = CAMPAIGN.split("\n")
    lines[3] = f"  repo: {json.dumps(repo)}"
    project.campaign.write_text("\n".join(lines))
    reports = ("--junitxml=j.xml", "--json-report", "--json-report-file=r.json")
    result = project.preflight("-v", *reports)
    return result, found(project)["repo_access"]


@pytest.mark.parametrize(
    ("repo", "problem"),
    [
        ("--upload-pack=touch PWNED", "it begins with '-'"),
        ("ext::sh -c touch% PWNED", "transport helper"),
        ("fd::0", "transport helper"),
        ("https://user:s3cr3t@127.0.0.1:1/x.git", "(unreachable)"),
        ("https://s3cr3t@127.0.0.1:1/x.git", "(unreachable)"),
        ("no/such/place", "(no such repository)"),
    ],
)
def test_a_repository_that_is_none_does_no_harm(
    project: Project, home: Path, git: str, repo: str, problem: str
) -> None:
    before = set(project.tree())
    result, reported = ask_repository(project, repo)
    assert result.ret == 1
    assert reported["outcome"] == "failed"
    assert problem in reported["message"]
    assert reported["line"] == 4
    ours = ("runpytest-", ".ml-metaopt")
    new = {name for name in set(project.tree()) - before if not name.startswith(ours)}
    assert new <= {"j.xml", "r.json", "stdout", "stderr", ".gitignore"}, "PWNED, above all"
    assert "s3cr3t" not in everything(project, result, "j.xml", "r.json")


@pytest.fixture
def served(tmp_path: Path, git: str) -> Path:
    """A folder to serve, with one repository in it."""
    folder = tmp_path / "served"
    make_repository(folder / "there.git")
    (folder / "there.git" / "git-daemon-export-ok").touch()
    return folder


@pytest.fixture
def https(served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    certificate = tmp_path / "certificate.pem"
    make_certificate(certificate)
    monkeypatch.setenv("GIT_SSL_CAINFO", str(certificate))
    with https_server(served, certificate) as url:
        yield url


def test_paths_and_servers_are_reached(project: Project, home: Path, served: Path, https: str) -> None:
    with git_daemon(served) as daemon:
        for repo in (
            os.path.relpath(served / "there.git", project.path),
            (served / "there.git").as_uri(),
            f"{daemon}/there.git",
            f"{https}/open/there.git",
            f"https://{USER}:{PASSWORD}@{https.removeprefix('https://')}/private/there.git",
        ):
            result, reported = ask_repository(project, repo)
            assert (result.ret, reported["outcome"]) == (0, "passed"), reported
            assert PASSWORD not in everything(project, result, "j.xml", "r.json")
        _, reported = ask_repository(project, f"{daemon}/missing.git")
        assert "(no such repository)" in reported["message"]


def test_a_demand_for_a_password_is_refused_without_a_prompt(
    project: Project, home: Path, https: str
) -> None:
    result, reported = ask_repository(project, f"{https}/private/there.git")
    assert result.ret == 1
    assert "(authentication)" in reported["message"]
    assert "credential helper" in reported["remediation"]


def test_the_smoke_test_command_is_advice_without_r7(project: Project, home: Path, git: str) -> None:
    project.edit("python train.py --smoke", '" "')
    result = project.preflight("-k", "smoke_test_command_nonempty")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["*smoke_test_command_nonempty: project.smoke_test_command is an empty string"]
    )


# -- all of it --------------------------------------------------------------------------------


def test_reports_have_the_group_and_severity_of_backend_checks(cloudy: Project, only_git: None) -> None:
    cloudy.preflight("--junitxml=j.xml")
    suite = ET.parse(cloudy.path / "j.xml").getroot()
    case = next(case for case in suite.iter("testcase") if case.get("name") == "backend[vast_configured]")
    properties = {entry.get("name"): entry.get("value") for entry in case.iter("property")}
    assert properties["group"] == "backend"
    assert properties["severity"] == "blocking"
    assert properties["outcome"] == "failed"
    assert "let SkyPilot" not in str(properties["remediation"])
    failure = case.find("failure")
    assert failure is not None
    assert "command 'sky' not found on PATH" in str(failure.get("message"))


def test_facts_are_queried_for_at_the_same_time_and_for_selected_checks_only(
    cloudy: Project, script: Script, tmp_path: Path, git: str
) -> None:
    # Each waits for the other: gathered one after the other, both would run into the time limit.
    meet = "touch {t}/{me}; while [ ! -e {t}/{other} ]; do sleep 0.01; done; "
    script("sky", meet.format(t=tmp_path, me="sky", other="git") + "echo 'skypilot, version 0.14.1'")
    script("git", meet.format(t=tmp_path, me="git", other="sky") + f'exec {git} "$@"')
    cloudy.preflight("-k", "installed or access", "--metaopt-timeout=20", "--metaopt-readiness=w.json", "-v")
    assert {(tmp_path / name).exists() for name in ("sky", "git")} == {True}
    (tmp_path / "sky").unlink()
    (tmp_path / "git").unlink()
    result = cloudy.preflight("-k", "R7 or private")
    assert result.ret == 0
    assert not {path.name for path in tmp_path.iterdir()} & {"sky", "git"}, "nothing was run"
    assert CAMPAIGN_NAME in result.stdout.str()
