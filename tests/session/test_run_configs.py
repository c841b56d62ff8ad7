"""Run configs through pytest: items, messages, local facts, overrides, the plan, the schema."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from _pytest.pytester import RunResult

from pytest_metaopt.documents.run_config import load_run_config
from tests.support.project import CAMPAIGN, CAMPAIGN_NAME, Project
from tests.support.run_configs import (
    BAD,
    FULL,
    GOOD,
    MINIMAL,
    NASTY,
    NOT_IN_JSON,
    RUN_CONFIG_NAME,
    WRONG,
    compute,
    config,
    environment,
    snapshot,
)


class Session:
    """A session over run configs: how each item came out, and what it said, by file and check."""

    def __init__(self, result: RunResult, report: dict[str, Any]) -> None:
        self.result = result
        self.ret = result.ret
        self.items: dict[str, dict[str, dict[str, Any]]] = {}
        for test in report["tests"]:
            path, _, item = test["nodeid"].partition("::run_config[")
            self.items.setdefault(Path(path).stem, {})[item.removesuffix("]")] = test["metadata"]["metaopt"]

    def reported(self, name: str) -> dict[str, str]:
        """What failed items and advice of a file say, with the line."""
        return {
            check: f"{item['line']}: {item['message']}"
            for check, item in self.items[name].items()
            if item["outcome"] in {"failed", "warning"}
        }

    def words(self, name: str, word: str) -> set[str]:
        return {check for check, item in self.items[name].items() if item["outcome"] == word}


def preflight(project: Project, files: dict[str, str], *arguments: str) -> Session:
    for name, text in files.items():
        project.write(f"runs/{name}.yaml", text)
    result = project.pytest(
        "--metaopt-run-config", "runs/*.yaml", "-q", "--json-report", "--json-report-file=r.json", *arguments
    )
    return Session(result, json.loads((project.path / "r.json").read_text()))


# -- the contract ----------------------------------------------------------------------------------


def test_every_row_of_the_contract_has_a_case_that_passes(project: Project) -> None:
    session = preflight(project, GOOD)
    assert {name: session.reported(name) for name in GOOD if session.reported(name)} == {}
    assert set(session.items) == set(GOOD)
    assert session.ret == 0


def test_every_row_of_the_contract_has_a_case_that_fails(project: Project) -> None:
    session = preflight(project, {name: text for name, (text, _, _) in BAD.items()}, "--tb=no")
    assert session.ret == 1
    wrong = {}
    for name, (_, check, reported) in BAD.items():
        found = session.reported(name)
        blocking = session.words(name, "failed") - {"revision", "include_paths", "requirements_file"}
        # A known key that is missing for a typo of it may be reported beside the typo.
        if blocking != {check} or reported not in " ".join(found[check].split()):
            wrong[name] = (blocking, found)
    assert wrong == {}


def test_sections_that_the_file_does_not_have_are_not_collected(project: Project) -> None:
    session = preflight(project, {"minimal": MINIMAL, "full": FULL})
    always = {"experiment_name", "compute", "command", "unknown_keys"}
    assert set(session.items["minimal"]) == always
    more = {"environment", "secrets", "limits", "mlflow", "requirements", "deprecated"}
    assert set(session.items["full"]) == always | more
    assert session.items["full"]["deprecated"]["severity"] == "advisory"


def test_the_wrong_sample_shows_its_four_findings_in_one_run_in_80_columns(project: Project) -> None:
    project.write(RUN_CONFIG_NAME, WRONG)
    result = project.pytest("--metaopt-run-config", RUN_CONFIG_NAME, "-p", "no:randomly")
    assert result.ret == 1
    result.assert_outcomes(failed=4, passed=1)
    page = result.stdout.str()
    own = page[page.index("= FAILURES =") - 40 :].splitlines()
    assert max(map(len, own)) <= 80
    flat = " ".join(page.split())
    for reported in (
        "train.yaml:2:18: experiment_name: experiment_name has the character '.'",
        "train.yaml:4:59: compute: compute.num_accelerators is 3; expected a multiple of 8",
        "train.yaml:5:21: secrets: secrets.HF_TOKEN is not a reference to a secret; expected SCOPE/KEY",
        "train.yaml:6:11: unknown_keys: unknown key priority",
    ):
        assert reported in flat
    assert "no-slash" not in page


def test_everything_that_is_wrong_is_reported_at_once_each_with_its_line(project: Project) -> None:
    text = """\
