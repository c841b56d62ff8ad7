"""The training manifest as a document: loading, job ids, what is wrong with it."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_metaopt.core.document import DocumentError
from pytest_metaopt.documents.lookup import usual_places
from pytest_metaopt.documents.manifest import (
    Manifest,
    host_problems,
    load_manifest,
    schema_problems,
    undefined_hosts,
)
from pytest_metaopt.documents.manifest_model import MAX_JOBS
from pytest_metaopt.documents.sources.toml import MAX_BYTES
from tests.support.manifests import SAMPLE, SAMPLE_IDS, expected_id, mixed
from tests.support.scale import examples


def load(folder: Path, text: str | bytes) -> Manifest:
    path = folder / "m.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_manifest(path)


def reported(manifest: Manifest) -> list[str]:
    """Everything that is wrong, as ``line:column: message``."""
    problems = [*schema_problems(manifest), *host_problems(manifest)]
    problems += [problem for job in manifest.jobs for problem in job.problems]
    places = [(manifest.position(problem.keys), problem.message) for problem in problems]
    return [f"{place.line}:{place.column}: {text}" if place else text for place, text in places]


# -- the contract's vectors ------------------------------------------------------------------------


def test_vectors_of_the_contract(tmp_path: Path) -> None:
    (job,) = load(tmp_path, 'schema_version = 1\n[[jobs]]\nname = "x"\nmodel = "gbt"\n').jobs
    assert job.job_id == "572df2d2dc40ccee"
    assert tuple(job.job_id for job in load(tmp_path, SAMPLE).jobs) == SAMPLE_IDS


def test_defaults_count_where_a_job_says_nothing(tmp_path: Path) -> None:
    manifest = load(tmp_path, SAMPLE)
    first, second = manifest.jobs
    assert (first.split_recipe, first.seed, first.train_hosts) == ("sample", 7, ("gpu-01", "gpu-02"))
    assert (first.min_ram_gib, first.min_cores, first.n_resamples, first.mode) == (4.0, 1, 1000, "realistic")
    assert (second.split_recipe, second.seed, second.priority) == ("time", 1, 5)
    assert dict(second.hyper) == {"epochs": 80, "batch_size": 256, "lr": 0.0003}
    given = load(
        tmp_path, SAMPLE.replace("[defaults]", "[defaults]\nmin_cores = 3\nn_resamples = 5\nmin_ram_gib = 1")
    )
    assert [(job.min_cores, job.n_resamples, job.min_ram_gib) for job in given.jobs] == [(3, 5, 1)] * 2


def test_needs_and_priorities_are_no_part_of_the_identity(tmp_path: Path) -> None:
    changed = SAMPLE.replace(
        "priority = 5", "priority = 9\nmin_cores = 64\nprefer_cuda = true\nn_resamples = 1"
    )
    assert load(tmp_path, changed).jobs[1].job_id == SAMPLE_IDS[1]
    other = load(tmp_path, SAMPLE.replace("hyper.epochs = 80", "hyper.epochs = 81"))
    assert other.jobs[1].job_id != SAMPLE_IDS[1]


def test_a_document_can_not_be_changed(tmp_path: Path) -> None:
    manifest = load(tmp_path, SAMPLE)
    job = manifest.jobs[1]
    with pytest.raises(dataclasses.FrozenInstanceError):
        job.model = "knn"  # type: ignore[misc]
    for mapping in (job.hyper, manifest.data, manifest.hosts, manifest.data["jobs"][0], manifest.by_id):
        with pytest.raises(TypeError):
            mapping["x"] = 1  # type: ignore[index]
    assert isinstance(manifest.data["jobs"], tuple)


# -- job ids, against another computation -----------------------------------------------------------

_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
_NAMES = st.lists(st.text("abcdefgh-012é", min_size=1, max_size=8), max_size=3)
_HYPER_VALUES = st.recursive(
    st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)
_SHARED = {
    "split_recipe": st.sampled_from(["host", "sample", "time"]),
    "train_hosts": _NAMES,
    "seed": st.integers(-(2**63), 2**63 - 1),
}
_JOBS = st.fixed_dictionaries(
    {"name": st.text("abc", min_size=1, max_size=3), "model": st.text("abcé_", min_size=1, max_size=8)},
    optional={
        **_SHARED,
        "mode": st.sampled_from(["realistic", "oracle"]),
        "hyper": st.dictionaries(_TEXT, _HYPER_VALUES, max_size=4),
        "priority": st.integers(-9, 9),
        "min_cores": st.integers(0, 99),
    },
)


def toml(value: Any) -> str:
    """A value as TOML writes it; strings as JSON does, which is TOML but for U+007F."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(key)} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        escaped = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped)
    if isinstance(value, float):
        return repr(value) if "." in repr(value) or "e" in repr(value) else f"{value!r}.0"
    return json.dumps(value)


