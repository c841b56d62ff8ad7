"""git: whether ``git ls-remote`` reaches a repository, and if not, why.

Measured with git 2.39.5 and OpenSSH 9.2, whose messages the tests repeat or bring about. What matters:

- ``fd::0`` makes git wait for ever, whatever stdin is; ``ext::`` runs a command where the user's settings
  allow it. A value of that form, or with a scheme that git knows not by itself, is refused before git sees
  it, and ``GIT_ALLOW_PROTOCOL`` keeps a rewrite (``url.*.insteadOf``) from bringing it back.
- A word without a slash could be the name of a remote; a path is made absolute, so it is a path.
- ``GIT_ASKPASS=`` (empty) turns off every askpass program, ``GIT_TERMINAL_PROMPT=0`` the prompt; git then
  says "terminal prompts disabled". Credential helpers stay: what they hold is the user's own answer.
- ssh without a terminal and without ``BatchMode`` tries an empty password three times, which a server may
  count as an attack; with it, it gives up at once.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ...core.environment import our_environment
from ...core.redaction import redact, url_secrets
from ...core.text import one_line, printable
from ...documents.placeholder import is_placeholder
from ..command import Result, Runner, plain
from ..pool import probe

if TYPE_CHECKING:
    from ...core.document import Document

Trouble = Literal[
    "refused",
    "git missing",
    "timeout",
    "no such host",
    "unreachable",
    "host key",
    "certificate",
    "authentication",
    "no such repository",
    "other",
]

SCHEMES = ("file", "git", "http", "https", "ssh", "git+ssh", "ssh+git")
"""The URL schemes that are handed to git; any other makes it run a program called ``git-remote-<scheme>``."""

_PROTOCOLS = "file:git:http:https:ssh"
_HELPER = re.compile(r"^[A-Za-z0-9+.-]*::")
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://")
_LONGEST_MESSAGE = 400


@dataclass(frozen=True)
class Repository:
    """What became of asking a repository.

    :param shown: the repository as messages show it: without a password or token.
    :param reachable: git read its references.
    :param head: the commit of HEAD; None where it is not reachable, or empty.
    :param trouble: what kind of reason there is; None where it is reachable.
    :param message: the reason in one line, mostly git's own words.
    :param seconds: how long it took.
    """

    shown: str
    reachable: bool
    head: str | None = None
    trouble: Trouble | None = None
    message: str | None = None
    seconds: float = 0.0


@probe("git_repository")
def git_repository(campaign: Document, project_root: Path, run: Runner) -> Repository | None:
    """Whether git ls-remote reaches project.repo; None where that is not text."""
    value = campaign.get("project.repo")
    if not isinstance(value, str) or not value.strip():
        return None
    return query(value, project_root, run)


def query(value: str, root: Path, run: Runner, *, environ: Mapping[str, str] | None = None) -> Repository:
    """Ask the repository *value*: a URL, ``host:path``, or a path, which may be relative to *root*.

    :param environ: the environment that git gets, made silent; None: ours.
    """
    shown = printable(redact(value)).replace("\n", "\\n")
    why_not = refusal(value)
    if why_not is not None:
        return Repository(shown, False, trouble="refused", message=why_not)
    known = our_environment() if environ is None else environ
    quiet = silent(known, _ssh_command(known, root, run) if _is_ssh(value) else None)
    # HEAD alone: a large repository has hundreds of thousands of references.
    result = run(["git", "ls-remote", "--quiet", "--", address(value, root), "HEAD"], cwd=root, environ=quiet)
    if result.succeeded:
        return Repository(shown, True, _head(result.stdout), seconds=result.seconds)
    trouble = _trouble(result)
    message = result.problem if result.ending != "exited" else _words(result, value)
    return Repository(shown, False, None, trouble, message, result.seconds)


def refusal(value: str) -> str | None:
    """Return why *value* is not handed to git, or None where it is."""
    if value.startswith("-"):
        return "it begins with '-', so that git would take it for an option"
    if is_placeholder(value):
        return "it is a placeholder; put the real value there"
    if any(not character.isprintable() for character in value):
        return "it holds a control character, or one that cannot be seen"
    if value != value.strip():
        return "it has white space around it"
    helper = _HELPER.match(value)
    if helper is not None:
        return f"'{helper[0]}' makes git run a transport helper, which can be any command"
    scheme = _SCHEME.match(value)
    if scheme is not None and scheme[1].lower() not in SCHEMES:
        return f"'{scheme[0]}' makes git run a transport helper; use one of {', '.join(SCHEMES)}"
    return None


def address(value: str, root: Path) -> str:
    """Return what git is given for *value*: a path as an absolute one, anything else as it is."""
    return str(root / value) if _is_path(value) else value


def _is_path(value: str) -> bool:
    colon, slash = value.find(":"), value.find("/")
    # As git itself distinguishes "host:path" from a path (url_is_local_not_ssh, git 2.39).
    return colon < 0 or 0 <= slash < colon


def _is_ssh(value: str) -> bool:
    """Return whether git uses ssh for *value*, unless the user's settings rewrite it."""
    scheme = _SCHEME.match(value)
    if scheme is not None:
        return "ssh" in scheme[1].lower()
    return not _is_path(value)


