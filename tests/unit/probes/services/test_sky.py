from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_metaopt.core.document import Document
from pytest_metaopt.documents.provider import ALIASES, CLOUDS, infra_name
from pytest_metaopt.probes.command import Deadline, Result, Runner
from pytest_metaopt.probes.services.sky import (
    Cloud,
    SkyPilot,
    query,
    sky_cloud,
    skypilot,
)
from tests.support.probing import wait_until_gone, written_number
from tests.support.recordings import Replay, recorded, unfinished

NOW = recorded("skypilot", "0.14.1")
OLD = recorded("skypilot", "0.10.5")
OLDEST = recorded("skypilot", "0.8.1")

JSON = "sky check vast -o json"
PLAIN = "sky check vast"


def campaign(provider: object) -> Document:
    return Document(Path("campaign.yaml"), {"compute": {"provider": provider}}, {})


# -- sky itself -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "version"),
    [(NOW["version"], "0.14.1"), (OLD["version"], "0.10.5"), (OLDEST["version"], "0.8.1")],
)
def test_version(answer: Result, version: str) -> None:
    assert skypilot(Replay(answers={"sky --version": answer})) == SkyPilot(version)


def test_sky_is_missing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(home))
    found = skypilot(Runner(Deadline.after(1)))
    assert found == SkyPilot(None, missing=True, problem="command 'sky' not found on PATH")


def test_another_program_called_sky(script: Callable[[str, str], Path], run: Runner) -> None:
    script("sky", "echo sky-cam 3.1")
    found = skypilot(run)
    assert found.version is None
    assert found.problem == "'sky --version' does not name SkyPilot; it says: sky-cam 3.1"


def test_a_broken_sky(script: Callable[[str, str], Path], run: Runner) -> None:
    script("sky", "echo 'Traceback (most recent call last):' >&2; echo 'ImportError: no ray' >&2; exit 1")
    found = skypilot(run)
    assert found.problem == "exit status 1: Traceback (most recent call last): ImportError: no ray"


def test_a_sky_that_never_returns(script: Callable[[str, str], Path], tmp_path: Path) -> None:
    script("sky", f"sleep 60 & echo $! > {tmp_path}/pid; wait")
    started = time.monotonic()
    assert skypilot(Runner(Deadline.after(0.5))).problem == "timed out after 0.5 s"
    assert query("vast", Runner(Deadline.after(0.5))).problem == "timed out after 0.5 s"
    assert time.monotonic() - started < 2
    assert wait_until_gone(written_number(tmp_path / "pid"))


# -- clouds -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["vast-json-key", "vast-json-key-cold"])
def test_enabled(name: str) -> None:
    run = Replay(answers={JSON: NOW[name]})
    found = query("vast", run)
    assert found == Cloud("vast", enabled=True, capabilities=("compute",))
    assert found.computes
    assert run.queried == [JSON]


VAST_REASON = """\
Credentials can be set up by running:
    $ pip install vastai
    $ mkdir -p ~/.config/vastai
    $ echo [key] > ~/.config/vastai/vast_api_key
For more information, see https://docs.skypilot.co/en/latest/getting-started/installation.html#vast"""


@pytest.mark.parametrize("name", ["vast-json-no-key", "vast-json-no-key-cold"])
def test_disabled_comes_with_the_reason_of_skypilot(name: str) -> None:
    run = Replay(answers={JSON: NOW[name], PLAIN: NOW["vast-plain-no-key"]})
    found = query("vast", run)
    assert found == Cloud("vast", enabled=False, reason=VAST_REASON)
    assert not found.computes
    assert run.queried == [JSON, PLAIN]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("aws", "AWS dependencies are not installed."),
        ("gcp", "GCP tools are not installed."),
        ("azure", "~/.azure/msal_token_cache.json does not exist."),
        ("lambda", "Failed to access Lambda Cloud with credentials."),
        ("runpod", "Failed to import runpod or TOML parser."),
        ("kubernetes", "`socat` is required to setup Kubernetes cloud"),
    ],
)
def test_reasons_of_other_clouds(name: str, words: str) -> None:
    nothing = NOW["vast-json-no-key"]
    plain = NOW[f"{name}-plain-none"]
    found = query(name, Replay(answers={f"sky check {name} -o json": nothing, f"sky check {name}": plain}))
    assert found.enabled is False
    assert found.reason is not None
    assert found.reason.startswith(words)
    assert "\x1b" not in found.reason
    assert "Enabled infra" not in found.reason


