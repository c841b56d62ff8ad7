"""Hypothesis strategies for campaign files: valid ones, nearly valid ones and hostile ones."""

from __future__ import annotations

import copy
from datetime import date
from typing import Any

import yaml
from hypothesis import strategies as st

from tests.support.project import CAMPAIGN

Tree = dict[Any, Any]

_WORDS = st.text(
    # Of what YAML can write; other characters are in the hostile files.
    st.characters(
        min_codepoint=0x20, max_codepoint=0xD7FF, exclude_characters="<>\x7f", exclude_categories=["Cc"]
    ),
    min_size=1,
    max_size=12,
).filter(lambda text: bool(text.strip()) and "YOUR_" not in text and "replace-me" not in text)

_ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**6), 10**6)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=3),
    max_leaves=6,
)
_GIVEN = _ANYTHING.filter(lambda value: value is not None)


def _section(
    required: dict[str, st.SearchStrategy[Any]], **optional: st.SearchStrategy[Any]
) -> st.SearchStrategy[Tree]:
    known = st.fixed_dictionaries(required, optional=optional)
    return st.builds(
        lambda extra, own: {**extra, **own}, st.dictionaries(_WORDS, _ANYTHING, max_size=2), known
    )


_POSITIVE = st.integers(1, 10**9)

_KNOWN: dict[str, st.SearchStrategy[Any]] = {
    "campaign": _section({"name": _GIVEN}),
    "project": _section({"repo": _WORDS, "smoke_test_command": _WORDS}),
    "wandb": _section({"entity": _GIVEN, "project": _GIVEN}),
    "compute": _section(
        {
            "provider": _GIVEN,
            "accelerator": st.sampled_from(["A100:1", "H100:8", "A100", "80GB+"]) | _GIVEN,
            "num_sweep_agents": st.integers(1, 16),
            "max_budget_usd": st.integers(1, 100) | st.floats(0, 100, exclude_min=True),
        },
        idle_timeout_minutes=st.integers(5, 60),
    ),
    "objective": _section(
        {
            "metric": st.sampled_from(["val/loss", "val/accuracy", "rmse"]) | _GIVEN,
            "direction": st.sampled_from(["maximize", "minimize"]),
            "improvement_threshold": _POSITIVE | st.floats(0, 1e300, exclude_min=True),
        }
    ),
    "proposal_policy": _section({"current_target": _GIVEN}),
    "stop_conditions": _section({"max_iterations": _POSITIVE, "max_no_improve_iterations": _POSITIVE}),
}

valid_campaigns: st.SearchStrategy[Tree] = st.fixed_dictionaries(_KNOWN)
"""Trees that LOAD_CAMPAIGN accepts."""

_WRONG = st.sampled_from(
    [
        *(
            None,
            True,
            False,
            "",
            " ",
            "\n",
            [],
            {},
            "maximize",
            "Maximize",
            "upward",
            "A100:1",
            "1",
            "1e-3",
            "0.5",
        ),
        *(
            "YOUR_ENTITY",
            "replace-me",
            "<entity>",
            ">x<",
            "a < b",
            "a > b",
            "your_x",
            "YOUR",
            "<",
            {"<k>": 1},
        ),
        *(["a", {"b": "replace-me"}], {"a": ["<x>"]}, date(2024, 1, 1), float("inf"), float("nan"), 10**400),
        *(-1, 0, 1, 2, 4, 5, 6, 16, 17, 59, 60, 61, 100, 101, 0.0, 4.0, 5.5, 100.0, 100.5, 1e-9, -0.5, 1e308),
    ]
)


