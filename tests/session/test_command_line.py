from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.project import CAMPAIGN, CAMPAIGN_NAME, Project

pytestmark = pytest.mark.usefixtures("repo_checks_only")

BUILT_IN = [f"R{number}" for number in range(1, 10)]
TAB = "campaign:\n  name: demo\nproject:\n\trepo: .\n"
OWN_TEST = "def test_own():\n    pass\n"


def node_ids(file: str = CAMPAIGN_NAME, checks: list[str] = BUILT_IN) -> list[str]:
    return [f"{file}::repo[{check}]" for check in checks]


def collected(result: pytest.RunResult) -> list[str]:
    """The node ids that ``--collect-only -q`` printed."""
    return [line for line in result.outlines if "::" in line]


def tree(project: Project) -> dict[str, bytes | None]:
    """The project's files and folders, without those that pytester leaves of each run."""
    return {
        name: content
        for name, content in project.tree().items()
        if not name.startswith("runpytest-") and name not in {"stdout", "stderr"}
    }


def standalone(project: Project, folder: str, name: str = "demo") -> Path:
    """Write a campaign into a folder that is a repository of its own."""
    (project.path / folder / ".git").mkdir(parents=True)
    return project.write(f"{folder}/{CAMPAIGN_NAME}", CAMPAIGN.replace("name: demo", f"name: {name}"))


# -- what is collected ----------------------------------------------------------------------------


def test_option_alone_collects_the_campaign_only_whatever_testpaths_says(project: Project) -> None:
    project.write("pytest.ini", "[pytest]\ntestpaths = tests .\n")
    project.write("tests/test_own.py", OWN_TEST)
    result = project.preflight("--collect-only", "-q")
    assert result.ret == 0
    assert collected(result) == node_ids()


def test_option_with_a_path_runs_both(project: Project) -> None:
    project.write("tests/test_own.py", OWN_TEST)
    result = project.preflight("-v", "tests")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["tests/test_own.py::test_own PASSED*", "*4 passed, 6 bootstrapped*"])
    assert project.artifact()["status"] == "READY"
    assert project.artifact()["checks_summary"]["total"] == 9


def test_option_is_repeatable_and_each_campaign_gets_its_own_artifact(project: Project) -> None:
    standalone(project, "a", "alpha")
    standalone(project, "b", "beta")
    result = project.pytest(
        "--metaopt-campaign",
        f"a/{CAMPAIGN_NAME}",
        f"--metaopt-campaign=b/{CAMPAIGN_NAME}",
        # The same file in another spelling is not a second campaign.
        f"--metaopt-campaign=b/../a/{CAMPAIGN_NAME}",
    )
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            f"a/{CAMPAIGN_NAME}: READY (9 checks: 3 passed, 6 bootstrapped)",
            f"b/{CAMPAIGN_NAME}: READY (9 checks: 3 passed, 6 bootstrapped)",
            "*6 passed, 12 bootstrapped*",
        ]
    )
    for folder, name in (("a", "alpha"), ("b", "beta")):
        text = (project.path / folder / ".ml-metaopt" / "preflight-readiness.json").read_text()
        assert f'"campaign_id": "{name}"' in text
    assert not (project.path / ".ml-metaopt").exists()


def test_campaign_is_collected_as_a_plain_path(project: Project) -> None:
    result = project.pytest(CAMPAIGN_NAME)
    assert result.ret == 0
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["*3 passed, 6 bootstrapped*"])
    assert project.artifact()["status"] == "READY"


def test_node_id_selects_one_check(project: Project) -> None:
    result = project.pytest("-v", f"{CAMPAIGN_NAME}::repo[R2]")
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"{CAMPAIGN_NAME}::repo[[]R2[]] BOOTSTRAPPED*", "*= 1 bootstrapped in *"])
    assert (project.path / ".gitignore").read_text() == ".ml-metaopt/\n"
    assert not (project.path / ".ml-metaopt").exists()


def test_group_as_node_id_selects_every_check_of_the_group(project: Project) -> None:
    project.write(
        "conftest.py",
        "from pytest_metaopt import check\n@check('X1', group='other')\ndef other():\n    pass\n",
    )
    result = project.pytest("--collect-only", "-q", f"{CAMPAIGN_NAME}::repo")
    assert result.ret == 0
    assert collected(result) == node_ids()


