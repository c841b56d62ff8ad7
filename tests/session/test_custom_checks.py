from __future__ import annotations

import os
import textwrap
from typing import Any

import pytest

from tests.support.project import CAMPAIGN, CAMPAIGN_NAME, Project

pytestmark = pytest.mark.usefixtures("repo_checks_only")

HEAD = """
import pytest
from pytest_metaopt import check, fail, not_applicable
"""


def conftest(project: Project, text: str, folder: str = ".") -> None:
    project.write(f"{folder}/conftest.py", HEAD + textwrap.dedent(text))


def outcomes(project: Project) -> dict[str, str]:
    """The outcome of each check in the artifact, by id."""
    return {check["id"]: check["outcome"] for check in project.artifact()["checks"]}


def reported(project: Project, check_id: str) -> dict[str, Any]:
    """What the artifact says of a check."""
    (found,) = [check for check in project.artifact()["checks"] if check["id"] == check_id]
    return dict(found)


def statuses(result: pytest.RunResult) -> dict[str, str]:
    """The word that ``-v`` shows for each check, by id."""
    lines = [line.split() for line in result.outlines if line.startswith(CAMPAIGN_NAME + "::")]
    return {words[0].split("[")[1].rstrip("]"): words[1] for words in lines if len(words) > 1}


# -- what a check can do --------------------------------------------------------------------------


def test_own_checks_have_the_powers_of_built_in_ones(project: Project) -> None:
    conftest(
        project,
        """
        @pytest.fixture
        def data(project_root):
            return project_root / "data.bin"

        @pytest.fixture
        def fetch_data(data):
            data.write_bytes(b"data")
            return "fetched data.bin"

        @check("data", group="own", bootstrap="fetch_data", remediation="Fetch it.")
        def data_is_there(data):
            assert data.exists(), "data.bin is missing"

        @check("entity", group="own", severity="advisory", remediation="Ask the admin.")
        def entity_is_ours(campaign):
            if campaign.get("wandb.entity") != "us":
                fail("the entity is not ours", line=campaign.line("wandb.entity"))

        @check("budget", group="own", remediation="General advice.")
        def budget_is_small(campaign):
            budget = campaign.get("compute.max_budget_usd")
            if budget > 0:
                fail("too dear", remediation="Lower it to 0.", line=campaign.line("compute.max_budget_usd"))

        @check("cloud", group="own")
        def cloud_is_ours(campaign):
            if campaign.get("compute.provider") == "local":
                not_applicable("there is no cloud")
            assert False

        @check("described", group="own")
        def described():
            '''The sky is green.'''
            raise AssertionError
        """,
    )
    result = project.preflight("-v")
    assert result.ret == 1
    shown = statuses(result)
    assert list(shown)[:9] == [f"R{number}" for number in range(1, 10)]
    assert {name: shown[name] for name in list(shown)[9:]} == {
        "data": "BOOTSTRAPPED",
        "entity": "ADVISORY",
        "budget": "FAILED",
        "cloud": "SKIPPED",
        "described": "FAILED",
    }
    result.stdout.fnmatch_lines(
        [
            f"{CAMPAIGN_NAME}:14: budget: too dear",
            "  fix: Lower it to 0.",
            f"{CAMPAIGN_NAME}:1:1: described: does not hold: The sky is green.",
            "*= 2 failed, 3 passed, 1 skipped, 7 bootstrapped, 1 advisory in *",
        ]
    )
    artifact = project.artifact()
    assert artifact["checks_summary"] == {
        "total": 13,
        "passed": 3,
        "failed": 2,
        "bootstrapped": 7,
        "warnings": 1,
    }
    assert artifact["failures"][0] == {
        "check_id": "budget",
        "category": "own",
        "message": "too dear",
        "remediation": "Lower it to 0.",
    }
    assert reported(project, "entity")["message"] == "the entity is not ours"
    assert reported(project, "entity")["remediation"] == "Ask the admin."
    assert reported(project, "cloud")["message"] == "there is no cloud"
    assert "bootstrap: fetched data.bin" in artifact["diagnostics"].splitlines()


