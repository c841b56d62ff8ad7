from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pytest_metaopt.core.document import Document
from pytest_metaopt.probes.services.wandb import SAAS_HOSTS, Credential, look, wandb_credential

KEY = "0123456789abcdef0123456789abcdef01234567"
NEW, OLD = SAAS_HOSTS


@pytest.fixture
def root(home: Path, tmp_path: Path) -> Path:
    path = tmp_path / "project"
    path.mkdir()
    return path


def netrc(text: str, name: str = ".netrc", mode: int = 0o600) -> Path:
    path = Path.home() / name
    path.write_text(text)
    path.chmod(mode)
    return path


def entry(host: str, key: str = KEY) -> str:
    """An entry as wandb 0.31.0 writes it."""
    return f"machine {host}\n  login user\n  password {key}\n"


def test_there_is_none(root: Path) -> None:
    found = look(None, root)
    assert (found.source, found.flaw, found.problem) == (None, None, None)
    assert (found.hosts, found.named_by) == (SAAS_HOSTS, "the client")
    assert not found.netrc.exists
    assert found.netrc.path == Path.home() / ".netrc"


# -- environment ------------------------------------------------------------------------------


def test_a_variable(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    found = look(None, root)
    assert (found.source, found.flaw) == ("WANDB_API_KEY", None)
    assert KEY not in repr(found)


def test_an_empty_variable_is_none(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "")
    assert look(None, root).source is None


def test_a_variable_comes_before_a_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc(entry(OLD))
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert look(None, root).source == "WANDB_API_KEY"


def test_a_token_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_IDENTITY_TOKEN_FILE", "~/token")
    found = look(None, root)
    assert (found.source, found.flaw) == ("WANDB_IDENTITY_TOKEN_FILE", "it is not the path of a file")
    (Path.home() / "token").touch()
    assert look(None, root).flaw is None
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    flaw = look(None, root).flaw
    assert flaw == "WANDB_IDENTITY_TOKEN_FILE is set as well, which the client refuses"


@pytest.mark.parametrize(
    ("key", "flaw"),
    [
        (KEY, None),
        (f"local-{KEY}", None),
        ("wandb_v1_" + "Az_09" * 10, None),
        ("head.payload.signature", None),
        ("s3cr3t", "a key has 40 characters or more, this one has 6"),
        ("<your key>", "a key holds only letters, digits and '_'"),
        (f"{KEY} ", "a key holds only letters, digits and '_'"),
        (" ", "a key holds only letters, digits and '_'"),
    ],
)
def test_the_form_of_a_key(key: str, flaw: str | None, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", key)
    assert look(None, root).flaw == flaw


# -- netrc ------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", SAAS_HOSTS)
def test_the_public_service_has_two_hosts(host: str, root: Path) -> None:
    path = netrc(entry(host))
    found = look(None, root)
    assert (found.source, found.flaw) == (str(path), None)
    assert KEY not in repr(found)


@pytest.mark.parametrize(
    "text",
    [
        f"# machine {OLD} login user password {KEY}\n",
        f"#machine {OLD}\n#  password {KEY}\n",
        f"machine github.com\n  login {OLD}\n  password {KEY}\n",
        f"machine {OLD}.evil.test\n  login user\n  password {KEY}\n",
        f"machine not-{OLD}\n  login user\n  password {KEY}\n",
        f"macdef init\n  machine {OLD} login user password {KEY}\n\n",
        f"machine {OLD}\n  login user\n",
        "",
    ],
    ids=["comment", "tight comment", "as login", "longer", "prefix", "macro", "no password", "empty"],
)
def test_the_name_of_the_host_alone_is_no_credential(text: str, root: Path) -> None:
    netrc(text)
    assert look(None, root).source is None


@pytest.mark.parametrize(
    "text",
    [
        f"machine {OLD} login user password {KEY}",
        f"machine h.test\n\tlogin me\n\tpassword other\n\nmachine {OLD}\n\tlogin user\n\tpassword {KEY}\n",
        f"default login user password {KEY}\n",
    ],
    ids=["one line", "second", "default"],
)
def test_forms_of_an_entry(text: str, root: Path) -> None:
    path = netrc(text)
    assert look(None, root).source == str(path)


def test_only_one_file_is_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = netrc(entry(OLD), "_netrc")
    assert look(None, root).source == str(other)
    netrc("machine github.com login me password x\n")
    assert look(None, root).source is None, "with a ~/.netrc, the client does not read ~/_netrc"
    reported = netrc(entry(OLD), "reported")
    monkeypatch.setenv("NETRC", "~/reported")
    assert look(None, root).source == str(reported)
    monkeypatch.setenv("NETRC", "~/none")
    found = look(None, root)
    assert (found.source, found.netrc.exists) == (None, False)


@pytest.mark.parametrize(
    ("mode", "readable"), [(0o600, False), (0o400, False), (0o644, True), (0o640, True), (0o604, True)]
)
def test_who_may_read_it(mode: int, readable: bool, root: Path) -> None:
    netrc(entry(OLD), mode=mode)
    found = look(None, root).netrc
    assert (found.mode, found.readable_by_others) == (mode, readable)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (f"machine {OLD} password-{KEY} x\n".encode(), "cannot be read as netrc: line "),
        (b"machine \xff\xfe login \xff password x\n", ""),
        (b"x" * (1 << 20) + b"y", "is larger than 1048576 bytes"),
    ],
    ids=["malformed", "not UTF-8", "large"],
)
def test_a_file_that_is_no_netrc(data: bytes, problem: str, root: Path) -> None:
    path = Path.home() / ".netrc"
    path.write_bytes(data)
    found = look(None, root)
    assert found.source is None
    assert KEY not in repr(found)
    assert (found.netrc.problem or "").startswith(problem)


