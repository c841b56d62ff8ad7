"""The campaign checks, through pytest: many campaigns in one session, each wrong in a way of its own."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

import pytest

from tests.support.project import CAMPAIGN, CAMPAIGN_NAME, Project

SECTIONS = ["campaign", "project", "wandb", "compute", "objective", "proposal_policy", "stop_conditions"]


class Wrong(NamedTuple):
    """An edit of a good campaign, the check that says no, and what it says: ``line:column: message``."""

    edit: list[tuple[str, str]]
    check: str
    reported: list[str]


def wrong(check: str, *reported: str, **edits: str) -> Wrong:
    """Give fields, by their names in the good campaign, other values; ``None`` removes the line."""
    return Wrong(
        [(line_of(name), replaced(name, value)) for name, value in edits.items()], check, list(reported)
    )


def line_of(name: str) -> str:
    (line,) = [line for line in CAMPAIGN.splitlines(keepends=True) if line.strip().split(":")[0] == name]
    return line


def replaced(name: str, value: str) -> str:
    line = line_of(name)
    return line.replace(line.split(":", 1)[1], f" {value}\n")


def without(name: str, check: str, *reported: str) -> Wrong:
    return Wrong([(line_of(name), "")], check, list(reported))


def section(name: str) -> str:
    """The text of a whole section of the good campaign."""
    start = CAMPAIGN.index(f"{name}:\n") if name == "campaign" else CAMPAIGN.index(f"\n{name}:\n") + 1
    end = next(
        (i for i in range(start + 1, len(CAMPAIGN)) if CAMPAIGN[i - 1] == "\n" and CAMPAIGN[i] != " "), None
    )
    return CAMPAIGN[start:end]


def no_section(name: str, *reported: str) -> Wrong:
    return Wrong([(section(name), "")], name, list(reported))


def other_section(name: str, text: str, *reported: str) -> Wrong:
    return Wrong([(section(name), f"{name}:{text}\n")], name, list(reported))


AGENTS = "compute.num_sweep_agents is {}; expected an integer from 1 to 16"
BUDGET = "compute.max_budget_usd is {}; expected a number above 0, at most 100"
IDLE = "compute.idle_timeout_minutes is {}; expected an integer from 5 to 60"
GAIN = "objective.improvement_threshold is {}; expected a number above 0"
ITERATIONS = "stop_conditions.max_iterations is {}; expected an integer, 1 or more"
NO_GAIN = "stop_conditions.max_no_improve_iterations is {}; expected an integer, 1 or more"
COMMAND = "project.smoke_test_command {}"
PLACEHOLDER = "is a placeholder; put the real value there"
STRING = "expected a string, neither blank nor a placeholder"

REFUSED: dict[str, Wrong] = {
    # -- sections that are missing or no mappings: one finding, with what is required
    "no_campaign": no_section("campaign", "campaign is missing; expected a mapping with name"),
    "no_project": no_section(
        "project", "project is missing; expected a mapping with repo and smoke_test_command"
    ),
    "no_wandb": no_section("wandb", "wandb is missing; expected a mapping with entity and project"),
    "no_compute": no_section(
        "compute",
        "compute is missing; expected a mapping with provider, accelerator, num_sweep_agents"
        " and max_budget_usd",
    ),
    "no_objective": no_section(
        "objective",
        "objective is missing; expected a mapping with metric, direction and improvement_threshold",
    ),
    "no_policy": no_section(
        "proposal_policy", "proposal_policy is missing; expected a mapping with current_target"
    ),
    "no_stop": no_section(
        "stop_conditions",
        "stop_conditions is missing; expected a mapping with max_iterations and max_no_improve_iterations",
    ),
    "misspelt_section": Wrong(
        [("compute:\n", "Compute:\n")], "compute", ["compute is missing; expected a mapping with provider,"]
    ),
    "null_section": other_section(
        "wandb", "", "6:1: wandb is empty (null); expected a mapping with entity and project"
    ),
    "list_section": other_section(
        "campaign", " [a]", "1:1: campaign is a list; expected a mapping with name"
    ),
    "text_section": other_section(
        "proposal_policy",
        " five",
        "20:18: proposal_policy is a string; expected a mapping with current_target",
    ),
    # -- required entries: missing, then null
    "name_missing": Wrong([("name: demo", "title: x")], "campaign", ["1:1: campaign.name is missing"]),
    "name_null": wrong("campaign", "2:3: campaign.name is empty (null); give it a value", name=""),
    "repo_missing": without("repo", "project", f"3:1: project.repo is missing; {STRING}"),
    "repo_null": wrong("project", f"4:9: project.repo is empty (null); {STRING}", repo="~"),
    "command_missing": without(
        "smoke_test_command", "project", f"3:1: project.smoke_test_command is missing; {STRING}"
    ),
    "entity_missing": without("entity", "wandb", "6:1: wandb.entity is missing"),
    "entity_null": wrong("wandb", "7:11: wandb.entity is empty (null); give it a value", entity="null"),
    "wandb_project_missing": Wrong([("  project: demo\n", "")], "wandb", ["6:1: wandb.project is missing"]),
    "wandb_project_null": Wrong(
        [("  project: demo\n", "  project:\n")],
        "wandb",
        ["8:3: wandb.project is empty (null); give it a value"],
    ),
    "provider_missing": without("provider", "compute", "10:1: compute.provider is missing"),
    "provider_null": wrong("compute", "11:3: compute.provider is empty (null); give it a value", provider=""),
    "accelerator_missing": without("accelerator", "compute", "10:1: compute.accelerator is missing"),
    "accelerator_null": wrong(
        "compute", "compute.accelerator is empty (null); give it a value", accelerator=""
    ),
    "agents_missing": without(
        "num_sweep_agents",
        "compute",
        "10:1: compute.num_sweep_agents is missing; expected an integer from 1 to 16",
    ),
    "agents_null": wrong("compute", AGENTS.format("empty (null)"), num_sweep_agents=""),
    "budget_missing": without(
        "max_budget_usd",
        "compute",
        "compute.max_budget_usd is missing; expected a number above 0, at most 100",
    ),
    "budget_null": wrong("compute", BUDGET.format("empty (null)"), max_budget_usd=""),
    "metric_missing": without("metric", "objective", "objective.metric is missing"),
    "metric_null": wrong("objective", "objective.metric is empty (null); give it a value", metric=""),
    "direction_missing": without(
        "direction", "objective", "objective.direction is missing; expected maximize or minimize"
    ),
    "direction_null": wrong(
        "objective", "objective.direction is empty (null); expected maximize or minimize", direction=""
    ),
    "gain_missing": without(
        "improvement_threshold",
        "objective",
        "objective.improvement_threshold is missing; expected a number above 0",
    ),
    "gain_null": wrong("objective", GAIN.format("empty (null)"), improvement_threshold=""),
    "target_missing": Wrong(
        [("current_target: 3", "target: 3")],
        "proposal_policy",
        ["20:1: proposal_policy.current_target is missing; is 'target' meant for it?"],
    ),
    "target_null": wrong(
        "proposal_policy",
        "proposal_policy.current_target is empty (null); give it a value",
        current_target="",
    ),
    "iterations_missing": without(
        "max_iterations",
        "stop_conditions",
        "stop_conditions.max_iterations is missing; expected an integer, 1 or more",
    ),
    "iterations_null": wrong("stop_conditions", ITERATIONS.format("empty (null)"), max_iterations=""),
    "no_gain_missing": without(
        "max_no_improve_iterations",
        "stop_conditions",
        "stop_conditions.max_no_improve_iterations is missing; expected an integer, 1 or more",
    ),
    "no_gain_null": wrong("stop_conditions", NO_GAIN.format("empty (null)"), max_no_improve_iterations=""),
    # -- project: strings
    "repo_blank": wrong("project", f"4:9: project.repo is an empty string; {STRING}", repo='"  "'),
    "repo_number": wrong("project", f"4:9: project.repo is a number; {STRING}", repo="12"),
    "repo_list": wrong("project", f"4:3: project.repo is a list; {STRING}", repo="[a, b]"),
    "repo_your": wrong("project", f"4:9: project.repo {PLACEHOLDER}", repo="git@host:YOUR_ORG/x"),
    "repo_replace": wrong("project", f"4:9: project.repo {PLACEHOLDER}", repo="https://host/replace-me.git"),
    "repo_brackets": wrong("project", f"4:9: project.repo {PLACEHOLDER}", repo="https://<host>/x"),
    "repo_brackets_apart": wrong("project", f"4:9: project.repo {PLACEHOLDER}", repo="a > b < c"),
    "command_blank": wrong(
        "project", "5:3: " + COMMAND.format(f"is an empty string; {STRING}"), smoke_test_command='""'
    ),
    "command_boolean": wrong(
        "project", "5:23: " + COMMAND.format(f"is a boolean (true); {STRING}"), smoke_test_command="yes"
    ),
    "command_placeholder": wrong(
        "project", "5:23: " + COMMAND.format(PLACEHOLDER), smoke_test_command="python <script>"
    ),
    # -- wandb: placeholders at any depth
    "entity_placeholder": wrong("wandb", f"7:11: wandb.entity {PLACEHOLDER}", entity="YOUR_ENTITY"),
    "other_placeholder": Wrong(
        [("  entity: me\n", "  entity: me\n  group: <group>\n")],
        "wandb",
        [f"8:10: wandb.group {PLACEHOLDER}"],
    ),
    "deep_placeholder": Wrong(
        [("  entity: me\n", "  entity: me\n  tags:\n    - a\n    - {b: [c, replace-me]}\n")],
        "wandb",
        [f"10:15: wandb.tags.1.b.1 {PLACEHOLDER}"],
    ),
    "key_placeholder": Wrong(
        [("  entity: me\n", "  entity: me\n  env:\n    YOUR_KEY: x\n")],
        "wandb",
        ["9:15: wandb.env has a key that is a placeholder; put the real one there"],
    ),
    # -- numbers: type, then each side of each limit
    "agents_true": wrong("compute", "13:21: " + AGENTS.format("a boolean (true)"), num_sweep_agents="true"),
    "agents_text": wrong(
        "compute", "13:21: " + AGENTS.format("a string (remove the quotes)"), num_sweep_agents='"4"'
    ),
    "agents_word": wrong("compute", AGENTS.format("a string"), num_sweep_agents="four"),
    "agents_fraction": wrong("compute", AGENTS.format("4.5"), num_sweep_agents="4.5"),
    "agents_whole_float": wrong("compute", AGENTS.format("4.0"), num_sweep_agents="4.0"),
    "agents_0": wrong("compute", AGENTS.format("0"), num_sweep_agents="0"),
    "agents_17": wrong("compute", AGENTS.format("17"), num_sweep_agents="17"),
    "agents_huge": wrong("compute", AGENTS.format("a very large number"), num_sweep_agents="1" + "0" * 30),
    "budget_true": wrong("compute", BUDGET.format("a boolean (true)"), max_budget_usd="true"),
    "budget_0": wrong("compute", BUDGET.format("0"), max_budget_usd="0"),
    "budget_below_0": wrong("compute", BUDGET.format("-0.01"), max_budget_usd="-0.01"),
    "budget_101": wrong("compute", BUDGET.format("101"), max_budget_usd="101"),
    "budget_just_above": wrong("compute", BUDGET.format("100.01"), max_budget_usd="100.01"),
    "budget_text": wrong("compute", BUDGET.format("a string"), max_budget_usd="$10"),
    "idle_false": wrong("compute", IDLE.format("a boolean (false)"), idle_timeout_minutes="false"),
    "idle_null": wrong("compute", IDLE.format("empty (null)"), idle_timeout_minutes=""),
    "idle_4": wrong("compute", IDLE.format("4"), idle_timeout_minutes="4"),
    "idle_61": wrong("compute", IDLE.format("61"), idle_timeout_minutes="61"),
    "idle_fraction": wrong("compute", IDLE.format("7.5"), idle_timeout_minutes="7.5"),
    "gain_true": wrong("objective", GAIN.format("a boolean (true)"), improvement_threshold="true"),
    "gain_0": wrong("objective", GAIN.format("0"), improvement_threshold="0"),
    "gain_0.0": wrong("objective", GAIN.format("0.0"), improvement_threshold="0.0"),
    "gain_exponent": wrong(
        "objective",
        GAIN.format("a string (an exponent needs a dot and a sign, as in 1.0e-3)"),
        improvement_threshold="1e-3",
    ),
    "gain_infinite": wrong(
        "objective", GAIN.format("a number that is not finite"), improvement_threshold=".inf"
    ),
    "gain_nan": wrong("objective", GAIN.format("a number that is not finite"), improvement_threshold=".nan"),
    "iterations_0": wrong("stop_conditions", "23:19: " + ITERATIONS.format("0"), max_iterations="0"),
    "iterations_true": wrong("stop_conditions", ITERATIONS.format("a boolean (true)"), max_iterations="true"),
    "iterations_float": wrong("stop_conditions", ITERATIONS.format("5.0"), max_iterations="5.0"),
    "no_gain_0": wrong("stop_conditions", NO_GAIN.format("0"), max_no_improve_iterations="0"),
    "no_gain_true": wrong(
        "stop_conditions", NO_GAIN.format("a boolean (true)"), max_no_improve_iterations="true"
    ),
    "no_gain_float": wrong("stop_conditions", NO_GAIN.format("2.0"), max_no_improve_iterations="2.0"),
    # -- direction
    "direction_upward": wrong(
        "objective", "18:14: objective.direction is neither maximize nor minimize", direction="upward"
    ),
    "direction_capital": wrong(
        "objective",
        "objective.direction is neither maximize nor minimize; did you mean 'maximize'?",
        direction="Maximize",
    ),
    "direction_true": wrong(
        "objective",
        "objective.direction is a boolean (true); expected maximize or minimize",
        direction="yes",
    ),
    "direction_blank": wrong(
        "objective", "objective.direction is an empty string; expected maximize or minimize", direction="''"
    ),
    # -- all at once
    "everything_in_compute": wrong(
        "compute",
        "11:3: compute.provider is empty (null); give it a value",
        "12:3: compute.accelerator is empty (null); give it a value",
        "13:21: " + AGENTS.format("17"),
        "14:19: " + BUDGET.format("101"),
        "15:25: " + IDLE.format("61"),
        provider="",
        accelerator="",
        num_sweep_agents="17",
        idle_timeout_minutes="61",
        max_budget_usd="101",
    ),
}

ADVICE: dict[str, Wrong] = {
    "unknown_key": Wrong(
        [("proposal_policy:\n", "budget: 5\nproposal_policy:\n")],
        "unknown_keys",
        ["20:9: unknown top-level key budget"],
    ),
    "unknown_keys": Wrong(
        [("campaign:\n", "Campaign: x\n12: y\ncampaign:\n"), ("compute:\n", "computes: {}\ncompute:\n")],
        "unknown_keys",
        [
            "1:11: unknown top-level key Campaign; did you mean 'campaign'?",
            "2:5: unknown top-level key 12",
            "12:1: unknown top-level key computes; did you mean 'compute'?",
        ],
    ),
    "duplicate_keys": Wrong(
        [("  repo: .\n", "  repo: old\n  repo: .\n"), ("wandb:\n", "wandb: x\nwandb:\n")],
        "duplicate_keys",
        [
            "5:3: project.repo is given more than once; this value is used",
            "8:1: wandb is given more than once; this value is used",
        ],
    ),
    "duplicate_in_anchor": Wrong(
        [("  name: demo\n", "  name: demo\n  notes: &n {a: 1, a: 2}\n  more: [*n, *n, *n]\n")],
        "duplicate_keys",
        ["3:20: campaign.notes.a is given more than once; this value is used"],
    ),
    "no_idle_timeout": without(
        "idle_timeout_minutes",
        "idle_timeout",
        "10:1: compute.idle_timeout_minutes is missing: an agent that hangs costs money until"
        " the budget ends",
    ),
    "loss_maximized": wrong(
        "metric_direction",
        "18:14: objective.direction is maximize, but a metric called 'loss' is usually minimized",
        metric="val/loss",
    ),
    "accuracy_minimized": wrong(
        "metric_direction",
        "objective.direction is minimize, but a metric called 'accuracy' is usually maximized",
        direction="minimize",
    ),
    "camel_case": wrong("metric_direction", "a metric called 'loss' is usually minimized", metric="valLoss"),
}

for name, (value, problem) in {
    "count_first": ("8xA100", "has the count in front, which SkyPilot takes as part of the name"),
    "zero": ("A100:0", "has a count that is not above 0"),
    "negative": ("A100:-1", "has a count that is not above 0"),
    "infinite": ("A100:inf", "has a count that is not above 0"),
    "no_count": ('"A100:"', "has text after ':' that is not a number"),
    "word": ("A100:two", "has text after ':' that is not a number"),
    "two_colons": ("A100:1:2", "has two ':', but no memory size such as 80GB between them"),
    "many_colons": ("a:80GB:1:2", "has more than two ':'"),
    "two_at_once": ("A100:1,H100:1", "has two ':', but no memory size such as 80GB between them"),
    "memory_fraction": ("80GB:1.5", "has text after ':' that is not a number"),
    "memory_zero": ("NVIDIA:80GB+:0", "has a count that is not above 0"),
    "nameless": ('":8"', "names no accelerator"),
    "blank": ('" "', "names no accelerator"),
    "number": ("8", "is not a string"),
    "empty_list": ("[]", "is an empty list"),
    "empty_mapping": ("{}", "is an empty mapping"),
    "true_count": ("{A100: true}", "has a count that is not a number"),
    "zero_count": ("{A100: 0}", "has a count that is not above 0"),
    "huge_count": ("{A100: 0x1ffffffffffffffff}", "has a count that is far too large"),
}.items():
    ADVICE[f"accelerator_{name}"] = wrong("accelerator", problem, accelerator=value)
ADVICE["accelerator_list"] = wrong(
    "accelerator",
    "12:17: compute.accelerator.0 has a count that is not above 0",
    "12:33: compute.accelerator.2 is not a string",
    accelerator="[A100:0, A100:1, 5]".replace("A100:0, ", "'A100:0',").replace("A100:1, ", "'A100:1', "),
)

FINE: dict[str, list[tuple[str, str]]] = {
    "as_it_is": [],
    **{
        f"{name}={value}": [(line_of(name), replaced(name, value))]
        for name, values in {
            "num_sweep_agents": ["1", "16"],
            "max_budget_usd": ["0.01", "1", "100", "100.0"],
            "idle_timeout_minutes": ["5", "60"],
            "improvement_threshold": ["0.000001", "1.0e-9", "5"],
            "max_iterations": ["1", "1000000000000"],
            "max_no_improve_iterations": ["1"],
            "current_target": ["0", "many", "[]"],
            "name": ["5", "''"],
            "entity": ["a > b", "your_entity", "YOUR", "5"],
            "repo": ["a < b", "replace_me"],
            "smoke_test_command": ["bash -c 'train 2> log'"],
            "accelerator": [
                *("A100", "a100:1", "H100:8", "A100-80GB:0.5", "A100:1e1", "80GB+", "80gb:2", "NVIDIA:80GB+"),
                *("NVIDIA:80GB+:2", "CPU:1", "{A100: 1, H100: ~}", "['A100:1', 80GB+]", "tpu-v5:8"),
            ],
            "metric": [
                "val/neg_loss",
                "loss_accuracy",
                "'1-error'",
                "val/throughput",
                "floss",
                "top-1-accuracy",
            ],
        }.items()
        for value in values
    },
    "minimized_loss": [
        (line_of("metric"), "  metric: val/loss\n"),
        (line_of("direction"), "  direction: minimize\n"),
    ],
    "flat_name": [("campaign:\n", "campaign_name: demo\ncampaign:\n")],
    "merged": [("campaign:\n  name: demo\n", "campaign: &c\n  name: demo\n  <<: {name: other}\n")],
}


class Session(NamedTuple):
    """What a session over many campaigns said: by ``(folder, check)`` the outcome and the text shown."""

    outcomes: dict[tuple[str, str], str]
    texts: dict[tuple[str, str], str]


def preflight(project: Project, campaigns: dict[str, list[tuple[str, str]]]) -> Session:
    """Write each edit of the good campaign into a folder of its own and ask all of them in one session."""
    arguments: list[str] = []
    folders = {f"n{number}": name for number, name in enumerate(campaigns)}
    for folder, name in folders.items():
        text = CAMPAIGN
        for old, new in campaigns[name]:
            assert old in text, (name, old)
            text = text.replace(old, new, 1)
        (project.path / folder / ".git").mkdir(parents=True)
        project.write(f"{folder}/{CAMPAIGN_NAME}", text)
        arguments += ["--metaopt-campaign", f"{folder}/{CAMPAIGN_NAME}"]
    result = project.pytest(
        *arguments,
        "--metaopt-no-bootstrap",
        "-k",
        "campaign[",
        "-q",
        "--json-report",
        "--json-report-file=r.json",
    )
    assert result.ret in (0, 1), result.stdout.str()
    session = Session({}, {})
    for test in json.loads((project.path / "r.json").read_text())["tests"]:
        path, _, item = test["nodeid"].partition("::")
        folder, check = path.split("/")[0], item[len("campaign[") : -1]
        place = (folders[folder], check)
        reported = test["metadata"]["metaopt"]
        session.outcomes[place] = reported["outcome"]
        session.texts[place] = shown_of(test, path, check)
        if reported["outcome"] == "warning":
            line = (
                f"line {reported['line']}: " if reported["line"] and "\n" not in reported["message"] else ""
            )
            session.texts[place] = line + " ".join(reported["message"].split())
    return session


def shown_of(test: dict[str, Any], path: str, check: str) -> str:
    """What is shown of a check that does not hold, in one line, each place as ``line:column:``."""
    shown = str(test["call"].get("longrepr", "")).replace("\\n", " ")
    shown = " ".join(shown.split()).replace(f"{path}:", "").strip()
    # Of a single finding the check's id stands between place and message.
    return re.sub(rf"^((?:\d+:)*) ?{check}: ", r"\1 ", shown)


def test_what_load_campaign_refuses_fails_with_every_finding_and_its_place(project: Project) -> None:
    session = preflight(project, {name: wrong.edit for name, wrong in REFUSED.items()})
    for name, (_, check, expected) in REFUSED.items():
        text = session.texts[name, check]
        assert [finding for finding in expected if finding not in text] == [], (name, text)
        failed = [other for other in SECTIONS if session.outcomes[name, other] == "failed"]
        assert failed == [check], name
        count = len(expected)
        assert (f"{count} problems" in text) is (count > 1), (name, text)


def test_what_is_doubtful_is_reported_and_does_not_block(project: Project) -> None:
    session = preflight(project, {name: wrong.edit for name, wrong in ADVICE.items()})
    for name, (_, check, expected) in ADVICE.items():
        assert session.outcomes[name, check] == "warning", name
        # The report of a skip has no columns: several findings name their lines, one has it beside it.
        lines = [re.sub(r"^(\d+):[\d:]* ", r"line \1: ", finding) for finding in expected]
        text = session.texts[name, check]
        assert [line for line in lines if line not in text] == [], (name, text)
        advised = [
            other
            for (folder, other), word in session.outcomes.items()
            if folder == name and word == "warning"
        ]
        assert advised == [check], name


def test_what_load_campaign_accepts_passes_up_to_every_limit(project: Project) -> None:
    session = preflight(project, FINE)
    assert {place: word for place, word in session.outcomes.items() if word != "passed"} == {}


def test_advice_that_has_nothing_to_look_at_is_skipped(project: Project) -> None:
    session = preflight(project, {"empty": [(CAMPAIGN, "notes: x\nmore: y\n")]})
    words = {check: word for (_, check), word in session.outcomes.items()}
    assert words == {
        **dict.fromkeys(SECTIONS, "failed"),
        "unknown_keys": "warning",
        "duplicate_keys": "passed",
        "accelerator": "skipped",
        "idle_timeout": "skipped",
        "metric_direction": "skipped",
    }


SECRET = "s3cr3t-value"


def test_no_value_of_the_campaign_is_shown_that_may_be_a_secret(project: Project) -> None:
    project.campaign.write_text(
        f"""\
