"""A secret is cut out in each form in which a tool may repeat it."""

from __future__ import annotations

import base64
import html
import json
import time
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_metaopt.core.redaction import redact

FORMS: dict[str, Callable[[str], str]] = {
    "plain": lambda secret: secret,
    "repr": lambda secret: repr(secret)[1:-1],
    "ascii": lambda secret: ascii(secret)[1:-1],
    "json": lambda secret: json.dumps(secret)[1:-1],
    "json with all characters": lambda secret: json.dumps(secret, ensure_ascii=False)[1:-1],
    "url": lambda secret: urllib.parse.quote(secret, safe=""),
    "path of a url": urllib.parse.quote,
    "form": urllib.parse.quote_plus,
    "html": html.escape,
    "hex": lambda secret: secret.encode().hex(),
    "base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "base64 of a URL": lambda secret: base64.urlsafe_b64encode(secret.encode()).decode(),
    "basic, 1 before": lambda secret: base64.b64encode(f"user1:{secret}:x".encode()).decode(),
    "basic, 2 before": lambda secret: base64.b64encode(f"u:{secret}".encode()).decode(),
    "basic, 0 before": lambda secret: base64.b64encode(f"us:{secret}zz".encode()).decode(),
    "collapsed": lambda secret: " ".join(secret.split()),
}

_secret = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=12, max_size=60
).filter(lambda text: len("".join(text.split())) >= 12 and text == text.strip())


def runs(text: str) -> set[str]:
    """Return each run of 8 characters, white space left out."""
    bare = "".join(text.split())
    return {bare[start : start + 8] for start in range(len(bare) - 7)}


@pytest.mark.parametrize("form", FORMS)
@example(secret="0000000000/ 0", width=1)
@given(secret=_secret, width=st.integers(1, 80))
def test_no_run_of_a_form_survives(form: str, secret: str, width: int) -> None:
    said = FORMS[form](secret)
    broken = "\n    ".join(said[start : start + width] for start in range(0, len(said), width))
    left = redact(
        f"it said <{broken}> and no more", environ={"MY_API_KEY": f"~{secret}"[1:], "WANDB_API_KEY": secret}
    )
    inner = said[4:-4] if "ba" in form[:3] else said
    assert not runs(inner) & runs(left.removeprefix("it said <").removesuffix("> and no more"))


def test_a_key_of_several_lines_is_cut_line_by_line() -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2Vw\nBCIEIHx0cm9sb2xv\n-----END PRIVATE KEY-----"
    left = redact("line 2 is BCIEIHx0cm9sb2xv", environ={"SSH_PRIVATE_KEY": key})
    assert left == "line 2 is ***"


def test_a_short_secret_is_cut_as_it_is_only() -> None:
    assert redact("abcd, ab cd", environ={"WANDB_API_KEY": "abcd"}) == "***, ab cd"


def test_a_long_text_and_many_secrets_take_time_in_proportion() -> None:
    environ = {f"A{number}_TOKEN": f"secret-value-{number:06}" for number in range(50)}
    started = time.monotonic()
    redact("some words of a tool's output, and more\n" * 10_000, environ=environ)
    assert time.monotonic() - started < 5
