"""Servers of git repositories on this machine: ``git daemon``, and https that may demand a password."""

from __future__ import annotations

import base64
import http.server
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

USER, PASSWORD = "user", "s3cr3t-w0rd"
_AUTHORIZATION = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
_ADVERTISEMENT = "application/x-git-upload-pack-advertisement"


def make_repository(path: Path) -> str:
    """Make a bare repository with one commit, and return the commit."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(path)], check=True)

    def git(*arguments: str, given: str = "") -> str:
        command = ["git", "-C", str(path), "-c", "user.name=n", "-c", "user.email=e@mail.test", *arguments]
        done = subprocess.run(command, check=True, capture_output=True, text=True, input=given)
        return done.stdout.strip()

    commit = git("commit-tree", git("mktree"), "-m", "first")
    git("update-ref", "refs/heads/main", commit)
    return commit


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def git_daemon(folder: Path) -> Iterator[str]:
    """Serve the repositories in *folder* that have a ``git-daemon-export-ok``; gives the URL."""
    port = free_port()
    command = ["git", "daemon", "--listen=127.0.0.1", f"--port={port}", f"--base-path={folder}"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield f"git://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int) -> None:
    end = time.monotonic() + 10
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        assert time.monotonic() < end, f"nothing listens on port {port}"
        time.sleep(0.02)


class _Handler(http.server.BaseHTTPRequestHandler):
    """``/open/<name>`` for all, ``/private/<name>`` with the password, ``/status/<number>`` says that."""

    folder: Path
    released: threading.Event

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        _, kind, rest = self.path.split("/", 2)
        if kind == "status":
            self._say(int(rest.split("/")[0]))
        elif kind == "slow":
            self.released.wait(30)
        elif kind == "private" and self.headers.get("Authorization") != _AUTHORIZATION:
            self._say(401)
        elif (self.folder / rest.split("/info/refs")[0] / "HEAD").exists():
            self._advertise(self.folder / rest.split("/info/refs")[0])
        else:
            self._say(404)

    def _say(self, status: int) -> None:
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _advertise(self, repository: Path) -> None:
        # The first protocol of smart http (gitprotocol-http): all references at once.
        command = ["git", "upload-pack", "--http-backend-info-refs", str(repository)]
        refs = subprocess.run(command, check=True, capture_output=True).stdout
        body = b"001e# service=git-upload-pack\n0000" + refs
        self.send_response(200)
        self.send_header("Content-Type", _ADVERTISEMENT)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def make_certificate(path: Path) -> None:
    """Write a certificate for localhost that nobody vouches for to *path*, and its key into the same file."""
    key = path.with_suffix(".key")
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    with path.open("a") as file:
        file.write(key.read_text())


@contextmanager
def https_server(folder: Path, certificate: Path) -> Iterator[str]:
    """Serve *folder* by https; gives the URL."""
    released = threading.Event()
    handler = type("Handler", (_Handler,), {"folder": folder, "released": released})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"https://localhost:{server.server_address[1]}"
    finally:
        released.set()
        server.shutdown()
        server.server_close()
