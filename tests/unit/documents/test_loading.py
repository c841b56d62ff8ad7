from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pytest_metaopt.core.document import DocumentError, Position
from pytest_metaopt.documents.sources import yaml as yaml_source
from pytest_metaopt.documents.sources.yaml import YamlTree, read_yaml_mapping
from tests.support.project import CAMPAIGN, CAMPAIGN_NAME, Project
from tests.support.scale import examples

# Hypothesis runs one test body many times in one folder; each run overwrites the file.
one_folder = settings(
    max_examples=examples(500), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def read(folder: Path, data: bytes | str) -> YamlTree:
    path = folder / "campaign.yaml"
    path.write_bytes(data.encode("utf-8") if isinstance(data, str) else data)
    return read_yaml_mapping(path, "campaign")


def plain(value: Any) -> Any:
    """A read-only tree as the dicts and lists that PyYAML makes."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value


def nested_lists(levels: int) -> str:
    """A mapping with lists in it, *levels* deep all together."""
    return "a: " + "[" * (levels - 1) + "]" * (levels - 1) + "\n"


# -- what is refused: the place (line:column, or None) and a part of the message ------------------

REFUSED: dict[str, tuple[bytes | str, str | None, str]] = {
    "tab_first": ("campaign:\n\tname: x\n", "2:1", "tab is used as indentation"),
    "tab_later": ("campaign:\n  name: x\n\trepo: y\n", "3:1", "tab is used as indentation"),
    "tab_behind_colon": ("a:\tb\n", "1:3", "tab"),
    "tab_behind_value": ("a: 1\nb: c\t\n", "2:5", "tab"),
    "tab_behind_quotes": ('a: "b"\t\n', "1:7", "tab"),
    "tab_in_list": ("a: [1,\t2]\n", "1:7", "tab"),
    "deep_behind_tag": ("a: " + "[" * 45_000 + "!", "1:67", "is nested deeper than 64 levels"),
    "deep_behind_tab": ("a: " + "{" * 45_000 + "\t", "1:67", "is nested deeper than 64 levels"),
    "nul": (b"a: b\nc\0: d\n", "2:2", "NUL byte"),
    "utf16": ("a: b\n".encode("utf-16-le"), "1:2", "NUL byte"),
    "latin1": (b"a: b\nname: caf\xe9\n", "2:10", "byte 0xe9 is not UTF-8"),
    "latin1_behind_bom": (b"\xef\xbb\xbfa: \xe9\n", "1:5", "byte 0xe9 is not UTF-8"),
    "latin1_behind_utf8": (b"a: b\nc\xc3\xa9: \xe9\n", "2:5", "byte 0xe9 is not UTF-8"),
    "raw_surrogate": (b"a: \xed\xa0\x80\n", "1:4", "byte 0xed is not UTF-8"),
    "empty": (b"", None, "is empty"),
    "blank": (b" \n\n", None, "is empty"),
    "only_bom": (b"\xef\xbb\xbf", None, "is empty"),
    "comments": ("# one\n# two\n", None, "holds only comments"),
    "root_list": ("\n- a\n- b\n", "2:1", "is a list; a campaign is a YAML mapping"),
    "root_scalar": ("hello\n", "1:1", "is a single value; a campaign is a YAML mapping"),
    "root_null": ("null\n", "1:1", "a campaign is a YAML mapping"),
    "second_document": ("---\na: 1\n---\nb: 2\n", "3:1", "second YAML document"),
    "bell": ('a: b\nc: "x\x07"\n', "2:6", "U+0007"),
    "escape": ("a: \x1b[31m\n", "1:4", "U+001B"),
    "delete": ("a: \x7f\n", "1:4", "U+007F"),
    "c1_control": ("a: \x80\n", "1:4", "U+0080"),
    "not_a_character": ("a: 1\nb: \ufffe\n", "2:4", "U+FFFE"),
    "unknown_tag": ("a: !vault secret\n", "1:4", "the tag !vault is not supported"),
    "python_call": (
        'a: 1\nb: !!python/object/apply:os.system ["touch ran"]\n',
        "2:4",
        "python/object/apply:os.system is not supported",
    ),
    "python_name": ("a: !!python/name:os.system\n", "1:4", "is not supported"),
    "binary": ("a: !!binary aGVsbG8=\n", "1:4", "is not supported"),
    "set": ("a: !!set {x, y}\n", "1:4", "is not supported"),
    "omap": ("a: !!omap [x: 1]\n", "1:4", "is not supported"),
    "bad_hex": ("a: 0x_\n", "1:4", "quote it"),
    "bad_int": ("a: !!int foo\n", "1:4", "quote it"),
    "empty_int": ('a: !!int ""\n', "1:4", "quote it"),
    "bad_float": ("a: !!float x\n", "1:4", "quote it"),
    "empty_float": ('a: !!float ""\n', "1:4", "quote it"),
    "bad_bool": ("a: !!bool maybe\n", "1:4", "quote it"),
    "bad_date": ("a:\n  b: 2024-13-45\n", "2:6", "quote it"),
    "bad_time": ("a: 2024-01-01T99:00:00Z\n", "1:4", "quote it"),
    "bad_timestamp": ("a: !!timestamp x\n", "1:4", "quote it"),
    "escaped_beyond_unicode": ('a: "\\U00110000"\n', "1:7", "is not YAML"),
    "recursive_mapping": ("a: &x\n  b: *x\n", "1:4", "part of"),
    "recursive_list": ("a: 1\nb: &x [*x]\n", "2:4", "part of"),
    "recursive_merge": ("a: &x\n  <<: *x\n", "1:4", "part of"),
    "undefined_alias": ("a: *nope\n", "1:4", "undefined alias"),
    "merge_of_a_number": ("<<: 1\n", "1:5", "'<<' takes a mapping"),
    "merge_of_numbers": ("<<: [{a: 1}, 2]\n", "1:14", "'<<' takes a mapping"),
    "list_as_key": ("? [a, b]\n: c\n", "1:3", "a key is a list or mapping"),
    "mapping_as_key": ("? {a: b}\n: c\n", "1:3", "a key is a list or mapping"),
    "unclosed_list": ("a: [1, 2\n", "2:1", "is not YAML"),
    "unclosed_quote": ('a: "foo\n', "2:1", "is not YAML"),
    "two_colons": ("a: b: c\n", "1:5", "is not YAML"),
    "bad_indentation": ("a: 1\n  b: 2\n", "2:4", "is not YAML"),
    "foreign_version": ("%YAML 2.0\n---\na: 1\n", "1:1", "is not YAML"),
    "deep": (nested_lists(65), "1:67", "deeper than 64 levels"),
    "deep_blocks": ("".join(" " * level + "a:\n" for level in range(70)), "65:65", "deeper than 64 levels"),
    "large": ("a: " + "x" * ((1 << 20) - 2), None, "larger than 1048576 bytes"),
}

needs_libyaml = pytest.mark.skipif(
    not yaml.__with_libyaml__, reason="PyYAML without libyaml words some errors differently"
)


@needs_libyaml
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_campaign_is_refused_in_one_line_with_its_place(tmp_path: Path, name: str) -> None:
    data, place, problem = REFUSED[name]
    with pytest.raises(DocumentError) as caught:
        read(tmp_path, data)
    error = caught.value
    reported = f"{tmp_path / 'campaign.yaml'}:{place}: " if place else f"{tmp_path / 'campaign.yaml'}: "
    assert str(error).startswith(reported)
    assert problem in str(error)
    assert str(error).isprintable()  # one line, and nothing in it that steers a terminal
    assert error.position == (Position(*map(int, place.split(":"))) if place else None)


@needs_libyaml
def test_refused_campaigns_end_the_session_with_exit_2_one_line_each_and_nothing_written(
    project: Project,
) -> None:
    arguments: list[str] = []
    for name, (data, _, _) in REFUSED.items():
        folder = project.path / name
        (folder / ".git").mkdir(parents=True)
        (folder / "campaign.yaml").write_bytes(data.encode() if isinstance(data, str) else data)
        arguments += ["--metaopt-campaign", f"{name}/campaign.yaml"]
    result = project.pytest(*arguments)
    assert result.ret == 2
    for name, (_, place, problem) in REFUSED.items():
        where = f"{name}/campaign.yaml:{place}: " if place else f"{name}/campaign.yaml: "
        reported = [line for line in result.outlines if line.startswith(where)]
        assert len(reported) == 1, (name, reported)
        assert problem in reported[0]
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    made = [name for name in project.tree() if name.endswith((".ml-metaopt", ".gitignore", "ran"))]
    assert made == []


# -- what cannot be opened ------------------------------------------------------------------------


def unopenable(project: Project, kind: str) -> Path:
    path = project.path / f"{kind}.yaml"
    if kind == "directory":
        path.mkdir()
        (path / "test_inside.py").write_text("def test_inside(): open('ran', 'w')")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "dangling_link":
        path.symlink_to("nowhere.yaml")
    elif kind == "link_to_itself":
        path.symlink_to(path.name)
    elif kind == "name_too_long":
        path = project.path / f"{'x' * 300}.yaml"
    return path


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("missing", "no such"),
        ("directory", "is a directory"),
        ("fifo", "FIFO"),
        ("dangling_link", "no such"),
        ("link_to_itself", ""),
        ("name_too_long", ""),
    ],
)
def test_a_campaign_that_is_no_file_ends_the_session_with_exit_2(
    project: Project, kind: str, problem: str
) -> None:
    path = unopenable(project, kind)
    # The time limit is for a FIFO that is opened and waited for.
    result = project.pytester.runpytest_subprocess("--metaopt-campaign", path.name, timeout=60)
    output = result.stdout.str() + result.stderr.str()
    assert result.ret == 2
    reported = [line for line in output.splitlines() if path.name in line and problem in line]
    assert reported
    assert "Traceback" not in output
    assert f"did you mean '{path.name}'" not in output
    assert {".ml-metaopt", ".gitignore", "ran"}.isdisjoint(project.tree())


def test_a_missing_campaign_is_answered_with_the_nearest_name(project: Project) -> None:
    result = project.pytest(
        "--metaopt-campaign", "ml_metaopt_campain.yaml", "--metaopt-campaign", "sub/x.yaml"
    )
    assert result.ret == 2
    reported = result.stderr.lines
    assert [line for line in reported if "ml_metaopt_campain.yaml" in line and f"'{CAMPAIGN_NAME}'" in line]
    assert [line for line in reported if "sub/x.yaml" in line and "no such campaign file" in line]


@pytest.mark.parametrize("kind", ["missing", "directory", "device"])
def test_what_is_no_regular_file_is_refused_by_the_loader(tmp_path: Path, kind: str) -> None:
    path = {"missing": tmp_path / "nope.yaml", "directory": tmp_path, "device": Path(os.devnull)}[kind]
    with pytest.raises(DocumentError, match=r"no such file|is a directory|FIFO, socket or device") as caught:
        read_yaml_mapping(path, "campaign")
    assert str(caught.value).startswith(f"{path}: ")
    assert caught.value.position is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_campaign_without_read_permission_is_refused(project: Project) -> None:
    project.campaign.chmod(0)
    result = project.preflight()
    assert result.ret == 2
    result.stdout.fnmatch_lines([f"{CAMPAIGN_NAME}: no permission to read it*"])


# -- limits --------------------------------------------------------------------------------------


def test_a_file_of_exactly_one_mebibyte_is_read(tmp_path: Path) -> None:
    text = "a: 1\n#"
    tree = read(tmp_path, text + "x" * ((1 << 20) - len(text)))
    assert plain(tree.value) == {"a": 1}
    assert (tmp_path / "campaign.yaml").stat().st_size == 1 << 20


def test_64_levels_are_read(tmp_path: Path) -> None:
    value = plain(read(tmp_path, nested_lists(64)).value)
    depth = 0
    while value:
        depth += 1
        value = value["a"] if isinstance(value, dict) else value[0]
    assert depth + 1 == 64  # the innermost list is empty


def test_as_many_values_as_the_limit_are_read_and_one_more_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert yaml_source.MAX_VALUES == 100_000
    monkeypatch.setattr(yaml_source, "MAX_VALUES", 100)
    # The root and the list are values too.
    tree = read(tmp_path, f"a: [{','.join('x' * 98)}]\n")
    assert len(tree.value["a"]) == 98
    with pytest.raises(DocumentError, match="more than 100 values"):
        read(tmp_path, f"a: [{','.join('x' * 99)}]\n")


def test_a_number_of_more_than_4300_characters_is_refused(tmp_path: Path) -> None:
    assert read(tmp_path, f"a: {'1' * 4300}\n").value["a"] == int("1" * 4300)
    for number in ("1" * 4301, "1" + ":1" * 2150):
        with pytest.raises(DocumentError, match="a number of more than 4300 characters; quote it"):
            read(tmp_path, f"a: {number}\n")


def test_what_only_the_slow_scanner_refuses_is_looked_for_in_files_of_up_to_128_kib(tmp_path: Path) -> None:
    text = "a: ! x\n#"
    with pytest.raises(DocumentError, match="the tag ! is not supported"):
        read(tmp_path, text.ljust(1 << 17, "-"))
    # It would take seconds over a larger one, where the fast scanner's word has to do.
    assert read(tmp_path, text.ljust((1 << 17) + 1, "-")).value == {"a": "x"}


def test_depth_is_counted_with_aliases_expanded(tmp_path: Path) -> None:
    def chain(length: int) -> str:
        lines = ["a0: &a0 [x]"] + [f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, length)]
        return "\n".join(lines)

    assert len(read(tmp_path, chain(63)).value) == 63
    with pytest.raises(DocumentError, match="deeper than 64 levels"):
        read(tmp_path, chain(64))


@pytest.mark.skipif(not hasattr(sys, "set_int_max_str_digits"), reason="this Python reads any integer")
def test_a_decimal_integer_that_python_will_not_read_is_to_be_quoted(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="quote it"):
        read(tmp_path, f"a: {'9' * 5000}\n")


def tower(line: str) -> str:
    """Twelve levels, each ten times the one below."""
    lines = ["a0: &a0 {k0: lol}"]
    for level in range(1, 12):
        aliases = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(line.format(level=level, aliases=aliases))
    return "\n".join(lines) + "\n"


BOMBS = {
    "billion_laughs": tower("a{level}: &a{level} [{aliases}]"),
    "billion_laughs_in_mappings": "a0: &a0 {k0: lol}\n"
    + "".join(
        f"a{level}: &a{level} {{{', '.join(f'k{i}: *a{level - 1}' for i in range(10))}}}\n"
        for level in range(1, 12)
    ),
    "billion_merges": tower("a{level}: &a{level} {{<<: [{aliases}]}}"),
    "quadratic": f"a: &a [{','.join('x' * 1000)}]\nb: [{','.join(['*a'] * 100_000)}]\n",
    "many_brackets": "a: " + "[" * 1_000_000,
    "many_braces": "a: " + "{" * 1_000_000,
    "many_keys_in_braces": "a: " + "{x: " * 250_000,
    "base_60_integer": "a: 1" + ":1" * 500_000 + "\n",
    "base_60_float": "a: 1" + ":1" * 500_000 + ".5\n",
    "hexadecimal": "a: 0x" + "f" * 1_000_000 + "\n",
}

# The issue allows 200 MB and "well under a second"; the second is a loose limit of processor time, which
# a busy machine does not use up.
BOUNDED = """
import resource, sys
from pathlib import Path
from pytest_metaopt.core.document import DocumentError
from pytest_metaopt.documents.sources.yaml import read_yaml_mapping
resource.setrlimit(resource.RLIMIT_DATA, (200 << 20, 200 << 20))
resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
try:
    read_yaml_mapping(Path(sys.argv[1]), "campaign")
    print("read")
except DocumentError as error:
    print(error)
"""


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_that_grows_when_read_is_refused_within_bounded_memory_and_time(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / "campaign.yaml"
    path.write_text(BOMBS[name])
    assert path.stat().st_size <= 1 << 20
    done = subprocess.run(
        [sys.executable, "-c", BOUNDED, str(path)], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    assert name == "hexadecimal" or done.stdout.startswith(f"{path}:")


def test_a_fifo_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "campaign.yaml"
    os.mkfifo(path)
    # In a process of its own, so that waiting for ever is a failure of this test only.
    done = subprocess.run(
        [sys.executable, "-c", BOUNDED, str(path)], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == (f"{path}: is a FIFO, socket or device; name a regular file\n", "")


# -- what is read ----------------------------------------------------------------------------------

READ: dict[str, bytes | str] = {
    "byte order mark": b"\xef\xbb\xbfa: b\n",
    "CRLF": b"a: 1\r\nb:\r\n  c: |\r\n    x\r\n    y\r\n",
    "CR": b"a: 1\rb: 2\r",
    "tab in quotes and comments": 'a: "b\tc" # d\te\n# f\tg\nh: |\n  i\tj\n',
    "no last newline": "a: 1",
    "one document with its marks": "%YAML 1.1\n---\na: 1\n...\n",
    "YAML 1.1 words": "a: yes\nb: off\nc: ~\nd: 0x1f\ne: 010\nf: 12:30:00\ng: 1_000\nh: 2024-01-01\n",
    "strings that look like more": "a: 1e5\nb: '1'\nc: !!str 2\nd: 0x\ne: '<<'\nf: '='\n",
    "keys of other types": "1: a\ntrue: b\n~: c\n1.5: d\n2024-01-01: e\n",
    "equals sign as key": "=: 1\n",
    "escapes": r'a: "\e[31m\0\x41é\U0001f600"' + "\n",
    "characters beyond the first plane": 'a: "\U0001f600"\n"\U0001f600": b\n',
    "alias as key": "a: &x foo\n*x : bar\n",
    "duplicate keys": "a: 1\na: 2\n",
    "own key over merged": "a: &x {b: 1, c: 2}\nd: {b: 3, <<: *x}\ne: {<<: *x, b: 3}\n",
    "first merged mapping wins": "a: &x {k: 1}\nb: &y {k: 2, l: 3}\nc: {<<: [*x, *y]}\n",
    "two merge keys": "a: &x {k: 1}\nb: &y {k: 2}\nc: {<<: *x, <<: *y}\n",
    "empty mapping": "{}\n",
}


@pytest.mark.parametrize("name", READ)
def test_what_is_read_is_what_safe_load_reads(tmp_path: Path, name: str) -> None:
    data = READ[name]
    tree = read(tmp_path, data)
    # repr distinguishes what compares equal: 1 and True, and the order of keys.
    assert repr(plain(tree.value)) == repr(yaml.safe_load(data))


SCALARS = [
    "1",
    "x",
    "'q'",
    "~",
    "true",
    "no",
    "1.5",
    ".5",
    "0x1f",
    "1_000",
    "12:30",
    "2024-01-01",
    "''",
    '"é"',
]


@st.composite
def yaml_texts(draw: st.DrawFn) -> str:
    """A mapping in flow style with anchors, aliases to what stands before, and merge keys of all kinds."""
    anchors: list[str] = []

    def node(depth: int) -> str:
        kinds = ["scalar"] if depth == 0 else ["scalar", "list", "mapping", "mapping"]
        kind = draw(st.sampled_from([*kinds, "alias"] if anchors else kinds))
        if kind == "alias":
            return f"*{draw(st.sampled_from(anchors))} "
        if kind == "scalar":
            text = draw(st.sampled_from(SCALARS))
        elif kind == "list":
            text = f"[{', '.join(node(depth - 1) for _ in range(draw(st.integers(0, 3))))}]"
        else:
            text = mapping(depth)
        if draw(st.booleans()):
            name = f"n{len(anchors)}"
            anchors.append(name)
            return f"&{name} {text}"
        return text

    def mapping(depth: int) -> str:
        keys = draw(st.lists(st.sampled_from(["a", "b", "c", "1", "<<", "<<", "'<<'"]), max_size=4))
        return "{" + ", ".join(f"{key}: {node(depth - 1)}" for key in keys) + "}"

    return mapping(4) + "\n"


@one_folder
@given(text=yaml_texts())
def test_anchors_and_merge_keys_mean_what_they_mean_to_safe_load(tmp_path: Path, text: str) -> None:
    try:
        expected = repr(yaml.safe_load(text))
    except yaml.YAMLError:
        with pytest.raises(DocumentError):
            read(tmp_path, text)
    else:
        assert repr(plain(read(tmp_path, text).value)) == expected


PIECES = [
    *":-?{}[]&*!|>'\"#%@`,\n\t ~=.<\\é01ab",
    *("\n  ", ": ", "- ", " #", "<<: ", "!!str ", "---\n", "...\n", "\r\n", "{a:b}", "x:1", "\n\n"),
]


@one_folder
@given(
    edits=st.lists(
        st.tuples(st.integers(0, len(CAMPAIGN)), st.integers(0, 3), st.sampled_from(PIECES)), max_size=4
    )
)
@example(edits=[(CAMPAIGN.index("demo") + 4, 0, "\t")])
@example(edits=[(CAMPAIGN.index("demo"), 4, "!")])
def test_a_campaign_with_typing_errors_is_never_read_as_something_else_than_safe_load_reads(
    tmp_path: Path, edits: list[tuple[int, int, str]]
) -> None:
    # The orchestrator reads with yaml.safe_load: what that refuses must not pass here.
    text = CAMPAIGN
    for start, deleted, inserted in edits:
        text = text[:start] + inserted + text[start + deleted :]
    try:
        tree = read(tmp_path, text)
    except DocumentError:
        return
    assert repr(plain(tree.value)) == repr(yaml.safe_load(text))


@one_folder
@given(data=st.binary(max_size=200))
@example(data=b"\xff")
def test_any_bytes_give_a_tree_or_a_document_error(tmp_path: Path, data: bytes) -> None:
    tree_or_error(tmp_path, data)


@one_folder
@given(
    text=st.text(max_size=100)
    | st.text(alphabet="abx01:-?{}[]&*!|>'\"#%@`,\n\t <=~.\\\u2028é\ufeff", max_size=60)
)
def test_any_text_gives_a_tree_or_a_document_error(tmp_path: Path, text: str) -> None:
    tree_or_error(tmp_path, text.encode("utf-8", "surrogatepass"))


@one_folder
@given(
    tag=st.sampled_from(
        ["", "!!int ", "!!float ", "!!bool ", "!!null ", "!!timestamp ", "!!str ", "!!merge "]
    ),
    text=st.text(alphabet="0123456789abcdefxobTZ:_.+- ", max_size=24),
    quote=st.booleans(),
)
def test_any_scalar_gives_a_value_or_a_document_error(
    tmp_path: Path, tag: str, text: str, quote: bool
) -> None:
    tree_or_error(tmp_path, f'a: {tag}"{text}"\n' if quote else f"a: {tag}{text}\n")


def tree_or_error(folder: Path, data: bytes | str) -> None:
    try:
        tree = read(folder, data)
    except DocumentError as error:
        assert str(error).isprintable()
        assert str(error).startswith(f"{folder / 'campaign.yaml'}:")
    else:
        assert isinstance(tree.value, Mapping)


def test_a_tree_can_not_be_changed(tmp_path: Path) -> None:
    tree = read(tmp_path, "a: {b: 1}\nc: [1]\n")
    for mapping in (tree.value, tree.value["a"]):
        with pytest.raises(TypeError):
            mapping["b"] = 2
    assert isinstance(tree.value["c"], tuple)


# -- places ----------------------------------------------------------------------------------------


def test_every_value_has_its_line_and_column(tmp_path: Path) -> None:
    text = """\
# a comment
campaign:
  name: demo
  "tags": [one, {two: 2}]
compute: {provider: local, sizes: [1, 2]}
empty:
command: >
  folded
list:
- first
-   second
"""
    assert read(tmp_path, text).positions == {
        (): (2, 1),
        ("campaign",): (2, 1),
        ("campaign", "name"): (3, 9),
        ("campaign", "tags"): (4, 3),
        ("campaign", "tags", 0): (4, 12),
        ("campaign", "tags", 1): (4, 17),
        ("campaign", "tags", 1, "two"): (4, 23),
        ("compute",): (5, 1),
        ("compute", "provider"): (5, 21),
        ("compute", "sizes"): (5, 28),
        ("compute", "sizes", 0): (5, 36),
        ("compute", "sizes", 1): (5, 39),
        ("empty",): (6, 1),
        ("command",): (7, 10),
        ("list",): (9, 1),
        ("list", 0): (10, 3),
        ("list", 1): (11, 5),
    }


@pytest.mark.parametrize(
    ("data", "line", "column"),
    [
        (b"\xef\xbb\xbfx: value\n", 1, 4),
        (b"a: 1\r\nb: 2\r\nx: value\r\n", 3, 4),
        (b"a: 1\rx: value\r", 2, 4),
        ("{é: 1, 😀: 2, x: value}\n".encode(), 1, 17),
    ],
    ids=["byte order mark", "CRLF", "CR", "columns are characters"],
)
def test_places_are_what_an_editor_shows(tmp_path: Path, data: bytes, line: int, column: int) -> None:
    assert read(tmp_path, data).positions[("x",)] == (line, column)


@pytest.mark.parametrize(
    "text", ["{base: &b {k: 1}, own: {k: 2, <<: *b}}", "{base: &b {k: 1}, own: {<<: *b, k: 2}}"]
)
def test_a_key_that_overrides_a_merged_one_has_its_own_place(tmp_path: Path, text: str) -> None:
    tree = read(tmp_path, text)
    assert tree.value["own"]["k"] == 2
    assert tree.positions[("own", "k")].column == text.index("2") + 1


def test_a_merged_key_has_the_place_where_it_is_written(tmp_path: Path) -> None:
    tree = read(tmp_path, "base: &b\n  k: 1\nown:\n  <<: *b\n")
    assert tree.positions[("own", "k")] == (2, 6)


def test_keys_given_twice_are_recorded_with_the_place_of_the_later_one(tmp_path: Path) -> None:
    tree = read(tmp_path, "a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\na: 4\n")
    assert plain(tree.value) == {"a": 4, "b": {"c": 3, "d": 2}}
    assert tree.duplicates == {("b", "c"): (5, 3), ("a",): (6, 1)}


def test_overriding_a_merged_key_is_no_key_given_twice(tmp_path: Path) -> None:
    tree = read(tmp_path, "a: &x {k: 1}\nb: {<<: *x, k: 2}\nc: {<<: *x}\n")
    assert tree.duplicates == {}


def test_a_failing_check_points_at_the_line_behind_a_byte_order_mark_and_crlf(project: Project) -> None:
    text = CAMPAIGN.replace("smoke_test_command: python train.py --smoke", "smoke_test_command: ''")
    project.campaign.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    result = project.preflight()
    assert result.ret == 1
    result.stdout.fnmatch_lines([f"{CAMPAIGN_NAME}:5:3: R7: *"])


BAD_SHAPES = [
    "[",
    "{",
    "[],",
    "! ",
    "&a ",
    "*a, ",
    "? ",
    "? a\n",
    '"a", ',
    "'",
    '"',
    "\ta\n",
    "- ",
    "a:\n",
    "|\n",
]


@pytest.mark.parametrize("tail", ["!", "\t"], ids=["tag", "tab"])
@pytest.mark.parametrize("shape", BAD_SHAPES, ids=repr)
def test_the_scan_of_a_bad_shape_takes_linear_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: str, tail: str
) -> None:
    """PyYAML's scanner goes over its open keys for each token; those steps are counted."""
    real = yaml.SafeLoader.stale_possible_simple_keys
    steps = 0

    def counted(self: yaml.SafeLoader) -> None:
        nonlocal steps
        steps += 1 + len(self.possible_simple_keys)
        real(self)

    monkeypatch.setattr(yaml.SafeLoader, "stale_possible_simple_keys", counted)
    counts = []
    # Both beyond the 1024 characters in which the scanner waits for the colon of a key.
    for times in (2000, 4000):
        steps = 0
        with pytest.raises(DocumentError):
            read(tmp_path, f"a: {shape * times}{tail}")
        counts.append(steps)
    assert counts[0] > 0
    assert counts[1] < 3 * counts[0]
