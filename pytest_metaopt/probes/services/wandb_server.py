"""Weights & Biases: whether the server takes the credential, and whose it is.

Measured with the client wandb 0.31.0 (``wandb login --verify``) against a local server:

- It sends one ``POST <base URL>/graphql``, JSON with ``query`` (``query Viewer { viewer { ... } }``) and
  ``operationName``, with ``Authorization: Basic`` of ``api:<key>``. A user part in the base URL changes
  nothing of that; a path in it stays in front of ``/graphql``.
- HTTP 401 and 403, and 200 with ``"viewer": null``, are a credential that is refused: "returned error 401",
  "the server did not recognize an account for the configured credentials". The login exits with 1.
- ``"errors"`` in the answer, HTTP 404, and a redirect, which it does not follow, are failures as well; a 500
  it tries again, until it gives up after some 10 s.
- ``wandb login`` does so by default, and keeps no key that is refused; with ``--no-verify`` it
  sends nothing, and keeps any key of the right form.

Ours requests less than the client does: not the id, the e-mail address and the flags. What no timeout of
a socket bounds (the look-up of a name, a host with many addresses) is ended by the pool.
"""

from __future__ import annotations

import base64
import http.client
import io
import json
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from ... import __version__
from ...core.redaction import redact
from ...core.text import one_line, printable
from ..command import Deadline
from ..pool import probe
from .wandb import Credential, Found, Key, Viewer, find

if TYPE_CHECKING:
    from ...core.document import Document

MAX_ANSWER = 1 << 16
"""Bytes of an answer that are read; a longer one is none."""

_QUERY = "query Viewer { viewer { entity username teams { edges { node { name } } } } }"
_LONGEST = 200
_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_CLOSED = (http.client.RemoteDisconnected, http.client.IncompleteRead, ConnectionResetError, BrokenPipeError)


@probe("wandb_viewer")
def wandb_viewer(campaign: Document, project_root: Path, deadline: Deadline) -> Viewer:
    """Whether the campaign's W&B server takes the credential, and whose it is."""
    return verify(find(campaign.get("wandb.base_url"), project_root), deadline)


def verify(found: Found, deadline: Deadline) -> Viewer:
    """Ask the server about the credential that was found."""
    host = found.credential.hosts[0] if found.credential.hosts else None
    if found.key is None or found.credential.flaw is not None:
        return Viewer(host, None, problem=_unusable(found.credential))
    # The public service has two hosts. A network may let only one of them through.
    viewers = []
    for base in found.bases:
        viewers.append(_Exchange(base, found.key, deadline).viewer())
        if viewers[-1].accepted is not None:
            return viewers[-1]
    return viewers[0]


def _unusable(credential: Credential) -> str:
    if credential.problem is not None:
        return credential.problem
    if credential.source is None:
        return "no credential to send"
    if credential.flaw is not None:
        return (
            f"the server was not contacted, since the client would not use the credential: {credential.flaw}"
        )
    return f"an identity token ({credential.source}) cannot be verified from here"