_OWN_VARIABLES = (
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_WORK_TREE",
)
# Set where we run in a hook of the user's repository; git would take them for ours (git rev-parse
# --local-env-vars, less those that carry configuration).


def silent(environ: Mapping[str, str], ssh: str | None = None) -> dict[str, str]:
    """Return *environ*, changed so that git and what it runs never prompt, and speak English."""
    changed = {
        name: value
        for name, value in environ.items()
        # Traces go to stderr, which we show, and may hold credentials.
        if name not in _OWN_VARIABLES and not name.startswith(("GIT_TRACE", "GIT_CURL_VERBOSE"))
    }
    for window in ("DISPLAY", "WAYLAND_DISPLAY"):
        changed.pop(window, None)
    changed |= {
        "GIT_ASKPASS": "",
        "GIT_TERMINAL_PROMPT": "0",
        "GCM_INTERACTIVE": "never",
        "SSH_ASKPASS": "",
        "SSH_ASKPASS_REQUIRE": "never",
        "LC_ALL": "C",
    }
    changed.setdefault("GIT_ALLOW_PROTOCOL", _PROTOCOLS)
    if ssh is not None:
        changed["GIT_SSH_COMMAND"] = ssh
    return changed


def _ssh_command(environ: Mapping[str, str], root: Path, run: Runner) -> str | None:
    """Return the ssh command that git would use, with ``BatchMode``; None where that is not plain ssh."""
    given = environ.get("GIT_SSH_COMMAND")
    if given is None:
        result = run(["git", "config", "--get", "core.sshCommand"], cwd=root, environ=silent(environ))
        given = result.stdout.strip() if result.succeeded else None
    if not given and environ.get("GIT_SSH"):
        return None
    command = given or "ssh"
    try:
        program = Path(shlex.split(command)[0]).name
    except (ValueError, IndexError):
        return None
    return f"{command} -o BatchMode=yes" if program == "ssh" else None


def _head(stdout: str) -> str | None:
    found = re.search(r"^([0-9a-f]{40,64})\tHEAD$", stdout, re.MULTILINE)
    return found[1] if found else None


_SIGNS: Mapping[Trouble, tuple[str, ...]] = {
    "no such host": (
        "could not resolve (?:host|proxy)",
        "unable to look up ",
        "name or service not known",
        "nodename nor servname",
        "temporary failure in name resolution",
    ),
    "host key": ("host key verification failed", "no .*host key is known"),
    "no such repository": (
        "does not appear to be a git repository",
        "repository (?:'' )?not found",
        "requested url returned error: 404",
        "repository not exported",
        "could not be found",
    ),
    "authentication": (
        "terminal prompts disabled",
        "could not read (?:username|password)",
        "authentication fail",
        "permission denied",
        "access denied",
        "requested url returned error: 40[13]",
        "invalid (?:username|credentials)",
    ),
    "certificate": ("certificate", r"\bssl\b", "gnutls_handshake", "schannel"),
    "unreachable": (
        "failed to connect",
        "could(?: not|n't) connect",
        "unable to connect",
        "connection (?:refused|reset|timed out|closed)",
        "operation timed out",
        "no route to host",
        "network is unreachable",
        r"requested url returned error: 5\d\d",
    ),
    "refused": ("transport '' not allowed", "strange (?:pathname|hostname)"),
}
# The first that is found counts: git daemon says "access denied or repository not exported" for one that is
# not there, and of everything that failed git says that it could not read.


def _trouble(result: Result) -> Trouble:
    if result.ending == "missing":
        return "git missing"
    if result.ending == "timed out":
        return "timeout"
    # What stands in quotes is the URL or path: a repository may be called "certificate-denied".
    said = re.sub(r"'[^'\n]*'", "''", plain(result.stderr).lower())
    found = (trouble for trouble, signs in _SIGNS.items() if any(re.search(sign, said) for sign in signs))
    return next(found, "other")


_BOILERPLATE = re.compile(
    r"^(?:fatal: could not read from remote repository\.|please make sure you have the correct access rights"
    r"|and the repository exists\.|warning: permanently added .*|permission denied, please try again\.|@+)$",
    re.IGNORECASE,
)


def _words(result: Result, value: str) -> str:
    """Return what git said last, less what it says every time."""
    lines = [one_line(line) for line in plain(result.stderr).splitlines()]
    specific = [line for line in lines if line and not _BOILERPLATE.match(line)]
    last = list(dict.fromkeys(specific))[-3:]
    said = "; ".join(re.sub(r"^(?:fatal|error|ssh|remote): ", "", line, flags=re.IGNORECASE) for line in last)
    said = printable(redact(said, also=url_secrets(value))) or str(result.problem)
    return said if len(said) <= _LONGEST_MESSAGE else f"{said[:_LONGEST_MESSAGE]}..."
