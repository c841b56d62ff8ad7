from __future__ import annotations

import http.server
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_metaopt.documents.provider import CLOUDS
from pytest_metaopt.probes.command import Deadline, Runner
from pytest_metaopt.probes.services.sky import ASKS_THE_CLOUD
from pytest_metaopt.probes.services.vast import VastAccount, vast_account
from tests.support.project import CAMPAIGN, Project
from tests.support.servers import free_port

KEY = "0123456789abcdef0123456789abcdef01234567"
NAMES = ["wandb_credential_accepted", "wandb_entity_known", "vast_credential_accepted"]

Script = Callable[[str, str], Path]


class Service:
    """A server that says the same to everyone, and remembers what it was queried."""

    def __init__(self) -> None:
        self.status = 200
        self.answer: Any = {}
        self.queried: list[tuple[str, str]] = []
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *arguments: object) -> None:
                pass

            def do_GET(self) -> None:
                service.queried.append((self.path, str(self.headers.get("Authorization"))))
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = json.dumps(service.answer).encode()
                self.send_response(service.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815 - the name is http.server's

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def cloudy(project: Project, service: Service, home: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project on Vast with a W&B server of its own and a key for it."""
    text = CAMPAIGN.replace("provider: local", "provider: vast_ai")
    project.campaign.write_text(text.replace("  mode: offline\n", f"  base_url: {service.url}\n"))
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    return project


def look(project: Project, *arguments: str) -> tuple[int, dict[str, dict[str, Any]], str]:
    """Run the online checks; return the exit status, what each says, and everything that was printed."""
    path = project.path / "looked.json"
    result = project.preflight(
        "-k", " or ".join(["R1", *NAMES]), "--json-report", f"--json-report-file={path}", *arguments
    )
    tests = [test["metadata"]["metaopt"] for test in json.loads(path.read_text())["tests"]]
    return int(result.ret), {test["check_id"]: test for test in tests}, result.stdout.str() + path.read_text()


VIEWER = {"viewer": {"entity": "me", "username": "me", "teams": {"edges": [{"node": {"name": "lab"}}]}}}


def test_nothing_is_queried_unless_it_is_is_requested(cloudy: Project, service: Service) -> None:
    _, seen, _ = look(cloudy)
    assert list(seen) == ["R1"]
    assert not service.queried


def test_a_credential_that_is_taken_passes(cloudy: Project, service: Service) -> None:
    service.answer = {"data": VIEWER}
    _, seen, printed = look(cloudy, "--metaopt-online")
    assert [seen[name]["outcome"] for name in NAMES[:2]] == ["passed", "passed"]
    assert [path for path, _ in service.queried] == ["/graphql"], "once, for both checks"
    assert KEY not in printed


def test_a_credential_that_is_refused_blocks(cloudy: Project, service: Service) -> None:
    service.status = 401
    status, seen, printed = look(cloudy, "--metaopt-online")
    assert status == 1
    refused = seen["wandb_credential_accepted"]
    assert (refused["outcome"], refused["severity"]) == ("failed", "blocking")
    assert "401" in refused["message"]
    assert "wandb login" in refused["remediation"]
    assert seen["wandb_entity_known"]["outcome"] == "skipped"
    assert KEY not in printed


def test_without_a_credential_there_is_no_question(
    cloudy: Project, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    _, seen, _ = look(cloudy, "--metaopt-online")
    assert [seen[name]["outcome"] for name in NAMES[:2]] == ["skipped", "skipped"]
    assert not service.queried


def test_an_entity_that_the_account_does_not_have_is_advice(cloudy: Project, service: Service) -> None:
    service.answer = {"data": VIEWER}
    cloudy.edit("entity: me", "entity: you")
    status, seen, _ = look(cloudy, "--metaopt-online")
    assert status == 0
    reported = seen["wandb_entity_known"]
    assert (reported["outcome"], reported["line"]) == ("warning", 7)
    assert reported["message"] == "wandb.entity is 'you'; the account me has me, lab"


def test_a_server_that_does_not_answer_is_advice_and_no_pass(cloudy: Project, service: Service) -> None:
    cloudy.edit(service.url, f"http://127.0.0.1:{free_port()}")
    status, seen, printed = look(cloudy, "--metaopt-online", "-v")
    assert status == 0
    reported = seen["wandb_credential_accepted"]
    assert (reported["outcome"], reported["severity"]) == ("warning", "blocking")
    assert "backend[wandb_credential_accepted] ADVISORY" in printed
    assert "refused" in reported["message"]


# -- clouds -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "outcome", "reported"),
    [
        ('{"id": 1, "username": "me", "email": "me@mail.test"}', "passed", None),
        ('{"error": true, "status_code": 401, "msg": "Invalid user key"}', "failed", "Invalid user key"),
        (
            '{"error": true, "status_code": 500, "msg": "(no detail message supplied)"}',
            "warning",
            "status 500",
        ),
        ("No API key is configured.", "warning", "No API key is configured"),
        ("[1]", "warning", "printed no user"),
        ("{broken", "warning", "printed no user"),
    ],
)
def test_what_vast_says_of_the_key(
    cloudy: Project, script: Script, answer: str, outcome: str, reported: str | None
) -> None:
    script("vastai", f"echo '{answer}'" + (" >&2" if "error" in answer else ""))
    status, seen, printed = look(cloudy, "--metaopt-online")
    assert status == (1 if outcome == "failed" else 0)
    assert seen["vast_credential_accepted"]["outcome"] == outcome
    assert reported is None or reported in seen["vast_credential_accepted"]["message"]
    assert "me@mail.test" not in printed


def test_without_the_command_vast_is_not_queried(
    cloudy: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    _, seen, _ = look(cloudy, "--metaopt-online")
    assert seen["vast_credential_accepted"]["outcome"] == "warning"
    assert "command 'vastai' not found on PATH" in seen["vast_credential_accepted"]["message"]


def test_the_command_is_found_beside_sky_too(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = tmp_path / "environment"
    environment.mkdir()
    for name in ("sky", "vastai"):
        path = environment / name
        path.write_text("#!/bin/sh\necho '{\"id\": 1}'\n")
        path.chmod(0o755)
    (tmp_path / "on-path").mkdir()
    (tmp_path / "on-path" / "sky").symlink_to(environment / "sky")
    monkeypatch.setenv("PATH", f"{tmp_path / 'on-path'}")
    assert vast_account(Runner(Deadline.after(10))) == VastAccount(True)


@pytest.mark.parametrize(("status", "accepted"), [(200, True), (401, False), (403, False), (502, None)])
def test_the_real_command_of_vast_asks_about_the_key_in_the_file(
    service: Service,
    script: Script,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    accepted: bool | None,
) -> None:
    real = shutil.which("vastai")
    if real is None:
        pytest.skip("the command vastai is not installed")
    script("vastai", f'exec {real} --url {service.url} "$@"')
    key = home / ".config" / "vastai" / "vast_api_key"
    key.parent.mkdir(parents=True)
    key.write_text(KEY)
    monkeypatch.setenv("VAST_API_KEY", "another-key-of-the-environment")
    service.status = status
    service.answer = {"id": 1, "username": "me"} if status == 200 else {"msg": "no"}
    found = vast_account(Runner(Deadline.after(60)))
    assert found.accepted is accepted, found.problem
    assert {authorization for _, authorization in service.queried} == {f"Bearer {KEY}"}
    assert KEY not in repr(found)


@pytest.mark.parametrize(
    ("provider", "outcome"), [("lambda", "passed"), ("aws", "warning"), ("fluidstack", "warning")]
)
def test_other_clouds_are_verified_as_far_as_skypilot_asks_them(
    cloudy: Project, script: Script, provider: str, outcome: str
) -> None:
    cloudy.edit("vast_ai", provider)
    shown = {"lambda": "Lambda", "aws": "AWS", "fluidstack": "Fluidstack"}[provider]
    answer = json.dumps({"default": {shown: ["compute"]}})
    script("sky", f"echo '{answer}'")
    path = cloudy.path / "looked.json"
    result = cloudy.preflight(
        "--metaopt-online", "-k", "cloud_credential", "--json-report", f"--json-report-file={path}"
    )
    assert result.ret == 0
    (test,) = json.loads(path.read_text())["tests"]
    assert test["metadata"]["metaopt"]["outcome"] == outcome
    if provider == "aws":
        assert test["metadata"]["metaopt"]["remediation"] == "Run 'aws sts get-caller-identity'."


def test_the_clouds_that_are_queried_are_clouds() -> None:
    assert set(CLOUDS) > ASKS_THE_CLOUD
