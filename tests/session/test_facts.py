from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.project import CAMPAIGN, CAMPAIGN_NAME, Project

pytestmark = pytest.mark.usefixtures("repo_checks_only")

QUEUE = '''
import os
from pathlib import Path

import pytest
from pytest_metaopt import check, fail, probe


@probe("queue")
def queue(run, project_root):
    """How many jobs wait."""
    with open(project_root / "queried.txt", "a") as file:
        file.write(f"{os.environ.get('PYTEST_XDIST_WORKER', 'main')}\\n")
    return int(run(["cat", str(project_root / "queue.txt")]).stdout)


@pytest.fixture
def longest(queue):
    return queue * 2


@check("queue_is_short", group="cluster", remediation="Wait.")
def queue_is_short(queue):
    assert queue < 5, f"{queue} jobs wait"


@check("queue_is_even", group="cluster", severity="advisory", remediation="Submit one more.")
def queue_is_even(longest):
    assert longest % 4 == 0
'''


@pytest.fixture
def cluster(project: Project) -> Project:
    """A project with a probe of its own, and two checks that take its fact, one by way of a fixture."""
    project.write("conftest.py", QUEUE)
    project.write("queue.txt", "2")
    return project


def queried(project: Project) -> list[str]:
    path = project.path / "queried.txt"
    lines = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def outcomes(project: Project) -> dict[str, str]:
    return {check["id"]: check["outcome"] for check in project.artifact()["checks"]}


def test_a_conftest_declares_a_probe_and_checks_take_its_fact(cluster: Project) -> None:
    result = cluster.preflight("-v")
    assert result.ret == 0
    assert outcomes(cluster)["queue_is_short"] == outcomes(cluster)["queue_is_even"] == "passed"
    assert queried(cluster) == ["main"], "once, for both checks"
    cluster.write("queue.txt", "7")
    result = cluster.preflight()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*queue_is_short: 7 jobs wait*", "*fix: Wait.*"])


def test_a_fact_that_no_selected_check_takes_is_not_gathered(cluster: Project) -> None:
    cluster.preflight("-k", "R7")
    assert queried(cluster) == []
    cluster.preflight("-k", "even")
    assert queried(cluster) == ["main"], "taken by way of a fixture"
    for option in ("--collect-only", "--setup-plan", "--fixtures", "--metaopt-checks"):
        cluster.preflight(option)
    assert queried(cluster) == []


def test_no_worker_gathers_a_fact_twice(cluster: Project) -> None:
    assert cluster.preflight("-n", "2").ret == 0
    workers = queried(cluster)
    assert workers
    assert len(workers) == len(set(workers))


def test_a_fact_that_could_not_be_gathered_is_the_failure_of_its_checks(
    cluster: Project,
) -> None:
    cluster.write("queue.txt", "many")
    result = cluster.preflight("-v", "--junitxml=j.xml")
    assert result.ret == 1
    text = result.stdout.str()
    assert "cluster[queue_is_short] FAILED" in text
    assert "cluster[queue_is_even] ADVISORY" in text
    assert "Traceback" not in text
    (failure,) = cluster.artifact()["failures"]
    assert failure["message"] == "queue: ValueError: invalid literal for int() with base 10: 'many'"
    assert failure["remediation"] == "Wait."
    assert 'failures="1"' in (cluster.path / "j.xml").read_text()
    assert 'errors="0"' in (cluster.path / "j.xml").read_text()


def test_a_probe_that_hangs_fails_in_time(cluster: Project) -> None:
    conftest = QUEUE.replace('return int(run(["cat", str(', 'return int(run(["sleep", "100", str(')
    cluster.write("conftest.py", conftest)
    result = cluster.preflight("--metaopt-timeout=1", "-k", "queue or R1")
    assert result.ret == 1
    assert "queue: " in cluster.artifact()["failures"][0]["message"]
    cluster.write("conftest.py", QUEUE.replace("return int(", "import time; time.sleep(100); return int("))
    result = cluster.preflight("--metaopt-timeout=1", "-k", "queue or R1")
    assert cluster.artifact()["failures"][0]["message"] == "queue: timed out after 1 s"


def test_the_nearest_conftest_has_the_last_word_on_a_name(project: Project) -> None:
    declare = """
from pytest_metaopt import check, probe

@probe("place")
def place(campaign):
    return {name!r}
"""
    project.write(
        "conftest.py",
        declare.format(name="outer")
        + """
@check("place_is_reported", group="own")
def place_is_reported(place, campaign):
    assert place == campaign.path.parent.name
""",
    )
    arguments = []
    for name in ("outer", "inner"):
        project.write(f"{name}/.git/config", "")
        project.write(f"{name}/{CAMPAIGN_NAME}", CAMPAIGN)
        arguments.append(f"--metaopt-campaign={name}/{CAMPAIGN_NAME}")
    project.write("inner/conftest.py", declare.format(name="inner"))
    result = project.pytest(*arguments, "-k", "place_is_reported", "-v")
    result.assert_outcomes(passed=2)