def test_failed_assertion_shows_its_values_where_no_message_was_given(project: Project) -> None:
    conftest(
        project,
        """
        @check("values", group="own")
        def values(campaign):
            provider = campaign.get("compute.provider")
            assert provider == "vast_ai"
        """,
    )
    assert project.preflight().ret == 1
    message = reported(project, "values")["message"]
    assert "local" in message
    assert "vast_ai" in message


def test_bootstrap_that_fails_is_reported_with_both_causes(project: Project) -> None:
    conftest(
        project,
        """
        @pytest.fixture
        def mend():
            raise RuntimeError("the disk is on fire")

        @pytest.fixture
        def idle():
            return ["looked around"]

        @check("broken", group="own", bootstrap="mend")
        def broken():
            assert False, "the file is missing"

        @check("idle", group="own", bootstrap="idle")
        def still_missing():
            assert False, "the other file is missing"

        """,
    )
    assert project.preflight().ret == 1
    broken, idle = (reported(project, name)["message"] for name in ("broken", "idle"))
    assert broken.startswith("the file is missing")
    assert "bootstrap mend failed: RuntimeError: the disk is on fire" in broken
    assert idle.startswith("the other file is missing")
    assert "bootstrap idle ran, but the check still fails" in idle


def test_fixtures_of_every_scope_and_autouse_ones_work(project: Project) -> None:
    conftest(
        project,
        """
        calls = []

        @pytest.fixture(scope="session")
        def of_session():
            calls.append("session")
            yield "session"
            print("\\nSESSION ENDS", calls.count("session"), calls.count("module"))

        @pytest.fixture(scope="package")
        def of_package(of_session):
            return of_session

        @pytest.fixture(scope="module")
        def of_module(request, of_package):
            calls.append("module")
            return request.module.__file__

        @pytest.fixture(scope="class")
        def of_class(of_module):
            return of_module

        @pytest.fixture(autouse=True)
        def around(monkeypatch):
            monkeypatch.setenv("AROUND", "yes")
            yield

        @pytest.fixture
        def mend(tmp_path):
            calls.append("mended")

        @check("scopes", group="own")
        def scopes(of_session, of_class, campaign):
            assert of_session == "session"
            assert of_class == str(campaign.path)

        @check("mended", group="own", bootstrap="mend")
        def mended(of_module, tmp_path, request):
            import os
            assert os.environ["AROUND"] == "yes"
            assert request.node.name == "own[mended]"
            assert "mended" in calls
        """,
    )
    result = project.preflight("-v", "-s")
    assert result.ret == 0
    assert outcomes(project)["scopes"] == "passed"
    assert outcomes(project)["mended"] == "bootstrapped"
    # A session is set up once, however often a check is evaluated.
    result.stdout.fnmatch_lines(["SESSION ENDS 1 *"])


def test_usefixtures_and_default_values_work(project: Project) -> None:
    conftest(
        project,
        """
        import os

        @pytest.fixture
        def environment(monkeypatch):
            monkeypatch.setenv("SEEN", "yes")

        @check("x", group="own")
        @pytest.mark.usefixtures("environment")
        def marked_below(limit=3):
            assert os.environ["SEEN"] == "yes" and limit == 3

        @pytest.mark.usefixtures("environment")
        @check("y", group="own")
        def marked_above(*, campaign):
            assert os.environ["SEEN"] == "yes" and campaign.get("compute.provider") == "local"
        """,
    )
    assert project.preflight("-q").ret == 0
    assert (outcomes(project)["x"], outcomes(project)["y"]) == ("passed", "passed")


# -- where a check may be declared ----------------------------------------------------------------