@pytest.mark.parametrize(
    ("option", "selected"),
    [
        pytest.param(
            [f"{CAMPAIGN_NAME}::repo[R2]", "--metaopt-campaign", CAMPAIGN_NAME], ["R2"], id="node id"
        ),
        pytest.param([CAMPAIGN_NAME, "--metaopt-campaign", CAMPAIGN_NAME], BUILT_IN, id="plain path"),
    ],
)
def test_option_adds_nothing_to_what_names_the_same_file_already(
    project: Project, option: list[str], selected: list[str]
) -> None:
    result = project.pytest("--collect-only", "-q", *option)
    assert result.ret == 0
    assert collected(result) == node_ids(checks=selected)


def test_yaml_that_nobody_named_is_never_collected(project: Project) -> None:
    project.write("tests/test_own.py", OWN_TEST)
    project.write(f"tests/{CAMPAIGN_NAME}", CAMPAIGN)
    own = ["tests/test_own.py::test_own"]
    assert collected(project.pytest("--collect-only", "-q")) == own
    assert collected(project.pytest("--collect-only", "-q", ".")) == own
    # Naming one campaign names no other.
    assert collected(project.preflight("--collect-only", "-q", "tests")) == [*node_ids(), *own]


@pytest.mark.skipif(
    pytest.version_tuple < (9,), reason="pytest 8 drops a directory where a file in it is named as well"
)
def test_directory_that_holds_the_campaign_does_not_collect_it_twice(project: Project) -> None:
    project.write("tests/test_own.py", OWN_TEST)
    result = project.preflight("--collect-only", "-q", ".")
    assert result.ret == 0
    assert collected(result) == [*node_ids(), "tests/test_own.py::test_own"]


def test_yaml_that_is_no_campaign_is_not_ours(project: Project) -> None:
    project.write("settings.yaml", "colour: blue\nproject: x\n")
    result = project.pytest("settings.yaml")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: not found: *settings.yaml"])
    result.stdout.no_fnmatch_line("*metaopt: *")
    project.write(
        "conftest.py",
        """
import pytest

class Item(pytest.Item):
    def runtest(self):
        pass

class File(pytest.File):
    def collect(self):
        yield Item.from_parent(self, name="theirs")

def pytest_collect_file(file_path, parent):
    if file_path.name == "settings.yaml":
        return File.from_parent(parent, path=file_path)
""",
    )
    assert collected(project.pytest("--collect-only", "-q", "settings.yaml")) == ["settings.yaml::theirs"]
    assert collected(project.preflight("--collect-only", "-q", "settings.yaml")) == [
        *node_ids(),
        "settings.yaml::theirs",
    ]


def test_campaign_with_another_name_is_known_by_its_sections(project: Project) -> None:
    project.campaign.rename(project.path / "plan.yml")
    result = project.pytest("--collect-only", "-q", "plan.yml")
    assert result.ret == 0
    assert collected(result) == node_ids("plan.yml")


def test_option_in_addopts_works_like_one_on_the_command_line(project: Project) -> None:
    project.write(
        "pytest.ini", f"[pytest]\ntestpaths = tests\naddopts = --metaopt-campaign {CAMPAIGN_NAME}\n"
    )
    project.write("tests/test_own.py", OWN_TEST)
    assert collected(project.pytest("--collect-only", "-q")) == node_ids()
    assert collected(project.pytest("--collect-only", "-q", "tests")) == [
        *node_ids(),
        "tests/test_own.py::test_own",
    ]
    assert collected(project.pytest("--collect-only", "-q", f"{CAMPAIGN_NAME}::repo[R9]")) == node_ids(
        checks=["R9"]
    )


def test_option_that_takes_many_values_does_not_swallow_the_campaign(project: Project) -> None:
    project.write(
        "conftest.py", "def pytest_addoption(parser):\n    parser.addoption('--words', nargs='+')\n"
    )
    # Without the campaign as its argument pytest would collect the folder, own tests included.
    project.write("test_own.py", OWN_TEST)
    result = project.preflight("--collect-only", "-q", "--words", "x", "y")
    assert result.ret == 0
    assert collected(result) == node_ids()


@pytest.mark.parametrize("name", ["campaign[1].yaml", "campaign::1.yaml"])
def test_file_name_that_pytest_reads_as_a_node_id_is_refused(project: Project, name: str) -> None:
    project.campaign.rename(project.path / name)
    result = project.pytest("--metaopt-campaign", name)
    assert result.ret == 4
    (message,) = [line for line in result.errlines if "--metaopt-campaign" in line]
    assert name in message
    assert "rename" in message
    assert not project.artifact_path.exists()