def test_the_reason_may_be_late() -> None:
    late = unfinished("timed out", "timed out after 30 s")
    found = query("vast", Replay(answers={JSON: NOW["vast-json-no-key"], PLAIN: late}))
    assert found == Cloud("vast", enabled=False)


@pytest.mark.parametrize("name", ["unknown-plain", "unknown-json"])
def test_a_name_that_skypilot_does_not_know(name: str) -> None:
    found = query("vast", Replay(answers={JSON: NOW[name]}))
    assert found.enabled is None
    assert found.problem == "this SkyPilot does not know the cloud 'vast'"
    assert {"aws", "vast", "kubernetes"} <= set(found.known)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("port-taken", "exit status 1: RuntimeError: SkyPilot API server process exited unexpectedly."),
        ("endpoint-refused", "exit status 1: sky.exceptions.ApiServerConnectionError: Could not connect to"),
        (
            "local-server-disabled",
            "exit status 1: RuntimeError: No SkyPilot API server endpoint is configured",
        ),
    ],
)
def test_a_server_that_is_not_there(name: str, words: str) -> None:
    run = Replay(answers={JSON: NOW[name]})
    found = query("vast", run)
    assert found.enabled is None
    assert found.problem is not None
    assert found.problem.startswith(words)
    assert run.queried == [JSON], "a second question would only fail the same way"


def test_a_timeout_while_the_server_starts_is_reported() -> None:
    begun = NOW["vast-json-no-key-cold"].stdout.splitlines()[0]
    late = unfinished("timed out", "timed out after 30 s", begun)
    found = query("vast", Replay(answers={JSON: late}))
    assert (found.problem, found.starting_server) == ("timed out after 30 s", True)


def exited(stdout: str, status: int = 0, stderr: str = "") -> Result:
    problem = f"exit status {status}" if status else None
    return Result("sky", "exited", status, stdout, stderr, 0.1, problem)


@pytest.mark.parametrize(
    "stdout",
    [
        '{"default": {"Vast": ["compute"]}}',
        '{"default": {}, "team-a": {"AWS": ["compute"], "Vast": ["compute"]}}',
        '\x1b[2mnew version {0.15} is out\x1b[0m\n{\n "default": {\n "Vast": ["compute"]}}\nbye {"a": 1}\n',
    ],
    ids=["one line", "workspaces", "words around"],
)
def test_forms_of_json(stdout: str) -> None:
    assert query("vast", Replay(answers={JSON: exited(stdout)})).computes


def test_storage_alone_is_no_place_to_compute_in() -> None:
    answers = {
        "sky check aws -o json": exited('{"default": {"AWS": ["storage"]}}'),
        "sky check aws": exited("  AWS: enabled [storage]\n    Reason [compute]: no quota\n"),
    }
    found = query("aws", Replay(answers=answers))
    assert (found.enabled, found.computes, found.capabilities) == (True, False, ("storage",))


@pytest.mark.parametrize("stdout", ["", "{", "[]", '{"default": 3}', '{"default": [{}]}', "{}"])
def test_json_that_is_none_is_queried_again_in_plain_text(stdout: str) -> None:
    found = query("vast", Replay(answers={JSON: exited(stdout), PLAIN: NOW["vast-plain-no-key"]}))
    assert (found.enabled, found.reason) == (False, VAST_REASON)


# -- older ones, which have no -o -------------------------------------------------------------


@pytest.mark.parametrize("refusal", [OLD["vast-json"], OLDEST["vast-json"]], ids=["0.10.5", "0.8.1"])
def test_plain_text_where_there_is_no_option(refusal: Result) -> None:
    run = Replay(answers={JSON: refusal, PLAIN: NOW["vast-plain-key"]})
    assert query("vast", run) == Cloud("vast", enabled=True, capabilities=("compute",))
    assert run.queried == [JSON, PLAIN]