def test_checks_may_be_declared_in_a_loop_imported_wrapped_or_decorated_from_outside(
    project: Project,
) -> None:
    project.write(
        "helper_checks.py",
        HEAD
        + textwrap.dedent(
            """
            @check("imported", group="own")
            def imported():
                assert False, "says imported"

            @check("not_imported", group="own")
            def not_imported():
                assert False
            """
        ),
    )
    conftest(
        project,
        """
        import functools
        import os.path
        import sys

        sys.path.insert(0, os.path.dirname(__file__))
        from helper_checks import imported

        def wrapped(function):
            @functools.wraps(function)
            def wrapper(*args, **kwargs):
                function(*args, **kwargs)
                fail("says wrapper")
            return wrapper

        for number in (1, 2, 3):
            @check(f"loop{number}", group="own")
            def looped(campaign, number=number):
                fail(f"says loop {number}")

        @wrapped
        @check("wrapped", group="own")
        def inner(campaign):
            assert campaign

        def plain():
            assert False, "says plain"

        check("outside", group="own")(plain)
        """,
    )
    assert project.preflight().ret == 1
    messages = {failure["check_id"]: failure["message"] for failure in project.artifact()["failures"]}
    assert messages == {
        "loop1": "says loop 1",
        "loop2": "says loop 2",
        "loop3": "says loop 3",
        "wrapped": "says wrapper",
        "outside": "says plain",
        "imported": "says imported",
    }