@settings(max_examples=examples(100), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    defaults=st.fixed_dictionaries({}, optional=_SHARED),
    jobs=st.lists(_JOBS, min_size=15, max_size=15),
)
def test_job_ids_are_those_of_another_computation(
    tmp_path_factory: pytest.TempPathFactory, defaults: dict[str, Any], jobs: list[dict[str, Any]]
) -> None:
    lines = [
        "schema_version = 1",
        "[defaults]",
        *(f"{key} = {toml(value)}" for key, value in defaults.items()),
    ]
    for job in jobs:
        lines += ["[[jobs]]", *(f"{key} = {toml(value)}" for key, value in job.items())]
    manifest = load(tmp_path_factory.getbasetemp(), "\n".join(lines))
    assert [problem for job in manifest.jobs for problem in job.problems] == []
    assert [job.job_id for job in manifest.jobs] == [expected_id(job, defaults) for job in jobs]


# -- labels ----------------------------------------------------------------------------------------


@settings(max_examples=examples(200), deadline=None)
@given(
    names=st.lists(
        st.sampled_from(["a", "a-2", "a-3", "b", "", " ", "#1", "a\nb", "a\\nb", "\x1b"]), max_size=9
    )
)
def test_every_job_has_a_label_of_its_own_that_can_be_printed(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    text = "schema_version = 1\n" + "".join(
        f'[[jobs]]\nname = {toml(name)}\nmodel = "gbt"\n' for name in names
    )
    jobs = load(tmp_path_factory.getbasetemp(), text).jobs
    labels = [job.label for job in jobs]
    assert len(set(labels)) == len(names)
    assert all(label.isprintable() for label in labels)
    for name in {"a", "a-2", "b"} & set(names):
        assert jobs[names.index(name)].label == name


# -- what is wrong ---------------------------------------------------------------------------------

JOB = '[[jobs]]\nname = "knn"\nmodel = "knn"\n'

GIB = "expected a number from 0 to 1000000"
EVERYTHING_WRONG = """\
schema_version = 1
[[jobs]]
name = "a"
model = ""
mode = "oracel"
split_recipe = 3
priority = "1"
require_cuda = 1
prefer_cuda = "yes"
min_vram_gib = -1
min_ram_gib = inf
min_cores = 1.5
allowed_hosts = 'x'
denied_hosts = [[]]
hyper = []
train_hosts = ['']
seed = 2024-01-01
n_resamples = true
min_vram = 3
"""

WRONG = {
    "version": ("schema_version = 2\n" + JOB, ["1:1: schema_version is 2; expected 1"]),
    "version_boolean": (
        "schema_version = true\n" + JOB,
        ["1:1: schema_version is a boolean (true); expected 1"],
    ),
    "version_missing": (JOB, ["1:1: schema_version is missing; expected 1"]),
    "top_key": (
        "schema_version = 1\nnmae = 'x'\n" + JOB,
        ["2:1: unknown key nmae; did you mean 'name'?"],
    ),
    "no_jobs": ("schema_version = 1\n", ["1:1: jobs is missing; expected at least one [[jobs]]"]),
    "empty_jobs": ("schema_version = 1\njobs = []", ["2:1: jobs is empty; expected at least one [[jobs]]"]),
    "jobs_number": (
        "schema_version = 1\njobs = 3",
        ["2:1: jobs is a number; expected at least one [[jobs]]"],
    ),
    "jobs_table": ("schema_version = 1\n[jobs]", ["2:1: jobs is a mapping; expected at least one [[jobs]]"]),
    "job_number": (
        'schema_version = 1\njobs = [{name = "x", model = "gbt"}, 5]',
        ["2:1: jobs[1] is a number; expected a table"],
    ),
    "defaults_list": (
        "schema_version = 1\ndefaults = []\n" + JOB,
        ["2:1: defaults is a list; expected a table"],
    ),
    "defaults_key": (
        "schema_version = 1\n[defaults]\nmin_core = 2\n" + JOB,
        ["3:1: unknown key defaults.min_core; did you mean 'min_cores'?"],
    ),
    "defaults_type": (
        "schema_version = 1\ndefaults.seed = 1.0\n" + JOB,
        ["2:1: defaults.seed is 1.0; expected an integer"],
    ),
    "hosts_list": ("schema_version = 1\nhosts = ['a']\n" + JOB, ["2:1: hosts is a list; expected a table"]),
    "host_text": (
        "schema_version = 1\nhosts.pi = 'x'\n" + JOB,
        ["2:1: hosts.pi is a string; expected a table [hosts.pi]"],
    ),
    "host_key": (
        "schema_version = 1\n[hosts.pi]\nallow_job = []\n" + JOB,
        ["3:1: unknown key hosts.pi.allow_job; did you mean 'allow_jobs'?"],
    ),
    "host_type": (
        "schema_version = 1\n[hosts.pi]\ndeny_jobs = ['gbt', 3]\n" + JOB,
        ["3:1: hosts.pi.deny_jobs is a list with a number in it; expected a list of strings"],
    ),
    "job_without_name": (
        'schema_version = 1\n[[jobs]]\nmodel = "gbt"',
        ["2:1: jobs[0]: name is missing; expected a string that is not blank"],
    ),
    "job_of_everything": (
        EVERYTHING_WRONG,
        [
            "6:1: jobs[0] (a): split_recipe is a number; expected host or sample or time",
            "16:1: jobs[0] (a): train_hosts is a list with an empty string in it; expected a list of strings",
            "17:1: jobs[0] (a): seed is a date; expected an integer",
            "18:1: jobs[0] (a): n_resamples is a boolean (true); expected an integer, 0 or more",
            f"11:1: jobs[0] (a): min_ram_gib is a number that is not finite; {GIB}",
            "12:1: jobs[0] (a): min_cores is 1.5; expected an integer from 0 to 1000000",
            "4:1: jobs[0] (a): model is an empty string; expected a string that is not blank",
            "5:1: jobs[0] (a): mode is neither realistic nor oracle; did you mean 'oracle'?",
            "7:1: jobs[0] (a): priority is a string (remove the quotes); expected an integer",
            "8:1: jobs[0] (a): require_cuda is a number; expected true or false",
            "9:1: jobs[0] (a): prefer_cuda is a string; expected true or false",
            "10:1: jobs[0] (a): min_vram_gib is -1; expected a number from 0 to 1000000",
            "13:1: jobs[0] (a): allowed_hosts is a string; expected a list of strings",
            "14:1: jobs[0] (a): denied_hosts is a list with a list in it; expected a list of strings",
            "15:1: jobs[0] (a): hyper is a list; expected a table",
            "19:1: jobs[0] (a): unknown key min_vram",
        ],
    ),
    "hyper_date": (
        'schema_version = 1\n[[jobs]]\nname = "a"\nmodel = "gbt"\nhyper.x.start = 2024-01-01',
        ["5:1: jobs[0] (a): hyper.x.start is a date, which JSON cannot hold; quote it"],
    ),
    "second_job": (
        f'schema_version = 1\n{JOB}[[jobs]]\nname = "b"\nmodel = "gbt"\n[jobs.hyper]\nlr = nan\n',
        ["9:1: jobs[1] (b): hyper.lr is nan, which JSON cannot hold; quote it"],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_all_that_is_wrong_is_reported_at_once_with_its_place(tmp_path: Path, name: str) -> None:
    text, expected = WRONG[name]
    assert reported(load(tmp_path, text)) == expected


def test_a_field_that_is_wrong_takes_the_id_and_no_field_of_another_job(tmp_path: Path) -> None:
    manifest = load(
        tmp_path, SAMPLE.replace("seed = 1\n", "seed = 'x'\n").replace("deny_jobs =", "deny_jobs = 3 #")
    )
    first, second = manifest.jobs
    assert (first.job_id, second.job_id) == (SAMPLE_IDS[0], None)
    assert second.wrong == {"seed"}
    assert set(manifest.hosts) == {"pi"}
    assert manifest.unclear_hosts == {"gpu-01"}


def test_a_wrong_default_is_wrong_in_the_jobs_that_rely_on_it(tmp_path: Path) -> None:
    first, second = load(tmp_path, SAMPLE.replace("seed = 7", "seed = '7'")).jobs
    assert (set(first.wrong), first.job_id, set(second.wrong)) == ({"seed"}, None, set())


def test_undefined_hosts_are_reported_once_where_they_are_named_first(tmp_path: Path) -> None:
    text = SAMPLE.replace(
        "priority = 5", 'allowed_hosts = ["gpu-01", "gpu-09"]\ndenied_hosts = ["gpu-02", "x"]'
    )
    manifest = load(tmp_path, text)
    assert [(name, manifest.line(keys)) for name, keys in undefined_hosts(manifest)] == [
        ("gpu-02", 7),
        ("gpu-09", 24),
        ("x", 25),
    ]
    assert list(undefined_hosts(load(tmp_path, mixed()))) == []


# -- hostile files ---------------------------------------------------------------------------------

REFUSED = {
    "nothing": (b" \n", "is empty; a training manifest is a TOML file"),
    "yaml": (b"jobs:\n  - a\n", ":1:5: is not TOML: Expected '=' after a key in a key/value pair"),
    "twice": (b"a = 1\na = 2\n", ":2:6: is not TOML: Cannot overwrite a value"),
    "unterminated": (
        b'a = 1\nb = """x\n\n',
        ":2:1: is not TOML: Unterminated string (at the end of the file)",
    ),
    "not_utf8": (b"a = '\xff'", ":1:6: byte 0xff is not UTF-8; save the file as UTF-8"),
    "nul": (b"a = 1\n\0", ":2:1: holds a NUL byte"),
    "large": (b"#" * (MAX_BYTES + 1), f"is larger than {MAX_BYTES} bytes"),
    "deep": (b"a = 1\nb = " + b"[" * 200_000, ":2:69: is nested deeper than 64 levels"),
    "deep_tables": (b"a = " + b"{a = " * 100_000, "is nested deeper than 64 levels"),
    "dotted": (b"a" + b".a" * 500_000 + b" = 1", ":1:1: a key has more than 64 parts"),
    "dotted_header": (b"[a" + b".a" * 500_000 + b"]", ":1:2: a key has more than 64 parts"),
    "dotted_inside": (b"a = {a" + b".a" * 500_000 + b" = 1}", "a key has more than 64 parts"),
    "digits": (b"a = " + b"9" * 5000, "holds a number of thousands of digits; quote it"),
    "no_such_date": (b"a = 2024-02-30", ":1:5: is not TOML:"),
    "many_jobs": (b"schema_version = 1\n" + b"[[jobs]]\n" * (MAX_JOBS + 1), f"has more than {MAX_JOBS} jobs"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_file_is_refused_in_no_time_with_its_place(tmp_path: Path, name: str) -> None:
    data, expected = REFUSED[name]
    started = time.monotonic()
    with pytest.raises(DocumentError) as refused:
        load(tmp_path, data)
    assert time.monotonic() - started < 5
    assert expected in str(refused.value)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name, expected in [("fifo", "FIFO"), ("absent", "no such file"), (".", "is a directory")]:
        with pytest.raises(DocumentError, match=expected):
            load_manifest(tmp_path / name)


_PIECES = st.sampled_from(
    [
        *(
            '"',
            "'",
            '"""',
            "'''",
            "\\",
            "#",
            "\n",
            "\r\n",
            "\t",
            "[",
            "]",
            "[[",
            "]]",
            "{",
            "}",
            "=",
            ",",
            ".",
        ),
        *(
            "jobs",
            "[[jobs]]\n",
            "[jobs.hyper]\n",
            "hyper.a = 1\n",
            "a = 1\n",
            '"a.b" = {c.d = [1]}\n',
            "1e400",
        ),
        *(
            "2024-01-01",
            "nan",
            "-inf",
            "0xff",
            "true",
            '"\\u0041"',
            '"\\ud800"',
            "\x7f",
            "é",
            "\ufeff",
            "\x1b",
        ),
        *(
            'a = """x\n"y""z"""""\n',
            "a = '''\n[[jobs]]\n'''\n",
            "[hosts.'a b']\n",
            '[hosts."\\u00e9"]\n',
            "name=3\n",
        ),
    ]
)


@settings(max_examples=examples(400), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    start=st.sampled_from(["", SAMPLE, 'schema_version = 1\n[[jobs]]\nname = "x"\n']),
    pieces=st.lists(_PIECES, max_size=8),
)
def test_whatever_the_text_it_is_a_manifest_or_one_line_that_says_why_not(
    tmp_path_factory: pytest.TempPathFactory, start: str, pieces: list[str]
) -> None:
    try:
        manifest = load(tmp_path_factory.getbasetemp(), start + "".join(pieces))
    except DocumentError as error:
        assert str(error).isprintable()
        return
    assert all(len(line) for line in reported(manifest))
    for keys, position in manifest.positions.items():
        value: Any = manifest.data
        for key in keys:
            value = value[key]
        assert position.line >= 1


@settings(max_examples=examples(200), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    filler=st.lists(
        st.sampled_from(
            [
                "# [[jobs]]",
                "",
                '[[jobs]]\nname = "a"',
                "x = '''\n[[jobs]]\n'''",
                'y = """\n\\"""\nz = 1\n"""',
                "w = [\n1,\n# ]\n2]",
            ]
        ),
        max_size=6,
    )
)
def test_a_line_is_the_line_where_the_key_stands(
    tmp_path_factory: pytest.TempPathFactory, filler: list[str]
) -> None:
    text = "\n".join(
        ["schema_version = 1", *(f"[t{n}]\n{part}" for n, part in enumerate(filler)), "[last]", "here = 5"]
    )
    manifest = load(tmp_path_factory.getbasetemp(), text)
    assert manifest.line(("last", "here")) == text.count("\n") + 1


def test_where_a_manifest_is_looked_for(tmp_path: Path) -> None:
    assert usual_places(tmp_path) == [
        Path("/etc/cis490/training_manifest.toml"),
        tmp_path / "training_manifest.toml",
    ]


def test_duplicates_are_found_in_ten_thousand_jobs(tmp_path: Path) -> None:
    rows = [
        f'[[jobs]]\nname = "j{number}"\nmodel = "gbt"\nseed = {number % 9_990}\n' for number in range(10_000)
    ]
    manifest = load(tmp_path, "schema_version = 1\n" + "".join(rows))
    assert len({job.job_id for job in manifest.jobs}) == 9_990
    twins = {job_id: group for job_id, group in manifest.by_id.items() if len(group) > 1}
    assert sorted([job.index for job in group] for group in twins.values()) == [
        [n, n + 9_990] for n in range(10)
    ]


def test_numbers_are_what_json_makes_of_them(tmp_path: Path) -> None:
    given = "hyper = {a = 1e22, b = -0.0, c = 0x1F, d = 1_0}"
    (job,) = load(tmp_path, f'schema_version = 1\n[[jobs]]\nname = "x"\nmodel = "gbt"\n{given}').jobs
    hyper = {"a": 1e22, "b": -0.0, "c": 31, "d": 10}
    assert math.copysign(1, job.hyper["b"]) == -1
    assert job.job_id == expected_id({"model": "gbt", "hyper": hyper}, {})