experiment_nam: a
command: x
compute:
  num_accelerator: 8
  accelerator_type: GPU_8xH200
env_variables:
  A: 1
secrets:
  A: b/c
  B: x
code_source:
  type: snapshot
  snapshot:
    root_path: .
    git:
      branch: "a b"
      comit: x
"""
    session = preflight(project, {"all": text}, "--tb=no")
    assert session.reported("all") == {
        "experiment_name": "1: experiment_name is missing; expected a string",
        "compute": "3: 2 problems\n"
        "line 3: compute.num_accelerators is missing; expected an integer, 1 or more\n"
        "line 5: compute.accelerator_type is not one of GPU_1xA10, GPU_1xH100, GPU_8xH100; did you mean"
        " 'GPU_8xH100'?",
        "environment": "7: env_variables.A is a number; expected a string",
        "secrets": "9: 2 problems\n"
        "line 9: secrets.A is in env_variables too; keep one of them\n"
        "line 10: secrets.B is not a reference to a secret; expected SCOPE/KEY, with exactly one '/'",
        "code_source": "16: code_source.snapshot.git.branch has the character ' '; expected letters, digits,"
        " '_', '.', '/' and '-'",
        "unknown_keys": "1: 3 problems\n"
        "line 1: unknown key experiment_nam; did you mean 'experiment_name'?\n"
        "line 4: unknown key compute.num_accelerator; did you mean 'num_accelerators'?\n"
        "line 17: unknown key code_source.snapshot.git.comit; did you mean 'commit'?",
        "revision": session.reported("all")["revision"],
    }


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("", "is empty; a run config is a YAML mapping"),
        ("- a\n", "is a list; a run config is a YAML mapping"),
        (f"{MINIMAL}# {'x' * (1 << 20)}\n", "is larger than 1048576 bytes"),
        ("experiment_name: [\n", "is not YAML"),
    ],
    ids=["empty", "list", "large", "broken"],
)
def test_what_can_not_be_read_ends_with_2_and_one_line(project: Project, text: str, reported: str) -> None:
    project.write(RUN_CONFIG_NAME, text)
    result = project.pytest("--metaopt-run-config", RUN_CONFIG_NAME)
    assert result.ret == 2
    assert reported in result.stdout.str()
    assert "Traceback" not in result.stdout.str()


def test_deprecated_values_are_reported_and_do_not_block(project: Project) -> None:
    project.write("runs/r.txt", "torch\n")
    session = preflight(
        project,
        {
            "path": environment(dependencies="r.txt"),
            "remote": snapshot(git={"commit": "HEAD", "remote": "origin"}),
            "no_remote": snapshot(git={"commit": "HEAD", "remote": False}),
        },
        "-k",
        "not revision and not uncommitted",
    )
    assert session.ret == 0
    assert session.words("path", "warning") == session.words("remote", "warning") == {"deprecated"}
    assert session.reported("path")["deprecated"].startswith(
        "7: environment.dependencies is the path of a req"
    )
    assert (
        "code_source.snapshot.git.remote is no longer supported" in session.reported("remote")["deprecated"]
    )
    assert session.words("no_remote", "warning") == set()


# -- values stay values ----------------------------------------------------------------------------


def test_a_value_that_looks_like_a_command_is_never_run_and_no_secret_is_shown(project: Project) -> None:
    trap = project.path / "trap"
    nasty = f"; touch {trap} #"
    secret = "hunter22-is-the-password"
    text = yaml.safe_dump(
        {
            "experiment_name": nasty,
            "command": f"touch {trap}",
            "compute": {"accelerator_type": f"$(touch {trap})", "num_accelerators": nasty},
            "environment": {"dependencies": [nasty, f"-r $(touch {trap})"], "version": nasty},
            "env_variables": {"API": secret, nasty: nasty, "N": 1},
            "secrets": {"TOKEN": secret, nasty: nasty},
            "idempotency_token": secret * 4,
            "code_source": {
                "type": nasty,
                "snapshot": {
                    "root_path": f"`touch {trap}`",
                    "include_paths": [nasty],
                    "git": {"branch": f"--upload-pack=touch {trap}"},
                },
            },
            nasty: nasty,
        }
    )
    pinned = [
        snapshot(git={"branch": f"--exec=touch{trap}"}),
        snapshot(git={"commit": f"--git-dir=$(touch {trap})"}, include_paths=[f"--help;touch {trap}"[:200]]),
    ]
    session = preflight(
        project, {"nasty": text, "branch": pinned[0], "commit": pinned[1]}, "-v", "-rA", "--junitxml=j.xml"
    )
    assert session.ret == 1
    assert not trap.exists()
    done = project.command("plan", "runs/nasty.yaml")
    assert done.returncode == 1
    reports = session.result.stdout.str() + (project.path / "j.xml").read_text() + done.stderr
    assert secret not in reports + (project.path / "r.json").read_text()
    assert "Traceback" not in reports
    assert not trap.exists()


# -- what only this machine knows ---------------------------------------------------------------


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=n", "-c", "user.email=e@mail.test", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.usefixtures("home")
def test_local_facts_that_hold_and_that_do_not(project: Project, git: str) -> None:
    code = project.path / "code"
    project.write("code/train.py", "x\n")
    project.write("code/data/a.txt", "x\n")
    run_git(code, "init", "-q", "-b", "main")
    run_git(code, "add", ".")
    run_git(code, "commit", "-qm", "first")
    run_git(code, "branch", "feature/one")
    commit = run_git(code, "rev-parse", "HEAD")
    run_git(code, "update-ref", "refs/remotes/origin/fetched", commit)
    project.write("code/new.py", "x\n")
    project.write("runs/reqs.txt", "torch\n")
    code_path, plain = "../code", project.path.parent / "plain"
    plain.mkdir()
    session = preflight(
        project,
        {
            "branch": snapshot(
                root_path=code_path, git={"branch": "main"}, include_paths=["train.py", "data"]
            ),
            "below": snapshot(root_path=f"{code_path}/data", git={"branch": "feature/one"}),
            "fetched": snapshot(root_path=str(code), git={"branch": "fetched"}, include_paths=["data"]),
            "commit": snapshot(root_path=code_path, git={"commit": commit[:10]}),
            "no_branch": snapshot(root_path=code_path, git={"branch": "mian"}),
            "half_branch": snapshot(root_path=code_path, git={"branch": "feature"}),
            "no_commit": snapshot(root_path=code_path, git={"commit": "0" * 40}),
            "no_repository": snapshot(root_path=str(plain), git={"branch": "main"}),
            "no_root": snapshot(root_path="nowhere", git={"branch": "main"}, include_paths=["a"]),
            "root_file": snapshot(root_path="../code/train.py"),
            "no_include": snapshot(root_path=code_path, include_paths=["train.py", "tests"]),
            "packages": environment(
                dependencies=[
                    "torch>=2,<3",
                    "a[b]; python_version>'3'",
                    "x @ https://h.test/x.whl",
                    "-r reqs.txt",
                ]
            ),
            "no_package": environment(dependencies=["torch", "torch=2.3", NASTY, "-r nowhere.txt"]),
            "remote_file": environment(dependencies=["/Volumes/a/x.whl", "-r /Workspace/r.txt"]),
        },
        "--tb=short",
    )
    for name in ("branch", "below", "fetched", "packages", "remote_file"):
        assert session.reported(name) == {}, name
    at = "code_source.snapshot"
    assert session.reported("commit") == {"uncommitted": f"11: {at}.git.commit: not committed: new.py"}
    assert session.words("commit", "warning") == {"uncommitted"}
    assert session.reported("no_branch") == {
        "revision": f"11: {at}.git.branch: the repository has no branch mian; did you mean 'main'?"
    }
    assert session.reported("half_branch")["revision"].startswith(
        f"11: {at}.git.branch: the repository has no branch feature"
    )
    assert session.reported("no_commit") == {
        "revision": f"11: {at}.git.commit: the repository has no commit {'0' * 40}"
    }
    assert session.reported("no_repository")["revision"].startswith(
        f"11: {at}.git.branch: could not run git in root_path: not a git repository"
    )
    assert session.reported("no_root") == {"root_path": f"9: {at}.root_path: nowhere does not exist"}
    assert session.words("no_root", "skipped") == {"include_paths", "revision", "uncommitted"}
    assert session.reported("root_file")["root_path"].endswith("is not a directory")
    assert session.reported("no_include") == {
        "include_paths": f"12: {at}.include_paths.1: tests not found in root_path"
    }
    found = session.reported("no_package")
    assert set(found) == {"requirements", "requirements_file"}
    assert (
        "line 9: environment.dependencies.1: torch=2.3 is not a requirement: expected"
        in found["requirements"]
    )
    assert f"line 10: environment.dependencies.2: {NASTY} is not a requirement: " in found["requirements"]
    assert found["requirements_file"] == (
        "11: environment.dependencies.3: nowhere.txt: no such file; check the path"
    )


run_git = git


@pytest.mark.usefixtures("home")
def test_git_runs_no_program_that_the_repository_names(project: Project, git: str) -> None:
    code, trap = project.path / "code", project.path / "trap"
    project.write("code/a.py", "x\n")
    run_git(code, "init", "-q", "-b", "main")
    run_git(code, "add", ".")
    run_git(code, "commit", "-qm", "first")
    run_git(code, "config", "core.fsmonitor", f"touch {trap}; false")
    run_git(code, "config", "core.pager", f"touch {trap}; cat")
    session = preflight(project, {"x": snapshot(root_path="../code", git={"branch": "main"})})
    assert session.ret == 0
    assert session.words("x", "passed") >= {"revision", "uncommitted"}
    assert not trap.exists()


# -- how run configs are named ---------------------------------------------------------------------


def test_paths_patterns_and_plain_paths_name_run_configs(project: Project) -> None:
    for name in ("a", "b", "deep/c"):
        project.write(f"runs/{name}.yaml", MINIMAL)
    project.write("one.yaml", MINIMAL)

    def collected(*arguments: str) -> int:
        return project.pytest(*arguments, "--collect-only", "-q").stdout.str().count("::run_config[")

    option = "--metaopt-run-config"
    assert collected(option, "runs/*.yaml", option, "one.yaml") == 12
    assert collected(option, "runs/**/*.yaml", option, "runs/a.yaml") == 12
    assert collected("one.yaml") == 4  # by its experiment_name
    assert collected("one.yaml::run_config[compute]") == 1
    for value, reported in [
        ("no/*.yaml", "*no/[*].yaml: no file matches; check --metaopt-run-config"),
        ("onn.yaml", "*onn.yaml: no such run config file; did you mean 'one.yaml'?"),
    ]:
        result = project.pytest(option, value)
        assert result.ret == 2
        result.stderr.fnmatch_lines([f"ERROR: {reported}"])


def test_a_run_config_is_a_campaigns_companion(project: Project) -> None:
    project.campaign.write_text(f"{CAMPAIGN}preflight:\n  run_config: {RUN_CONFIG_NAME}\n")
    project.write(RUN_CONFIG_NAME, MINIMAL)
    assert project.preflight("-q").ret == 0
    assert {check["document"] for check in project.artifact()["checks"]} == {CAMPAIGN_NAME, RUN_CONFIG_NAME}
    project.write(RUN_CONFIG_NAME, WRONG)
    assert project.preflight("-q", "--tb=no").ret == 1
    artifact = project.artifact()
    assert artifact["status"] == "FAILED"
    assert [failure["check_id"] for failure in artifact["failures"]] == [
        "experiment_name",
        "compute",
        "secrets",
        "unknown_keys",
    ]


def test_pydantic_is_imported_for_documents_only(project: Project) -> None:
    project.write(
        "conftest.py",
        "import sys\ndef pytest_unconfigure():\n    print('pydantic:', 'pydantic' in sys.modules)\n",
    )
    project.write(RUN_CONFIG_NAME, MINIMAL)
    project.write("test_own.py", "def test_own(): pass\n")
    for arguments, reported in [
        (["test_own.py"], "False"),
        (["--metaopt-campaign", CAMPAIGN_NAME], "True"),
        (["--metaopt-run-config", RUN_CONFIG_NAME], "True"),
    ]:
        result = project.process("-p", "no:cacheprovider", "-s", *arguments)
        assert f"pydantic: {reported}" in result.stdout.str(), arguments


def test_checks_and_probes_of_a_projects_own_take_the_run_config(project: Project) -> None:
    project.write(
        "conftest.py",
        """
