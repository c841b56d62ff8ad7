"""Host specs, as pytest-testinfra takes them: ``ssh://user@host``, ``docker://name``, ``local://``."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from ..core.text import did_you_mean

TRANSPORTS = ("local", "ssh", "docker", "podman", "kubectl", "ansible")
"""Those of testinfra's backends (pytest-testinfra 10.2) that run a command of this machine, which can be
given a time limit and be killed."""
LOCAL = "local://"

_FILES = frozenset({"ssh_config", "ssh_identity_file", "ansible_inventory", "kubeconfig"})
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_.-]+")
_OPTIONS = (
    *("ansible_inventory", "container", "context", "controlpersist", "force_ansible", "kubeconfig"),
    *("namespace", "ssh_config", "ssh_identity_file", "sudo", "sudo_user", "timeout"),
)
"""Those of testinfra for these transports; it lets others pass unread."""
# testinfra takes what is before the first '@' for the user, and decodes %XX: '-' could come of it.
_USER = re.compile(r"[A-Za-z0-9_.+~\\][A-Za-z0-9_.+~\\-]*")
_MOST_PORT = 65535
_HOST = re.compile(
    r"(?:\[[0-9A-Fa-f:.]+(?:%25[A-Za-z0-9_.-]+)?\]|[A-Za-z0-9_.][A-Za-z0-9_.-]*)(?::[0-9]{1,5})?"
)
_GROUP = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.:\[\]-]*")


@dataclass(frozen=True)
class HostSpec:
    """Where a node is, and how it is reached.

    :param text: the spec, with files in its query as absolute paths; as testinfra takes it.
    :param transport: one of ``TRANSPORTS``.
    :param host: the host's name without user and port; empty for this machine.
    """

    text: str
    transport: str
    host: str

    @property
    def name(self) -> str:
        """What the node is called where nobody says: the host's name, made fit for a node id."""
        return _NOT_IN_NAME.sub("_", self.host).strip("._-") or "local"

    def __str__(self) -> str:
        """Return it as people know it: without the query."""
        return self.text.split("?", 1)[0]


def parse(text: str, folder: Path) -> HostSpec:
    """Return the host spec that *text* means; a bare name is reached over ssh.

    :param folder: what relative paths in its query are relative to.
    :raises ValueError: it is none; the message, the end of a sentence, never holds a password.
    """
    written = text.strip()
    if "://" not in written:
        written = LOCAL if written in {"localhost", "local", ""} else f"ssh://{written}"
    try:
        parts = urlsplit(written)
        query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise ValueError("is not a host spec such as ssh://user@host") from None
    transport = parts.scheme
    if transport not in TRANSPORTS:
        raise ValueError(f"has a transport that is not one of {', '.join(TRANSPORTS)}")
    problem = _place_problem(transport, parts.netloc)
    if problem is None and (parts.path.strip("/") or parts.fragment):
        problem = f"has text after the name; expected {transport}://NAME"
    if problem is None:
        problem = _options_problem([key for key, _ in query])
    if problem is not None:
        raise ValueError(problem)
    found = [(key, _absolute(value, folder) if _is_file(key, value) else value) for key, value in query]
    place = parts.netloc.rpartition("@")[2]
    host = place if transport == "ansible" else _without_port(place)
    # urlunsplit would leave out the '//' of local://.
    options = f"?{urlencode(found, safe='/')}" if found else ""
    return HostSpec(f"{transport}://{parts.netloc}{options}", transport, host)


def _place_problem(transport: str, text: str) -> str | None:
    """Say what is wrong with ``user@host:port``; None where it is right."""
    user, at, place = text.rpartition("@")
    if ":" in user:
        return "has a password in it; use a key and ssh-agent, or a Host block of ssh_config"
    if transport == "local":
        return "names a host, but local:// is this machine; expected ssh://HOST" if text else None
    if at and not _USER.fullmatch(user):
        return "has a user name with characters that are not allowed"
    if transport == "ansible":
        known = not place or _GROUP.fullmatch(place)
        return None if known else "has a host name with characters that are not allowed"
    if not place or place.startswith(":"):
        return (
            "has an IPv6 address without brackets; expected ssh://[ADDRESS]"
            if place.count(":") > 1
            else f"has no host; expected {transport}://NAME"
        )
    if place.count(":") > 1 and not place.startswith("["):
        return "has an IPv6 address without brackets; expected ssh://[ADDRESS]"
    if not _HOST.fullmatch(place):
        return "has a host name with characters that are not allowed"
    port = place.rpartition(":")[2] if not place.endswith("]") and ":" in place else ""
    return f"has a port above {_MOST_PORT}" if port.isdigit() and int(port) > _MOST_PORT else None


def _options_problem(names: Sequence[str]) -> str | None:
    for name in names:
        if name not in _OPTIONS:
            known = ", ".join(_OPTIONS)
            return f"has an option after '?' that is not one of {known}{did_you_mean(name, _OPTIONS)}"
    return None


def _is_file(name: str, value: str) -> bool:
    # An inventory with a comma is not a file but the hosts themselves.
    return name in _FILES and not (name == "ansible_inventory" and "," in value)


def _absolute(value: str, folder: Path) -> str:
    return os.path.normpath(folder / os.path.expanduser(value))  # noqa: PTH111 - as a string


def _without_port(place: str) -> str:
    if place.startswith("["):
        return unquote(place[1:].split("]", 1)[0])
    return place.split(":", 1)[0]
