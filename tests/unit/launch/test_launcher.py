"""The launcher behind shells within shells."""

from __future__ import annotations

import shlex

import pytest

from pytest_metaopt.launch.launcher import Launcher, of_command


def behind(shells: int) -> str:
    """Return a command that starts torchrun, that many ``sh -c`` deep."""
    command = "torchrun --nnodes=2 train.py"
    for _ in range(shells):
        command = f"sh -c {shlex.quote(command)}"
    return command


@pytest.mark.parametrize("shells", [0, 1, 2, 3])
def test_three_shells_hide_no_launcher(shells: int) -> None:
    assert of_command(behind(shells)) == Launcher("torchrun", {"nnodes": "2"})


def test_four_are_not_followed() -> None:
    assert of_command(behind(4)) is None