def test_what_is_no_file_is_not_read(root: Path) -> None:
    os.mkfifo(Path.home() / ".netrc")
    found = look(None, root)
    assert (found.source, found.netrc.problem) == (None, "is not a regular file")


# -- which server -----------------------------------------------------------------------------


def test_the_server_of_the_campaign(root: Path) -> None:
    path = netrc(entry("wandb.example.test:8443"))
    found = look("https://wandb.example.test:8443/", root)
    assert found.source == str(path)
    assert (found.hosts, found.named_by) == (("wandb.example.test:8443",), "wandb.base_url")
    assert look("https://wandb.example.test", root).source is None, "the port is part of the name"
    assert look(None, root).source is None


def test_the_variable_comes_before_the_campaign(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "https://one.test")
    found = look("https://two.test", root)
    assert (found.hosts, found.named_by) == (("one.test",), "WANDB_BASE_URL")


@pytest.mark.parametrize(
    ("url", "host", "is_found"),
    [
        ("https://api.wandb.ai", OLD, True),
        ("https://api.wandb.ai", NEW, False),
        ("https://api.forge.coreweave.com", NEW, True),
        ("https://api.forge.coreweave.com", OLD, True),
        ("https://forge.coreweave.com/api/wandb", NEW, True),
    ],
)
def test_hosts_of_the_public_service_when_named(url: str, host: str, is_found: bool, root: Path) -> None:
    netrc(entry(host))
    assert (look(url, root).source is not None) is is_found


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "is set, but empty"),
        ("api.wandb.ai", "is not a URL with http:// or https://"),
        ("ftp://h.test", "is not a URL with http:// or https://"),
        ("https://", "is not a URL with http:// or https://"),
        ("http://api.wandb.ai", "must be https for api.wandb.ai"),
        ("https://[", "is not a URL"),
        ("https://wandb.ai", "names the web pages; the server is https://api.wandb.ai"),
    ],
)
def test_urls_that_the_client_refuses(
    url: str, problem: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert look(url, root).problem == f"wandb.base_url {problem}"
    monkeypatch.setenv("WANDB_BASE_URL", url)
    assert look(None, root).problem == f"WANDB_BASE_URL {problem}"


def test_a_url_that_is_no_text(root: Path) -> None:
    assert look(3, root).problem == "wandb.base_url is not text"


def test_a_password_in_the_url_is_not_shown(root: Path) -> None:
    found = look("https://user:s3cr3t@h.test", root)
    assert found.hosts == ("h.test",)
    assert "s3cr3t" not in repr(found)


def settings(folder: Path, text: str) -> Path:
    path = folder / "settings"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(f"[default]\n{text}\n")
    return path


def test_the_server_of_the_settings_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = settings(Path.home() / ".config" / "wandb", "base_url = https://mine.test")
    netrc(entry("mine.test"))
    found = look(None, root)
    assert (found.hosts, found.named_by) == (("mine.test",), str(mine))
    assert found.source is not None
    of_project = settings(root / "wandb", "base_url = https://project.test")
    assert look(None, root).named_by == str(of_project)
    assert look("https://campaign.test", root).named_by == "wandb.base_url"
    (root / "wandb" / "settings").unlink()
    elsewhere = settings(Path.home() / "elsewhere", "base_url = https://elsewhere.test")
    monkeypatch.setenv("WANDB_CONFIG_DIR", "~/elsewhere")
    assert look(None, root).named_by == str(elsewhere)


def test_a_key_in_the_settings_file(root: Path) -> None:
    path = settings(Path.home() / ".config" / "wandb", f"api_key = {KEY}")
    found = look(None, root)
    assert (found.source, found.flaw) == (str(path), None)
    assert KEY not in repr(found)
    assert look("https://other.test", root).source is None, "it is for the server of the settings"


@pytest.mark.parametrize("text", ["base_url", "[broken", "base_url = %(x)s", "\xff"])
def test_a_broken_settings_file_is_none(text: str, root: Path) -> None:
    settings(Path.home() / ".config" / "wandb", "").write_bytes(text.encode("latin-1"))
    assert look(None, root).named_by == "the client"


def test_the_probe_looks_for_the_campaigns_server(root: Path) -> None:
    campaign = Document(Path("campaign.yaml"), {"wandb": {"base_url": "https://h.test"}}, {})
    found = wandb_credential(campaign, root)
    assert isinstance(found, Credential)
    assert found.hosts == ("h.test",)


# -- the real client --------------------------------------------------------------------------


def login(client: str, *arguments: str) -> None:
    """Log in without asking the server, which is not to be had here."""
    subprocess.run(
        [client, "login", "--no-verify", *arguments],
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )


@pytest.mark.parametrize("variable", [None, "NETRC"])
def test_what_the_real_client_writes(
    variable: str | None, root: Path, wandb_client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if variable:
        monkeypatch.setenv(variable, str(Path.home() / "reported"))
    assert look(None, root).source is None
    login(wandb_client, KEY)
    found = look(None, root)
    assert found.source == str(Path.home() / ("reported" if variable else ".netrc"))
    assert (found.flaw, found.netrc.mode, found.netrc.readable_by_others) == (None, 0o600, False)


def test_the_server_that_the_real_client_is_logged_in_to(root: Path, wandb_client: str) -> None:
    login(wandb_client, "--host", "https://wandb.example.test:8443", KEY)
    found = look(None, root)
    assert found.hosts == ("wandb.example.test:8443",)
    assert found.named_by == str(Path.home() / ".config" / "wandb" / "settings")
    assert found.source == str(Path.home() / ".netrc")


@pytest.mark.parametrize("key", ["s3cr3t", "<your key>"])
def test_the_real_client_refuses_what_we_call_flawed(key: str, root: Path, wandb_client: str) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        login(wandb_client, key)