@pytest.mark.parametrize("name", ["my campaign @ 50% é.yaml", "-campaign.yaml"])
def test_odd_file_names_work(project: Project, name: str) -> None:
    project.campaign.rename(project.path / name)
    result = project.pytest(f"--metaopt-campaign={name}")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*3 passed, 6 bootstrapped*"])


def test_campaign_outside_the_current_folder(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "pytest.ini").write_text("[pytest]\n")
    (elsewhere / "test_own.py").write_text(OWN_TEST)
    # The conftest beside the campaign counts, wherever pytest was started.
    project.write(
        "conftest.py",
        "from pytest_metaopt import check\n@check('X1', group='own')\ndef own():\n    pass\n",
    )
    monkeypatch.chdir(elsewhere)
    result = project.pytest("-v", "--metaopt-campaign", project.campaign)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [f"*{CAMPAIGN_NAME}::own[[]X1[]] PASSED*", f"artifact: {project.artifact_path}", "*4 passed, 6 boot*"]
    )
    assert project.artifact()["checks_summary"]["total"] == 10
    assert not (elsewhere / ".ml-metaopt").exists()
    assert not (elsewhere / ".gitignore").exists()


def test_nothing_selected_ends_with_exit_code_5(project: Project) -> None:
    result = project.preflight("-k", "no_such_check")
    assert result.ret == 5
    assert sorted(tree(project)) == [".git", CAMPAIGN_NAME]


# -- the project root and the artifact's place ----------------------------------------------------


def test_root_is_the_nearest_folder_with_a_state_folder_or_repository(project: Project) -> None:
    shutil.rmtree(project.path / ".git")
    project.campaign.unlink()
    above = [
        folder
        for folder in project.path.parents
        for name in (".git", ".ml-metaopt")
        if (folder / name).exists()
    ]
    if above:
        pytest.skip(f"the temporary directory lies in a project: {above[0]}")
    cases = {
        "repository/deep/er": "repository",
        "worktree/deep": "worktree",
        "state/deep": "state",
        "outer/inner/deep": "outer/inner",
        "alone/deep": "alone/deep",
    }
    for folder in cases:
        project.write(f"{folder}/{CAMPAIGN_NAME}", CAMPAIGN)
    (project.path / "repository" / ".git").mkdir()
    project.write("worktree/.git", "gitdir: elsewhere\n")
    (project.path / "state" / ".ml-metaopt").mkdir()
    (project.path / "outer" / ".git").mkdir()
    (project.path / "outer" / "inner" / ".ml-metaopt").mkdir()
    result = project.pytest(*(f"--metaopt-campaign={folder}/{CAMPAIGN_NAME}" for folder in cases))
    assert result.ret == 0
    found = [
        str(path.parent.parent.relative_to(project.path)) for path in project.path.rglob("*readiness.json")
    ]
    assert sorted(found) == sorted(cases.values())


def test_root_can_be_named(project: Project) -> None:
    (project.path / "elsewhere").mkdir()
    result = project.preflight("--metaopt-root", "elsewhere")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [f"metaopt: {CAMPAIGN_NAME} -> elsewhere/.ml-metaopt/preflight-readiness.json"]
    )
    assert (project.path / "elsewhere" / ".ml-metaopt" / "preflight-readiness.json").is_file()
    assert (project.path / "elsewhere" / ".gitignore").is_file()
    assert not (project.path / ".ml-metaopt").exists()
    assert not (project.path / ".gitignore").exists()


def test_root_that_is_no_directory_is_a_usage_error(project: Project) -> None:
    result = project.preflight("--metaopt-root", "nowhere")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--metaopt-root: nowhere is not a directory"])


@pytest.mark.parametrize("readiness", [False, True], ids=["one root", "one --metaopt-readiness"])
def test_two_campaigns_that_would_write_one_artifact_are_a_usage_error(
    project: Project, readiness: bool
) -> None:
    if readiness:
        standalone(project, "sub")
        arguments = ["--metaopt-readiness", "out.json"]
    else:
        project.write(f"sub/{CAMPAIGN_NAME}", CAMPAIGN)
        arguments = []
    before = tree(project)
    result = project.preflight(f"sub/{CAMPAIGN_NAME}", *arguments)
    assert result.ret == 4
    place = "out.json" if readiness else ".ml-metaopt/preflight-readiness.json"
    result.stderr.fnmatch_lines(
        [f"*{CAMPAIGN_NAME} and sub/{CAMPAIGN_NAME} would both write {place}; *different roots*"]
    )
    assert tree(project) == before


