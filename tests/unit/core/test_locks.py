"""A folder is locked by one process at a time; what cannot be locked is reported in a line."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_metaopt.core import locks
from pytest_metaopt.core.locks import LockUnavailableError, held

HOLDS = """\
import sys
from pathlib import Path
from pytest_metaopt.core.locks import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a moment only."""
    monkeypatch.setattr(locks, "PATIENCE", 0.05)
    monkeypatch.setattr(locks, "_NOTICE_AFTER", 0.05)


def is_free(folder: Path) -> bool:
    """Tell whether another process could take the lock."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def test_it_is_held_until_the_end_and_by_its_own_process_again(tmp_path: Path) -> None:
    with held(tmp_path):
        assert not is_free(tmp_path)
        with held(tmp_path / "."):
            assert not is_free(tmp_path)
        assert not is_free(tmp_path)
    assert is_free(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_exception_releases_it(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), held(tmp_path):
        raise ZeroDivisionError
    assert is_free(tmp_path)


def test_a_folder_that_another_process_holds_is_waited_for(tmp_path: Path, patience: None) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        sentences: list[str] = []
        with pytest.raises(LockUnavailableError) as raised, held(tmp_path, sentences.append):
            pass
        assert str(raised.value) == (
            f"another preflight session has held {tmp_path} for 0 s; run again when it has ended"
        )
        assert sentences == ["waiting for another preflight session on this project to finish its bootstraps"]
        other.kill()
    with held(tmp_path):
        pass


@pytest.mark.parametrize("number", [errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP])
def test_where_no_folder_can_be_locked_a_file_in_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, patience: None
) -> None:
    """As on NFS."""
    real = fcntl.flock

    def of_nfs(descriptor: int, operation: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", of_nfs)
    with held(tmp_path), held(tmp_path):
        monkeypatch.setattr(locks, "_held", {})  # as another process sees it
        with pytest.raises(LockUnavailableError), held(tmp_path):
            pass
        monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == [".metaopt.lock"]


@pytest.mark.parametrize(
    ("name", "why"), [("none", "No such file or directory"), ("file", "Not a directory")]
)
def test_what_is_no_folder_cannot_be_locked(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LockUnavailableError) as raised, held(tmp_path / name):
        pass
    assert str(raised.value) == f"could not lock {tmp_path / name}: {why}"