from pytest_metaopt import check, probe

@probe("kinds")
def kinds(run_config):
    return run_config.get("compute.accelerator_type")

@check("small", group="own", document="run_config")
def small(run_config, kinds):
    assert run_config.model.compute.num_accelerators == 1 and kinds == "GPU_1xH100"
""",
    )
    project.write(RUN_CONFIG_NAME, MINIMAL)
    result = project.pytest("--metaopt-run-config", RUN_CONFIG_NAME)
    assert result.ret == 0
    result.assert_outcomes(passed=5)


# -- overrides -------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [[], pytest.param(["-n", "1"], marks=pytest.mark.soak)])
def test_overrides_are_reported_in_the_header_and_are_what_is_looked_at(
    project: Project, workers: list[str]
) -> None:
    project.write(RUN_CONFIG_NAME, compute("GPU_8xH100", 16))
    override = "--metaopt-override"
    result = project.pytest(
        "--metaopt-run-config",
        RUN_CONFIG_NAME,
        *workers,
        *(override, "compute.num_accelerators=8", override, "compute.num_accelerators=3"),
        *(override, "env_variables.PASSWORD=hunter22", override, "parameters.lr=1.0e-3"),
        *(override, "parameters.api_key=hunter22", override, f"parameters.x={NASTY}"),
        *(override, "secrets={A: hunter22}", override, "max_retries="),
    )
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "metaopt: train.yaml",
            "metaopt: override compute.num_accelerators: 16 → 3",
            "metaopt: override env_variables.PASSWORD: (not given) → (not shown)",
            "metaopt: override parameters.lr: (not given) → 0.001",
            "metaopt: override parameters.api_key: (not given) → (not shown)",
            f"metaopt: override parameters.x: (not given) → {NASTY}",
            "metaopt: override secrets: (not given) → (a mapping)",
            "metaopt: override max_retries: (not given) → null",
        ]
    )
    flat = " ".join(result.stdout.str().split())
    assert (
        "compute.num_accelerators is 3; expected a multiple of 8, as a GPU_8xH100 node has 8 (from --m"
        in flat
    )
    assert "max_retries is empty (null)" in flat
    assert "hunter22" not in flat
    assert (project.path / RUN_CONFIG_NAME).read_text() == compute("GPU_8xH100", 16)


def test_overrides_that_lead_nowhere_are_refused_with_what_there_is(project: Project) -> None:
    project.write(RUN_CONFIG_NAME, config(compute="x"))
    for value, status, reported in [
        (
            "compute.num_acelerators=2",
            4,
            "compute has accelerator_type and num_accelerators; did you mean 'num_accelerators'?",
        ),
        ("priority=1", 4, "unknown key priority; a run config has experiment_name, compute, command,"),
        ("max_retries.x=1", 4, "max_retries has no fields; override it as a whole"),
        ("permissions.0.level=x", 4, "permissions has no fields; override it as a whole"),
        ("env_variables.a.b=1", 4, "env_variables has no fields"),
        ("compute", 4, "compute is not a KEY=VALUE, such as compute.num_accelerators=2"),
        ("compute..x=1", 4, "is not a KEY=VALUE"),
        ("command=[", 4, "the value of command is not YAML; quote it"),
        (
            "compute.num_accelerators=2",
            2,
            "compute is a string, so compute.num_accelerators cannot be overridden",
        ),
    ]:
        result = project.pytest("--metaopt-run-config", RUN_CONFIG_NAME, "--metaopt-override", value)
        flat = " ".join((result.stdout.str() + result.stderr.str()).split())
        assert (result.ret, reported in flat) == (status, True), (value, flat)
        assert "Traceback" not in flat
    result = project.preflight("--metaopt-override", "max_retries=1")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: --metaopt-override is for run configs; name one with *"])


# -- the plan --------------------------------------------------------------------------------------


def test_the_plan_tells_files_sizes_nodes_timeout_and_retries(project: Project) -> None:
    path = project.write(RUN_CONFIG_NAME, FULL)
    before = project.tree()
    done = project.command("plan", RUN_CONFIG_NAME)
    assert (done.returncode, done.stderr) == (0, "")
    rows = {line.split()[0]: line.split(maxsplit=2)[1:] for line in done.stdout.splitlines() if line}
    command = load_run_config(path).data["command"]
    assert rows["training_config.yaml"] == [str(len(FULL)), RUN_CONFIG_NAME]
    assert rows["command.sh"] == [str(len(command)), "2 lines"]
    assert rows["hyperparameters.yaml"] == [str(len("lr: 0.001\nepochs: 3\n")), "lr and epochs"]
    assert rows["env_vars.json"] == [
        str(len(json.dumps({"WANDB_PROJECT": "demo"}, indent=2))),
        "WANDB_PROJECT",
    ]
    assert rows["secret_env_vars.json"][1] == "HF_TOKEN from my_scope/hf_token"
    assert "demo" not in done.stdout
    assert "nodes:      2 (num_accelerators 16, 8 per node of GPU_8xH100)" in done.stdout
    assert "timeout:    7200 s\n" in done.stdout
    assert "retries:    2\n" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert project.tree() == before
    project.write(RUN_CONFIG_NAME, MINIMAL)
    done = project.command("plan", RUN_CONFIG_NAME, "--override", "compute.num_accelerators=3")
    assert "nodes:      3 (" in done.stdout
    assert "retries:    3\n" in done.stdout
    assert "timeout:    none given\n" in done.stdout
    assert "override:   compute.num_accelerators: 1 → 3\n" in done.stdout
    assert "env_vars.json" not in done.stdout


def test_a_plan_of_what_is_wrong_or_not_there_is_refused(project: Project) -> None:
    project.write(RUN_CONFIG_NAME, WRONG)
    done = project.command("plan", RUN_CONFIG_NAME)
    assert (done.returncode, done.stdout) == (1, "")
    assert [line.split(": ")[1] for line in done.stderr.splitlines()] == [
        f"{RUN_CONFIG_NAME}:{place}" for place in ("2:18", "4:59", "5:21", "6:11")
    ]
    for arguments in (["plan", "nowhere.yaml"], ["plan", RUN_CONFIG_NAME, "--override", "x=1"], ["plan"]):
        done = project.command(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert "Traceback" not in done.stderr
    assert "jobs, plan;" in project.command("--help").stdout


# -- the schema ------------------------------------------------------------------------------------


def test_the_schema_says_what_the_checks_say(project: Project) -> None:
    if importlib.util.find_spec("check_jsonschema") is None:
        pytest.skip("check-jsonschema is not installed")
    done = project.command("schema", "run_config")
    assert (done.returncode, done.stderr) == (0, "")
    schema = project.write("s.json", done.stdout)
    command = [sys.executable, "-m", "check_jsonschema"]
    good = [
        str(project.write(f"good/{name}.yaml", text)) for name, text in GOOD.items() if name != "parameters"
    ]
    assert subprocess.run([*command, "--check-metaschema", str(schema)], capture_output=True).returncode == 0
    checked = subprocess.run([*command, "--schemafile", str(schema), *good], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    bad = [
        project.write(f"bad/{name}.yaml", text)
        for name, (text, _, _) in BAD.items()
        if name not in NOT_IN_JSON
    ]
    checked = subprocess.run(
        [*command, "--schemafile", str(schema), *map(str, bad)], capture_output=True, text=True
    )
    assert checked.returncode == 1
    assert [path.name for path in bad if f"{path.name}::" not in checked.stdout] == []
    found = json.loads(done.stdout)
    assert all(value.get("description") or "$ref" in value for value in found["properties"].values())


# -- many documents in one session -------------------------------------------------------------------


def test_fixtures_that_documents_share_the_look_up_of_are_each_folder_s_own(project: Project) -> None:
    project.write(
        "conftest.py",
        """
