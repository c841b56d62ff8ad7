"""The checks of a training manifest and of its jobs, through pytest: exit code, messages, reports."""

from __future__ import annotations

import json
import time
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from _pytest.pytester import RunResult

from tests.support.manifests import MANIFEST_NAME, MODELS, SAMPLE, SAMPLE_IDS, mixed
from tests.support.project import Project

JOB_CHECKS = ["valid", "unique", "model_known", "placeable", "fits_host"]

HEAD = "schema_version = 1\n"


class Session:
    """A session over one manifest: how each item came out, and what it said."""

    def __init__(self, result: RunResult, report: dict[str, Any]) -> None:
        self.result = result
        self.ret = result.ret
        self.report = report
        self.items = {test["nodeid"].split("::")[1]: test["metadata"]["metaopt"] for test in report["tests"]}

    def reported(self) -> dict[str, str]:
        """What failed items and advice say, with the line; findings apart by newlines."""
        return {
            name: f"{item['line']}: {item['message']}"
            for name, item in self.items.items()
            if item["outcome"] in {"failed", "warning"}
        }

    def words(self, word: str) -> set[str]:
        return {name for name, item in self.items.items() if item["outcome"] == word}


def preflight(project: Project, text: str, *arguments: str) -> Session:
    project.write(MANIFEST_NAME, text)
    result = project.pytest(
        "--metaopt-manifest", MANIFEST_NAME, "-q", "--json-report", "--json-report-file=r.json", *arguments
    )
    return Session(result, json.loads((project.path / "r.json").read_text()))


def job(name: str = "x", model: str = "gbt", *lines: str) -> str:
    return "\n".join(["[[jobs]]", f'name = "{name}"', f'model = "{model}"', "min_ram_gib = 0.1", *lines, ""])


# -- the items -------------------------------------------------------------------------------------


def test_fourteen_jobs_of_a_mixed_manifest_are_green(project: Project) -> None:
    session = preflight(project, mixed(14))
    assert session.ret == 0
    names = [f"job-{number}" for number in range(14)]
    expected = ["manifest[schema]", "manifest[hosts]"]
    expected += [f"job[{check}-{name}]" for check in JOB_CHECKS for name in names]
    assert [test["nodeid"] for test in session.report["tests"]] == [
        f"{MANIFEST_NAME}::{item}" for item in expected
    ]
    assert session.words("passed") == set(expected)
    session.result.stdout.fnmatch_lines([f"{MANIFEST_NAME}: READY (72 checks: 72 passed)"])
    assert not project.artifact_path.exists()


def test_sample_of_the_contract_with_job_ids_and_host_in_every_report(project: Project) -> None:
    session = preflight(
        project, SAMPLE.replace("min_vram_gib = 10", "min_vram_gib = 900000"), "-v", "--junitxml=j.xml"
    )
    assert session.ret == 0
    assert session.reported() == {
        "manifest[hosts]": "7: train_hosts names the host gpu-02, which the manifest does not define",
        "job[fits_host-tr-oracle]": session.reported()["job[fits_host-tr-oracle]"],
    }
    assert session.reported()["job[fits_host-tr-oracle]"].startswith("20: jobs[1] (tr-oracle): this host, ")
    assert "of 900000 GiB)" in session.reported()["job[fits_host-tr-oracle]"]
    assert {item["job_id"] for item in session.items.values() if item["subject"] == "tr-oracle"} == {
        SAMPLE_IDS[1]
    }
    assert "job_id" not in session.items["manifest[schema]"]
    cases = {case.get("name"): case for case in ET.parse(project.path / "j.xml").iter("testcase")}
    found = [
        p.get("value")
        for p in cases["job[valid-gbt-realistic]"].iter("property")
        if p.get("name") == "job_id"
    ]
    assert found == [SAMPLE_IDS[0]]
    host = session.report["host"]
    assert host["cores"] >= 1
    assert set(host) >= {"hostname", "ram_gib", "cuda", "vram_gib", "gpus", "torch", "git_commit"}
    session.result.stdout.fnmatch_lines(
        [
            f"metaopt: {MANIFEST_NAME}",
            f"metaopt: host {host['hostname']}: {host['cores']} core*, * RAM, *torch *",
        ]
    )


