"""B1, B2 and B3: what they make, what they leave alone, and what they refuse; and bootstraps of users."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.in_process import run_here
from tests.support.project import (
    CAMPAIGN,
    CAMPAIGN_NAME,
    LIGHT,
    Project,
    make_empty_repository,
    only_repo_checks,
)
from tests.support.scale import examples

pytestmark = pytest.mark.usefixtures("repo_checks_only")

STATE = ".ml-metaopt"
ARTIFACT = f"{STATE}/preflight-readiness.json"
DIRECTORIES = (
    "handoffs",
    "worker-results",
    "tasks",
    "executor-events",
    "artifacts/code",
    "artifacts/data",
    "artifacts/manifests",
    "artifacts/patches",
)
MADE_DIRECTORIES = {STATE, f"{STATE}/artifacts", *(f"{STATE}/{name}" for name in DIRECTORIES)}
LINE = b".ml-metaopt/"
UTF16 = (b"\xff\xfe", b"\xfe\xff")


def snapshot(folder: Path) -> dict[str, tuple[object, ...]]:
    """Return what each path below *folder* is, links not followed, without what pytest itself writes."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if {".pytest_cache", "__pycache__", "stdout", "stderr"} & set(name.parts):
            continue
        if name.parts[0].startswith("runpytest-"):
            continue
        status = path.lstat()
        mode = status.st_mode
        if stat.S_ISLNK(mode):
            found[str(name)] = ("link", str(path.readlink()))
        elif stat.S_ISREG(mode):
            found[str(name)] = ("file", oct(mode), status.st_mtime_ns, path.read_bytes())
        else:
            found[str(name)] = ("directory" if stat.S_ISDIR(mode) else "other", oct(mode))
    return found


