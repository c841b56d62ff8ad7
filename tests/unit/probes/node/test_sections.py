"""The script that asks a host several things, run by real shells, and the reading of what it says."""

from __future__ import annotations

import base64
import os
import secrets
import shlex
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_metaopt.probes.node.sections import NOT_SAID, Output, Question, command, read, script
from tests.support.scale import examples

SHELLS = {"sh": ["sh"], "bash": ["bash"], "posix": ["bash", "--posix"], "busybox": ["busybox", "sh"]}
MARK = "0123456789abcdef01234567"


@pytest.fixture(params=list(SHELLS))
def shell(request: pytest.FixtureRequest) -> list[str]:
    found: list[str] = SHELLS[request.param]
    if shutil.which(found[0]) is None:
        pytest.skip(f"there is no {found[0]} here")
    return found


def run(shell: list[str], text: str, folder: Path | None = None, **environ: str) -> bytes:
    """Give *text* to a shell and return what it says."""
    done = subprocess.run(
        shell,
        input=text.encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=60,
        check=False,
        cwd=folder,
        env={**os.environ, **environ},
    )
    return done.stdout


def queried(
    shell: list[str], questions: Mapping[str, Question | str], folder: Path | None = None, **environ: str
) -> dict[str, Output]:
    """Ask a shell, and read what it says."""
    plain = {name: Question(q, 20) if isinstance(q, str) else q for name, q in questions.items()}
    said = run(shell, script(plain, MARK), folder, **environ)
    return read(said.decode("utf-8", "replace"), MARK)


def saying(what: bytes, status: int = 0) -> str:
    """Return a command that says exactly these bytes."""
    return f"echo {base64.b64encode(what).decode()} | base64 -d; exit {status}"


# -- round trips -----------------------------------------------------------------------------------


def test_what_each_question_said_and_its_status(shell: list[str]) -> None:
    found = queried(
        shell,
        {
            "plain": "echo one; echo two",
            "bare": "printf three",
            "nothing": "true",
            "empty_line": "echo",
            "both": "echo out; echo err >&2",
            "status": "echo said; exit 3",
            "missing": "metaopt-there-is-no-such-command",
            "stdin": "cat; echo end",
            "quoted": "printf '%s|' \"it's\" 'a \"b\"' \\\\ '$HOME' '`x`'",
            "language": 'echo "$LC_ALL"',
            "lines": "for i in 1 2\ndo\n  echo $i\ndone",
        },
    )
    assert found.pop("missing").status == 127
    assert found == {
        "plain": Output("one\ntwo\n", 0),
        "bare": Output("three", 0),
        "nothing": Output("", 0),
        "empty_line": Output("\n", 0),
        "both": Output("out\nerr\n", 0),
        "status": Output("said\n", 3),
        "stdin": Output("end\n", 0),
        "quoted": Output('it\'s|a "b"|\\|$HOME|`x`|', 0),
        "language": Output("C\n", 0),
        "lines": Output("1\n2\n", 0),
    }


_bytes = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=100).map(lambda text: text.encode("utf-8", "replace")),
    st.lists(
        st.sampled_from(
            [
                "\n",
                "\r\n",
                f"{MARK[:-1]} end a 0",
                f"x{MARK} end a 0",
                f"{MARK} end a 0 x",
                " begin b",
                "\x00",
                f" {MARK} end a 0",
                f"{MARK}  end a 0",
                f"{MARK} end A 0",
                "\x85",
                "\u2028",
                "\x1b[0m",
            ]
        ),
        max_size=8,
    ).map(lambda parts: "".join(parts).encode()),
)