def test_one_item_can_be_named_and_a_plain_path_will_do(project: Project) -> None:
    project.write("fleet.toml", SAMPLE)
    result = project.pytest("fleet.toml::job[unique-tr-oracle]", "-v")
    result.assert_outcomes(passed=1)
    assert project.pytest("fleet.toml", "--collect-only", "-q").stdout.str().count("fleet.toml::") == 12
    project.write("other.toml", "[tool]\nx = 1\n")
    assert project.pytest("other.toml").ret == 4  # no document, so nobody collects it


def test_malformed_manifest_ends_with_2_and_one_line_that_says_where(project: Project) -> None:
    project.write(MANIFEST_NAME, "schema_version = 1\n[[jobs]\n")
    result = project.pytest("--metaopt-manifest", MANIFEST_NAME)
    assert result.ret == 2
    result.stdout.fnmatch_lines([f"*{MANIFEST_NAME}:2:7: is not TOML: *"])
    assert "Traceback" not in result.stdout.str()
    result = project.pytest("--metaopt-manifest", "training_manifests.toml")
    assert result.ret == 2
    result.stderr.fnmatch_lines(
        ["ERROR: *training_manifests.toml: no such manifest file; did you mean 'training_manifest.toml'?"]
    )


# -- each rule has a failing example ---------------------------------------------------------------


def test_what_is_wrong_is_reported_all_at_once_with_index_name_and_line(project: Project) -> None:
    text = (
        'schema_version = 2\nhosts.pi = "x"\n'
        + job("a", "gbt", "sede = 3", 'seed = "3"')
        + '[[jobs]]\nmodel = ""\n'
    )
    session = preflight(project, text)
    assert session.ret == 1
    assert session.reported() == {
        "manifest[schema]": "1: schema_version is 2; expected 1",
        "manifest[hosts]": "2: hosts.pi is a string; expected a table [hosts.pi]",
        "job[valid-a]": "7: 2 problems\n"
        "line 7: jobs[0] (a): unknown key sede\n"
        "line 8: jobs[0] (a): seed is a string (remove the quotes); expected an integer",
        "job[valid-#1]": "9: 2 problems\n"
        "line 9: jobs[1]: name is missing; expected a string that is not blank\n"
        "line 10: jobs[1]: model is an empty string; expected a string that is not blank",
    }
    assert session.words("skipped") == {
        "job[unique-a]",
        "job[unique-#1]",
        "job[model_known-#1]",
        "job[placeable-a]",
        "job[placeable-#1]",
    }
    session.result.stdout.fnmatch_lines([f"{MANIFEST_NAME}:8:1: jobs?0? (a): seed is a string *"])


def test_jobs_of_one_id_fail_and_jobs_of_one_name_are_advised(project: Project) -> None:
    session = preflight(
        project, HEAD + job("a") + job("b", "gbt", "priority = 5") + job("a", "knn") + job("a-2", "mlp")
    )
    assert session.ret == 1
    ids = {name: item["job_id"] for name, item in session.items.items() if name.startswith("job[unique")}
    assert list(ids) == [f"job[unique-{name}]" for name in ("a", "b", "a-3", "a-2")]
    assert session.reported() == {
        "job[unique-a]": f"2: jobs[0] (a) has the job_id {ids['job[unique-a]']} of jobs[1] (b)",
        "job[unique-b]": f"6: jobs[1] (b) has the job_id {ids['job[unique-a]']} of jobs[0] (a)",
        "job[unique-a-3]": "12: jobs[2] (a) has the name of jobs[0] (a)",
    }
    assert session.items["job[unique-a]"]["outcome"] == "failed"
    assert "differ in hyper" in session.items["job[unique-a]"]["remediation"]
    assert session.items["job[unique-a-3]"]["outcome"] == "warning"
    other = preflight(project, HEAD + job("a") + job("a", "knn"))
    assert other.ret == 0
    assert other.words("warning") == {"job[unique-a]", "job[unique-a-2]"}


