"""``metaopt-preflight jobs``: the jobs as a table."""

from __future__ import annotations

import pytest

from tests.support.manifests import MANIFEST_NAME, SAMPLE, SAMPLE_IDS
from tests.support.project import Project


def rows(text: str) -> list[dict[str, str]]:
    """The rows of a table, cells that take several lines put together."""
    lines = text.splitlines()
    rule = lines.index(next(line for line in lines if set(line) == {"-", " "}))
    starts = [
        i for i in range(len(lines[rule])) if lines[rule][i] == "-" and (i == 0 or lines[rule][i - 1] == " ")
    ]
    spans = list(zip(starts, [*starts[1:], 10_000], strict=True))

    def cells(line: str) -> list[str]:
        return [line[start:end].strip() for start, end in spans]

    headings = [
        " ".join(parts).strip() for parts in zip(*(cells(line) for line in lines[:rule]), strict=True)
    ]
    found: list[list[str]] = []
    for line in lines[rule + 1 : lines.index("")]:
        values = cells(line)
        if values[1]:
            found.append(values)
        else:
            found[-1] = [f"{old} {new}".strip() for old, new in zip(found[-1], values, strict=True)]
    return [dict(zip(headings, values, strict=True)) for values in found]


def test_the_jobs_with_id_needs_hosts_and_whether_they_fit_in_80_columns(project: Project) -> None:
    project.write(MANIFEST_NAME, SAMPLE)
    before = project.tree()
    done = project.command("jobs", MANIFEST_NAME)
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines()[:-1])) <= 80
    first, second = rows(done.stdout)
    assert first == {
        "job": "gbt-realistic",
        "id": SAMPLE_IDS[0],
        "model": "gbt",
        "needs": "1 core, 4 GiB",
        "eligible hosts": "pi",
        "fits here": first["fits here"],
    }
    assert second["needs"] == "1 core, 4 GiB, CUDA, VRAM 10 GiB"
    assert (second["id"], second["eligible hosts"]) == (SAMPLE_IDS[1], "gpu-01")
    assert second["fits here"].startswith(("yes", "no: "))
    assert done.stdout.splitlines()[-1].startswith("this host: ")
    assert project.tree() == before


def test_long_names_many_hosts_and_wrong_jobs_still_fit(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = "".join(f"[hosts.a-rather-long-name-{number}]\n" for number in range(40))
    text = (
        f"schema_version = 1\n{hosts}"
        f'[[jobs]]\nname = "{"long-" * 30}"\nmodel = "gbt"\n'
        '[[jobs]]\nname = "nowhere"\nmodel = "gbt"\nallowed_hosts = ["x"]\nmin_cores = 99999\n'
        '[[jobs]]\nname = "wr\\u001bng"\nallowed_hosts = 3\nmin_cores = "x"\n'
    )
    project.write(MANIFEST_NAME, text)
    done = project.command("jobs", MANIFEST_NAME)
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines()[:-2])) <= 80
    assert "\x1b" not in done.stdout
    first, second, third = rows(done.stdout)
    assert "and 32 more" in first["eligible hosts"] or first["eligible hosts"].endswith("32 more")
    assert (second["eligible hosts"], second["fits here"]) == ("none", "no: cores")
    assert (third["id"], third["model"], third["eligible hosts"], third["fits here"]) == ("-", "-", "?", "?")
    assert done.stdout.splitlines()[-1] == "1 of 3 jobs are invalid; pytest --metaopt-manifest FILE says why"
    monkeypatch.setenv("COLUMNS", "400")
    wide = project.command("jobs", MANIFEST_NAME).stdout.splitlines()
    assert len(wide) == 2 + 3 + 3


def test_a_manifest_that_can_not_be_read_ends_with_2(project: Project) -> None:
    for arguments in (["jobs"], ["jobs", "nowhere.toml"]):
        done = project.command(*arguments)
        assert done.returncode == 2
        assert done.stdout == ""
    assert done.stderr.startswith("ERROR: ")
    assert "no such file" in done.stderr
    assert " jobs, " in project.command("--help").stdout