campaign: [{SECRET}]
project:
  repo: https://{SECRET}@host/<x>
  smoke_test_command: [{SECRET}]
wandb:
  entity: YOUR_{SECRET}
  api_key: "<{SECRET}>"
compute:
  accelerator: "{SECRET}:1:2"
  num_sweep_agents: {SECRET}
  max_budget_usd: {SECRET}
  idle_timeout_minutes: {SECRET}
objective:
  metric: {SECRET}
  direction: {SECRET}
  improvement_threshold: {SECRET}
proposal_policy: {SECRET}
stop_conditions:
  max_iterations: {SECRET}
  max_no_improve_iterations: {SECRET}
"""
    )
    result = project.preflight(
        "-rA", "--junitxml=junit.xml", "--json-report", "--json-report-file=report.json"
    )
    assert result.ret == 1
    assert project.artifact()["checks_summary"]["failed"] == 9  # all seven sections, R7, the W&B key
    for text in (
        result.stdout.str(),
        (project.path / "junit.xml").read_text(),
        (project.path / "report.json").read_text(),
        project.artifact_path.read_text(),
    ):
        assert SECRET not in text


def test_thousands_of_findings_are_cut_short(project: Project) -> None:
    project.edit("  entity: me\n", "  entity: me\n  tags: [" + "YOUR_X," * 5000 + "]\n")
    result = project.preflight("-q")
    assert result.ret == 1
    (failure,) = project.artifact()["failures"]
    assert failure["check_id"] == "wandb"
    assert failure["message"].startswith("51 problems\n")
    assert failure["message"].endswith("and 4950 more")


@pytest.mark.parametrize("severity", ["advisory", "blocking"])
def test_ini_file_decides_whether_a_campaign_check_blocks(project: Project, severity: str) -> None:
    check = {"advisory": "compute", "blocking": "idle_timeout"}[severity]
    project.edit("  idle_timeout_minutes: 15\n" if severity == "blocking" else "num_sweep_agents: 1", "")
    project.write("pytest.ini", f"[pytest]\nmetaopt_{severity} = {check}\n")
    result = project.preflight("-q")
    assert result.ret == (0 if severity == "advisory" else 1)
    assert project.artifact()["status"] == ("READY" if severity == "advisory" else "FAILED")


def test_what_was_meant_is_queried_of_up_to_a_thousand_keys(project: Project) -> None:
    for count, hint in ((998, "; is 'enttty' meant for it?"), (999, "")):
        others = "".join(f"  key{number}: 1\n" for number in range(count))
        project.campaign.write_text(
            CAMPAIGN.replace("  entity: me\n", "  enttty: me\n").replace("  mode: offline\n", others)
        )
        project.pytest(f"{CAMPAIGN_NAME}::campaign[wandb]", "--metaopt-readiness=w.json")
        (failure,) = json.loads((project.path / "w.json").read_text())["failures"]
        assert failure["message"] == f"wandb.entity is missing{hint}"