def test_a_job_that_no_host_may_run_is_blocking_and_says_why(project: Project) -> None:
    hosts = (
        '[hosts.one]\ndeny_jobs = ["gbt"]\n[hosts.two]\nallow_jobs = ["knn"]\n'
        '[hosts.three]\n[hosts.four]\nallow_jobs = ["gbt"]\ndeny_jobs = ["gbt"]\n'
    )
    jobs = [
        job("policy", "gbt", 'denied_hosts = ["three"]'),
        job("allowed", "knn", 'allowed_hosts = ["four", "five"]', "seed = 2"),
        job("fine", "knn", 'allowed_hosts = ["two"]'),
        job("free", "mlp"),
    ]
    session = preflight(project, HEAD + hosts + "".join(jobs))
    assert session.ret == 1
    assert session.reported() == {
        "manifest[hosts]": "19: allowed_hosts names the host five, which the manifest does not define",
        "job[placeable-policy]": "10: jobs[0] (policy): no host may run it: one denies gbt;"
        " two does not allow gbt; three is in denied_hosts; and 1 more",
        "job[placeable-allowed]": session.reported()["job[placeable-allowed]"],
    }
    assert "one is not in allowed_hosts" in session.reported()["job[placeable-allowed]"]
    assert session.words("warning") == {"manifest[hosts]"}
    none = preflight(
        project, HEAD + job("any") + job("nowhere", "knn", 'allowed_hosts = ["a"]', 'denied_hosts = ["a"]')
    )
    assert none.ret == 1
    assert none.reported()["job[placeable-nowhere]"] == (
        "11: jobs[1] (nowhere): no host may run it: denied_hosts names all of allowed_hosts"
    )
    assert none.words("skipped") == {"job[placeable-any]"}


def test_what_this_host_is_short_of_is_advice(project: Project) -> None:
    session = preflight(project, HEAD + job("big", "gbt", "min_cores = 999999", "min_vram_gib = 999999"))
    assert session.ret == 0
    reported = session.reported()["job[fits_host-big]"]
    assert " lacks cores (" in reported
    assert "of 999999) and VRAM (" in reported
    assert session.words("warning") == {"job[fits_host-big]"}
    blocking = preflight(
        project, HEAD + job("big", "gbt", "min_cores = 999999"), "-o", "metaopt_blocking=fits_host"
    )
    assert blocking.ret == 1


# -- models ----------------------------------------------------------------------------------------


def test_models_of_contract_ini_list_and_registry_and_who_is_behind(project: Project) -> None:
    every = HEAD + "".join(job(model, model) for model in MODELS)
    assert preflight(project, every).ret == 0
    session = preflight(project, HEAD + job("a", "knn_semy") + job("b", "mamba"))
    assert session.ret == 1
    unknown = "is not in the plugin's own list of models, which is older than the manifest"
    assert session.reported() == {
        "job[model_known-a]": f"4: jobs[0] (a): the model knn_semy {unknown}; did you mean 'knn_semi'?",
        "job[model_known-b]": f"8: jobs[1] (b): the model mamba {unknown}",
    }
    listed = preflight(project, HEAD + job("a", "tcn") + job("b"), "-o", "metaopt_models=tcn,mamba")
    assert listed.ret == 1
    assert set(listed.reported()) == {"job[model_known-b]"}
    assert (
        "not in the ini key metaopt_models, which is older than the manifest"
        in listed.reported()["job[model_known-b]"]
    )

    project.write("fleet/models.py", "print('hello')\nREGISTRY = {'tcn': object(), 'knn_semi': object()}\n")
    found = preflight(
        project, HEAD + job("a", "tcn") + job("b"), "-o", "metaopt_model_registry=fleet.models:REGISTRY"
    )
    assert found.ret == 1
    assert set(found.reported()) == {"job[model_known-b]"}
    assert found.reported()["job[model_known-b]"].endswith(
        "the model gbt is not in the registry fleet.models:REGISTRY, which is older than the manifest"
    )
    assert "bring the training code up to date" in found.items["job[model_known-b]"]["remediation"]
    assert found.items["manifest[models]"]["outcome"] == "passed"
    assert "hello" not in found.result.stdout.str()

    both = project.pytest(
        "--metaopt-manifest", MANIFEST_NAME, "-o", "metaopt_models=a", "-o", "metaopt_model_registry=a:B"
    )
    assert both.ret == 4
    both.stderr.fnmatch_lines(
        ["ERROR: metaopt_models and metaopt_model_registry are both given; keep one of them"]
    )


