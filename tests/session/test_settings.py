from __future__ import annotations

import pytest

from tests.support.project import CAMPAIGN, CAMPAIGN_NAME, Project

pytestmark = pytest.mark.usefixtures("repo_checks_only")

INI_FILES = {
    "pytest.ini": "[pytest]\n{setting} = {ids}\n",
    "tox.ini": "[pytest]\n{setting} = {ids}\n",
    "setup.cfg": "[tool:pytest]\n{setting} = {ids}\n",
    "pyproject.toml": "[tool.pytest.ini_options]\n{setting} = '{ids}'\n",
}

OWN_CHECKS = """
from pytest_metaopt import check

@check("own_advisory", group="own", severity="advisory", remediation="Do this.")
def own_advisory():
    assert False, "never holds"
"""

needs_native_table = pytest.mark.skipif(
    pytest.version_tuple < (9,), reason="the native TOML table came with pytest 9"
)


def with_ini(project: Project, setting: str, ids: str) -> None:
    project.write("pytest.ini", INI_FILES["pytest.ini"].format(setting=setting, ids=ids))


def outcomes(project: Project) -> dict[str, tuple[str, str]]:
    """Severity and outcome of each check in the artifact, by id."""
    return {check["id"]: (check["severity"], check["outcome"]) for check in project.artifact()["checks"]}


def assert_r7_and_r9_are_demoted(project: Project) -> None:
    project.edit("python train.py --smoke", "''")
    project.edit("repo: .", "repo: ''")
    result = project.preflight("-v")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            f"{CAMPAIGN_NAME}::repo[[]R7[]] ADVISORY*",
            f"{CAMPAIGN_NAME}::repo[[]R8[]] PASSED*",
            f"{CAMPAIGN_NAME}::repo[[]R9[]] ADVISORY*",
        ]
    )
    assert project.artifact()["checks_summary"]["warnings"] == 2


@pytest.mark.parametrize("file", INI_FILES)
def test_ids_can_be_demoted_in_every_ini_file(project: Project, file: str) -> None:
    project.write(file, INI_FILES[file].format(setting="metaopt_advisory", ids="R7 R9"))
    assert_r7_and_r9_are_demoted(project)


def test_ids_can_be_a_list_in_pyproject(project: Project) -> None:
    project.write("pyproject.toml", "[tool.pytest.ini_options]\nmetaopt_advisory = ['R7', 'R9']\n")
    assert_r7_and_r9_are_demoted(project)


@needs_native_table
@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pyproject.toml", "[tool.pytest]\nmetaopt_advisory = ['R7', 'R9']\n"),
        ("pytest.toml", "[pytest]\nmetaopt_advisory = ['R7', 'R9']\n"),
    ],
    ids=["pyproject.toml", "pytest.toml"],
)
def test_ids_can_be_a_list_in_the_native_table(project: Project, file: str, text: str) -> None:
    project.write(file, text)
    assert_r7_and_r9_are_demoted(project)


@needs_native_table
def test_check_can_be_promoted_in_the_native_table(project: Project) -> None:
    project.write("conftest.py", OWN_CHECKS)
    project.write("pyproject.toml", "[tool.pytest]\nmetaopt_blocking = ['own_advisory']\n")
    assert project.preflight().ret == 1
    assert outcomes(project)["own_advisory"] == ("blocking", "failed")


@pytest.mark.parametrize("ids", ["R7, R9", "R7,R9", "\n    R7\n    R9"], ids=["comma", "only comma", "lines"])
def test_ids_may_be_separated_by_commas_or_lines(project: Project, ids: str) -> None:
    with_ini(project, "metaopt_advisory", ids)
    assert_r7_and_r9_are_demoted(project)


def test_setting_can_be_given_on_the_command_line(project: Project) -> None:
    project.edit("python train.py --smoke", "''")
    assert project.preflight("-o", "metaopt_advisory=R7").ret == 0
    assert outcomes(project)["R7"] == ("advisory", "warning")


def test_demoted_check_is_a_warning_and_no_failure(project: Project) -> None:
    with_ini(project, "metaopt_advisory", "R7")
    project.edit("python train.py --smoke", "''")
    result = project.preflight("-v")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            f"{CAMPAIGN_NAME}: READY (9 checks: 2 passed, 6 bootstrapped, 1 advisory)",
            "advisory (does not block):",
            "*R7: project.smoke_test_command is an empty string",
        ]
    )
    artifact = project.artifact()
    assert artifact["status"] == "READY"
    assert artifact["next_action"] == "proceed"
    assert artifact["failures"] == []
    assert artifact["checks_summary"] == {
        "total": 9,
        "passed": 2,
        "failed": 0,
        "bootstrapped": 6,
        "warnings": 1,
    }
    assert "warning: R7: project.smoke_test_command is an empty string" in artifact["diagnostics"]
    assert outcomes(project)["R7"] == ("advisory", "warning")