def test_plain_text_of_the_oldest() -> None:
    answers = {JSON: OLDEST["vast-json"], PLAIN: OLDEST["vast-plain-no-key"]}
    found = query("vast", Replay(answers=answers))
    assert found.enabled is False
    assert found.reason is not None
    assert found.reason.startswith("RuntimeError: No API key found."), "a traceback is cut to its last line"


def test_a_server_that_does_not_start_in_an_old_one() -> None:
    found = query("vast", Replay(answers={JSON: OLD["vast-json"], PLAIN: OLD["vast-plain"]}))
    assert found.enabled is None
    assert found.problem is not None
    assert "process exited unexpectedly" in found.problem


@pytest.mark.parametrize(
    ("stdout", "enabled"),
    [
        ("  Vast: enabled", True),
        ("  Vast: disabled", False),
        ("  Vast: not enabled", False),
        ("\x1b[32m  Vast: enabled\x1b[0m", True),
        ("  \N{HEAVY CHECK MARK} Vast: enabled [compute]", True),
        ("  Checking Vast...\r  Vast: enabled      ", True),
        ("  AWS: enabled\n  Vast: disabled", False),
        ("  AWS: disabled\n    Reason: Vast: enabled is not a reason\n  Vast: disabled", False),
        ("workspace 'a'\n  Vast: disabled\n\nworkspace 'b'\n  Vast: enabled [compute]", True),
        ("Enabled infra\n  Vast [compute]", None),
        ("", None),
    ],
)
def test_forms_of_plain_text(stdout: str, enabled: bool | None) -> None:
    found = query("vast", Replay(answers={JSON: OLD["vast-json"], PLAIN: exited(f"{stdout}\n")}))
    assert found.enabled is enabled
    assert (found.problem is None) is (enabled is not None)


def test_an_old_one_that_exits_with_1_where_nothing_is_enabled() -> None:
    plain = exited("  Vast: disabled\n    Reason: no key\n", 1, "No cloud is enabled.")
    found = query("vast", Replay(answers={JSON: OLD["vast-json"], PLAIN: plain}))
    assert (found.enabled, found.reason) == (False, "no key")


def test_no_secret_in_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAST_API_KEY", "v4st-s3cr3t")
    plain = exited("  Vast: disabled\n    Reason: key v4st-s3cr3t is refused\n")
    found = query("vast", Replay(answers={JSON: exited('{"default": {}}'), PLAIN: plain}))
    assert found.reason == "key *** is refused"


# -- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        ("vast_ai", "vast"),
        ("vast", "vast"),
        ("vastai", "vast"),
        ("Vast-AI", "vast"),
        (" AWS ", "aws"),
        ("k8s", "kubernetes"),
        ("local", None),
        ("wast", None),
        ("-o", None),
        ("", None),
        (None, None),
        (3, None),
    ],
)
def test_infra_name(provider: object, name: str | None) -> None:
    assert infra_name(provider) == name


def test_the_known_clouds_are_those_of_skypilot() -> None:
    stderr = NOW["unknown-plain"].stderr
    storage_only = {"cloudflare", "coreweave", "huggingface", "vastdata"}
    listed = set(stderr[stderr.index("[") + 1 : stderr.index("]")].replace("'", "").split(", "))
    assert listed == {*CLOUDS, *storage_only}
    assert set(ALIASES.values()) <= set(CLOUDS)


def test_the_probe_asks_for_the_campaigns_provider() -> None:
    run = Replay(answers={JSON: NOW["vast-json-key"]})
    assert sky_cloud(campaign("vast_ai"), run) == Cloud("vast", enabled=True, capabilities=("compute",))


@pytest.mark.parametrize("provider", ["local", "wast", None, 3, "-o"])
def test_the_probe_runs_nothing_for_what_is_no_cloud(provider: object) -> None:
    run = Replay()
    assert sky_cloud(campaign(provider), run) is None
    assert run.queried == []