BROKEN = {
    "sleeps": ("import time\ntime.sleep(60)\n", "its import timed out after 3 s"),
    "segfaults": ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", "was killed by SIGSEGV"),
    "missing": (
        "import torchx_that_is_not_there\n",
        "imports 'torchx_that_is_not_there', which is not installed here",
    ),
    "exits": ("raise SystemExit('no GPU')\n", "the import of registry_code raised SystemExit: no GPU"),
    "raises": ("1 / 0\n", "the import of registry_code raised ZeroDivisionError: division by zero"),
    "hard_exit": ("import os\nos._exit(3)\n", "its import ended with no answer (exit status 3)"),
    "number": ("REGISTRY = 3\n", "REGISTRY is a int; it has to be a mapping or iterable of names"),
    "objects": ("REGISTRY = [object()]\n", "REGISTRY has a object in it; it has to hold strings"),
    "empty": ("REGISTRY = {}\n", "REGISTRY is empty; is it filled by an import that is missing here?"),
    "endless": (
        "import itertools\nREGISTRY = map(str, itertools.count())\n",
        "REGISTRY yields more than 10000 names",
    ),
    "misspelt": ("REGISTRIES = {}\n", "registry_code has no 'REGISTRY'; did you mean 'REGISTRIES'?"),
}


@pytest.mark.parametrize("name", ["sleeps", "segfaults", "missing"])
def test_a_broken_registry_is_one_clear_failure_in_time(project: Project, name: str) -> None:
    source, expected = BROKEN[name]
    project.write("registry_code.py", f"print('noise ' * 1000)\n{source}")
    started = time.monotonic()
    session = preflight(
        project, mixed(3), "-o", "metaopt_model_registry=registry_code:REGISTRY", "--metaopt-timeout=3"
    )
    assert time.monotonic() - started < 30
    assert session.ret == 1
    assert session.words("failed") == {"manifest[models]"}
    assert session.reported()["manifest[models]"].startswith(
        "1: metaopt_model_registry = registry_code:REGISTRY: "
    )
    assert expected in session.reported()["manifest[models]"]
    assert session.words("skipped") == {f"job[model_known-job-{number}]" for number in range(3)}
    assert "noise" not in session.result.stdout.str()
    assert "Traceback" not in session.result.stdout.str()
    assert not (project.path / "__pycache__").exists() or not list(
        (project.path / "__pycache__").glob("registry*")
    )


# -- hyper -----------------------------------------------------------------------------------------

TRAINER = """\
import argparse

def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("not above 0")
    return value

def build_parser():
    print("noise")
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("-b", "--batch-size", type=positive)
    parser.add_argument("--lr", type=float, dest="learning_rate")
    parser.add_argument("--optim", choices=["adam", "sgd"])
    parser.add_argument("--amp", action="store_true")
    parser.add_argument("--betas", type=float, nargs=2)
    parser.add_argument("--note")
    sub = parser.add_subparsers()
    sub.add_parser("gru").add_argument("--layers", type=int)
    return parser
"""

