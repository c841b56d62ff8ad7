"""Files that nobody has looked at: one clear line, exit status 2, nothing written."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from pytest_metaopt.__main__ import main
from pytest_metaopt.core.document import DocumentError
from pytest_metaopt.documents.campaign import load_campaign
from pytest_metaopt.documents.sources.text import read_text

# Named here, or pytester would take what main() imports out of sys.modules again at the end of each test.
from pytest_metaopt.results import freshness  # noqa: F401
from tests.support.project import CAMPAIGN, CAMPAIGN_NAME, Project
from tests.support.scale import FULL

LAUGHS = "a0: &a0 [lol]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)

CONTENTS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty; a campaign is a YAML mapping"),
    "nul": (b"campaign:\n  name: a\0b\n", "2:10: holds a NUL byte; save it as UTF-8 text"),
    "latin1": (b"campaign:\n  name: caf\xe9\n", "2:12: byte 0xe9 is not UTF-8; save the file as UTF-8"),
    "tab": (b"campaign:\n\tname: a\n", "2:1: a tab is used as indentation; YAML takes spaces only"),
    "list": (b"- campaign\n", "1:1: is a list; a campaign is a YAML mapping"),
    "two_documents": (b"a: 1\n---\nb: 2\n", "2:1: a second YAML document begins here; keep one per file"),
    "large": (
        CAMPAIGN.encode() + b"#" * (1 << 20),
        "is larger than 1048576 bytes; is this the right file?",
    ),
    "deep": (b"a: " + b"[" * 70 + b"]" * 70, "is nested deeper than 64 levels"),
    "laughs": (LAUGHS.encode(), "holds more than 100000 values (aliases expanded)"),
    "object": (
        b"a: !!python/object/apply:os.getcwd []\n",
        "1:4: the tag tag:yaml.org,2002:python/object/apply:os.getcwd",
    ),
    "date": (
        b"campaign:\n  name: 2024-01-01\n",
        "2:9: campaign.name is a date, which JSON cannot hold; quote it",
    ),
    "not_finite": (b"compute:\n  a: [.inf]\n", "2:7: compute.a.0 is inf, which JSON cannot hold; quote it"),
    "mixed_keys": (
        b"compute:\n  a: {1: x, b: y}\n",
        "2:3: compute.a mixes strings and other types as keys; quote them",
    ),
}


def prepare(project: Project, kind: str) -> str:
    """Put something else in the campaign's place; return what is to be said of it."""
    if kind in CONTENTS:
        data, problem = CONTENTS[kind]
        project.campaign.write_bytes(data)
        return problem
    project.campaign.unlink()
    if kind == "directory":
        project.campaign.mkdir()
    elif kind == "fifo":
        os.mkfifo(project.campaign)
    elif kind == "dangling_link":
        project.campaign.symlink_to("nowhere")
    return {"directory": "is a directory", "fifo": "FIFO"}.get(kind, "no such")


def written(project: Project) -> set[str]:
    return {".ml-metaopt", ".gitignore"} & set(project.tree())