class Neighbours:
    """Many projects that one session looks at, since a session for each would take long."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: list[str] = []
        self.command: list[str] = []
        self.exit_status: int | None = None
        self.output = ""
        self.readiness: dict[str, dict[str, Any]] = {}

    def add(self, name: str) -> Path:
        """Make a project and return its root."""
        root = self.folder / name
        make_empty_repository(root / ".git")
        (root / CAMPAIGN_NAME).write_text(CAMPAIGN)
        self.names.append(name)
        return root

    def look(self, *arguments: str, report: Path | None = None, **keywords: Any) -> None:
        """Run pytest on every campaign; the attributes say how it went."""
        report = report or self.folder / "report.json"
        campaigns = [f"--metaopt-campaign={name}/{CAMPAIGN_NAME}" for name in self.names]
        options = ["-q", "-p", "no:cacheprovider", "--json-report", f"--json-report-file={report}"]
        ended = run_pytest(*campaigns, *options, *arguments, cwd=self.folder, **keywords)
        self.exit_status, self.output = ended.returncode, ended.stdout + ended.stderr
        entries = json.loads(report.read_text())["readiness"]
        entries = entries.get("campaigns", [entries])
        self.readiness = {Path(entry["campaign_path"]).parent.name: entry for entry in entries}

    def outcomes(self, name: str) -> dict[str, str]:
        return {check["id"]: check["outcome"] for check in self.readiness[name]["checks"]}

    def failed(self, name: str) -> set[str]:
        return {check_id for check_id, outcome in self.outcomes(name).items() if outcome == "failed"}

    def message(self, name: str, check_id: str) -> str:
        messages = {check["id"]: check["message"] for check in self.readiness[name]["checks"]}
        return str(messages[check_id])


def run_pytest(
    *arguments: str, cwd: Path, prefix: tuple[str, ...] = (), **keywords: Any
) -> subprocess.CompletedProcess[str]:
    """Run pytest, in a process of its own where it has a *prefix* or *keywords*."""
    environment = {
        name: value
        for name, value in {**os.environ, **keywords.pop("env", {})}.items()
        if not name.startswith(("PYTEST_", "METAOPT_", "COV_CORE_"))
    } | only_repo_checks()
    environment["PYTEST_ADDOPTS"] = LIGHT
    if not prefix and not keywords:
        return run_here(pytest.main, list(arguments), cwd, environment)
    return subprocess.run(
        [*prefix, sys.executable, "-B", "-m", "pytest", *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
        check=False,
        **keywords,
    )


# -- what they make ---------------------------------------------------------------------------


def test_each_bootstrap_makes_what_it_is_for_and_nothing_else(tmp_path: Path) -> None:
    neighbours = Neighbours(tmp_path)
    queried = {"b1": "R1", "b2": "R3", "b3": "R2"}
    before = {name: snapshot(neighbours.add(name)) for name in queried}
    neighbours.names = []
    neighbours.look(*(f"{name}/{CAMPAIGN_NAME}::repo[{check}]" for name, check in queried.items()))
    made = {name: set(snapshot(tmp_path / name)) - set(before[name]) for name in queried}
    assert neighbours.exit_status == 0
    assert made == {"b1": {STATE}, "b2": MADE_DIRECTORIES, "b3": {".gitignore"}}
    assert (tmp_path / "b3" / ".gitignore").read_bytes() == LINE + b"\n"
    assert {name: neighbours.readiness[name]["diagnostics"] for name in ("b1", "b3")} == {
        "b1": "bootstrap: created .ml-metaopt/",
        "b3": "bootstrap: created .gitignore with the line '.ml-metaopt/'",
    }


def test_a_second_session_passes_and_changes_nothing_but_the_artifact(project: Project) -> None:
    empty = snapshot(project.path)
    first = project.preflight()
    bootstrapped = snapshot(project.path)
    assert first.ret == 0
    assert set(bootstrapped) - set(empty) == {*MADE_DIRECTORIES, ".gitignore", ARTIFACT}
    assert {name: entry for name, entry in bootstrapped.items() if name in empty} == empty

    second = project.preflight()
    again = snapshot(project.path)
    assert second.ret == 0
    second.stdout.fnmatch_lines(["* 9 passed in *"])
    second.stdout.no_fnmatch_line("*bootstraps changed*")
    del bootstrapped[ARTIFACT], again[ARTIFACT]
    assert again == bootstrapped


def test_without_bootstraps_only_the_artifact_is_written_and_only_where_its_folder_is(tmp_path: Path) -> None:
    neighbours = Neighbours(tmp_path)
    empty, begun = neighbours.add("empty"), neighbours.add("begun")
    (begun / STATE).mkdir()
    before = snapshot(empty), snapshot(begun)
    neighbours.look("--metaopt-no-bootstrap")
    assert neighbours.exit_status == 1
    assert neighbours.failed("empty") == {"R1", "R2", "R3", "R4", "R5", "R6"}
    assert neighbours.failed("begun") == {"R2", "R3", "R4", "R5", "R6"}
    after = snapshot(empty), snapshot(begun)
    assert json.loads((begun / ARTIFACT).read_text())["status"] == "FAILED"
    assert after[1].pop(ARTIFACT)
    assert after == before
    assert neighbours.readiness["empty"]["written"] is False
    assert STATE in neighbours.readiness["empty"]["note"]


# -- .gitignore, byte by byte -----------------------------------------------------------------

APPENDED = {
    "lines_end_in_lf": (b"*.pyc\nbuild/\n", b".ml-metaopt/\n"),
    "lines_end_in_crlf": (b"*.pyc\r\nbuild/\r\n", b".ml-metaopt/\r\n"),
    "last_newline_is_missing": (b"*.pyc\nbuild/", b"\n.ml-metaopt/"),
    "last_newline_is_missing_after_crlf": (b"*.pyc\r\nbuild/\r\ndist/", b"\r\n.ml-metaopt/"),
    "mostly_lf": (b"a\nb\nc\r\n", b".ml-metaopt/\n"),
    "empty": (b"", b".ml-metaopt/\n"),
    "blank_lines": (b"\n\n", b".ml-metaopt/\n"),
    "utf8_with_bom": (b"\xef\xbb\xbf*.pyc\n", b".ml-metaopt/\n"),
    "only_a_bom": (b"\xef\xbb\xbf", b"\n.ml-metaopt/"),
    "neither_utf8_nor_text": (b"caf\xe9/\n\x00\xff\n", b".ml-metaopt/\n"),
    "comment": (b"# .ml-metaopt/\n#.ml-metaopt/\n", b".ml-metaopt/\n"),
    "longer_name": (b".ml-metaopt/x\n.ml-metaopt2/\nx.ml-metaopt/\n", b".ml-metaopt/\n"),
    "leading_space": (b" .ml-metaopt/\n", b".ml-metaopt/\n"),
    "trailing_tab": (b".ml-metaopt/\t\n", b".ml-metaopt/\n"),
    "other_folder": (b"sub/.ml-metaopt/\n", b".ml-metaopt/\n"),
    "long": (b"a-rather-long-name/\n" * 5000, b".ml-metaopt/\n"),
}
KEPT = {
    "folder": b".ml-metaopt/\n",
    "name": b"a\n.ml-metaopt\nb\n",
    "content": b".ml-metaopt/*\n",
    "rooted_folder": b"/.ml-metaopt/\n",
    "rooted_name": b"/.ml-metaopt\n",
    "rooted_content": b"/.ml-metaopt/*\n",
    "trailing_spaces": b".ml-metaopt/   \n",
    "crlf": b"a\r\n.ml-metaopt/\r\n",
    "trailing_spaces_and_crlf": b".ml-metaopt/ \r\n",
    "no_last_newline": b"a\n.ml-metaopt/",
    "behind_a_bom": b"\xef\xbb\xbf.ml-metaopt/\n",
    "among_bytes": b"\xff\x00\n.ml-metaopt/\n\xff",
}
REFUSED = {
    "utf16_little_endian": b"\xff\xfe" + "*.pyc\n".encode("utf-16-le"),
    "utf16_big_endian": b"\xfe\xff" + "*.pyc\n".encode("utf-16-be"),
}


@pytest.fixture(scope="module")
def gitignores(tmp_path_factory: pytest.TempPathFactory) -> Neighbours:
    neighbours = Neighbours(tmp_path_factory.mktemp("gitignores"))
    cases = {**{name: old for name, (old, _) in APPENDED.items()}, **KEPT, **REFUSED}
    for name, old in cases.items():
        (neighbours.add(name) / ".gitignore").write_bytes(old)
    neighbours.look("-k", "repo and R2")
    return neighbours


@pytest.mark.parametrize("name", APPENDED)
def test_gitignore_gets_the_line_and_keeps_its_bytes(gitignores: Neighbours, name: str) -> None:
    old, addition = APPENDED[name]
    assert (gitignores.folder / name / ".gitignore").read_bytes() == old + addition
    assert gitignores.outcomes(name) == {"R2": "bootstrapped"}


@pytest.mark.parametrize("name", KEPT)
def test_gitignore_that_has_the_line_is_left_alone(gitignores: Neighbours, name: str) -> None:
    assert (gitignores.folder / name / ".gitignore").read_bytes() == KEPT[name]
    assert gitignores.outcomes(name) == {"R2": "passed"}


@pytest.mark.parametrize("name", REFUSED)
def test_gitignore_in_utf16_is_refused_with_the_reason(gitignores: Neighbours, name: str) -> None:
    assert (gitignores.folder / name / ".gitignore").read_bytes() == REFUSED[name]
    assert gitignores.failed(name) == {"R2"}
    assert "UTF-16" in gitignores.message(name, "R2")
    assert "UTF-8" in gitignores.message(name, "R2")


def test_git_agrees_with_every_gitignore_that_r2_is_content_with(gitignores: Neighbours, git: str) -> None:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    disagreeing = []
    for name in gitignores.names:
        root = gitignores.folder / name
        subprocess.run([git, "init", "-q"], cwd=root, env=environment, check=True, capture_output=True)
        command = [git, "check-ignore", "-q", f"{STATE}/x"]
        reported = subprocess.run(command, cwd=root, env=environment, check=False)
        if (reported.returncode == 0) != (gitignores.outcomes(name)["R2"] != "failed"):
            disagreeing.append(name)
    assert disagreeing == []


def is_utf16(data: bytes) -> bool:
    return data.startswith(UTF16)


GITIGNORE_PARTS = [
    b"\n",
    b"\r\n",
    b"\r",
    b".ml-metaopt",
    b"/",
    b"*",
    b" ",
    b"#",
    b"a",
    b"\xef\xbb\xbf",
    b"\xff",
]
GITIGNORES = st.one_of(
    st.binary(max_size=50),
    st.lists(st.sampled_from(GITIGNORE_PARTS), max_size=12).map(b"".join),
).filter(lambda data: not is_utf16(data))


@settings(
    max_examples=examples(5),
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(olds=st.lists(GITIGNORES, min_size=10, max_size=10))
def test_whatever_bytes_gitignore_has_they_stay_and_one_line_follows(olds: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        neighbours = Neighbours(Path(folder))
        for number, old in enumerate(olds):
            (neighbours.add(f"project{number}") / ".gitignore").write_bytes(old)
        neighbours.look("-k", "repo and R2")
        for number, old in enumerate(olds):
            new = (neighbours.folder / f"project{number}" / ".gitignore").read_bytes()
            outcome = neighbours.outcomes(f"project{number}")["R2"]
            assert new.startswith(old)
            added = new[len(old) :]
            if outcome == "passed":
                assert added == b""
                assert any(
                    line.strip(b"\r ").strip(b"/*").endswith(b".ml-metaopt") for line in old.split(b"\n")
                )
            else:
                assert outcome == "bootstrapped"
                assert added.strip(b"\r\n") == LINE
                assert len(added) <= len(LINE) + 2
                assert new.endswith(b"\n") == (old.endswith(b"\n") or not old)


def test_gitignore_keeps_its_inode_mode_and_hard_links(project: Project) -> None:
    gitignore = project.write(".gitignore", "*.pyc\n")
    gitignore.chmod(0o640)
    other_name = project.path / "same-file"
    other_name.hardlink_to(gitignore)
    before = gitignore.stat()
    assert project.preflight("-q").ret == 0
    after = gitignore.stat()
    assert (after.st_ino, after.st_mode, after.st_nlink) == (before.st_ino, before.st_mode, 2)
    assert other_name.read_bytes() == gitignore.read_bytes() == b"*.pyc\n.ml-metaopt/\n"


# -- links, and things that are in the way ----------------------------------------------------


def state_leads_out(root: Path, outside: Path) -> None:
    (root / STATE).symlink_to(outside)


def state_leads_out_to_a_complete_folder(root: Path, outside: Path) -> None:
    for name in DIRECTORIES:
        (outside / name).mkdir(parents=True)
    (root / STATE).symlink_to(os.path.relpath(outside, root))


def state_leads_out_to_nothing(root: Path, outside: Path) -> None:
    (root / STATE).symlink_to(outside / "new")


def state_is_dangling(root: Path, outside: Path) -> None:
    (root / STATE).symlink_to("nowhere")


def state_is_a_file(root: Path, outside: Path) -> None:
    (root / STATE).write_text("precious\n")


def artifacts_leads_out(root: Path, outside: Path) -> None:
    (root / STATE).mkdir()
    (root / STATE / "artifacts").symlink_to(outside)


def patches_leads_out_to_nothing(root: Path, outside: Path) -> None:
    (root / STATE / "artifacts").mkdir(parents=True)
    (root / STATE / "artifacts" / "patches").symlink_to(outside / "new")


def tasks_is_a_file(root: Path, outside: Path) -> None:
    (root / STATE).mkdir()
    (root / STATE / "tasks").write_text("precious\n")


def executor_events_is_dangling(root: Path, outside: Path) -> None:
    (root / STATE).mkdir()
    (root / STATE / "executor-events").symlink_to("nowhere")


def gitignore_leads_out(root: Path, outside: Path) -> None:
    (root / ".gitignore").symlink_to(outside / "precious")


def gitignore_leads_out_and_has_the_line(root: Path, outside: Path) -> None:
    (outside / "gitignore").write_bytes(LINE + b"\n")
    (root / ".gitignore").symlink_to(outside / "gitignore")


def gitignore_leads_out_to_nothing(root: Path, outside: Path) -> None:
    (root / ".gitignore").symlink_to(outside / "new")


def gitignore_is_dangling(root: Path, outside: Path) -> None:
    (root / ".gitignore").symlink_to("nowhere")


def gitignore_leads_to_itself(root: Path, outside: Path) -> None:
    (root / ".gitignore").symlink_to(".gitignore")


def gitignore_is_a_directory(root: Path, outside: Path) -> None:
    (root / ".gitignore").mkdir()


def gitignore_is_a_pipe(root: Path, outside: Path) -> None:
    os.mkfifo(root / ".gitignore")


STATE_CHECKS = {"R1", "R3", "R4", "R5", "R6"}
BELOW_STATE = {"R3", "R4", "R5", "R6"}
LINKS: dict[Callable[[Path, Path], None], tuple[set[str], str, str]] = {
    # the checks that fail, and words that each failure has to have
    state_leads_out: (STATE_CHECKS, ".ml-metaopt leads out of the project", "{outside}"),
    state_leads_out_to_a_complete_folder: (STATE_CHECKS, ".ml-metaopt", "leads out of the project"),
    state_leads_out_to_nothing: (STATE_CHECKS, ".ml-metaopt leads out of the project", "{outside}"),
    state_is_dangling: (STATE_CHECKS, ".ml-metaopt exists, but is", "not a directory"),
    state_is_a_file: (STATE_CHECKS, ".ml-metaopt exists, but is", "not a directory"),
    artifacts_leads_out: (BELOW_STATE, ".ml-metaopt/artifacts leads out of the project", "{outside}"),
    patches_leads_out_to_nothing: (BELOW_STATE, ".ml-metaopt/artifacts/patches leads out", "{outside}"),
    tasks_is_a_file: (BELOW_STATE, ".ml-metaopt/tasks exists, but is", "not a directory"),
    executor_events_is_dangling: (
        BELOW_STATE,
        ".ml-metaopt/executor-events exists, but is",
        "not a directory",
    ),
    gitignore_leads_out: ({"R2"}, ".gitignore leads out of the project", "{outside}"),
    gitignore_leads_out_and_has_the_line: ({"R2"}, ".gitignore leads out of the project", "{outside}"),
    gitignore_leads_out_to_nothing: ({"R2"}, ".gitignore leads out of the project", "{outside}"),
    gitignore_is_dangling: ({"R2"}, ".gitignore is", "dangling link"),
    gitignore_leads_to_itself: ({"R2"}, ".gitignore is", "link"),
    gitignore_is_a_directory: ({"R2"}, ".gitignore is", "not a regular file"),
    gitignore_is_a_pipe: ({"R2"}, ".gitignore is", "not a regular file"),
}


class Linked:
    """The projects of ``LINKS`` after a session, and what they and the folder outside were before."""

    def __init__(self, folder: Path) -> None:
        self.outside = folder / "outside"
        self.neighbours = Neighbours(folder / "projects")
        for prepare in LINKS:
            own = self.outside_of(prepare)
            own.mkdir(parents=True)
            (own / "precious").write_text("precious\n")
            prepare(self.neighbours.add(prepare.__name__), own)
        self.outside_before = snapshot(self.outside)
        self.before = {prepare: snapshot(self.root(prepare)) for prepare in LINKS}
        self.neighbours.look()

    def root(self, prepare: Callable[[Path, Path], None]) -> Path:
        return self.neighbours.folder / prepare.__name__

    def outside_of(self, prepare: Callable[[Path, Path], None]) -> Path:
        return self.outside / prepare.__name__


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory) -> Linked:
    return Linked(tmp_path_factory.mktemp("links"))


def test_nothing_outside_the_project_is_touched(linked: Linked) -> None:
    assert snapshot(linked.outside) == linked.outside_before
    assert linked.neighbours.exit_status == 1


@pytest.mark.parametrize("prepare", LINKS)
def test_what_is_in_the_way_fails_the_check_which_says_what_it_is(
    linked: Linked, prepare: Callable[[Path, Path], None]
) -> None:
    name = prepare.__name__
    failing, *words = LINKS[prepare]
    assert linked.neighbours.failed(name) == failing
    for check_id in failing:
        message = linked.neighbours.message(name, check_id)
        assert all(word.format(outside=linked.outside_of(prepare)) in message for word in words), message
        assert "bootstrap bootstrap_" in message, "both causes are reported"


@pytest.mark.parametrize("prepare", LINKS)
def test_what_is_in_the_way_stays_and_no_part_of_what_was_expected_does(
    linked: Linked, prepare: Callable[[Path, Path], None]
) -> None:
    failing = LINKS[prepare][0]
    made = {".gitignore"} if "R2" not in failing else MADE_DIRECTORIES
    written = "R1" not in failing
    after = snapshot(linked.root(prepare))
    assert set(after) - set(linked.before[prepare]) == made | ({ARTIFACT} if written else set())
    assert {name: after[name] for name in linked.before[prepare]} == linked.before[prepare]
    assert linked.neighbours.readiness[prepare.__name__]["written"] is written


def test_links_that_stay_inside_the_project_are_followed(tmp_path: Path) -> None:
    neighbours = Neighbours(tmp_path)
    root = neighbours.add("project")
    (root / "kept" / "state").mkdir(parents=True)
    (root / STATE).symlink_to("kept/state")
    (tmp_path / "by_another_name").symlink_to("project")
    neighbours.names = ["by_another_name"]
    neighbours.look()
    assert neighbours.exit_status == 0
    assert neighbours.outcomes("by_another_name")["R1"] == "passed"
    assert neighbours.readiness["by_another_name"]["checks_summary"]["bootstrapped"] == 5
    assert (root / STATE).is_symlink()
    assert all((root / "kept" / "state" / name).is_dir() for name in DIRECTORIES)
    assert json.loads((root / "kept" / "state" / Path(ARTIFACT).name).read_text())["status"] == "READY"


def test_a_gitignore_that_is_a_link_is_refused_since_git_does_not_follow_it(project: Project) -> None:
    target = project.write("config/gitignore", "*.pyc\n")
    (project.path / ".gitignore").symlink_to("config/gitignore")
    result = project.preflight()
    assert target.read_bytes() == b"*.pyc\n"
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*R2: .gitignore is a link*"])


def test_a_state_folder_that_leads_to_itself_is_a_failure_not_a_crash(project: Project) -> None:
    (project.path / STATE).symlink_to(STATE)
    result = project.preflight()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*R1: .ml-metaopt is *", "*not written*"])
    assert str((project.path / STATE).readlink()) == STATE


def test_an_artifact_that_is_a_link_out_is_replaced_not_followed(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "precious"
    outside.write_text("precious\n")
    (project.path / STATE).mkdir()
    project.artifact_path.symlink_to(outside)
    assert project.preflight("-q").ret == 0
    assert outside.read_text() == "precious\n"
    assert not project.artifact_path.is_symlink()
    assert project.artifact()["status"] == "READY"


def test_a_refused_bootstrap_ends_the_session_with_both_causes_and_the_unwritten_artifact(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (project.path / STATE).symlink_to(outside)
    result = project.preflight()
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            f"{CAMPAIGN_NAME}:1:1: R1: .ml-metaopt leads out of the project root, to*",
            "  bootstrap bootstrap_state_folder failed: .ml-metaopt leads out of the*",
            "ERROR: the readiness artifact was not written:*",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    assert list(outside.iterdir()) == []


# -- disks and rights -------------------------------------------------------------------------


class Disk:
    """A small disk of its own, mounted in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mount(self, options: str) -> None:
        self._run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.folder))

    def make_read_only(self) -> None:
        self._run("mount", "-o", "remount,ro", str(self.folder))

    def fill(self) -> None:
        """Take every byte that is left."""
        with (
            pytest.raises(OSError, match="No space left") as caught,
            open(self.folder / "ballast", "wb") as file,
        ):
            while True:
                file.write(b"x" * 4096)
                file.flush()
        assert caught.value.errno == errno.ENOSPC

    def leave_inodes(self, number: int) -> None:
        """Take every inode but *number*."""
        ballast = self.folder / "ballast"
        ballast.mkdir()
        for count in range(os.statvfs(self.folder).f_ffree - number):
            (ballast / str(count)).touch()
        assert os.statvfs(self.folder).f_ffree == number

    @staticmethod
    def _run(*command: str) -> None:
        try:
            ended = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip("there is no mount command")
        if ended.returncode != 0:
            pytest.skip(f"a disk cannot be mounted here: {ended.stderr.strip()}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if os.geteuid() != 0:
        pytest.skip("mounting a disk needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    yield Disk(folder)
    subprocess.run(["umount", str(folder)], capture_output=True, check=False)


def test_a_read_only_tree_fails_the_checks_and_stays_as_it_is(disk: Disk, tmp_path: Path) -> None:
    disk.mount("size=1m")
    neighbours = Neighbours(disk.folder)
    root = neighbours.add("project")
    (root / ".gitignore").write_bytes(b"*.pyc\n")
    before = snapshot(root)
    disk.make_read_only()
    neighbours.look(report=tmp_path / "report.json")
    assert neighbours.exit_status == 1
    assert neighbours.failed("project") == {"R1", "R2", "R3", "R4", "R5", "R6"}
    for check_id in neighbours.failed("project"):
        assert "Read-only file system" in neighbours.message("project", check_id)
    assert "Traceback" not in neighbours.output
    assert snapshot(root) == before


def test_a_full_disk_fails_the_check_and_nothing_half_written_stays(disk: Disk, tmp_path: Path) -> None:
    disk.mount("size=256k")
    neighbours = Neighbours(disk.folder)
    # A disk hands out whole pages: in the second file a part of the line fits, in the third nothing does.
    olds = {"none": None, "fits_in_part": b"a" * 4089 + b"\n", "fits_not": b"a" * 4095 + b"\n"}
    # A READY would be taken back, which makes room.
    old_artifact = b'{"schema_version": 1, "status": "FAILED", "emitted_at": "2024-01-01T00:00:00Z"}\n'
    for name, old in olds.items():
        root = neighbours.add(name)
        if old is not None:
            (root / ".gitignore").write_bytes(old)
        (root / STATE).mkdir()
        (root / ARTIFACT).write_bytes(old_artifact)
    disk.fill()
    before = {name: snapshot(disk.folder / name) for name in olds}
    neighbours.look(report=tmp_path / "report.json")
    assert neighbours.exit_status == 1
    for name in olds:
        assert neighbours.failed(name) >= {"R2"}
        assert "could not write .gitignore: No space left on device" in neighbours.message(name, "R2")
        after = snapshot(disk.folder / name)
        assert {path: after[path] for path in before[name] if path != ".gitignore"} == {
            path: entry for path, entry in before[name].items() if path != ".gitignore"
        }
        assert set(after) - set(before[name]) <= MADE_DIRECTORIES
        gitignore = disk.folder / name / ".gitignore"
        assert (gitignore.read_bytes() if gitignore.exists() else None) == olds[name]
        assert neighbours.readiness[name]["written"] is False
        assert "No space left on device" in neighbours.readiness[name]["note"]
    assert "Traceback" not in neighbours.output


def test_directories_that_were_made_are_removed_where_the_rest_does_not_fit(
    disk: Disk, tmp_path: Path
) -> None:
    disk.mount("size=1m,nr_inodes=60")
    neighbours = Neighbours(disk.folder)
    root = neighbours.add("project")
    before = snapshot(root)
    disk.leave_inodes(4)
    neighbours.look("-k", "repo and R4", report=tmp_path / "report.json")
    assert neighbours.failed("project") == {"R4"}
    assert "No space left on device" in neighbours.message("project", "R4")
    assert snapshot(root) == before


def test_a_write_that_ends_early_is_undone(project: Project) -> None:
    # A limit on file sizes ends a write early on any machine, as a full disk does.
    old = b"a" * 4089 + b"\n"
    (project.path / ".gitignore").write_bytes(old)

    def limit_file_size() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    options = ("-s", "-p", "no:cacheprovider", f"--metaopt-campaign={CAMPAIGN_NAME}")
    ended = run_pytest(*options, "-k", "repo and R2", cwd=project.path, preexec_fn=limit_file_size)
    assert ended.returncode == 1
    assert "bootstrap bootstrap_gitignore failed: could not write .gitignore: File too large" in " ".join(
        ended.stdout.split()
    )
    assert (project.path / ".gitignore").read_bytes() == old


def other_user() -> tuple[str, ...]:
    """Return what a command has to begin with to run without root's rights; skips where that cannot be."""
    if os.geteuid() != 0:
        return ()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("there is no setpriv command to run as another user with")
    user = (setpriv, "--reuid=65534", "--regid=65534", "--clear-groups")
    # The interpreter may lie in a folder that only root can enter; this right is one to read, not to write.
    reader = (*user, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    for prefix in (reader, user):
        command = [*prefix, sys.executable, "-c", "import pytest, pytest_metaopt"]
        if subprocess.run(command, cwd="/", capture_output=True, check=False).returncode == 0:
            return prefix
    pytest.skip("another user cannot run this Python")


def test_a_user_without_the_right_to_write_is_reported_and_the_tree_stays_as_it_is() -> None:
    prefix = other_user()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        temporary = folder / "tmp"
        temporary.mkdir()
        temporary.chmod(0o777)
        neighbours = Neighbours(folder)
        closed, one_file = neighbours.add("closed"), neighbours.add("one_file")
        (one_file / ".gitignore").write_bytes(b"*.pyc\n")
        (one_file / ".gitignore").chmod(0o444)
        one_file.chmod(0o777)
        closed.chmod(0o555)
        before = snapshot(closed)
        try:
            neighbours.look(
                "-p",
                "no:cacheprovider",
                report=temporary / "report.json",
                prefix=prefix,
                env={"TMPDIR": str(temporary), "HOME": str(temporary)},
            )
        finally:
            closed.chmod(0o755)
        assert neighbours.exit_status == 1
        assert neighbours.failed("closed") == {"R1", "R2", "R3", "R4", "R5", "R6"}
        for check_id in neighbours.failed("closed"):
            assert "Permission denied" in neighbours.message("closed", check_id)
        assert neighbours.readiness["closed"]["written"] is False
        assert snapshot(closed) == before
        assert neighbours.failed("one_file") == {"R2"}
        assert "could not write .gitignore: Permission denied" in neighbours.message("one_file", "R2")
        assert (one_file / ".gitignore").read_bytes() == b"*.pyc\n"
        assert neighbours.readiness["one_file"]["written"] is True
        assert "Traceback" not in neighbours.output


def test_a_gitignore_that_cannot_be_read_is_reported_without_a_traceback(tmp_path: Path) -> None:
    prefix: tuple[str, ...] = ()
    if os.geteuid() == 0:
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            pytest.skip("there is no setpriv command to give up root's right to read every file with")
        prefix = (setpriv, "--bounding-set=-dac_override,-dac_read_search")
    neighbours = Neighbours(tmp_path)
    gitignore = neighbours.add("project") / ".gitignore"
    gitignore.write_bytes(b"*.pyc\n")
    gitignore.chmod(0o200)
    neighbours.look("--tb=short", prefix=prefix)
    gitignore.chmod(0o600)
    assert neighbours.exit_status == 1
    assert neighbours.failed("project") == {"R2"}
    assert "Permission denied" in neighbours.message("project", "R2")
    assert "broke" not in neighbours.message("project", "R2")
    assert "Traceback" not in neighbours.output
    assert gitignore.read_bytes() == b"*.pyc\n"


# -- bootstraps of users ----------------------------------------------------------------------

CUSTOM = """
from pathlib import Path

import pytest
from pytest_metaopt import check


def mends(name):
    Path(name).touch()


@pytest.fixture
def tells_a_sentence():
    mends("sentence")
    return "laid a sentence"


@pytest.fixture
def tells_a_list():
    mends("list")
    return ["laid a list", "twice"]


@pytest.fixture
def tells_nothing():
    mends("nothing")


@pytest.fixture
def tells_a_number():
    mends("number")
    return 7


@pytest.fixture
def cleans_up():
    mends("generator")
    yield "laid something for as long as the check lasts"
    Path("generator").unlink()
    Path("cleaned-up").touch()


@pytest.fixture
def raises():
    raise RuntimeError("the tool said no")


@pytest.fixture
def skips():
    pytest.skip("only on weekdays")


@pytest.fixture
def fails():
    pytest.fail("the shelf is bare")


@pytest.fixture
def needs_another(another):
    return another


@pytest.fixture
def mends_nothing():
    return "tried"


@pytest.fixture
def breaks_while_cleaning_up():
    mends("broken-clean-up")
    yield
    raise RuntimeError("the mop is gone")


def declare(check_id, bootstrap, name):
    @check(check_id, group="mine", bootstrap=bootstrap, remediation="Mend it by hand.")
    def is_there():
        assert Path(name).exists(), f"{name} is missing"


declare("sentence", "tells_a_sentence", "sentence")
declare("list", "tells_a_list", "list")
declare("nothing", "tells_nothing", "nothing")
declare("number", "tells_a_number", "number")
declare("generator", "cleans_up", "generator")
declare("raises", "raises", "x")
declare("skips", "skips", "x")
declare("fails", "fails", "x")
declare("needs_another", "needs_another", "x")
declare("in_vain", "mends_nothing", "x")
declare("clean_up", "breaks_while_cleaning_up", "broken-clean-up")
"""


def test_bootstraps_of_users_mend_in_every_way_a_fixture_can_and_tell_why_they_could_not(
    project: Project,
) -> None:
    project.write("conftest.py", CUSTOM)
    result = project.preflight()
    artifact = project.artifact()
    found = {check["id"]: check for check in artifact["checks"] if check["category"] == "mine"}
    assert result.ret == 1

    mended = ("sentence", "list", "nothing", "number", "generator")
    assert {name: found[name]["outcome"] for name in mended} == dict.fromkeys(mended, "bootstrapped")
    assert [line for line in artifact["diagnostics"].splitlines() if "created" not in line][:5] == [
        "bootstrap: laid a sentence",
        "bootstrap: laid a list",
        "bootstrap: twice",
        "bootstrap: tells_nothing ran",
        "bootstrap: tells_a_number ran",
    ]
    assert (project.path / "cleaned-up").exists()
    assert not (project.path / "generator").exists()

    causes = {
        "raises": "bootstrap raises failed: RuntimeError: the tool said no",
        "skips": "bootstrap skips failed: only on weekdays",
        "fails": "bootstrap fails failed: the shelf is bare",
        "needs_another": "bootstrap needs_another failed: fixture 'another' not found",
        "in_vain": "bootstrap mends_nothing ran, but the check still fails",
    }
    assert {name: found[name]["outcome"] for name in causes} == dict.fromkeys(causes, "failed")
    assert {name: found[name]["message"] for name in causes} == {
        name: f"x is missing\n{cause}" for name, cause in causes.items()
    }
    assert found["clean_up"]["outcome"] == "failed"
    assert "the mop is gone" in found["clean_up"]["message"]
    assert {failure["check_id"] for failure in artifact["failures"]} == {*causes, "clean_up"}
    result.stdout.fnmatch_lines(
        [
            f"{CAMPAIGN_NAME}:1:1: skips: x is missing",
            "  bootstrap skips failed: only on weekdays",
            "  fix: Mend it by hand.",
        ]
    )


def test_a_bootstrap_that_exits_fails_its_own_check_and_no_other(project: Project) -> None:
    project.write(
        "conftest.py",
        """
import sys
from pathlib import Path

import pytest
from pytest_metaopt import check


@pytest.fixture
def exits():
    sys.exit("cannot go on")


@pytest.fixture
def mends():
    Path("mended").touch()


@check("first", group="mine", bootstrap="exits")
def never_holds():
    assert False, "it is broken"


@check("second", group="mine", bootstrap="mends")
def holds_later():
    assert Path("mended").exists(), "it is not mended"
""",
    )
    assert project.preflight("-q").ret == 1
    found = {check["id"]: check for check in project.artifact()["checks"]}
    assert found["second"]["outcome"] == "bootstrapped"
    assert found["first"]["outcome"] == "failed"
    assert "it is broken" in found["first"]["message"]
    assert "cannot go on" in found["first"]["message"]


def test_a_conftest_replaces_a_built_in_bootstrap_by_its_name(project: Project) -> None:
    project.write(
        "conftest.py",
        """
import pytest


@pytest.fixture
def bootstrap_gitignore(project_root, bootstrap_gitignore):
    with open(project_root / ".gitignore", "a") as file:
        file.write("# by our own rules\\n")
    return [*bootstrap_gitignore, "wrote a note"]


@pytest.fixture
def bootstrap_directories():
    raise RuntimeError("we make directories ourselves")
""",
    )
    assert project.preflight("-q").ret == 1
    outcomes = {check["id"]: check["outcome"] for check in project.artifact()["checks"]}
    assert (outcomes["R1"], outcomes["R2"], outcomes["R3"]) == ("bootstrapped", "bootstrapped", "failed")
    assert (project.path / ".gitignore").read_text() == ".ml-metaopt/\n# by our own rules\n"
    assert "bootstrap: wrote a note" in project.artifact()["diagnostics"]
    assert not (project.path / STATE / "handoffs").exists()
