from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_metaopt.core.redaction import redact, url_secrets

KEY = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("https://user:s3cr3t@127.0.0.1:1/x.git", "https://***@127.0.0.1:1/x.git"),
        ("https://t0ken@host.test/x.git", "https://***@host.test/x.git"),
        ("HTTPS://t0ken@host.test/x.git", "HTTPS://***@host.test/x.git"),
        ("https://user:p@ss@host.test/x", "https://***@host.test/x"),
        ("https://user:pa/ss@host.test/x", "https://***@host.test/x"),
        ("https://:s3cr3t@host.test/x", "https://***@host.test/x"),
        (
            "fatal: unable to access 'https://u:s3cr3t@h.test/x/': no",
            "fatal: unable to access 'https://***@h.test/x/': no",
        ),
        ("two https://a:one1@h.test https://b:two2@h.test", "two https://***@h.test https://***@h.test"),
        ("ssh://git@host.test/x.git", "ssh://git@host.test/x.git"),
        ("ssh://git:s3cr3t@host.test/x.git", "ssh://git:***@host.test/x.git"),
        ("git@host.test:org/x.git", "git@host.test:org/x.git"),
        ("user:s3cr3t@host.test:x.git", "user:***@host.test:x.git"),
        ("https://host.test:8443/@scope/package", "https://host.test:8443/@scope/package"),
        ("https://host.test/path@v1", "https://host.test/path@v1"),
        ("mail me@host.test: or him@host.test: soon", "mail me@host.test: or him@host.test: soon"),
        ("at 12:30 a@b.test:", "at 12:30 a@b.test:"),
        ("https://h.test/x?a=1&access_token=abc&b=2", "https://h.test/x?a=1&access_token=***&b=2"),
        ("https://h.test/x?X-Amz-Signature=abc", "https://h.test/x?X-Amz-Signature=***"),
        ("Authorization: Basic dXNlcjpz", "Authorization: Basic ***"),
        ("authorization: see the manual", "authorization: see the manual"),
        ("use ghp_abcdefghijklmnopqrstuvwxyz012345 here", "use *** here"),
        ("no secret: https://host.test/x.git", "no secret: https://host.test/x.git"),
    ],
)
def test_what_is_cut_by_place_and_shape(text: str, left: str) -> None:
    assert redact(text, environ={}) == left
    assert redact(left, environ={}) == left, "doing it twice changes nothing more"


def test_values_of_secret_variables_are_cut_everywhere() -> None:
    environ = {"WANDB_API_KEY": KEY, "MY_SERVICE_TOKEN": "abc/def+ghi", "HOME": "/home/user"}
    assert redact(f"key={KEY}, in /home/user", environ=environ) == "key=***, in /home/user"
    assert redact("abc/def+ghi or abc%2Fdef%2Bghi", environ=environ) == "*** or ***"


def test_the_environment_is_ours_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert redact(KEY) == "***"


def test_a_value_that_is_no_text_is_cut_as_well() -> None:
    # os.environ gives bytes that are not UTF-8 as lone surrogates.
    assert redact("\udcff\udcfe-secret!", environ={"MY_API_KEY": "\udcff\udcfe-secret"}) == "***!"


def test_a_secret_that_is_part_of_another() -> None:
    environ = {"A_TOKEN": "a2345678", "B_TOKEN": "a23456789abc"}
    assert redact("a23456789abc a2345678", environ=environ) == "*** ***"


def test_more_secrets_may_be_named() -> None:
    assert redact("could not find s3cr3t", environ={}, also=["s3cr3t", ""]) == "could not find ***"


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("https://user:s3cr3t@h.test/x", {"s3cr3t"}),
        ("https://user:s3cr%20t@h.test/x", {"s3cr%20t", "s3cr t"}),
        ("https://t0ken@h.test/x", {"t0ken"}),
        ("ssh://git@h.test/x", set()),
        ("ssh://git:s3cr3t@h.test/x", {"s3cr3t"}),
        ("https://h.test/x", set()),
        ("../x", set()),
    ],
)
def test_secrets_of_a_url(url: str, secrets: set[str]) -> None:
    assert url_secrets(url) == secrets


_part = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=6, max_size=20)


@given(user=_part, password=st.from_regex(r"[A-Za-z][^\s'\"\x00-\x1f]{7,20}", fullmatch=True), host=_part)
def test_no_password_survives(user: str, password: str, host: str) -> None:
    said = redact(f"unable to access 'https://{user}:{password}@{host}.test/x/': no", environ={})
    assert f":{password}@" not in said
    assert said.endswith(f"@{host}.test/x/': no")


@given(st.text())
def test_any_text_can_be_looked_at_and_twice_is_once(text: str) -> None:
    once = redact(text, environ={})
    assert redact(once, environ={}) == once


@pytest.mark.parametrize("piece", ["a-", "a://", "a:", "?", "x:y@", "https://u:p", "authorization: "])
def test_a_long_text_takes_time_in_proportion(piece: str) -> None:
    started = time.monotonic()
    redact(piece * (20_000 // len(piece)), environ={})
    assert time.monotonic() - started < 5
