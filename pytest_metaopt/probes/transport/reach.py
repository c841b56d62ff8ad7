"""Ways to a host: pytest-testinfra's backends, bounded in time, no prompts, host keys checked."""

from __future__ import annotations

import copy
import re
import shlex
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

from ...core.redaction import redact
from ...core.text import one_line, printable, shortened
from ...launch.hosts import HostSpec
from ..command import Deadline, Result, plain, run

MAX_OUTPUT = 4 << 20
"""Bytes of a host's answer that are kept: ``nvidia-smi -q -x`` of eight GPUs says some 200 KiB."""
LONGEST_CONNECT = 15
"""Seconds until a host must have taken the connection and named its protocol."""

_SHOWN_CHARACTERS = 200
_SSH_OPTIONS = (
    # Nobody is there to answer a question, and a key that is not known is a question.
    "BatchMode=yes",
    "NumberOfPasswordPrompts=0",
    "StrictHostKeyChecking=yes",
    # A connection that somebody left open may be a dead one.
    "ControlMaster=no",
    "ControlPath=none",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "RequestTTY=no",
    # Its output says how far it got.
    "LogLevel=DEBUG1",
)

Stage = Literal[
    "testinfra", "name", "connect", "refused", "silent", "kex", "host key", "login", "run", "other"
]


@dataclass(frozen=True)
class Trouble:
    """Why a host could not be queried.

    :param stage: how far it came.
    :param message: what is wrong, as the end of a sentence that begins with the node's name.
    :param remediation: what to do.
    """

    stage: Stage
    message: str
    remediation: str


@dataclass(frozen=True)
class Reply:
    """What a host said.

    :param said: its stdout, as far as it came.
    :param trouble: why that is not all; None where it is.
    :param seconds: how long it took.
    """

    said: str
    trouble: Trouble | None
    seconds: float


def query(host: HostSpec, command: str, deadline: Deadline, stop: threading.Event | None = None) -> Reply:
    """Run a shell *command* on a host and return its output; what goes wrong is in the result, never raised.

    :param stop: once this is set, the command is killed.
    """
    if host.transport == "local":
        return _reply(host, run(["sh", "-c", command], deadline, stop=stop, most=MAX_OUTPUT))
    try:
        import testinfra.backend
    except ImportError:
        return Reply("", _NO_TESTINFRA, 0.0)
    done: list[Result] = []

    def bounded(line: str, *arguments: str) -> Any:
        # testinfra itself would wait for ever, with the command in our own process group.
        quoted = line % tuple(shlex.quote(argument) for argument in arguments) if arguments else line
        result = run(["sh", "-c", f"exec {quoted}"], deadline, stop=stop, most=MAX_OUTPUT)
        done.append(result)
        status = 0 if result.succeeded else result.status if result.status is not None else -1
        return backend.result(status, quoted.encode(), result.stdout.encode(), result.stderr.encode())

    try:
        backend = _backend(host, deadline, testinfra.backend.get_backend)
        backend.run_local = bounded
        backend.run(command)
    except Exception as error:  # noqa: BLE001 - an ssh that fails is a RuntimeError; what it said is in done
        if not done:
            return Reply("", _not_queried(error), 0.0)
    return _reply(host, done[-1])


def _backend(host: HostSpec, deadline: Deadline, get_backend: Callable[..., Any]) -> Any:
    """Return testinfra's backend for a host, which is nobody else's."""
    connect = max(1, min(LONGEST_CONNECT, int(deadline.remaining)))
    options = " ".join(f"-o {option}" for option in (*_SSH_OPTIONS, f"ConnectTimeout={connect}"))
    if host.transport != "ansible":
        more = {"ssh_extra_args": options, "controlpersist": 0} if host.transport == "ssh" else {}
        return get_backend(host.text, **more)
    query = dict(parse_qsl(urlsplit(host.text).query))
    found = get_backend(host.text).ansible_runner.get_host(
        host.host, **{key: value for key, value in query.items() if key.startswith("ssh_")}
    )
    if found is None:
        raise ValueError("the inventory reaches it by a connection that is neither ssh, docker nor local")
    # The host is one that testinfra keeps for others, too.
    backend = copy.copy(found.backend)
    if hasattr(backend, "ssh_extra_args"):
        # Of two values of an option ssh takes the first.
        backend.ssh_extra_args = f"{options} {backend.ssh_extra_args or ''}".strip()
        backend.controlpersist = 0
    return backend


_NO_TESTINFRA = Trouble(
    "testinfra",
    "cannot be reached: pytest-testinfra is not installed",
    "Install it: pip install 'pytest-metaopt[nodes]'",
)


def _not_queried(error: Exception) -> Trouble:
    message = shortened(redact(one_line(printable(str(error)))), _SHOWN_CHARACTERS) or type(error).__name__
    return Trouble("other", f"could not be queried: {message}", "Correct the node's host spec.")


def _reply(host: HostSpec, result: Result) -> Reply:
    trouble = None
    if not result.succeeded:
        trouble = ssh_trouble(host, result) if _speaks_ssh(result) else _other_trouble(host, result)
    return Reply(result.stdout, trouble, result.seconds)


def _speaks_ssh(result: Result) -> bool:
    return "debug1:" in result.stderr or result.stderr.startswith("ssh:")