HYPER = {
    "epochs = 80": None,
    'epochs = "80"': None,
    "epochs = 80.5": "hyper.epochs is 80.5; expected an integer",
    'epochs = "many"': "hyper.epochs is a string; expected an integer",
    "epochs = true": "hyper.epochs is true; expected an integer",
    "epochs = {a = 1}": "hyper.epochs is a table; expected an integer",
    "epochs = [1]": "hyper.epochs is a list; expected an integer",
    "epocs = 80": "hyper.epocs is unknown to trainer_code:build_parser; did you mean 'epochs'?",
    "batch_size = 8": None,
    "batch-size = 8": None,
    "batch_size = 0": "hyper.batch_size is 0 (not above 0); expected what positive takes",
    "lr = 3e-4": None,
    "learning_rate = 1": None,
    'lr = "fast"': "hyper.lr is a string; expected a number",
    'optim = "sgd"': None,
    'optim = "sdg"': "hyper.optim is not one of adam, sgd; did you mean 'sgd'?",
    "amp = true": None,
    "amp = 1": "hyper.amp is 1; it is a flag: expected true or false",
    "betas = [0.9, 0.99]": None,
    "betas = [0.9]": "hyper.betas is a list of 1; expected 2 of a number",
    'betas = [0.9, "x"]': "hyper.betas is a string; expected a number",
    "layers = 3": None,
    "help = true": "hyper.help is unknown to trainer_code:build_parser",
    'note = "x"': None,
    "note = 5": None,
    "note = false": "hyper.note is false; expected a string",
}


def hyper_manifest() -> str:
    return HEAD + "".join(job(f"j{n}", "gbt", f"hyper.{line}") for n, line in enumerate(HYPER))


def test_the_trainers_own_parser_is_queried_for_every_key_and_value(project: Project) -> None:
    project.write("trainer_code.py", TRAINER)
    session = preflight(project, hyper_manifest(), "-o", "metaopt_trainer=trainer_code:build_parser")
    assert session.ret == 1
    reported = session.reported()
    expected = {
        f"job[hyper_known-j{n}]": f"{6 + 5 * n}: jobs[{n}] (j{n}): {message}"
        for n, message in enumerate(HYPER.values())
        if message
    }
    assert {name: text for name, text in reported.items() if "hyper_known" in name} == expected
    assert session.items["manifest[trainer]"]["outcome"] == "passed"
    assert len([name for name in session.items if "hyper_known" in name]) == len(HYPER)
    assert not [
        name for name in preflight(project, hyper_manifest()).items if "hyper" in name or "trainer" in name
    ]


def test_several_keys_of_a_job_are_reported_at_once_and_a_script_is_queried_for_its_help(
    project: Project,
) -> None:
    project.write("scripts/train.py", TRAINER + "build_parser().parse_args()\n")
    text = HEAD + job("a", "gbt", 'hyper = {epocs = 1, optim = "adm", amp = "x", lr = [1, {}]}') + job("b")
    session = preflight(project, text, "-o", "metaopt_trainer=scripts/train.py")
    assert session.ret == 1
    assert session.reported() == {
        "job[hyper_known-a]": "6: 4 problems\n"
        "jobs[0] (a): hyper.epocs is unknown to scripts/train.py; did you mean 'epochs'?\n"
        "jobs[0] (a): hyper.optim is neither adam nor sgd; did you mean 'adam'?\n"
        "jobs[0] (a): hyper.amp is not a boolean; it is a flag: expected true or false\n"
        "jobs[0] (a): hyper.lr has a mapping in it, which no option takes"
    }


@pytest.mark.parametrize(
    ("source", "setting", "expected"),
    [
        ("def build_parser():\n    return 3\n", "trainer_code:build_parser", "build_parser returned a int;"),
        ("def build_parser():\n    raise OSError('x')\n", "trainer_code:build_parser", "raised OSError: x"),
        ("raise SystemExit('no')\n", "trainer_code.py", "--help: exit status 1: no"),
        ("", "nowhere.py", "file 'nowhere.py' not found in "),
    ],
)
def test_a_broken_trainer_is_one_clear_failure(
    project: Project, source: str, setting: str, expected: str
) -> None:
    project.write("trainer_code.py", source)
    session = preflight(project, hyper_manifest(), "-o", f"metaopt_trainer={setting}")
    assert session.ret == 1
    assert session.words("failed") == {"manifest[trainer]"}
    assert expected in session.reported()["manifest[trainer]"]


# -- where it is looked for, and whose readiness it is ---------------------------------------------


