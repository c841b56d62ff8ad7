"""The training code, imported in a process of its own: registries and trainers of all kinds."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pytest_metaopt.probes.command import Deadline, Runner
from pytest_metaopt.probes.local.training_code import (
    Models,
    named_object,
    options_of_help,
    query_registry,
    query_trainer,
)


def registry(root: Path, source: str, limit: float = 20) -> Models:
    (root / "registry_code.py").write_text(source)
    return query_registry("registry_code:REGISTRY", root, Runner(Deadline.after(limit)))


PRINTS = """
import os
print('{"models": ["x"]}')
os.system("echo noise; echo noise >&2")
REGISTRY = "a", "b"
"""
THREAD = """
import threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
REGISTRY = ["a", "b"]
"""

GOOD = {
    "mapping": "REGISTRY = {'a': 1, 'b': 2}",
    "list": "REGISTRY = ['a', 'b', 'a']",
    "generator": "REGISTRY = (name for name in 'ab')",
    "enum": "import enum\nREGISTRY = enum.Enum('Model', {'A': 'a', 'B': 'b'})",
    "prints": PRINTS,
    "leaves_a_thread": THREAD,
    "closes_stdout": "import os, sys\nsys.stdout.close()\nos.close(2)\nREGISTRY = ['a', 'b']",
    "changes_folder": "import os\nos.chdir('/')\nREGISTRY = ['a', 'b']",
}


@pytest.mark.parametrize("name", GOOD)
def test_a_registry_is_read_whatever_else_its_import_does(tmp_path: Path, name: str) -> None:
    found = registry(tmp_path, GOOD[name])
    assert (found.problem, found.names) == (None, ("a", "b"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["registry_code.py"]


BROKEN = {
    "sleeps": ("import time\ntime.sleep(60)\n", "its import timed out after 2 s"),
    "segfaults": ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", "(was killed by SIGSEGV)"),
    "ctypes": ("import ctypes\nctypes.string_at(0)\n", "was killed by SIGSEGV"),
    "missing": ("import torchx\n", "registry_code imports 'torchx', which is not installed here"),
    "exits": ("raise SystemExit('no GPU')\n", "the import of registry_code raised SystemExit: no GPU"),
    "raises": ("1 / 0\n", "the import of registry_code raised ZeroDivisionError: division by zero"),
    "syntax": ("def\n", "the import of registry_code raised SyntaxError: invalid syntax"),
    "hard_exit": ("import os\nos._exit(3)\n", "its import ended with no answer (exit status 3)"),
    "hard_exit_with_success": ("import os\nos._exit(0)\n", "its import ended with no answer (exit status 0)"),
    "number": ("REGISTRY = 3\n", "REGISTRY is a int; it has to be a mapping or iterable of names"),
    "objects": ("REGISTRY = [object()]\n", "REGISTRY has a object in it; it has to hold strings"),
    "empty": ("REGISTRY = {}\n", "REGISTRY is empty; is it filled by an import that is missing here?"),
    "endless": ("import itertools\nREGISTRY = map(str, itertools.count())\n", "yields more than 10000 names"),
    "breaks": (
        "class R:\n  def __iter__(self): raise OSError('x')\nREGISTRY = R()\n",
        "REGISTRY raised OSError: x",
    ),
    "misspelt": ("REGISTRIES = {}\n", "registry_code has no 'REGISTRY'; did you mean 'REGISTRIES'?"),
    "long": ("raise OSError('x' * 9999)\n", "..."),
    "steering": ("raise OSError('\\x1b[31m')\n", "OSError: \\x1b[31m"),
    "secret": ("raise OSError('https://me:hunter22@host/x')\n", "https://***@host/x"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_registry_is_one_line_in_time(tmp_path: Path, name: str) -> None:
    source, expected = BROKEN[name]
    started = time.monotonic()
    found = registry(tmp_path, f"print('noise' * 100000)\n{source}", limit=2 if name == "sleeps" else 20)
    assert time.monotonic() - started < 20
    assert found.names == ()
    assert found.problem is not None
    assert expected in found.problem
    assert found.problem.isprintable()
    assert len(found.problem) <= 300


def test_what_is_no_module_and_name_is_said(tmp_path: Path) -> None:
    run = Runner(Deadline.after(20))
    assert query_registry("nowhere.models:R", tmp_path, run).problem == (
        "module 'nowhere' not found; is the training code installed here?"
    )
    assert query_registry("models.py", tmp_path, run).problem == "is not of the form package.module:NAME"
    assert named_object("a.b:C.d") == ("a.b", "C.d")
    for text in ("a", "a:", ":b", "a:b:c", "a b:c", "a.:b", "a;import os:b"):
        assert named_object(text) is None


def test_the_registry_of_a_package_in_the_project_and_not_of_ours(tmp_path: Path) -> None:
    (tmp_path / "fleet").mkdir()
    (tmp_path / "fleet" / "models.py").write_text("class Zoo:\n    NAMES = {'a': 1}\n")
    # Modules of the project that have the names of ours are the project's.
    (tmp_path / "command.py").write_text("NAMES = ['mine']\n")
    run = Runner(Deadline.after(20))
    assert query_registry("fleet.models:Zoo.NAMES", tmp_path, run).names == ("a",)
    assert query_registry("command:NAMES", tmp_path, run).names == ("mine",)


ARGPARSE_HELP = """\
usage: train.py [-h] [--epochs EPOCHS] ...