def test_checks_of_a_plugin_module_apply_everywhere(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(
        "plugins/ourplugin.py",
        HEAD + "@check('plugged', group='own')\ndef plugged():\n    assert False, 'says plugin'\n",
    )
    project.write(f"sub/{CAMPAIGN_NAME}", CAMPAIGN)
    monkeypatch.setenv("PYTHONPATH", str(project.path / "plugins"), prepend=os.pathsep)
    for more in ((), ("-n", "1")):
        result = project.process("--metaopt-campaign", f"sub/{CAMPAIGN_NAME}", "-p", "ourplugin", *more)
        assert result.ret == 1
        assert [failure["message"] for failure in project.artifact()["failures"]] == ["says plugin"]


def test_conftest_applies_to_its_folder_and_the_nearest_one_replaces_an_id(project: Project) -> None:
    for folder in ("a", "b", "b/deep"):
        (project.path / folder / ".git").mkdir(parents=True)
        project.write(f"{folder}/{CAMPAIGN_NAME}", CAMPAIGN)
    conftest(
        project,
        """
        @check("R7", group="repo")
        def outer():
            assert False, "says outer"

        @check("everywhere", group="own")
        def everywhere():
            pass
        """,
    )
    conftest(
        project,
        """
        @check("R7", group="repo")
        def inner():
            assert False, "says inner"

        @check("b_only", group="own")
        def b_only():
            pass
        """,
        folder="b",
    )
    conftest(
        project,
        """
        @check("R7", group="repo")
        def innermost():
            assert False, "says innermost"
        """,
        folder="b/deep",
    )
    # Deepest first: the order in which conftests are loaded must not matter.
    campaigns = [f"{folder}/{CAMPAIGN_NAME}" for folder in ("b/deep", "b", "a")]
    result = project.pytest(*(f"--metaopt-campaign={campaign}" for campaign in campaigns), "-v")
    assert result.ret == 1
    said = [line.split(": R7: ") for line in result.outlines if ": R7: says" in line]
    assert dict(said) == {
        f"a/{CAMPAIGN_NAME}:1:1": "says outer",
        f"b/{CAMPAIGN_NAME}:1:1": "says inner",
        f"b/deep/{CAMPAIGN_NAME}:1:1": "says innermost",
    }
    queried = [line.split()[0] for line in result.outlines if "::own[" in line]
    assert sorted(queried) == [
        f"a/{CAMPAIGN_NAME}::own[everywhere]",
        f"b/deep/{CAMPAIGN_NAME}::own[b_only]",
        f"b/deep/{CAMPAIGN_NAME}::own[everywhere]",
        f"b/{CAMPAIGN_NAME}::own[b_only]",
        f"b/{CAMPAIGN_NAME}::own[everywhere]",
    ]


def test_a_check_that_replaces_a_built_in_one_takes_its_place(project: Project) -> None:
    conftest(
        project,
        """
        @check("R2", group="repo", severity="advisory", remediation="Ours.")
        def ours():
            assert False, "says ours"
        """,
    )
    result = project.preflight("-v")
    assert result.ret == 0
    assert list(statuses(result)) == [f"R{number}" for number in range(1, 10)]
    assert statuses(result)["R2"] == "ADVISORY"
    assert not (project.path / ".gitignore").exists()


# -- overriding and turning off -------------------------------------------------------------------


def test_built_in_bootstrap_can_be_overridden_by_name(project: Project) -> None:
    conftest(
        project,
        """
        @pytest.fixture
        def bootstrap_gitignore(project_root):
            (project_root / ".gitignore").write_text("# ours\\n/.ml-metaopt\\n")
            return "wrote our own .gitignore"
        """,
    )
    result = project.preflight()
    assert result.ret == 0
    assert (project.path / ".gitignore").read_text() == "# ours\n/.ml-metaopt\n"
    assert project.artifact()["checks_summary"]["bootstrapped"] == 6
    assert "bootstrap: wrote our own .gitignore" in project.artifact()["diagnostics"]
    result.stdout.fnmatch_lines(["*wrote our own .gitignore"])


def test_overriding_bootstrap_can_build_on_the_built_in_one(project: Project) -> None:
    conftest(
        project,
        """
        @pytest.fixture
        def bootstrap_gitignore(bootstrap_gitignore, project_root):
            return [*bootstrap_gitignore, "reported git"]
        """,
    )
    assert project.preflight("-q").ret == 0
    assert (project.path / ".gitignore").read_text() == ".ml-metaopt/\n"
    assert "bootstrap: reported git" in project.artifact()["diagnostics"].splitlines()


def test_check_can_be_turned_off_and_the_artifact_says_so(project: Project) -> None:
    project.edit("python train.py --smoke", "''")
    conftest(
        project,
        """
        def pytest_metaopt_modify_checks(document, checks):
            if document.get("compute.provider") == "local":
                del checks["R7"]
        """,
    )
    for workers in ((), ("-n", "1")):
        result = project.preflight("-v", *workers)
        assert result.ret == 0
        result.stdout.no_fnmatch_line("*repo[[]R7[]]*")
        artifact = project.artifact()
        assert artifact["status"] == "READY"
        assert artifact["checks_summary"]["total"] == 8
        assert "turned off by the project: R7" in artifact["diagnostics"].splitlines()


def test_hook_of_a_sibling_folder_turns_nothing_off(project: Project) -> None:
    conftest(
        project,
        """
        def pytest_metaopt_modify_checks(checks):
            checks.clear()
        """,
        folder="sibling",
    )
    project.write("sibling/test_own.py", "def test_own():\n    pass\n")
    assert project.preflight("sibling").ret == 0
    assert project.artifact()["checks_summary"]["total"] == 9


# -- what is not a check -----------------------------------------------------------------------------

REFUSED = {
    "async": ("@check('X', group='own')\nasync def x():\n    pass\n", "async function is not supported"),
    "generator": ("@check('X', group='own')\ndef x():\n    yield\n", "a check does not yield"),
    "class": ("@check('X', group='own')\nclass X:\n    pass\n", "it must decorate a function"),
    "id with a space": ("@check('a b', group='own')\ndef x():\n    pass\n", "an id is made of letters"),
    "id with a bracket": ("@check('a[b]', group='own')\ndef x():\n    pass\n", "an id is made of letters"),
    "group": ("@check('X', group='own group')\ndef x():\n    pass\n", "'own group' is not an identifier"),
    "severity": (
        "@check('X', group='own', severity='advisery')\ndef x():\n    pass\n",
        "severity 'advisery' is neither 'blocking' nor 'advisory'; did you mean 'advisory'?",
    ),
    "duplicate": (
        "@check('X', group='own')\ndef x():\n    pass\n@check('X', group='own')\ndef y():\n    pass\n",
        "two checks have the id 'X': *conftest.py:4 and *conftest.py:7; rename one",
    ),
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_declaration_that_makes_no_sense_is_a_usage_error_that_says_where(
    project: Project, mistake: str
) -> None:
    text, problem = REFUSED[mistake]
    project.write("conftest.py", HEAD + text)
    result = project.preflight()
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"*{problem}*"])
    result.stderr.fnmatch_lines(["*conftest.py:4*"])
    assert not (project.path / ".ml-metaopt").exists()


