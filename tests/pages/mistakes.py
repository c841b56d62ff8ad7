"""docs/mistakes.md: what people see of ten typical mistakes; ``python -m tests.pages`` writes it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from tests.pages.readme import unversioned
from tests.support.paths import ROOT
from tests.support.project import CAMPAIGN_NAME, make_empty_repository

PAGE: Path = ROOT / "docs" / "mistakes.md"

Session: TypeAlias = Callable[[Path, Sequence[str]], tuple[int, str]]
"""Runs pytest in a folder, and returns its exit status and what it printed."""

GOOD = """\
campaign:
  name: mnist-sweep
project:
  repo: .
  smoke_test_command: python train.py --smoke
wandb:
  entity: my-team
  project: mnist
  mode: offline
compute:
  provider: local
  accelerator: CPU:1
  num_sweep_agents: 4
  idle_timeout_minutes: 15
  max_budget_usd: 10
objective:
  metric: val/accuracy
  direction: maximize
  improvement_threshold: 0.005
proposal_policy:
  current_target: 5
stop_conditions:
  max_iterations: 20
  max_no_improve_iterations: 5
"""

HEAD = """\
# Ten typical mistakes, and what the preflight says

Each is a session of

```sh
pytest --metaopt-campaign ml_metaopt_campaign.yaml
```

in a project that is ready but for the lines shown; the lines that name versions are left out. This page is
generated (`python -m tests.pages`) and checked by a test.
"""


class Problem(NamedTuple):
    """A typical mistake: its title, the lines that are wrong, as edits of the good campaign."""

    title: str
    edits: list[tuple[str, str]]
    campaign: str = CAMPAIGN_NAME


MISTAKES = [
    Problem(
        "Placeholders of the template are still there",
        [
            ("repo: .", "repo: <repository>"),
            ("entity: my-team", "entity: YOUR_WANDB_ENTITY"),
        ],
    ),
    Problem("A section's name is misspelt", [("stop_conditions:", "stop_condition:")]),
    Problem(
        "Numbers that YAML reads as text",
        [
            ("num_sweep_agents: 4", 'num_sweep_agents: "4"'),
            ("improvement_threshold: 0.005", "improvement_threshold: 5e-3"),
        ],
    ),
    Problem(
        "Numbers out of their range",
        [
            ("num_sweep_agents: 4", "num_sweep_agents: 40"),
            ("idle_timeout_minutes: 15", "idle_timeout_minutes: 2"),
            ("max_budget_usd: 10", "max_budget_usd: 500"),
        ],
    ),
    Problem("A direction in words of one's own", [("direction: maximize", "direction: maximise")]),
    Problem(
        "A loss that is to be maximized, a key given twice, no idle timeout",
        [
            ("metric: val/accuracy", "metric: val/loss"),
            ("idle_timeout_minutes: 15\n  max_budget_usd: 10", "max_budget_usd: 5\n  max_budget_usd: 50"),
        ],
    ),
    Problem("An accelerator that SkyPilot does not read so", [("accelerator: CPU:1", "accelerator: 8xA100")]),
    Problem("A tab as indentation", [("  name: mnist-sweep", "\tname: mnist-sweep")]),
    Problem("A name that YAML reads as a date", [("name: mnist-sweep", "name: 2026-02-01")]),
    Problem("The file's own name is misspelt", [], campaign="ml_metaopt_campain.yaml"),
]


def page(run: Session | None = None) -> str:
    """Return the whole page, each session run anew: by *run*, or else in a process of its own."""
    run = run or _in_a_process
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_empty_repository(root / ".git")
        (root / CAMPAIGN_NAME).write_text(GOOD)
        _printed(run, root, CAMPAIGN_NAME)
        parts = [
            HEAD,
            *(_part(number, mistake, root, run) for number, mistake in enumerate(MISTAKES, start=1)),
        ]
    return "\n".join(parts)


def _part(number: int, mistake: Problem, root: Path, run: Session) -> str:
    text = GOOD
    for old, new in mistake.edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (root / CAMPAIGN_NAME).write_text(text)
    lines = [f"## {number}. {mistake.title}", ""]
    if mistake.edits:
        lines += ["```yaml", *(_excerpt(new) for _, new in mistake.edits), "```", ""]
    status, output = _printed(run, root, mistake.campaign)
    return "\n".join(
        [
            *lines,
            "```text",
            f"$ pytest --metaopt-campaign {mistake.campaign}",
            output,
            "```",
            "",
            f"Exit status {status}.",
            "",
        ]
    )


def _printed(run: Session, root: Path, campaign: str) -> tuple[int, str]:
    status, output = run(root, ["--metaopt-campaign", campaign, "-p", "no:cacheprovider"])
    return status, unversioned(output.replace(f"{root}/", ""))


def _excerpt(text: str) -> str:
    return "\n".join(line if line.startswith("\t") else line.strip() for line in text.split("\n"))


def _in_a_process(root: Path, arguments: Sequence[str]) -> tuple[int, str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=root,
        env={**environment, "COLUMNS": "80"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout
