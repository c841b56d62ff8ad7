from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_metaopt.core.document import Document
from pytest_metaopt.probes.command import Deadline, Result, Runner
from pytest_metaopt.probes.services.git import Repository, address, git_repository, query, refusal
from tests.support.recordings import Replay
from tests.support.servers import (
    PASSWORD,
    USER,
    git_daemon,
    https_server,
    make_certificate,
    make_repository,
)

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def root(home: Path, tmp_path: Path) -> Path:
    """A project root with a repository beside it."""
    path = tmp_path / "project"
    path.mkdir()
    return path


@pytest.fixture
def commit(root: Path) -> str:
    """The commit of the repository ``there.git`` beside the root."""
    return make_repository(root.parent / "there.git")


# -- paths and file URLs ----------------------------------------------------------------------


@pytest.mark.parametrize("form", ["../there.git", "{folder}/there.git", "file://{folder}/there.git"])
def test_reaches_a_repository_on_disk(form: str, root: Path, commit: str, run: Runner) -> None:
    value = form.format(folder=root.parent)
    found = query(value, root, run)
    assert (found.shown, found.reachable, found.head, found.trouble) == (value, True, commit, None)


def test_the_project_root_itself(root: Path, run: Runner) -> None:
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    assert query(".", root, run).reachable


def test_an_empty_repository_is_reachable(root: Path, run: Runner) -> None:
    subprocess.run(["git", "init", "-q", "--bare", str(root / "empty.git")], check=True)
    found = query("empty.git", root, run)
    assert found == Repository("empty.git", True, seconds=found.seconds)


@pytest.mark.parametrize("value", ["none.git", "file:///no/such/place", ".", "~/none"])
def test_no_such_repository_on_disk(value: str, root: Path, run: Runner) -> None:
    found = query(value, root, run)
    assert (found.reachable, found.trouble) == (False, "no such repository")
    assert found.message is not None
    assert found.message.endswith("does not appear to be a git repository")


def test_a_name_is_a_path_and_not_a_remote(root: Path, commit: str, run: Runner) -> None:
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    subprocess.run(["git", "-C", str(root), "remote", "add", "origin", "../there.git"], check=True)
    assert query("origin", root, run).trouble == "no such repository"