def test_artifact_can_be_written_elsewhere(project: Project) -> None:
    result = project.preflight("--metaopt-readiness", "reports/deep/out.json")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["artifact: reports/deep/out.json"])
    assert '"status": "READY"' in (project.path / "reports" / "deep" / "out.json").read_text()
    assert not project.artifact_path.exists()
    # R1 to R6 are about the project all the same.
    assert (project.path / ".ml-metaopt" / "handoffs").is_dir()


def test_artifact_that_cannot_be_written_is_no_success(project: Project) -> None:
    (project.path / "taken").mkdir()
    result = project.preflight("--metaopt-readiness", "taken")
    assert result.ret == 1
    reported = " ".join(result.outlines)
    assert "ERROR: the readiness artifact was not written:" in reported
    assert "taken is a directory; remove it" in reported


# -- options that change nothing ------------------------------------------------------------------


def test_without_bootstraps_the_checks_fail_and_the_project_stays_as_it_is(project: Project) -> None:
    before = tree(project)
    result = project.preflight("--metaopt-no-bootstrap", "-v")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            f"metaopt: {CAMPAIGN_NAME} -> *(bootstraps off)",
            f"{CAMPAIGN_NAME}::repo[[]R1[]] FAILED*",
            f"{CAMPAIGN_NAME}::repo[[]R7[]] PASSED*",
            f"{CAMPAIGN_NAME}: FAILED (9 checks: 3 passed, 6 failed)",
        ]
    )
    assert tree(project) == before
    assert project.preflight("-q").ret == 0
    again = project.preflight("--metaopt-no-bootstrap")
    assert again.ret == 0
    again.assert_outcomes(passed=9)
    assert project.artifact()["checks_summary"]["passed"] == 9


@pytest.mark.parametrize("option", ["--collect-only", "--setup-plan", "--setup-only", "--fixtures"])
def test_options_that_only_look_change_nothing_on_disk(project: Project, option: str) -> None:
    project.write(
        "conftest.py",
        "import pytest\n"
        "from pathlib import Path\n"
        "from pytest_metaopt import check\n"
        "@pytest.fixture\n"
        "def mend():\n"
        "    Path('mended').touch()\n"
        "@check('X1', group='own', bootstrap='mend')\n"
        "def own():\n"
        "    Path('queried').touch()\n"
        "    assert Path('mended').exists()\n",
    )
    before = tree(project)
    result = project.preflight(option)
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*readiness =*")
    assert tree(project) == before


def test_fixtures_lists_what_checks_can_take_and_overrule(project: Project) -> None:
    result = project.preflight("--fixtures")
    assert result.ret == 0
    for name in ("campaign", "project_root", "state_folder", "gitignore", "bootstrap_gitignore"):
        result.stdout.re_match_lines([rf"{name} (\[module scope\] )?-- ", "    [^n]"])
    result.stdout.no_fnmatch_line("_metaopt_bootstrap*")


def test_a_look_leaves_the_artifact_of_an_earlier_run_alone(project: Project) -> None:
    assert project.preflight("-q").ret == 0
    project.edit("python train.py --smoke", "''")
    before = tree(project)
    assert project.preflight("--collect-only", "-q").ret == 0
    assert tree(project) == before


# -- the catalog ----------------------------------------------------------------------------------


def test_catalog_tells_everything_of_built_in_and_own_checks(project: Project) -> None:
    project.write(
        "conftest.py",
        """
from pytest_metaopt import check

@check("X1", group="own", severity="advisory", bootstrap="fetch_data", remediation="Fetch the data.")
def data_is_there():
    '''The training data is on this machine.

    Not part of the catalog.
    '''

@check("X2", group="own")
def no_docstring_here():
    pass
""",
    )
    before = tree(project)
    result = project.pytest("--metaopt-checks")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "*- campaign: repo -*",
            "R1  blocking  bootstrap: bootstrap_state_folder",
            "    .ml-metaopt/ is a directory.",
            "    fix: *mkdir .ml-metaopt",
            "R9  blocking",
            "*- campaign: own -*",
            "X1  advisory  bootstrap: fetch_data -- conftest.py:4",
            "    The training data is on this machine.",
            "    fix: Fetch the data.",
            "X2  blocking -- conftest.py:11",
            "    no docstring here",
        ]
    )
    result.stdout.no_fnmatch_line("*Not part of the catalog*")
    # The catalog alone: pytest's header above it is as wide as it likes.
    page = result.outlines[result.outlines.index("") :]
    listed = [line.split()[0] for line in page if line[:1] in ("R", "X")]
    assert listed == [*BUILT_IN, "X1", "X2"]
    assert [line for line in page if len(line) > 80] == []
    assert tree(project) == before


