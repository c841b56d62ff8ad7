"""The file of an artifact: an old READY is taken back whatever the file system refuses."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from pytest_metaopt.results.artifact_file import NotWrittenError, is_failed, previous, revoke

READY = json.dumps({"status": "READY", "emitted_at": "2026-01-31T23:59:59Z"})
ERRNOS = ("ENOSPC", "EDQUOT", "EACCES", "EROFS", "EISDIR", "EFBIG", "EIO", "EPERM")


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    path = tmp_path / "preflight-readiness.json"
    path.write_text(READY)
    path.chmod(0o640)
    return path


def refuse(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, error: str) -> None:
    """Let a system call fail, as a full, a read-only or a broken file system does."""

    def refused(*_: object, **__: object) -> None:
        raise OSError(getattr(errno, error), os.strerror(getattr(errno, error)))

    monkeypatch.setattr(owner, name, refused)


def test_an_artifact_is_removed_and_its_mode_returned(artifact: Path) -> None:
    assert revoke(artifact) == 0o640
    assert not artifact.exists()


@pytest.mark.parametrize("error", ERRNOS)
def test_what_cannot_be_removed_is_emptied(
    artifact: Path, monkeypatch: pytest.MonkeyPatch, error: str
) -> None:
    refuse(monkeypatch, Path, "unlink", error)
    assert revoke(artifact) == 0o640
    assert artifact.read_bytes() == b""


@pytest.mark.parametrize("error", ERRNOS)
def test_what_cannot_be_emptied_is_overwritten(
    artifact: Path, monkeypatch: pytest.MonkeyPatch, error: str
) -> None:
    refuse(monkeypatch, Path, "unlink", error)
    refuse(monkeypatch, os, "ftruncate", error)
    revoke(artifact)
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(artifact.read_text())


@pytest.mark.parametrize("error", ERRNOS)
def test_where_nothing_helps_the_session_must_not_begin(
    artifact: Path, monkeypatch: pytest.MonkeyPatch, error: str
) -> None:
    refuse(monkeypatch, Path, "unlink", error)
    refuse(monkeypatch, os, "open", error)
    with pytest.raises(NotWrittenError, match="which may say READY"):
        revoke(artifact)
    assert artifact.read_text() == READY


def test_what_no_reader_takes_for_an_artifact_stays(tmp_path: Path) -> None:
    fifo, folder = tmp_path / "fifo", tmp_path / "folder"
    os.mkfifo(fifo)
    folder.mkdir()
    for path in (fifo, folder, tmp_path / "missing", tmp_path / "missing" / "below"):
        assert revoke(path) is None
        assert (previous(path), is_failed(path)) == (None, False)
    assert fifo.is_fifo()
    assert folder.is_dir()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (READY, "READY of 2026-01-31T23:59:59Z"),
        ('{"status": "READY", "emitted_at": "\\u001b[2Jx"}', "READY of \\x1b[2Jx"),
        ('{"status": "READY", "emitted_at": 5}', None),
        ('{"status": ["READY"], "emitted_at": "x"}', None),
        ("[" * 100_000, None),
        ("[]", None),
        ("", None),
    ],
)
def test_an_old_artifact_is_shown_as_far_as_it_can_be_made_out(
    artifact: Path, text: str, shown: str | None
) -> None:
    artifact.write_text(text)
    assert previous(artifact) == shown