def test_duplicate_ids_are_a_usage_error_with_workers_too(project: Project) -> None:
    project.write("conftest.py", HEAD + REFUSED["duplicate"][0])
    result = project.preflight("-n", "1")
    assert result.ret == 4
    assert sum("two checks have the id 'X'" in line for line in (*result.errlines, *result.outlines)) == 1


def test_parametrized_check_is_refused_with_what_to_do_instead(project: Project) -> None:
    conftest(
        project,
        """
        @pytest.mark.parametrize("number", [1, 2])
        @check("X", group="own")
        def x(number):
            pass
        """,
    )
    result = project.preflight()
    assert result.ret not in {0, 1, 5}
    result.stdout.fnmatch_lines(["check X at *conftest.py:* is parametrized; *"])
    result.stdout.no_fnmatch_line("*Traceback*")
    assert not project.artifact_path.exists()


@pytest.mark.parametrize(
    ("declared", "expected", "workers"),
    [
        ("document='lanuch'", "unknown document='lanuch'; did you mean 'launch'?", ()),
        pytest.param(
            "document='lanuch'",
            "unknown document='lanuch'; did you mean 'launch'?",
            ("-n", "1"),
            marks=pytest.mark.soak,
        ),
        ("each='job'", "a campaign has no each='job'", ()),
        ("document='manifest', each='jobs'", "did you mean 'job'?", ()),
    ],
)
def test_check_for_what_does_not_exist_ends_the_session(
    project: Project, declared: str, expected: str, workers: tuple[str, ...]
) -> None:
    conftest(project, f"@check('X', group='own', {declared})\ndef x():\n    pass\n")
    result = project.preflight(*workers)
    assert result.ret == 2
    assert f"check X at {project.path / 'conftest.py'}:" in result.stdout.str()
    assert expected in result.stdout.str()
    assert not project.artifact_path.exists()


@pytest.mark.parametrize(
    ("declared", "workers"),
    [
        ("@check('X', group='own')\ndef x(campain):\n", ()),
        pytest.param("@check('X', group='own')\ndef x(campain):\n", ("-n", "1"), marks=pytest.mark.soak),
        ("@check('X', group='own', bootstrap='campain')\ndef x():\n", ()),
    ],
    ids=["taken", "taken-xdist", "bootstrap"],
)
def test_check_with_an_unknown_fixture_is_not_collected(
    project: Project, declared: str, workers: tuple[str, ...]
) -> None:
    conftest(project, f"{declared}    pass\n")
    result = project.preflight(*workers)
    assert result.ret == 2
    assert "fixture 'campain' not found; did you mean 'campaign'?" in result.stdout.str()
    assert not project.artifact_path.exists()


# -- checks that break, are skipped or marked -----------------------------------------------------