@st.composite
def nearly_valid_campaigns(draw: st.DrawFn) -> Tree:
    """Draw a tree that LOAD_CAMPAIGN accepts, with up to three things in it changed."""
    tree = copy.deepcopy(draw(valid_campaigns))
    for _ in range(draw(st.integers(0, 3))):
        section = draw(st.sampled_from(sorted(_KNOWN)))
        whole = draw(st.integers(0, 5)) == 0
        holder, key = (tree, section) if whole else (tree.get(section), None)
        if not isinstance(holder, dict):
            continue
        if key is None:
            own = [name for name in holder if isinstance(name, str)]
            key = draw(st.sampled_from(sorted(own))) if own else "new"
        change = draw(st.sampled_from(["remove", "replace", "replace", "replace", "rename", "add"]))
        if change == "remove":
            holder.pop(key, None)
        elif change == "replace":
            holder[key] = copy.deepcopy(draw(_WRONG))
        elif change == "rename":
            holder[f"{key}s"] = holder.pop(key, None)
        else:
            holder[draw(st.sampled_from(["new", "idle_timeout_minutes", "tags"]))] = copy.deepcopy(
                draw(_WRONG)
            )
    return tree


def written(trees: st.SearchStrategy[Tree]) -> st.SearchStrategy[str]:
    """Return *trees* as YAML, in block or flow style, with or without characters beyond ASCII."""

    def dump(tree: Tree, unicode: bool, flow: bool | None) -> str:
        text: str = yaml.dump(
            tree, Dumper=yaml.SafeDumper, allow_unicode=unicode, default_flow_style=flow, sort_keys=False
        )
        return text

    return st.builds(dump, trees, st.booleans(), st.sampled_from([True, False, None]))


_SNIPPETS = [
    *(
        "\t",
        "\r\n",
        "\r",
        "\0",
        "\x1b[31m",
        "\ufeff",
        "\u2028",
        "\x85",
        "é",
        "\U0001f600",
        "\ud800",
        "\x7f",
        "\ufffe",
    ),
    *(
        "---\n",
        "...\n",
        "%YAML 1.1\n",
        "&a ",
        "*a ",
        "<<: *a\n",
        "<<: {a: 1}\n",
        "? ",
        "- ",
        ": ",
        " #",
        "|\n",
        ">-\n",
    ),
    *(
        "!!python/object/apply:os.system [x]",
        "!!binary aGk=",
        "!!set {a}",
        "!!int x",
        "!!float ''",
        "!x y",
        "!!merge ",
    ),
    *(
        "[" * 70,
        "{a: " * 70,
        "&b [*b]",
        "{<<: [1]}",
        "{[a]: b}",
        '"\\ud800"',
        '"\\0"',
        "'",
        '"',
        "\\",
        "{",
        "}",
        "]",
    ),
    *(
        "0x" + "f" * 4000,
        "9" * 5000,
        "1" + ":1" * 200,
        "2024-13-45",
        "2024-01-01",
        ".nan",
        "-.inf",
        "1e999",
        "=",
        "~",
    ),
    *(
        "name: again\n",
        "campaign: {name: x}\n",
        "wandb: YOUR_X\n",
        "x" * 3000,
        "0b_",
        "0x_",
        "1__0",
        "190:20:30.15",
    ),
    *(
        "compute: {0x" + "f" * 4000 + ": 1}\n",
        "campaign_name: 0x" + "f" * 4000 + "\n",
        "2024-01-01: {true: 1, a: 2}\n",
    ),
]


@st.composite
def hostile_texts(draw: st.DrawFn) -> str:
    """Draw a campaign's text with pieces removed and hostile pieces put in, or hostile pieces alone."""
    text = draw(st.just(CAMPAIGN) | written(valid_campaigns) | st.just(""))
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(text)))
        removed = draw(st.sampled_from([0, 0, 1, 3, 20]))
        piece = draw(st.sampled_from(_SNIPPETS) | st.text(max_size=5))
        text = text[:start] + piece + text[start + removed :]
    return text


def _encoded(text: str, encoding: str) -> bytes:
    return text.encode(encoding, "surrogatepass" if encoding.startswith("utf") else "replace")


campaign_files: st.SearchStrategy[bytes] = st.one_of(
    written(valid_campaigns).map(str.encode),
    written(nearly_valid_campaigns()).map(str.encode),
    st.builds(
        _encoded,
        hostile_texts(),
        st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"]),
    ),
)
"""The bytes of campaign files of all three kinds."""