class _Exchange:
    """One question to one server, and its answer. No text leaves it with the key in it."""

    def __init__(self, base: str, key: Key, deadline: Deadline) -> None:
        parts = urlsplit(base)
        self.scheme, self.host = parts.scheme, parts.netloc
        self.url = f"{parts.scheme}://{parts.netloc}{quote(parts.path, safe='/%:@!$&()*+,;=~')}/graphql"
        token = base64.b64encode(f"api:{key.secret}".encode()).decode()
        self._headers = {
            "Authorization": f"Basic {token}",
            "Content-Type": "application/json",
            "User-Agent": f"pytest-metaopt/{__version__}",
        }
        self._secrets = (key.secret, token)
        self._deadline = deadline

    def viewer(self) -> Viewer:
        """Query the server, and return the result; raises nothing."""
        try:
            return self._read(self._query())
        except _NoAnswerError as no_answer:
            return self._unknown(str(no_answer))
        except urllib.error.HTTPError as error:
            with error:
                return self._from_status(error.code, error.headers.get("Location"))
        except urllib.error.URLError as error:
            return self._unknown(self._fault(error.reason))
        except (OSError, ValueError, http.client.HTTPException) as error:
            return self._unknown(self._fault(error))

    def _query(self) -> bytes:
        left = self._deadline.remaining
        if left <= 0:
            raise TimeoutError
        body = json.dumps({"query": _QUERY, "operationName": "Viewer"}).encode()
        # The scheme is http or https: the URL is one that the client takes.
        request = urllib.request.Request(self.url, body, self._headers)  # noqa: S310
        with _opener(self._deadline).open(request, timeout=left) as response:
            return _bounded(response)

    def _read(self, body: bytes) -> Viewer:
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            return self._unknown("the server's answer is not JSON")
        if isinstance(answer, dict) and answer.get("errors"):
            return self._unknown(
                f"the server answered with an error: {self._safe(_message(answer['errors']))}"
            )
        data = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(data, dict) or not isinstance(data.get("viewer", ""), dict | None):
            return self._unknown("the server's answer is not that of a W&B server")
        viewer = data["viewer"]
        if viewer is None:
            return self._refused("the server has no account for the credential")
        username = viewer.get("username")
        entities = tuple(dict.fromkeys(self._safe(name) for name in _entities(viewer)))
        shown = self._safe(username) if isinstance(username, str) else None
        return Viewer(self._shown_host, True, shown, entities)

    def _from_status(self, status: int, location: str | None) -> Viewer:
        if status in _REFUSED:
            return self._refused(f"the server refuses the credential (HTTP {status})")
        return self._unknown(f"{self._status_meaning(status, location)} (HTTP {status})")

    def _status_meaning(self, status: int, location: str | None) -> str:
        if 300 <= status < 400:
            return f"the server redirects{self._target(location)}, and a credential is not sent after it"
        if status == HTTPStatus.NOT_FOUND:
            return "no W&B server at this URL"
        if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            return "the proxy demands a password"
        if status >= 500:
            return f"the server fails{self._way}"
        return "the server's answer does not name the account"

    def _target(self, location: str | None) -> str:
        try:
            host = urlsplit(location or "").netloc.rpartition("@")[2]
        except ValueError:
            host = ""
        return f" to {self._safe(host)}" if host else ""

    def _fault(self, error: BaseException | str) -> str:
        """Return why there is no answer, as a phrase."""
        # One with a number is the system's own, and may be long before our time is over.
        if isinstance(error, TimeoutError) and error.errno is None:
            return str(self._deadline)
        said = self._safe(_said(error))
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"the server's certificate is not trusted: {said}"
        if isinstance(error, ssl.SSLError):
            return f"could not establish a TLS connection to the server: {said}"
        if isinstance(error, socket.gaierror):
            return f"{_lookup(error)}{self._way}"
        if isinstance(error, ConnectionRefusedError):
            return f"the connection is refused{self._way}"
        if isinstance(error, _CLOSED):
            return f"the connection was closed before the answer was complete{self._way}"
        if isinstance(error, http.client.InvalidURL | ValueError):
            return "the URL of the server cannot be queried"
        if isinstance(error, http.client.HTTPException):
            return f"the server does not speak HTTP{self._way}"
        return f"the server cannot be reached{self._way}: {said}"

    @property
    def _way(self) -> str:
        """Say by which proxy, if any: what fails may be on the way there."""
        proxy = urllib.request.getproxies().get(self.scheme)
        if not proxy or urllib.request.proxy_bypass(self.host):
            return ""
        return f" (by the proxy {self._safe(proxy.rpartition('@')[2].rpartition('//')[2])})"

    @property
    def _shown_host(self) -> str:
        return printable(self.host)

    def _safe(self, text: str) -> str:
        # Cut out before anything is shortened or escaped: a part of a secret would not be known as one.
        line = one_line(printable(redact(text, also=self._secrets)))
        return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."

    def _refused(self, problem: str) -> Viewer:
        return Viewer(self._shown_host, False, problem=problem)

    def _unknown(self, problem: str) -> Viewer:
        return Viewer(self._shown_host, None, problem=problem)


class _NoAnswerError(Exception):
    """What came is not an answer; the text is a phrase that says why."""


def _bounded(response: IO[bytes]) -> bytes:
    body = response.read(MAX_ANSWER + 1)
    if len(body) > MAX_ANSWER:
        raise _NoAnswerError(f"the server's answer is longer than {MAX_ANSWER} bytes")
    return body


def _entities(viewer: Mapping[str, Any]) -> list[str]:
    """Return the names of the entities in an answer, whose form is the server's affair."""
    names = [viewer.get("entity")]
    teams = viewer.get("teams")
    edges = teams.get("edges") if isinstance(teams, dict) else None
    for edge in edges if isinstance(edges, list) else []:
        node = edge.get("node") if isinstance(edge, dict) else None
        names.append(node.get("name") if isinstance(node, dict) else None)
    return [name for name in names if isinstance(name, str) and name]


def _message(errors: object) -> str:
    first = errors[0] if isinstance(errors, list) else errors
    message = first.get("message") if isinstance(first, dict) else first
    return message if isinstance(message, str) else "of an unknown form"


def _said(error: BaseException | str) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return str(error.verify_message)
    if isinstance(error, ssl.SSLError):
        return str(error.reason or "it was closed")
    return str(error.strerror or error) if isinstance(error, OSError) else str(error)


def _lookup(error: socket.gaierror) -> str:
    if error.errno in {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}:
        return "no such host"
    return f"the name of the host cannot be looked up: {error.strerror}"


# -- HTTP against a deadline ------------------------------------------------------------------


def _opener(deadline: Deadline) -> urllib.request.OpenerDirector:
    opener = urllib.request.OpenerDirector()
    # Nothing here follows a redirect, since the credential is for one host: it is an error with its status.
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Http(deadline),
        _Https(deadline),
    ):
        opener.add_handler(handler)
    return opener


class _InTime(io.RawIOBase):
    """Reads from a socket until the deadline; the socket's own timeout starts again with every byte."""

    def __init__(self, raw: io.BufferedReader, sock: socket.socket, deadline: Deadline) -> None:
        self._raw, self._socket, self._deadline = raw, sock, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline.remaining
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        return self._raw.readinto1(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _response_class(deadline: Deadline) -> type[http.client.HTTPResponse]:
    class Response(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *arguments: Any, **named: Any) -> None:
            super().__init__(sock, *arguments, **named)
            self.fp = io.BufferedReader(_InTime(self.fp, sock, deadline))

    return Response


class _Http(urllib.request.HTTPHandler):
    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connection, request)

    def _connection(self, host: str, **named: Any) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(host, **named)
        connection.response_class = _response_class(self._deadline)
        return connection


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connection, request)

    def _connection(self, host: str, **named: Any) -> http.client.HTTPConnection:
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(host, context=context, **named)
        connection.response_class = _response_class(self._deadline)
        return connection