def test_a_fixture_that_calls_fail_fails_the_check(project: Project) -> None:
    project.write(
        "conftest.py",
        """
import pytest
from pytest_metaopt import check, fail

@pytest.fixture
def bootstrap_licence(project_root):
    (project_root / "licence").write_text("yes")

@pytest.fixture
def licence(project_root):
    if not (project_root / "licence").exists():
        fail("there is no licence", remediation="Buy one.", line=3)

@check("licensed", group="own", bootstrap="bootstrap_licence")
def licensed(licence):
    pass

@check("licensed_for_long", group="own")
def licensed_for_long(licence):
    pass

@pytest.fixture
def clock():
    fail("no clock answers", advisory=True)

@check("in_time", group="own")
def in_time(clock):
    pass
""",
    )
    result = project.preflight("--metaopt-no-bootstrap", "-k", "own", "--metaopt-readiness=w.json")
    assert result.ret == 1
    reported = json.loads((project.path / "w.json").read_text())
    assert [failure["message"] for failure in reported["failures"]] == ["there is no licence"] * 2
    assert reported["failures"][0]["remediation"] == "Buy one."
    result = project.preflight("-k", "own", "--metaopt-readiness=w.json", "-v")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*own[[]licensed[]] BOOTSTRAPPED*", "*own[[]in_time[]] ADVISORY*"])


def test_mistakes_in_declaring_are_reported_with_their_place(project: Project) -> None:
    project.write(
        "conftest.py", "from pytest_metaopt import probe\n\n@probe('queue')\ndef queue(rum):\n    pass\n"
    )
    result = project.preflight()
    assert result.ret != 0
    text = result.stdout.str() + result.stderr.str()
    assert "it takes 'rum'" in text
    assert "did you mean 'run'?" in text
    assert not project.artifact_path.exists()


def test_a_fact_is_for_checks_only(cluster: Project) -> None:
    cluster.write("test_own.py", "def test_own(queue):\n    pass\n")
    for arguments in (("test_own.py",), ("test_own.py", "--metaopt-campaign", CAMPAIGN_NAME)):
        result = cluster.pytest(*arguments)
        result.stdout.fnmatch_lines(["*'queue' is gathered for the checks of pytest-metaopt only*"])


# -- secrets ----------------------------------------------------------------------------------

LEAKY = """
import logging
import os
import sys

import pytest
from pytest_metaopt import check, fail, not_applicable, probe

KEY = os.environ["WANDB_API_KEY"]


@probe("leak")
def leak(run):
    raise ValueError(f"the key is {KEY}")


@pytest.fixture
def broken():
    print("captured", KEY)
    raise RuntimeError(KEY)


@pytest.fixture
def bootstrap_leak():
    return f"wrote {KEY}"


@check("leaks_by_probe", group="own")
def by_probe(leak):
    pass

@check("leaks_by_fixture", group="own")
def by_fixture(broken):
    pass

@check("leaks_by_message", group="own", remediation=f"Use {KEY}.")
def by_message():
    fail(f"https://me:{KEY}@host.test/x and {KEY}")

@check("leaks_by_assertion", group="own")
def by_assertion():
    found = KEY
    assert found == "other"

@check("leaks_by_crash", group="own")
def by_crash():
    print("printed", KEY)
    print("printed", KEY, file=sys.stderr)
    logging.getLogger("own").warning("logged %s", KEY)
    open("/nowhere/" + KEY)

@check("leaks_by_reason", group="own")
def by_reason():
    not_applicable(f"since {KEY}")

@check("leaks_by_bootstrap", group="own", bootstrap="bootstrap_leak")
def by_bootstrap(tmp_path_factory):
    assert False, KEY
"""


@pytest.mark.parametrize(
    "style", [(), ("--tb=long", "--showlocals", "-vv"), ("-n", "1"), ("-rA", "--tb=short")]
)
def test_a_secret_of_the_environment_is_nowhere(
    project: Project, monkeypatch: pytest.MonkeyPatch, style: tuple[str, ...]
) -> None:
    key = "0123456789abcdef0123456789abcdef01234567"
    monkeypatch.setenv("WANDB_API_KEY", key)
    project.write("conftest.py", LEAKY)
    reports = ("--junitxml=j.xml", "-o", "junit_logging=all", "--json-report", "--json-report-file=r.json")
    result = project.preflight(*style, *reports)
    assert result.ret == 1
    assert len(project.artifact()["failures"]) == 6
    texts: dict[str, Any] = {
        "stdout": result.stdout.str(),
        "stderr": result.stderr.str(),
        "artifact": project.artifact_path.read_text(),
        "junit": (project.path / "j.xml").read_text(),
        "json": (project.path / "r.json").read_text(),
    }
    assert [name for name, text in texts.items() if key in text] == []
    assert all("***" in texts[name] for name in ("stdout", "artifact", "junit", "json"))


def test_a_secret_in_a_malformed_document_is_not_repeated(project: Project, tmp_path: Path) -> None:
    project.campaign.write_text("project:\n  repo: *https://me:s3cr3t-w0rd@host.test/x\n")
    result = project.preflight()
    assert result.ret == 2
    assert "s3cr3t-w0rd" not in result.stdout.str() + result.stderr.str()