def test_check_that_breaks_is_a_failure_with_a_traceback(project: Project) -> None:
    conftest(
        project,
        """
        def deep(campaign):
            return campaign.data["no_such_section"]

        @check("crash", group="own", remediation="Mend the check.")
        def crash(campaign):
            deep(campaign)

        @pytest.fixture
        def broken():
            raise OSError("the network is down")

        @check("broken_fixture", group="own")
        def broken_fixture(broken):
            pass

        @check("returns", group="own")
        def returns(campaign):
            return campaign.get("compute.provider") == "vast_ai"

        @check("gentle", group="own", severity="advisory")
        def gentle():
            raise ValueError("broken, but advisory")
        """,
    )
    result = project.preflight()
    assert result.ret == 1
    for name in ("crash", "broken_fixture", "returns"):
        assert outcomes(project)[name] == "failed"
    assert outcomes(project)["gentle"] == "warning"
    result.stdout.fnmatch_lines(
        [
            f"{CAMPAIGN_NAME}:1:1: crash: the check crashed: KeyError:",
            "    'no_such_section'",
            "  fix: Mend the check.",
            "Traceback (most recent call last):",
            "*conftest.py*in crash",
            "*conftest.py*in deep",
        ]
    )
    # Our own frames would be noise.
    result.stdout.no_fnmatch_line("*pytest_metaopt*evaluation.py*")
    messages = {failure["check_id"]: failure["message"] for failure in project.artifact()["failures"]}
    assert messages["crash"] == "the check crashed: KeyError: 'no_such_section'"
    assert "the network is down" in messages["broken_fixture"]
    assert messages["returns"] == "the check returned False; a check asserts, or calls fail()"


def test_fixture_that_breaks_while_cleaning_up_fails_its_check(project: Project) -> None:
    conftest(
        project,
        """
        @pytest.fixture
        def untidy():
            yield
            raise RuntimeError("cannot tidy up")

        @check("tidy", group="own")
        def tidy(untidy):
            pass
        """,
    )
    assert project.preflight().ret == 1
    assert outcomes(project)["tidy"] == "failed"
    assert "cannot tidy up" in reported(project, "tidy")["message"]
    assert project.artifact()["checks_summary"]["total"] == 10


@pytest.mark.parametrize(
    "skipping",
    [
        "@check('X', group='own')\ndef x():\n    pytest.skip('not today')\n",
        "@pytest.fixture\ndef a():\n    pytest.skip('no')\n@check('X', group='own')\ndef x(a):\n    pass\n",
        "@pytest.mark.skip(reason='not today')\n@check('X', group='own')\ndef x():\n    pass\n",
        "@check('X', group='own')\n@pytest.mark.skipif(True, reason='not today')\ndef x():\n    pass\n",
    ],
    ids=["in the check", "in a fixture", "mark", "mark below"],
)
def test_blocking_check_that_is_skipped_was_not_evaluated(project: Project, skipping: str) -> None:
    project.write("conftest.py", HEAD + skipping)
    result = project.preflight("-v")
    assert result.ret == 0
    assert statuses(result)["X"] == "SKIPPED"
    result.stdout.fnmatch_lines(
        [
            f"{CAMPAIGN_NAME}: INCOMPLETE (*)",
            "artifact: not written*",
            "*1 of 10 blocking checks were not evaluated: X.",
        ]
    )
    assert not project.artifact_path.exists()


def test_check_that_does_not_apply_was_evaluated(project: Project) -> None:
    conftest(
        project,
        """
        @check("X", group="own")
        def x():
            not_applicable("it is Sunday")

        @check("Z", group="own", severity="advisory")
        @pytest.mark.skip(reason="advisory ones don't matter")
        def z():
            pass
        """,
    )
    result = project.preflight("-v")
    assert result.ret == 0
    assert statuses(result)["X"] == "SKIPPED"
    artifact = project.artifact()
    assert artifact["status"] == "READY"
    assert outcomes(project)["X"] == "skipped"
    assert reported(project, "X")["message"] == "it is Sunday"
    # One that does not apply neither passed nor failed.
    assert artifact["checks_summary"]["total"] == 9


def test_fixture_may_say_that_the_check_does_not_apply(project: Project) -> None:
    conftest(
        project,
        """
        @pytest.fixture
        def cloud():
            not_applicable("there is no cloud here")

        @check("X", group="own")
        def x(cloud):
            pass
        """,
    )
    assert project.preflight().ret == 0
    assert project.artifact()["status"] == "READY"
    assert outcomes(project)["X"] == "skipped"
    assert reported(project, "X")["message"] == "there is no cloud here"