import pytest
from pytest_metaopt import check

@pytest.fixture
def place(run_config):
    return "outer"

@check("own", group="run_config", document="run_config")
def own(run_config, place, request):
    assert request.node.path == run_config.path
    assert place == ("inner" if run_config.path.parent.name == "inner" else "outer")
    assert request.fixturenames.count("extra") == (run_config.path.stem == "extended")
    assert request.fixturenames.count("marked") == (run_config.path.stem == "marked")

@pytest.fixture
def extra():
    pass

@pytest.fixture
def marked():
    pass

def pytest_collectstart(collector):
    if collector.path.stem == "marked" and isinstance(collector, pytest.File):
        collector.add_marker(pytest.mark.usefixtures("marked"))

def pytest_itemcollected(item):
    if item.path.stem == "extended":
        item.fixturenames.append("extra")
""",
    )
    project.write(
        "runs/inner/conftest.py", "import pytest\n\n@pytest.fixture\ndef place(place):\n    return 'inner'\n"
    )
    for name in ("a", "extended", "marked", "z", "inner/a", "inner/b"):
        project.write(f"runs/{name}.yaml", MINIMAL)
    option = "--metaopt-run-config"
    result = project.pytest(option, "runs/*.yaml", option, "runs/inner/*.yaml")
    result.assert_outcomes(passed=6 * 5)


def test_fixture_of_a_project_takes_the_place_of_the_document_s_in_its_folder_only(project: Project) -> None:
    project.write("outer.yaml", MINIMAL)
    project.write("inner/inner.yaml", MINIMAL)
    project.write(
        "inner/conftest.py",
        "import pytest\n\n@pytest.fixture\ndef run_config(run_config):\n    return 'theirs'\n",
    )
    result = project.pytest("--metaopt-run-config", "outer.yaml", "--metaopt-run-config", "inner/inner.yaml")
    result.assert_outcomes(passed=4, failed=4)
    assert "overrides our fixture 'run_config'" in " ".join(result.stdout.str().split())


def test_setup_show_names_the_document_s_fixture(project: Project) -> None:
    project.write("train.yaml", MINIMAL)
    result = project.pytest("--metaopt-run-config", "train.yaml", "--setup-show")
    result.stdout.fnmatch_lines(["*SETUP    M run_config*"])