def test_catalog_of_a_campaign_has_the_checks_of_its_own_folder_and_the_severities_of_the_ini_file(
    project: Project,
) -> None:
    project.write("pytest.ini", "[pytest]\nmetaopt_advisory = R7\n")
    project.write(f"sub/{CAMPAIGN_NAME}", CAMPAIGN)
    project.write(
        "sub/conftest.py",
        "from pytest_metaopt import check\n@check('X1', group='own')\ndef own():\n    pass\n",
    )
    result = project.pytest("--metaopt-checks", "--metaopt-campaign", f"sub/{CAMPAIGN_NAME}")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["R7  advisory", "X1  blocking -- sub/conftest.py:2"])
    result.stdout.no_fnmatch_line("*passed*")
    assert not (project.path / ".ml-metaopt").exists()


# -- what cannot be looked at ----------------------------------------------------------------------


def test_missing_campaign_ends_with_exit_code_2(project: Project) -> None:
    before = tree(project)
    result = project.pytest("--metaopt-campaign", "ml_metaopt_campain.yaml")
    assert result.ret == 2
    assert len(result.errlines) == 1
    result.stderr.fnmatch_lines(
        [f"ERROR: *ml_metaopt_campain.yaml: no such*; did you mean '{CAMPAIGN_NAME}'?"]
    )
    assert tree(project) == before


@pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["", "xdist"])
def test_malformed_campaign_ends_with_exit_code_2_and_one_line_that_says_where(
    project: Project, workers: list[str]
) -> None:
    assert project.preflight("-q").ret == 0
    project.campaign.write_text(TAB)
    before = tree(project)
    result = project.preflight(*workers)
    assert result.ret == 2
    reported = [line for line in result.outlines if line.startswith(f"{CAMPAIGN_NAME}:")]
    assert reported == [f"{CAMPAIGN_NAME}:4:1: a tab is used as indentation; YAML takes spaces only"]
    result.stdout.no_fnmatch_line("*Traceback*")
    assert tree(project) == before


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param([CAMPAIGN_NAME], id="path"),
        pytest.param([f"{CAMPAIGN_NAME}::repo[R2]"], id="node id"),
    ],
)
def test_malformed_campaign_named_as_a_path_ends_with_exit_code_2(
    project: Project, arguments: list[str]
) -> None:
    project.campaign.write_text(TAB)
    before = tree(project)
    result = project.pytest(*arguments)
    assert result.ret == 2
    result.stdout.fnmatch_lines([f"{CAMPAIGN_NAME}:4:1: a tab is used as indentation*"])
    assert tree(project) == before


def test_malformed_campaign_outside_the_root_folder_is_named(project: Project) -> None:
    project.campaign.write_text(TAB)
    (project.path / "root").mkdir()
    arguments = ["--metaopt-campaign", CAMPAIGN_NAME, f"{CAMPAIGN_NAME}::repo[R2]"]
    result = project.pytest("--rootdir", "root", *arguments)
    assert result.ret == 2
    result.stdout.fnmatch_lines([f"{CAMPAIGN_NAME}:4:1: a tab is used as indentation*"])
    result.stdout.fnmatch_lines([f"ERROR {CAMPAIGN_NAME}*"])


def test_malformed_campaign_beside_a_good_one_ends_with_exit_code_2(project: Project) -> None:
    standalone(project, "bad").write_text(TAB)
    arguments = ["--metaopt-campaign", f"bad/{CAMPAIGN_NAME}"]
    before = tree(project)
    result = project.preflight(*arguments)
    assert result.ret == 2
    assert tree(project) == before
    result = project.preflight(*arguments, "--continue-on-collection-errors")
    assert result.ret == 2
    assert not (project.path / "bad" / ".ml-metaopt").exists()


def test_collection_error_of_the_projects_own_tests_does_not_pass_for_a_malformed_campaign(
    project: Project,
) -> None:
    project.write("tests/test_broken.py", "import no_such_module_anywhere\n")
    result = project.preflight("tests", "--continue-on-collection-errors")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*3 passed, 1 error, 6 bootstrapped*"])