def test_reason_why_a_check_does_not_apply_is_shown_as_it_was_given(project: Project) -> None:
    conftest(
        project,
        """
        @check("X", group="own")
        def x():
            not_applicable("it is Sunday")
        """,
    )
    result = project.preflight("-v", "-rs")
    result.stdout.fnmatch_lines(
        [f"{CAMPAIGN_NAME}::own[[]X[]] SKIPPED (it is Sunday)*", "SKIPPED * it is Sunday"]
    )
    result.stdout.no_fnmatch_line("*NotApplicable*")


def test_xfail_mark_does_not_make_a_campaign_ready(project: Project) -> None:
    conftest(
        project,
        """
        @pytest.mark.xfail(reason="known")
        @check("X", group="own", remediation="Mend it.")
        def x():
            assert False, "still broken"
        """,
    )
    result = project.preflight("-v")
    assert result.ret == 1
    assert statuses(result)["X"] == "XFAIL"
    artifact = project.artifact()
    assert artifact["status"] == "FAILED"
    assert [failure["check_id"] for failure in artifact["failures"]] == ["X"]


def test_xfail_mark_without_run_was_not_evaluated(project: Project) -> None:
    conftest(
        project,
        """
        @pytest.mark.xfail(run=False, reason="hangs")
        @check("X", group="own")
        def x():
            raise AssertionError("was run")
        """,
    )
    result = project.preflight("-v")
    result.stdout.fnmatch_lines(
        [f"{CAMPAIGN_NAME}: INCOMPLETE*", "*1 of 10 blocking checks were not evaluated: X."]
    )
    assert not project.artifact_path.exists()


def test_own_marks_can_be_selected_by(project: Project) -> None:
    conftest(
        project,
        """
        def pytest_configure(config):
            config.addinivalue_line("markers", "slow: takes long")

        @pytest.mark.slow
        @check("X", group="own")
        def x():
            pass

        @check("Y", group="own")
        @pytest.mark.slow
        def y():
            pass
        """,
    )
    result = project.preflight("-v", "--strict-markers", "-m", "slow and blocking and metaopt")
    assert result.ret == 0
    assert statuses(result) == {"X": "PASSED", "Y": "PASSED"}


# -- who does not use us --------------------------------------------------------------------------


def test_plain_project_gets_none_of_our_rooms_and_strict_markers_is_content(project: Project) -> None:
    project.write(
        "tests/test_own.py",
        """
import sys
import pytest

@pytest.mark.blocking
@pytest.mark.advisory
@pytest.mark.metaopt
def test_own():
    ours = {name for name in sys.modules if name.partition(".")[0] == "pytest_metaopt"}
    assert ours <= {
        "pytest_metaopt",
        "pytest_metaopt.documents",
        "pytest_metaopt.documents.kinds",
        "pytest_metaopt.reports",
        "pytest_metaopt.reports.formats",
        "pytest_metaopt.plugin",
        "pytest_metaopt.session",
        "pytest_metaopt.session.options",
        "pytest_metaopt.session.hookspecs",
    }
    assert "pytest_metaopt.plugin" in ours
    assert not {"yaml", "filelock", "pydantic", "testinfra"} & set(sys.modules)
""",
    )
    # A campaign that lies about changes nothing, and neither does a name that looks like a document's.
    for arguments in ((), (".",), ("tests/test_own.py",)):
        # pytest-testinfra is a plugin of its own, which the tests of nodes have installed.
        quiet = ("-p", "no:pytest11.testinfra", "-W", "error")
        result = project.process("--strict-markers", "--strict-config", *quiet, *arguments)
        result.assert_outcomes(passed=1)
        assert result.ret == 0
        result.stdout.no_fnmatch_line("*metaopt:*")
        result.stdout.no_fnmatch_line("*readiness*")


def test_strict_markers_is_content_with_a_campaign(project: Project) -> None:
    conftest(project, "@check('X', group='own', severity='advisory')\ndef x():\n    pass\n")
    result = project.preflight("--strict-markers", "--strict-config", "-W", "error")
    assert result.ret == 0
    assert project.artifact()["status"] == "READY"