a trainer; --not-an-option is text

options:
  -h, --help            show this help message and exit
  --epochs EPOCHS       how many; see --later
  -b BATCH_SIZE, --batch-size BATCH_SIZE
                        --wrapped is text
  --optim {adam,sgd}    which
  --amp, --no-amp       mixed precision
  --betas BETAS BETAS
"""

CLICK_HELP = """\
Usage: train.py [OPTIONS]

Options:
  --epochs INTEGER           how many
  --lr FLOAT                 rate  [default: 0.1]
  --optim [adam|sgd]         which
  --amp / --no-amp
  --help                     Show this message and exit.
"""


def test_options_are_read_from_a_help_text() -> None:
    found = options_of_help(ARGPARSE_HELP)
    assert list(found) == ["epochs", "batch_size", "optim", "amp", "no_amp", "betas"]
    assert found["optim"].choices == ("adam", "sgd")
    assert [name for name, option in found.items() if option.flag] == ["amp", "no_amp"]
    assert found["epochs"].refusal("anything") is None
    clicked = options_of_help(CLICK_HELP)
    assert list(clicked) == ["epochs", "lr", "optim", "amp", "no_amp"]
    assert clicked["epochs"].refusal(1.5) == "is not an integer"
    assert clicked["epochs"].refusal(3) is None
    assert clicked["lr"].refusal("fast") == "is not a number"
    assert clicked["lr"].refusal(3e-4) is None
    assert clicked["optim"].refusal("adm") == "is neither adam nor sgd; did you mean 'adam'?"
    assert clicked["amp"].refusal(True) is None


def test_a_script_that_is_no_python_is_queried_for_its_help(tmp_path: Path) -> None:
    script = tmp_path / "train"
    script.write_text("#!/bin/sh\n[ \"$1\" = --help ] && echo '  --epochs N  how many'\n")
    script.chmod(0o755)
    run = Runner(Deadline.after(20))
    found = query_trainer("train", {"epochs": [1], "x": [2]}, tmp_path, run)
    assert (found.problem, found.names, set(found.unknown)) == (None, ("epochs",), {"x"})
    script.write_text("#!/bin/sh\necho nothing\n")
    assert query_trainer("train", {}, tmp_path, run).problem == "--help names no options"
    script.chmod(0o644)
    assert (
        "could not be started" in str(query_trainer("train", {}, tmp_path, run).problem) or os.getuid() == 0
    )


def test_ten_thousand_values_are_queried_at_once(tmp_path: Path) -> None:
    (tmp_path / "trainer_code.py").write_text(
        "import argparse\ndef build():\n    p = argparse.ArgumentParser()\n"
        "    p.add_argument('--seed', type=int)\n    p.add_argument('--optim', choices=['a'])\n    return p\n"
    )
    run = Runner(Deadline.after(20))
    values: dict[str, list[object]] = {"seed": list(range(10_000)), "optim": [f"x{n}" for n in range(10_000)]}
    found = query_trainer("trainer_code:build", values, tmp_path, run)
    assert found.problem is None
    assert len(found.refused) == 10_000
    assert found.refusal("seed", 7) is None
    assert found.refusal("optim", "x7") == "is not one of a"
