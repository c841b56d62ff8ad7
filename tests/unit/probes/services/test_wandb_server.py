from __future__ import annotations

import base64
import http.server
import json
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_metaopt.core.document import Document
from pytest_metaopt.probes.command import Deadline
from pytest_metaopt.probes.pool import Pool, probes_of_module
from pytest_metaopt.probes.services import wandb_server
from pytest_metaopt.probes.services.wandb import SAAS_HOSTS, Viewer, find
from pytest_metaopt.probes.services.wandb_server import MAX_ANSWER, wandb_viewer
from tests.support.servers import free_port, make_certificate

KEY = "0123456789abcdef0123456789abcdef01234567"
TOKEN = base64.b64encode(f"api:{KEY}".encode()).decode()
ME = {"entity": "me", "username": "me", "teams": {"edges": [{"node": {"name": "us"}}]}}


def said(answer: object) -> bytes:
    return json.dumps(answer).encode()


ACCEPTED = said({"data": {"viewer": ME}})


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers every request as configured, and records it."""

    server: Server

    def log_message(self, *arguments: object) -> None:
        pass

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.server.seen.append((self.path, self.headers.get("Authorization"), self.rfile.read(length)))
        self.server.answer(self)

    def do_GET(self) -> None:
        self.do_POST()

    def do_CONNECT(self) -> None:
        self.do_POST()

    def say(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def trickle(self, data: bytes) -> None:
        for byte in data:
            if self.server.released.wait(0.05):
                return
            try:
                self.wfile.write(bytes([byte]))
            except OSError:
                return


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, str | None, bytes]] = []
        self.released = threading.Event()
        self.answer: Callable[[Handler], None] = lambda handler: handler.say(ACCEPTED)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *arguments: object) -> None:
        """Say nothing of a client that has gone away."""


def serve(server: Server) -> Iterator[Server]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    yield from serve(Server())


@pytest.fixture
def other_server() -> Iterator[Server]:
    yield from serve(Server())


@pytest.fixture
def root(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project; the key is in the environment, and no proxy is."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    path = tmp_path / "project"
    path.mkdir()
    return path


def viewer(url: str | None, root: Path, seconds: float = 20) -> Viewer:
    wandb = {} if url is None else {"base_url": url}
    seen = wandb_viewer(Document(Path("c.yaml"), {"wandb": wandb}, {}), root, Deadline.after(seconds))
    for secret in (KEY, TOKEN):
        assert secret not in repr(seen)
    return seen


# -- what the server says ---------------------------------------------------------------------


def test_it_is_accepted(server: Server, root: Path) -> None:
    seen = viewer(server.url, root)
    assert seen == Viewer(server.url.removeprefix("http://"), True, "me", ("me", "us"))
    [(path, authorization, body)] = server.seen
    assert (path, authorization) == ("/graphql", f"Basic {TOKEN}")
    assert json.loads(body)["query"].startswith("query Viewer { viewer {")


@pytest.mark.parametrize("status", [401, 403])
def test_it_is_refused(status: int, server: Server, root: Path) -> None:
    server.answer = lambda handler: handler.say(said({"error": f"no {KEY}"}), status)
    seen = viewer(server.url, root)
    assert (seen.accepted, seen.username, seen.entities) == (False, None, ())
    assert seen.problem == f"the server refuses the credential (HTTP {status})"


def test_it_belongs_to_nobody(server: Server, root: Path) -> None:
    server.answer = lambda handler: handler.say(said({"data": {"viewer": None}}))
    seen = viewer(server.url, root)
    assert (seen.accepted, seen.problem) == (False, "the server has no account for the credential")


@pytest.mark.parametrize(
    ("body", "status", "problem"),
    [
        (b"down", 500, "the server fails (HTTP 500)"),
        (b"down", 503, "the server fails (HTTP 503)"),
        (b"what?", 404, "no W&B server at this URL (HTTP 404)"),
        (b"slower", 429, "the server's answer does not name the account (HTTP 429)"),
        (b"", 407, "the proxy demands a password (HTTP 407)"),
        (b"<html>welcome</html>", 200, "the server's answer is not JSON"),
        (b"\xff\xfe\xff", 200, "the server's answer is not JSON"),
        (b"", 200, "the server's answer is not JSON"),
        (b"[" * 50000, 200, "the server's answer is not JSON"),
        (ACCEPTED[:-1], 200, "the server's answer is not JSON"),
        (b"[]", 200, "the server's answer is not that of a W&B server"),
        (b"{}", 200, "the server's answer is not that of a W&B server"),
        (b'{"data": null}', 200, "the server's answer is not that of a W&B server"),
        (b'{"data": {}}', 200, "the server's answer is not that of a W&B server"),
        (b'{"data": {"viewer": "me"}}', 200, "the server's answer is not that of a W&B server"),
        (b'{"errors": [{"message": "boom"}]}', 200, "the server answered with an error: boom"),
        (
            b'{"errors": [{"message": "boom"}], "data": {"viewer": null}}',
            200,
            "the server answered with an error: boom",
        ),
        (b'{"errors": true}', 200, "the server answered with an error: of an unknown form"),
        (b" " * MAX_ANSWER + ACCEPTED, 200, f"the server's answer is longer than {MAX_ANSWER} bytes"),
    ],
)
def test_it_says_neither(body: bytes, status: int, problem: str, server: Server, root: Path) -> None:
    server.answer = lambda handler: handler.say(body, status)
    seen = viewer(server.url, root)
    assert (seen.accepted, seen.problem) == (None, problem)


@pytest.mark.parametrize(
    ("answer", "username", "entities"),
    [
        ({}, None, ()),
        ({"username": 3, "entity": ["me"], "teams": "us"}, None, ()),
        (
            {"entity": "me", "teams": {"edges": [None, {"node": None}, {"node": {"name": "me"}}]}},
            None,
            ("me",),
        ),
        ({"username": "a\x1b[2Jb\nc", "entity": "x" * 300}, "a\\x1b[2Jb c", ("x" * 200 + "...",)),
    ],
)
def test_an_account_of_another_form(
    answer: object, username: str | None, entities: tuple[str, ...], server: Server, root: Path
) -> None:
    server.answer = lambda handler: handler.say(said({"data": {"viewer": answer}}))
    seen = viewer(server.url, root)
    assert (seen.accepted, seen.username, seen.entities) == (True, username, entities)


@pytest.mark.parametrize("place", ["variable", "file"])
def test_the_key_is_not_reported_where_the_server_repeats_it(
    place: str, server: Server, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place == "file":
        # What stands in a known variable is cut out of every text anyway.
        monkeypatch.delenv("WANDB_API_KEY")
        host = server.url.removeprefix("http://")
        (Path.home() / ".netrc").write_text(f"machine {host}\n  login user\n  password {KEY}\n")
    echo = {"username": f"u {KEY}", "entity": TOKEN, "teams": {"edges": [{"node": {"name": f"-{KEY}-"}}]}}
    server.answer = lambda handler: handler.say(said({"data": {"viewer": echo}}))
    seen = viewer(server.url, root)
    assert (seen.username, seen.entities) == ("u ***", ("***", "-***-"))
    server.answer = lambda handler: handler.say(said({"errors": [{"message": "x" * 180 + KEY + TOKEN}]}))
    assert "0123" not in str(viewer(server.url, root).problem)
    assert len(server.seen) == 2


# -- where the key goes -----------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int, server: Server, other_server: Server, root: Path) -> None:
    location = other_server.url.replace("http://", "http://user:s3cr3t@") + "/graphql"
    server.answer = lambda handler: handler.say(b"", status, Location=location)
    seen = viewer(server.url, root)
    host = other_server.url.removeprefix("http://")
    problem = f"the server redirects to {host}, and a credential is not sent after it (HTTP {status})"
    assert (seen.accepted, seen.problem) == (None, problem)
    assert len(server.seen) == 1
    assert other_server.seen == []


@pytest.mark.parametrize("location", ["//[", "", f"http://{KEY}.test/", "/graphql?again"])
def test_a_redirect_to_nowhere(location: str, server: Server, root: Path) -> None:
    server.answer = lambda handler: handler.say(b"", 302, Location=location)
    seen = viewer(server.url, root)
    assert seen.accepted is None
    assert (seen.problem or "").startswith("the server redirects")
    assert len(server.seen) == 1


def test_a_user_part_of_the_url_is_not_sent(server: Server, root: Path) -> None:
    seen = viewer(server.url.replace("http://", "http://user:s3cr3t@") + "/sub/?x=1", root)
    assert seen.accepted is True
    assert "s3cr3t" not in repr(seen)
    [(path, authorization, _)] = server.seen
    assert (path, authorization) == ("/sub/graphql", f"Basic {TOKEN}")


def test_the_key_of_a_file_goes_to_its_server_only(
    server: Server, other_server: Server, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    host = server.url.removeprefix("http://")
    file = Path.home() / ".netrc"
    file.write_text(f"machine {host}\n  login user\n  password {KEY}\n")
    assert viewer(server.url, root).accepted is True
    assert viewer(other_server.url, root).problem == "no credential to send"
    assert other_server.seen == []
    file.unlink()
    settings = Path.home() / ".config" / "wandb" / "settings"
    settings.parent.mkdir(parents=True)
    settings.write_text(f"[default]\nbase_url = {server.url}\napi_key = {KEY}\n")
    assert viewer(None, root).accepted is True
    assert [authorization for _, authorization, _ in server.seen] == [f"Basic {TOKEN}"] * 2


def test_the_variable_names_the_server(
    server: Server, other_server: Server, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    assert viewer(other_server.url, root).accepted is True
    assert (len(server.seen), other_server.seen) == (1, [])


def test_a_proxy_is_used_and_not_reported_the_key(
    server: Server, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answer = lambda handler: handler.say(b"", 403)
    monkeypatch.setenv("https_proxy", server.url.replace("http://", "http://user:s3cr3t@"))
    seen = viewer(None, root)
    # Both hosts of the public service are tried, since a network may let only one of them through.
    assert [path for path, _, _ in server.seen] == [f"{host}:443" for host in SAAS_HOSTS]
    assert [authorization for _, authorization, _ in server.seen] == [None, None]
    proxy = server.url.removeprefix("http://")
    said = f"the server cannot be reached (by the proxy {proxy}): Tunnel connection failed: 403 Forbidden"
    assert seen == Viewer(SAAS_HOSTS[0], None, problem=said)


@pytest.mark.parametrize("url", ["https://forge.coreweave.com/api/wandb", "https://api.forge.coreweave.com/"])
def test_the_public_service_when_named(url: str, root: Path) -> None:
    assert find(url, root).bases == ("https://api.forge.coreweave.com",)


def test_what_is_found_does_not_show_the_key(root: Path) -> None:
    found = find(None, root)
    assert found.key is not None
    assert found.key.secret == KEY
    assert KEY not in f"{found!r} {found.key} {found.key!r}"


# -- no server, and none in time --------------------------------------------------------------


def never(handler: Handler) -> None:
    handler.server.released.wait(30)


def slow_status(handler: Handler) -> None:
    handler.trickle(b"HTTP/1.0 200 OK\r\n" + b"X: y\r\n" * 100)


def slow_body(handler: Handler) -> None:
    handler.send_response(200)
    handler.end_headers()
    handler.trickle(ACCEPTED + b" " * 500)


@pytest.mark.parametrize("answer", [never, slow_status, slow_body])
def test_it_answers_too_late(answer: Callable[[Handler], None], server: Server, root: Path) -> None:
    server.answer = answer
    started = time.monotonic()
    seen = viewer(server.url, root, 0.5)
    assert (seen.accepted, seen.problem) == (None, "timed out after 0.5 s")
    assert time.monotonic() - started < 10
    assert len(server.seen) == 1


def test_there_is_no_time(server: Server, root: Path) -> None:
    assert viewer(server.url, root, 0).problem == "timed out after 0 s"
    assert server.seen == []


def test_nothing_listens(root: Path) -> None:
    seen = viewer(f"http://127.0.0.1:{free_port()}", root)
    assert (seen.accepted, seen.problem) == (None, "the connection is refused")


def test_there_is_no_such_host(root: Path) -> None:
    seen = viewer("http://no-such-host.invalid", root)
    assert (seen.host, seen.accepted) == ("no-such-host.invalid", None)
    # Without a name server, the system does not know that there is none.
    assert seen.problem == "no such host" or "cannot be looked up" in (seen.problem or "")


@pytest.mark.parametrize("url", ["http://h.test:port", "http://a b.test", "http://.."])
def test_the_url_is_none(url: str, root: Path) -> None:
    seen = viewer(url, root)
    assert (seen.accepted, seen.problem) == (None, "the URL of the server cannot be queried")


def hang_up(handler: Handler) -> None:
    handler.close_connection = True


def break_off(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n{")
    handler.close_connection = True


def speak_otherwise(handler: Handler) -> None:
    handler.wfile.write(b"220 mail.test ESMTP\r\n")
    handler.close_connection = True


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (hang_up, "the connection was closed before the answer was complete"),
        (break_off, "the connection was closed before the answer was complete"),
        (speak_otherwise, "the server does not speak HTTP"),
    ],
)
def test_it_ends_otherwise(
    answer: Callable[[Handler], None], problem: str, server: Server, root: Path
) -> None:
    server.answer = answer
    seen = viewer(server.url, root)
    assert (seen.accepted, seen.problem) == (None, problem)


@pytest.fixture
def secure_server(tmp_path: Path) -> Iterator[tuple[str, Server, Path]]:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    certificate = tmp_path / "certificate.pem"
    make_certificate(certificate)
    server = Server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    for started in serve(server):
        yield f"https://localhost:{server.server_address[1]}", started, certificate


def test_a_certificate_that_nobody_vouches_for(
    secure_server: tuple[str, Server, Path], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, server, certificate = secure_server
    seen = viewer(url, root)
    assert seen.accepted is None
    assert (seen.problem or "").startswith("the server's certificate is not trusted: self")
    assert server.seen == []
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert viewer(url, root).accepted is True
    seen = viewer(url.replace("localhost", "127.0.0.1"), root)
    assert (seen.problem or "").startswith("the server's certificate is not trusted: IP address mismatch")
    assert len(server.seen) == 1


def test_late_over_tls(
    secure_server: tuple[str, Server, Path], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, server, certificate = secure_server
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    server.answer = slow_body
    assert viewer(url, root, 0.5).problem == "timed out after 0.5 s"
    assert len(server.seen) == 1


def test_tls_to_a_server_without_it(server: Server, root: Path) -> None:
    seen = viewer(server.url.replace("http:", "https:"), root)
    assert seen.accepted is None
    assert (seen.problem or "").startswith("could not establish a TLS connection to the server")


# -- nothing to ask with ----------------------------------------------------------------------

NOT_QUERIED = "the server was not contacted, since the client would not use the credential"


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        ({}, "no credential to send"),
        (
            {"WANDB_API_KEY": "s3cr3t"},
            f"{NOT_QUERIED}: a key has 40 characters or more, this one has 6",
        ),
        (
            {"WANDB_IDENTITY_TOKEN_FILE": "~/token"},
            "an identity token (WANDB_IDENTITY_TOKEN_FILE) cannot be verified from here",
        ),
        (
            {"WANDB_IDENTITY_TOKEN_FILE": "~/token", "WANDB_API_KEY": KEY},
            f"{NOT_QUERIED}: WANDB_IDENTITY_TOKEN_FILE is set as well, which the client refuses",
        ),
        ({"WANDB_API_KEY": KEY, "WANDB_BASE_URL": ""}, "WANDB_BASE_URL is set, but empty"),
    ],
    ids=["none", "short", "token", "both", "no server"],
)
def test_there_is_unusable(
    environ: dict[str, str], problem: str, server: Server, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    (Path.home() / "token").touch()
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    seen = viewer(server.url, root)
    assert (seen.accepted, seen.problem) == (None, problem)
    assert server.seen == []


def test_a_pool_gathers_it(server: Server, root: Path) -> None:
    (declared,) = probes_of_module(wandb_server)
    assert declared.name == "wandb_viewer"
    pool = Pool(limit=20)
    campaign = Document(Path("c.yaml"), {"wandb": {"base_url": server.url}}, {})
    fact = pool.get(declared, {"campaign": campaign, "project_root": root})
    assert isinstance(fact.value, Viewer)
    assert (fact.value.accepted, fact.failure) == (True, None)


# -- the real client --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (ACCEPTED, 200),
        (b'{"error": "user is not logged in"}', 401),
        (b'{"error": "no"}', 403),
        (said({"data": {"viewer": None}}), 200),
        (said({"errors": [{"message": "boom"}], "data": {"viewer": None}}), 200),
        (b"what?", 404),
    ],
    ids=["accepted", "401", "403", "nobody", "error", "404"],
)
def test_the_real_client_agrees(
    body: bytes, status: int, server: Server, root: Path, wandb_client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answer = lambda handler: handler.say(body, status)
    monkeypatch.setenv("TMPDIR", str(Path.home()))
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    done = subprocess.run(
        [wandb_client, "login", "--verify", KEY],
        cwd=root,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    queried = [(path, authorization) for path, authorization, _ in server.seen if path == "/graphql"]
    assert set(queried) == {("/graphql", f"Basic {TOKEN}")}
    server.seen.clear()
    assert (viewer(None, root).accepted is True) is (done.returncode == 0), done.stderr
    assert [(path, authorization) for path, authorization, _ in server.seen][-1] == queried[0]