@pytest.mark.parametrize("kind", ["sh", "busybox"])
@settings(
    max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(said=st.lists(st.tuples(_bytes, st.integers(0, 125).filter(lambda n: n != 124)), max_size=4))
def test_any_output_comes_back_as_it_was(kind: str, said: list[tuple[bytes, int]]) -> None:
    shell = SHELLS[kind]
    if shutil.which(shell[0]) is None:
        pytest.skip(f"there is no {shell[0]} here")
    names = ["a", "b", "c", "d"][: len(said)]
    found = queried(shell, {name: saying(*one) for name, one in zip(names, said, strict=True)})
    assert found == {
        name: Output(what.decode("utf-8", "replace"), status)
        for name, (what, status) in zip(names, said, strict=True)
    }


def test_a_megabyte_comes_back(shell: list[str]) -> None:
    found = queried(shell, {"a": "head -c 1000000 /dev/zero | tr '\\0' x", "b": "echo b"})
    assert found == {"a": Output("x" * 1_000_000, 0), "b": Output("b\n", 0)}


def test_a_forged_mark_ends_nothing(shell: list[str]) -> None:
    other = secrets.token_hex(12)
    lie = f"\n{other} end a 0\n\n{other} begin b\nlie\n{other} end b 0\n"
    found = queried(shell, {"a": saying(lie.encode()), "b": "echo truth"})
    assert found == {"a": Output(lie, 0), "b": Output("truth\n", 0)}


def test_commands_do_not_know_the_mark(shell: list[str]) -> None:
    found = queried(shell, {"a": 'echo "[$mark]"; env | grep -c \'' + MARK[:8] + "'"})
    assert found["a"].text == "[]\n0\n"


def test_the_command_is_one_line_that_any_shell_takes(shell: list[str]) -> None:
    line = command(script({"a": Question('echo "it\'s"', 5)}, MARK))
    assert "\n" not in line
    assert not set(line) & set("'\"$`\\!*?[]{}<>&;()~#")
    done = subprocess.run([*shell, "-c", line], capture_output=True, text=True, timeout=60, check=True)
    assert read(done.stdout, MARK) == {"a": Output("it's\n", 0)}


@pytest.mark.parametrize("name", ["", "A", "1a", "a b", "a-b", "a\n", "ä", "a;b"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a name for a question"):
        script({name: Question("true", 1)}, MARK)


def test_a_mark_is_quoted(tmp_path: Path) -> None:
    mark = "'; touch evil; '"
    said = run(["sh"], script({"a": Question("echo a", 5)}, mark), tmp_path)
    assert read(said.decode(), mark) == {"a": Output("a\n", 0)}
    assert list(tmp_path.iterdir()) == []


# -- limits ----------------------------------------------------------------------------------------


def test_what_hangs_is_stopped_and_the_rest_is_queried(shell: list[str]) -> None:
    started = time.monotonic()
    found = queried(
        shell,
        {
            "before": "echo before",
            "hangs": Question("echo said; sleep 60", 1),
            "deaf": Question("trap '' TERM; echo deaf; sleep 60; sleep 60", 1),
            "unlimited": Question("a=b; echo unlimited; echo too >&2; exit 3", 0),
            "after": "echo after$a",
        },
    )
    assert time.monotonic() - started < 20
    assert found["before"] == Output("before\n", 0)
    assert found["unlimited"] == Output("unlimited\ntoo\n", 3)
    assert found["after"] == Output("after\n", 0)
    for name, text in (("hangs", "said\n"), ("deaf", "deaf\n")):
        assert found[name].text.startswith(text)
        assert found[name].hung
        assert found[name].problem == "did not answer in time"


def test_without_timeout_everything_is_queried_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "timeout").write_text("#!/bin/sh\nexit 125\n")
    (tmp_path / "timeout").chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    assert queried(["sh"], {"a": "echo a; exit 4", "b": "cat"}, PATH=path) == {
        "a": Output("a\n", 4),
        "b": Output("", 0),
    }


def test_a_bare_path_is_filled_up() -> None:
    found = queried(["/bin/sh"], {"a": "command -v sh >/dev/null && echo there"}, PATH="/nowhere")
    assert found == {"a": Output("there\n", 0)}


# -- a script that was cut ---------------------------------------------------------------------------


def test_a_script_that_was_cut_does_nothing(tmp_path: Path) -> None:
    quoted = shlex.quote(str(tmp_path))
    text = script({"a": Question(f"cd {quoted}; touch canary", 5), "b": Question("echo b", 5)}, MARK)
    # A line of its own would run up to the cut, be it "as" of "ask" or ">/dev/nul".
    assert text.startswith("{\n")
    assert text.endswith("\n} </dev/null\n")
    for end in range(len(text) - len(" </dev/null\n")):
        assert run(["sh"], text[:end], tmp_path) == b""
        assert list(tmp_path.iterdir()) == []
    for end in range(len(text) - len(" </dev/null\n"), len(text) + 1):
        found = read(run(["sh"], text[:end]).decode(), MARK)
        assert found in ({}, {"a": Output("", 0), "b": Output("b\n", 0)})


def test_of_an_answer_that_was_cut_the_part_that_came_is_known() -> None:
    said = run(["sh"], script({"a": Question("echo one", 5), "b": Question("echo two; exit 3", 5)}, MARK))
    text = said.decode()
    whole = read(text, MARK)
    for end in range(len(text)):
        found = read(text[:end], MARK)
        assert list(found) == list(whole)[: len(found)]
        for name, output in found.items():
            if output.status is None:
                assert output.hung
                # What was cut may be the mark behind it.
                came = f"{whole[name].text}\n{MARK} end {name} {whole[name].status}"
                assert came.startswith(output.text)
            else:
                assert output == whole[name]


def test_a_name_that_was_cut_is_not_another_question() -> None:
    said = f"\n{MARK} begin clock\n1\n\n{MARK} end clock 0\n\n{MARK} begin clock"
    assert read(said, MARK) == read(said + "_at_end", MARK) == {"clock": Output("1\n", 0)}


def test_a_status_that_no_shell_has_is_none() -> None:
    said = f"{MARK} begin a\n\n{MARK} end a {'9' * 5000}\n"
    assert read(said, MARK)["a"].status is None


@settings(max_examples=examples(200))
@given(
    parts=st.lists(
        st.one_of(
            st.text(max_size=10),
            st.sampled_from(["\n", MARK, " begin a", " end a 0", " end a", " begin b", " end b 99999"]),
        ),
        max_size=20,
    )
)
def test_whatever_is_said_is_read(parts: list[str]) -> None:
    for name, output in read("".join(parts), MARK).items():
        assert name in {"a", "b"} or name.isidentifier()
        assert output.text in "".join(parts)


def test_what_was_not_said_did_not_end() -> None:
    assert read("", MARK) == {}
    assert NOT_SAID.hung
    assert NOT_SAID.problem == "did not answer in time"
    assert Output("", 0).problem is None
    assert Output("", 3).problem == "exit status 3"
    assert not Output("", 3).hung


def test_noise_of_a_login_shell_is_no_answer() -> None:
    said = run(["sh"], script({"a": Question("echo a", 5)}, MARK)).decode()
    banner = f"Welcome!\nmain() {{ evil; }}\n{shlex.quote(MARK)} begin a\n"
    assert read(banner + said + "\nlogout\n", MARK) == {"a": Output("a\n", 0)}