def test_promoted_check_is_a_failure_and_no_warning(project: Project) -> None:
    project.write("conftest.py", OWN_CHECKS)
    assert project.preflight("-q").ret == 0
    assert project.artifact()["checks_summary"]["warnings"] == 1
    with_ini(project, "metaopt_blocking", "own_advisory")
    result = project.preflight("-v")
    assert result.ret == 1
    result.stdout.fnmatch_lines([f"{CAMPAIGN_NAME}::own[[]own_advisory[]] FAILED*"])
    artifact = project.artifact()
    assert artifact["status"] == "FAILED"
    assert artifact["failures"] == [
        {
            "check_id": "own_advisory",
            "category": "own",
            "message": "never holds",
            "remediation": "Do this.",
        }
    ]
    assert artifact["checks_summary"]["failed"] == 1
    assert artifact["checks_summary"]["warnings"] == 0
    assert artifact["next_action"].startswith("Fix 1 failure(s): [own_advisory]")


def test_demoted_check_keeps_its_bootstrap(project: Project) -> None:
    with_ini(project, "metaopt_advisory", "R2")
    result = project.preflight("-v")
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"{CAMPAIGN_NAME}::repo[[]R2[]] BOOTSTRAPPED*"])
    assert outcomes(project)["R2"] == ("advisory", "bootstrapped")


def test_markers_follow_the_settings(project: Project) -> None:
    project.write("conftest.py", OWN_CHECKS)
    project.write("pytest.ini", "[pytest]\nmetaopt_advisory = R7\nmetaopt_blocking = own_advisory\n")
    advisory = project.preflight("--collect-only", "-q", "--strict-markers", "-m", "advisory")
    assert [line for line in advisory.outlines if "::" in line] == [f"{CAMPAIGN_NAME}::repo[R7]"]
    blocking = project.preflight("--collect-only", "-q", "-m", "metaopt and blocking and not advisory")
    assert [line for line in blocking.outlines if "::" in line] == [
        *(f"{CAMPAIGN_NAME}::repo[R{number}]" for number in (1, 2, 3, 4, 5, 6, 8, 9)),
        f"{CAMPAIGN_NAME}::own[own_advisory]",
    ]


def test_a_session_without_demoted_checks_is_complete(project: Project) -> None:
    with_ini(project, "metaopt_advisory", "R7")
    result = project.preflight("-m", "not advisory")
    assert result.ret == 0
    artifact = project.artifact()
    assert artifact["status"] == "READY"
    assert artifact["checks_summary"]["total"] == 8


@pytest.mark.parametrize("setting", ["metaopt_advisory", "metaopt_blocking"])
def test_unknown_id_is_a_usage_error_that_names_the_nearest(project: Project, setting: str) -> None:
    project.write("conftest.py", OWN_CHECKS)
    with_ini(project, setting, "r7 own_advisery zzz")
    result = project.preflight()
    assert result.ret == 4
    assert [line.removeprefix("ERROR: ") for line in result.errlines if line] == [
        f"{setting}: unknown check 'own_advisery'; did you mean 'own_advisory'?",
        f"{setting}: unknown check 'r7'; did you mean 'R7'?",
        f"{setting}: unknown check 'zzz'; see --metaopt-checks",
    ]
    result.stdout.no_fnmatch_line("*::*")
    assert not (project.path / ".ml-metaopt").exists()
    assert not (project.path / ".gitignore").exists()


def test_unknown_id_is_reported_once_with_workers_too(project: Project) -> None:
    with_ini(project, "metaopt_advisory", "r7")
    result = project.preflight("-n", "1")
    assert result.ret == 4
    reported = [line for line in (*result.errlines, *result.outlines) if "unknown check" in line]
    assert reported == ["ERROR: metaopt_advisory: unknown check 'r7'; did you mean 'R7'?"]
    assert not (project.path / ".ml-metaopt").exists()


def test_unknown_id_is_a_usage_error_of_the_catalog_too(project: Project) -> None:
    with_ini(project, "metaopt_advisory", "r7")
    result = project.pytest("--metaopt-checks")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*unknown check 'r7'; did you mean 'R7'?"])


def test_id_in_both_lists_is_a_usage_error(project: Project) -> None:
    project.write("pytest.ini", "[pytest]\nmetaopt_advisory = R1 R7\nmetaopt_blocking = R7\n")
    result = project.preflight()
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: metaopt_advisory and metaopt_blocking both name R7; *"])
    assert not (project.path / ".ml-metaopt").exists()


def test_ids_of_a_conftest_beside_the_campaign_are_known(project: Project) -> None:
    project.write(f"sub/{CAMPAIGN_NAME}", CAMPAIGN)
    project.write("sub/conftest.py", OWN_CHECKS)
    with_ini(project, "metaopt_blocking", "own_advisory")
    for workers in ((), ("-n", "1")):
        result = project.pytest("--metaopt-campaign", f"sub/{CAMPAIGN_NAME}", *workers)
        assert result.ret == 1
        result.stdout.fnmatch_lines(["*own_advisory*never holds*"])


def test_settings_say_nothing_where_no_document_is_is_requested(project: Project) -> None:
    project.write("pytest.ini", "[pytest]\nmetaopt_advisory = no_such\nmetaopt_blocking = no_such\n")
    project.write("test_own.py", "def test_own():\n    pass\n")
    result = project.pytest("--strict-config", "--strict-markers")
    assert result.ret == 0
    result.assert_outcomes(passed=1)