def test_a_hook_around_us_does_not_lead_astray(
    root: Path, commit: str, run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.setenv(name, "/no/such/place")
    assert query("../there.git", root, run).reachable


# -- what is refused --------------------------------------------------------------------------

REFUSED = [
    "--upload-pack=touch PWNED",
    "-u",
    "-",
    "ext::sh -c touch% PWNED",
    "EXT::sh -c touch% PWNED",
    "fd::0",
    "::0",
    "foo.bar+1-2::x",
    "ext://sh -c touch% PWNED",
    "s3://bucket/x",
    " ext::sh -c touch% PWNED",
    "https://h.test/x\n",
    "https://h.test/x\0",
    "a\x1b[2Jb",
    "https://github.com/YOUR_ORG/repository.git",
    "<repository>",
    "\ud800",
]


@pytest.mark.parametrize("value", REFUSED)
def test_refuses_before_git_sees_it(value: str, root: Path) -> None:
    run = Replay()
    found = query(value, root, run)
    assert (found.reachable, found.trouble) == (False, "refused")
    assert found.message == refusal(value)
    assert found.shown.isprintable()
    assert run.queried == []


@pytest.mark.parametrize(
    "value",
    [
        "https://host.test/org/x.git",
        "HTTPS://host.test/x",
        "http://host.test:8080/x",
        "git://host.test/x",
        "ssh://git@host.test:2222/x",
        "git+ssh://host.test/x",
        "file:///srv/x.git",
        "git@host.test:org/x.git",
        "host:x",
        "/srv/x.git",
        "../x",
        ".",
        "x",
        "./a::b",
        "dir/a b",
        "caf\N{LATIN SMALL LETTER E WITH ACUTE}",
    ],
)
def test_takes(value: str) -> None:
    assert refusal(value) is None


def test_git_would_run_it_and_does_not(root: Path, run: Runner) -> None:
    (Path.home() / ".gitconfig").write_text(
        '[protocol "ext"]\n\tallow = always\n[url "ext::sh -c touch% PWNED% "]\n\tinsteadOf = https://evil.test/\n'
    )
    assert query("ext::sh -c touch% PWNED", root, run).trouble == "refused"
    rewritten = query("https://evil.test/x", root, run)
    assert (rewritten.trouble, rewritten.message) == ("refused", "transport 'ext' not allowed")
    assert not list(root.parent.rglob("PWNED"))
    assert not Path("PWNED").exists()


def test_the_url_stands_behind_two_dashes(root: Path) -> None:
    answers = {
        "git config --get core.sshCommand": Result("git", "exited", 1, "", "", 0.0, "exit status 1"),
        "git ls-remote --quiet -- git@host.test:x HEAD": Result("git", "exited", 0, "", "", 0.0, None),
    }
    assert query("git@host.test:x", root, Replay(answers=answers)).reachable


@pytest.mark.parametrize(
    ("value", "given"),
    [
        (".", "/root/of/project"),
        ("../x", "/root/of/project/../x"),
        ("/srv/x", "/srv/x"),
        ("./a:b", "/root/of/project/a:b"),
        ("a:b", "a:b"),
        ("git@h:a/b", "git@h:a/b"),
        ("https://h/x", "https://h/x"),
    ],
)
def test_what_git_is_given(value: str, given: str) -> None:
    assert address(value, Path("/root/of/project")) == given


# -- git daemon -------------------------------------------------------------------------------


@pytest.fixture
def daemon(root: Path, commit: str) -> Iterator[str]:
    (root.parent / "there.git" / "git-daemon-export-ok").touch()
    make_repository(root.parent / "hidden.git")
    with git_daemon(root.parent) as url:
        yield url


def test_git_daemon(daemon: str, root: Path, commit: str, run: Runner) -> None:
    assert query(f"{daemon}/there.git", root, run).head == commit
    assert query(f"{daemon}/hidden.git", root, run).trouble == "no such repository"
    assert query(f"{daemon}/none.git", root, run).trouble == "no such repository"


# -- https ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    path = tmp_path_factory.mktemp("https") / "certificate.pem"
    make_certificate(path)
    return path


@pytest.fixture
def https(root: Path, commit: str, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with https_server(root.parent, certificate) as url:
        monkeypatch.setenv("GIT_SSL_CAINFO", str(certificate))
        yield url


@pytest.fixture
def prompt(root: Path, script: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Programs that would ask the user, everywhere where git looks for one; gives what they write."""
    queried = root.parent / "QUERIED"
    program = script("ask-the-user", f"echo queried >> {queried}; echo {PASSWORD}")
    for name in ("GIT_ASKPASS", "SSH_ASKPASS"):
        monkeypatch.setenv(name, str(program))
    monkeypatch.setenv("DISPLAY", ":0")
    (Path.home() / ".gitconfig").write_text(f"[core]\n\taskPass = {program}\n")
    return queried


def test_https(https: str, root: Path, commit: str, run: Runner) -> None:
    assert query(f"{https}/open/there.git", root, run).head == commit
    missing = query(f"{https}/open/none.git", root, run)
    assert (missing.trouble, missing.message) == (
        "no such repository",
        f"repository '{https}/open/none.git/' not found",
    )


def test_https_that_demands_a_password_fails_without_asking(
    https: str, root: Path, prompt: Path, run: Runner
) -> None:
    found = query(f"{https}/private/there.git", root, run)
    assert found.trouble == "authentication"
    assert found.message == f"could not read Username for '{https}': terminal prompts disabled"
    assert found.seconds < 10
    assert not prompt.exists()


def test_a_password_in_the_url_is_used_and_not_shown(
    https: str, root: Path, commit: str, run: Runner
) -> None:
    url = https.replace("://", f"://{USER}:{PASSWORD}@")
    found = query(f"{url}/private/there.git", root, run)
    assert found.head == commit
    assert found.shown == https.replace("://", "://***@") + "/private/there.git"


@pytest.mark.parametrize("user", [f"{USER}:wr0ng-w0rd", "wr0ng-t0ken"])
def test_a_wrong_one_is_not_shown_either(
    user: str, https: str, root: Path, prompt: Path, run: Runner
) -> None:
    found = query(https.replace("://", f"://{user}@") + "/private/there.git", root, run)
    assert found.trouble == "authentication"
    assert "wr0ng" not in repr(found)
    assert not prompt.exists()


def test_a_stored_password_is_used(https: str, root: Path, commit: str, run: Runner) -> None:
    (Path.home() / ".gitconfig").write_text("[credential]\n\thelper = store\n")
    (Path.home() / ".git-credentials").write_text(https.replace("://", f"://{USER}:{PASSWORD}@") + "\n")
    assert query(f"{https}/private/there.git", root, run).head == commit


@pytest.mark.parametrize(
    ("status", "trouble"), [(403, "authentication"), (404, "no such repository"), (503, "unreachable")]
)
def test_statuses(status: int, trouble: str, https: str, root: Path, run: Runner) -> None:
    assert query(f"{https}/status/{status}/x", root, run).trouble == trouble


def test_a_certificate_that_nobody_vouches_for(
    https: str, root: Path, run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GIT_SSL_CAINFO")
    assert query(f"{https}/open/there.git", root, run).trouble == "certificate"


def test_a_server_that_does_not_answer(https: str, root: Path) -> None:
    started = time.monotonic()
    found = query(f"{https}/slow/there.git", root, Runner(Deadline.after(1)))
    assert (found.trouble, found.message) == ("timeout", "timed out after 1 s")
    assert time.monotonic() - started < 2


# -- hosts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    ["https://no-such-host.invalid/x", "git://no-such-host.invalid/x", "http://no-such-host.invalid/x"],
)
def test_no_such_host(value: str, root: Path, run: Runner) -> None:
    assert query(value, root, run).trouble == "no such host"


@pytest.mark.parametrize("value", ["https://user:s3cr3t@127.0.0.1:1/x.git", "git://127.0.0.1:1/x"])
def test_nobody_listens(value: str, root: Path, run: Runner) -> None:
    found = query(value, root, run)
    assert found.trouble == "unreachable"
    assert "s3cr3t" not in repr(found)


def test_git_is_missing(root: Path, run: Runner) -> None:
    found = query("https://h.test/x", root, run, environ={"PATH": "/no/such/folder"})
    assert found.trouble == "git missing"
    assert found.message == "command 'git' not found on PATH"


# -- ssh: a stand-in that says what OpenSSH 9.2 says --------------------------------------------

_REST = """\
fatal: Could not read from remote repository.

Please make sure you have the correct access rights
and the repository exists.
"""


@pytest.mark.parametrize(
    ("said", "trouble", "message"),
    [
        (
            "ssh: Could not resolve hostname h.test: Name or service not known\r\n",
            "no such host",
            "Could not resolve hostname h.test: Name or service not known",
        ),
        (
            "ssh: connect to host h.test port 22: Connection refused\r\n",
            "unreachable",
            "connect to host h.test port 22: Connection refused",
        ),
        (
            (
                "Warning: Permanently added 'h.test' (ED25519) to the list of known hosts.\r\n"
                "git@h.test: Permission denied (publickey).\r\n"
            ),
            "authentication",
            "git@h.test: Permission denied (publickey).",
        ),
        ("Host key verification failed.\r\n", "host key", "Host key verification failed."),
        ("ERROR: Repository not found.\n", "no such repository", "Repository not found."),
    ],
    ids=["no host", "refused", "no key", "host key", "no repository"],
)
def test_ssh(
    said: str, trouble: str, message: str, root: Path, run: Runner, script: Callable[[str, str], Path]
) -> None:
    # The stand-in writes only what ssh would; git itself adds the rest.
    (root.parent / "said").write_bytes(said.encode())
    script("ssh", f"cat {root.parent}/said >&2; exit 255")
    for value in ("git@h.test:x.git", "ssh://git@h.test/x.git"):
        found = query(value, root, run)
        assert (found.trouble, found.message) == (trouble, message)


@pytest.mark.parametrize(
    ("where", "command", "arguments"),
    [
        ("nowhere", "", "-o BatchMode=yes"),
        ("environment", "ssh -i key", "-i key -o BatchMode=yes"),
        ("user", "ssh -i 'my key'", "-i my key -o BatchMode=yes"),
        ("project", "ssh -v", "-v -o BatchMode=yes"),
    ],
)
def test_ssh_gets_its_own_arguments_and_batch_mode(
    where: str,
    command: str,
    arguments: str,
    root: Path,
    run: Runner,
    script: Callable[[str, str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script("ssh", f'echo "$@" > {root.parent}/arguments; exit 255')
    if where == "environment":
        monkeypatch.setenv("GIT_SSH_COMMAND", command)
    elif where == "user":
        (Path.home() / ".gitconfig").write_text(f'[core]\n\tsshCommand = "{command}"\n')
    elif where == "project":
        subprocess.run(["git", "init", "-q", str(root)], check=True)
        subprocess.run(["git", "-C", str(root), "config", "core.sshCommand", command], check=True)
    query("git@h.test:x.git", root, run)
    assert (root.parent / "arguments").read_text().startswith(f"{arguments} ")


def test_another_ssh_program_is_left_alone(
    root: Path, run: Runner, script: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    program = script("my-ssh", f'echo "$@" > {root.parent}/arguments; exit 255')
    monkeypatch.setenv("GIT_SSH", str(program))
    query("git@h.test:x.git", root, run)
    assert "BatchMode" not in (root.parent / "arguments").read_text()
    monkeypatch.setenv("GIT_SSH_COMMAND", str(program))
    query("git@h.test:x.git", root, run)
    assert "BatchMode" not in (root.parent / "arguments").read_text()


def test_traces_of_git_are_not_reported(root: Path, run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_TRACE", "GIT_TRACE_CURL", "GIT_CURL_VERBOSE"):
        monkeypatch.setenv(name, "1")
    found = query("https://user:s3cr3t@127.0.0.1:1/x.git", root, run)
    assert found.message is not None
    assert found.message.startswith("unable to access 'https://127.0.0.1:1/x.git/': Failed to connect")


def test_a_url_may_look_like_a_message(root: Path, run: Runner) -> None:
    found = query("certificate-authentication failed", root, run)
    assert found.trouble == "no such repository"


# -- the probe --------------------------------------------------------------------------------


def campaign(repo: object) -> Document:
    return Document(Path("campaign.yaml"), {"project": {"repo": repo}}, {})


def test_the_probe_asks_for_the_campaigns_repository(root: Path, commit: str, run: Runner) -> None:
    found = git_repository(campaign("../there.git"), root, run)
    assert found is not None
    assert found.head == commit


@pytest.mark.parametrize("repo", [None, "", "  ", 3, ["x"]])
def test_the_probe_runs_nothing_where_there_is_no_repository(repo: object, root: Path) -> None:
    assert git_repository(campaign(repo), root, Replay()) is None