@pytest.mark.parametrize("kind", [*CONTENTS, "missing", "directory", "fifo", "dangling_link"])
def test_verify_ends_with_exit_2_and_one_line(
    project: Project, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(project.path)
    problem = prepare(project, kind)
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        assert main(["verify"]) == 2
    assert out.getvalue() == ""
    assert err.getvalue().startswith(f"ERROR: {CAMPAIGN_NAME}:")
    assert problem in err.getvalue()
    assert err.getvalue().count("\n") == 1
    assert written(project) == set()


@pytest.mark.parametrize("kind", ["missing", "directory", "fifo", "empty", "nul", "laughs", "date"])
def test_reference_command_line_ends_with_exit_2_and_one_line(project: Project, kind: str) -> None:
    problem = prepare(project, kind)
    done = project.command("--campaign", CAMPAIGN_NAME)
    assert done.returncode == 2
    specific = [line for line in (done.stdout + done.stderr).splitlines() if problem in line]
    assert len(specific) == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "status:" not in done.stdout
    assert written(project) == set()


@contextmanager
def as_somebody_without_rights() -> Iterator[None]:
    """Root may read every file, so be nobody for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_without_read_permission_is_refused_in_one_line(project: Project) -> None:
    # The folders above belong to root alone; a file by its descriptor's path needs none of them.
    project.campaign.chmod(0)
    project.path.chmod(0o755)
    with as_somebody_without_rights(), pytest.raises(DocumentError) as caught:
        load_campaign(project.campaign)
    assert str(caught.value) == f"{project.campaign}: no permission to read it; check its mode and owner"


def test_byte_order_mark_and_crlf_change_neither_the_verdict_nor_the_hashes(project: Project) -> None:
    plain = load_campaign(project.campaign)
    project.campaign.write_bytes(b"\xef\xbb\xbf" + CAMPAIGN.replace("\n", "\r\n").encode())
    marked = load_campaign(project.campaign)
    assert (marked.identity_hash, marked.runtime_hash) == (plain.identity_hash, plain.runtime_hash)
    assert marked.positions == plain.positions
    assert project.preflight("-q").ret == 0
    assert project.artifact()["status"] == "READY"


# -- much of everything ---------------------------------------------------------------------------

MANY = 80_000 if FULL else 4_000

MUCH = {
    "unknown_keys": (
        CAMPAIGN + "".join(f"cam{n}: 1\n" for n in range(MANY)),
        f"and {MANY - 50} more",
    ),
    "duplicate_keys": (
        CAMPAIGN.replace(
            "name: demo\n", "name: demo\n" + "".join(f"  k{n}: 1\n" * 2 for n in range(MANY // 2))
        ),
        f"and {MANY // 2 - 50} more",
    ),
    "accelerator": (
        CAMPAIGN.replace("CPU:1", "[" + "'x:x'," * (MANY // 2) + "]"),
        f"and {MANY // 2 - 50} more",
    ),
    "wandb": (
        CAMPAIGN.replace("entity: me", "entity: [" + "YOUR_," * (MANY // 2) + "]"),
        f"and {MANY // 2 - 50} more",
    ),
    "compute": (
        CAMPAIGN.replace("provider: local", "\n".join(f"  provide{n}: x" for n in range(MANY // 2)).lstrip()),
        "compute.provider is missing",
    ),
    "objective": (
        CAMPAIGN.replace("val/accuracy", "a_loss" * MANY).replace("maximize", "m" * MANY),
        "objective.direction is neither maximize nor minimize",
    ),
}

LIMITED = """
import resource, sys
import pytest
resource.setrlimit(resource.RLIMIT_CPU, (40, 40))
sys.exit(pytest.main(sys.argv[1:]))
"""


def test_thousands_of_mistakes_are_reported_in_a_few_lines(project: Project) -> None:
    arguments = ["-qq", "-p", "no:cacheprovider", "--metaopt-no-bootstrap"]
    for name, (text, _) in MUCH.items():
        assert len(text) < 1 << 20
        project.write(f"{name}/.git/config", "")
        project.write(f"{name}/.ml-metaopt/config", "")
        project.write(f"{name}/{CAMPAIGN_NAME}", text)
        arguments += ["--metaopt-campaign", f"{name}/{CAMPAIGN_NAME}"]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *arguments],
        cwd=project.path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (1, "")
    for name, (_, reported) in MUCH.items():
        artifact = (project.path / name / ".ml-metaopt" / "preflight-readiness.json").read_text()
        assert reported in artifact
        assert len(artifact) < 100_000


def test_a_huge_sparse_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "campaign.yaml"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(DocumentError, match="is larger than 1048576 bytes"):
        load_campaign(path)


def test_a_reader_of_other_files_may_allow_more(tmp_path: Path) -> None:
    path = tmp_path / "artifact.json"
    path.write_text("x" * 100)
    assert len(read_text(path, most=100)) == 100
    with pytest.raises(DocumentError, match=r"is larger than 99 bytes; is this"):
        read_text(path, most=99)


def test_a_name_with_control_characters_cannot_steer_the_terminal(tmp_path: Path) -> None:
    err = io.StringIO()
    with redirect_stderr(err):
        assert main(["verify", "--campaign", str(tmp_path / "a\x1b[31m\nb.yaml")]) == 2
    assert err.getvalue().endswith("a\\x1b[31m\\nb.yaml: no such file; check the path\n")
    assert err.getvalue().count("\n") == 1