def _other_trouble(host: HostSpec, result: Result) -> Trouble:
    message = _last_words(result.stderr)
    tail = f": {message}" if message else ""
    if result.ending == "timed out":
        return _too_slow(result.problem or "")
    if result.ending == "missing" or result.status == 127:
        program = "ssh" if host.transport == "ansible" else host.transport
        return Trouble(
            "other",
            f"could not be queried: command {program!r} not found on this machine",
            f"Install what {host.transport}:// needs on this machine, or name the node otherwise.",
        )
    return Trouble(
        "other",
        f"could not be queried ({result.problem}){tail}",
        f"Make this command work: {_by_hand(host)}",
    )


def _by_hand(host: HostSpec) -> str:
    commands = {
        "docker": f"docker exec {host.host} true",
        "podman": f"podman exec {host.host} true",
        "kubectl": f"kubectl{_kubectl_options(host)} exec {host.host} -- true",
        "local": "sh -c true",
    }
    return commands.get(host.transport, f"ssh -o BatchMode=yes {_destination(host)} true")


def _kubectl_options(host: HostSpec) -> str:
    query = dict(parse_qsl(urlsplit(host.text).query))
    return f" -n {query['namespace']}" if "namespace" in query else ""


def _destination(host: HostSpec) -> str:
    """Return what ``ssh`` takes on a command line: a port only in a URL."""
    if host.transport != "ssh":
        return host.host
    parts = urlsplit(host.text)
    return parts.netloc if parts.port is None else f"ssh://{parts.netloc}"


def _known_as(host: HostSpec) -> str:
    """Return the name that ``known_hosts`` has it by."""
    port = urlsplit(host.text).port if host.transport == "ssh" else None
    return host.host if port in {None, 22} else f"'[{host.host}]:{port}'"


def _too_slow(message: str) -> Trouble:
    return Trouble(
        "run",
        f"was reached, but answered only in part ({message})",
        "Check its load, and look for processes in state D (ps -eo pid,stat,cmd); or allow it more time with"
        " --metaopt-timeout.",
    )


_PLACES = re.compile(r"^debug1: (?P<what>.*)$", re.MULTILINE)


def ssh_trouble(host: HostSpec, result: Result) -> Trouble:
    """Return why ssh failed, from how far it came (OpenSSH 9.2, ``LogLevel=DEBUG1``)."""
    said = [match["what"] for match in _PLACES.finditer(plain(result.stderr))]
    words = _last_words(result.stderr)
    reached = {
        "connected": any(line.startswith("Connection established") for line in said),
        "answered": any(line.startswith("Remote protocol version") for line in said),
        "agreed": any(line.startswith("Server host key:") for line in said),
        "in": any(line.startswith("Authenticated to") for line in said)
        or "Authenticated to" in result.stderr,
    }
    where = _destination(host)
    if "Host key verification failed" in result.stderr:
        return _host_key_trouble(host, result.stderr)
    if reached["in"]:
        if result.ending == "timed out":
            return _too_slow(result.problem or "")
        return Trouble(
            "run",
            f"was reached, but its shell did not run the probe script ({result.problem}): {words}",
            f"Make this command work: ssh -o BatchMode=yes {where} 'echo true | sh'",
        )
    if reached["agreed"]:
        return Trouble(
            "login",
            f"refuses the login: {words or result.problem}",
            "Put your public key on it (ssh-copy-id), load the private one (ssh-add), and look at the user in"
            " the host spec; no password is ever requested.",
        )
    if reached["answered"]:
        return Trouble(
            "kex",
            "accepted the connection, but the SSH key exchange stalled: small packets arrive and large ones"
            " are lost, as with an MTU mismatch on the path (MN4)",
            f"Check the MTU of its interface and of each hop: ping -M do -s 1472 {host.host}, then -s 8972;"
            " set one MTU everywhere (ip link set DEV mtu 1500).",
        )
    if reached["connected"]:
        return Trouble(
            "silent",
            "accepts connections, but its sshd never answers",
            "Its sshd hangs, or it is out of processes or memory: check its console, restart sshd or the"
            " machine.",
        )
    if "Could not resolve hostname" in words:
        return Trouble(
            "name",
            f"has a name that does not resolve here: {words}",
            "Check the spelling, DNS and ssh_config.",
        )
    if "configuration option" in words or "config file" in words:
        return Trouble(
            "other",
            f"could not be queried: {words}",
            "Correct the file of ssh_config that is named there; ssh reads it before it connects.",
        )
    if "refused" in words:
        return Trouble(
            "refused",
            f"refuses connections: {words}",
            "Start sshd on it; check the port and the firewall.",
        )
    return Trouble(
        "connect",
        f"cannot be reached: {words or result.problem}",
        f"Check whether it is up (ping {host.host}), the address, the route and the firewall.",
    )


def _host_key_trouble(host: HostSpec, said: str) -> Trouble:
    changed = "REMOTE HOST IDENTIFICATION HAS CHANGED" in said
    message = (
        f"shows {'another host key than known_hosts has' if changed else 'a host key that is not known'}"
    )
    advice = (
        f"If the machine was reinstalled: ssh-keygen -R {_known_as(host)}, and accept the new key;"
        " otherwise somebody may intercept the connection."
        if changed
        else f"Verify the key, then accept it: ssh {_destination(host)}"
    )
    return Trouble("host key", message, advice)


def _last_words(text: str) -> str:
    """Return the last line that ssh, docker or kubectl said to people."""
    lines = [line.strip() for line in plain(text).splitlines()]
    # OpenSSH says how far it got, and closes, in lines that mean nothing to an operator.
    noise = ("debug1:", "OpenSSH_", "Transferred:", "Bytes per second:", "Authenticated to", "Warning:")
    words = [line for line in lines if line and not line.startswith(noise)]
    return shortened(redact(one_line(printable(words[-1]))), _SHOWN_CHARACTERS) if words else ""