def test_auto_finds_it_in_the_project_root_or_says_where_it_looked(project: Project) -> None:
    (project.path / "deep").mkdir()
    project.pytester.chdir()
    result = project.pytest("--metaopt-manifest", "auto")
    assert result.ret == 2
    result.stderr.fnmatch_lines(
        [
            (
                f"ERROR: --metaopt-manifest auto: found neither */{MANIFEST_NAME}"
                f" nor {project.path}/{MANIFEST_NAME};*"
            )
        ]
    )
    project.write(MANIFEST_NAME, SAMPLE)
    result = project.pytest("--metaopt-manifest", "auto", "--rootdir", str(project.path))
    result.assert_outcomes(passed=10)
    assert result.ret == 0


def test_readiness_without_a_campaign_is_written_where_it_was_is_requested(project: Project) -> None:
    session = preflight(project, SAMPLE, "--metaopt-readiness=out/x.json")
    assert session.ret == 0
    artifact = json.loads((project.path / "out/x.json").read_text())
    assert artifact["status"] == "READY"
    assert {artifact[name] for name in ("campaign_id", "campaign_identity_hash", "runtime_config_hash")} == {
        None
    }
    assert artifact["checks_summary"]["total"] == 12
    assert session.report["readiness"]["artifact_path"] == str(project.path / "out/x.json")
    preflight(project, SAMPLE.replace('model = "gbt"', 'model = "gbd"'), "--metaopt-readiness=out/x.json")
    failed = json.loads((project.path / "out/x.json").read_text())
    assert failed["status"] == "FAILED"
    assert {failure["check_id"] for failure in failed["failures"]} == {"model_known-gbt-realistic"}
    assert not project.artifact_path.exists()
    part = preflight(project, SAMPLE, "--metaopt-readiness=out/y.json", "-k", "valid")
    assert part.ret == 0
    assert not (project.path / "out/y.json").exists()
    part.result.stdout.fnmatch_lines([f"{MANIFEST_NAME}: INCOMPLETE*"])


def test_a_mistake_in_every_job_is_reported_in_short(project: Project) -> None:
    project.write(MANIFEST_NAME, mixed(99).replace('"gbt"\nmode', '"gbd"\nmode').replace("hyper", "hypre"))
    result = project.pytest("--metaopt-manifest", MANIFEST_NAME, "--tb=no")
    assert result.ret == 1
    assert result.parseoutcomes()["failed"] == 99 + 11
    assert "     and 10 more\n" in result.stdout.str()


def test_checks_of_a_projects_own_take_job_manifest_and_capability(project: Project) -> None:
    project.write(
        "conftest.py",
        """
from pytest_metaopt import check, fail

def pytest_addoption(parser):
    parser.addini("fleet_limit", "jobs at most", default="")

@check("named", group="own", document="manifest", each="job")
def named(job, manifest, capability, known_models):
    assert job in manifest.jobs and capability.cores and job.model in known_models.names
    if job.index:
        fail("only one job", line=manifest.line(job.keys))

@check("limit", group="own", document="manifest", setting="fleet_limit")
def limit(manifest, pytestconfig):
    assert len(manifest.jobs) <= int(pytestconfig.getini("fleet_limit"))

@check("mixed_up", group="own", document="manifest")
def mixed_up(campaign):
    pass
""",
    )
    session = preflight(project, mixed(2), "--tb=short")
    assert session.ret == 1
    assert session.words("failed") == {"own[named-job-1]", "own[mixed_up]"}
    assert "the fixture 'campaign' is for checks of a campaign; this is one of a manifest" in str(
        session.items["own[mixed_up]"]["message"]
    )
    session = preflight(project, mixed(2), "-o", "fleet_limit=1")
    assert "own[limit]" in session.words("failed")


def test_settings_may_name_checks_of_a_kind_that_is_not_in_the_session(project: Project) -> None:
    project.write("pytest.ini", "[pytest]\nmetaopt_blocking = fits_host, idle_timeout\n")
    assert preflight(project, mixed(1)).ret == 0
    assert project.preflight("-q").ret == 0
    project.write("pytest.ini", "[pytest]\nmetaopt_blocking = fits_hots\n")
    result = project.preflight("-q")
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        ["ERROR: metaopt_blocking: unknown check 'fits_hots'; did you mean 'fits_host'?"]
    )
