"""SkyPilot: whether it is there, and which clouds it says that it can use.

Measured with SkyPilot 0.14.1, 0.10.5 and 0.8.1 on Python 3.11 (their answers are recorded in
``tests/probes/recorded``):

- ``sky --version`` prints ``skypilot, version 0.14.1`` and contacts no server.
- ``sky check <cloud> -o json`` came with 0.12.0; older ones exit with 2 and "No such option". It exits with 0
  whether the cloud is enabled or not, and gives no reason; the plain ``sky check <cloud>`` does, in colours.
- In 0.10.5 and 0.14.1, not yet in 0.8.1, it is an API server that looks. Where none answers, ``sky`` starts
  one. That takes 17 to 33 s on two cores, and the server lives on in a session of its own, also where the
  ``sky`` that started it is killed. It looks with its own ``HOME`` and environment, not with those of the
  ``sky`` that calls it.
- ``SKYPILOT_API_SERVER_LOCAL_PORT`` (from 0.14.0 on; before, always 46580) distinguishes servers.

The environment is handed on as it is: the server may be started by us, and keeps it.
"""

from __future__ import annotations

import json
import re
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...core.redaction import redact
from ...core.text import one_line, printable
from ...documents.provider import infra_name
from ..command import Result, Runner, plain
from ..pool import probe

if TYPE_CHECKING:
    from ...core.document import Document

ASKS_THE_CLOUD = frozenset(
    {
        "cudo",
        "do",
        "gcp",
        "kubernetes",
        "lambda",
        "nebius",
        "oci",
        "paperspace",
        "runpod",
        "scp",
        "seeweb",
        "slurm",
        "ssh",
        "vsphere",
        "yotta",
    }
)
"""The clouds that ``sky check`` calls enabled for compute only where they have taken the credential just now.

Read in SkyPilot 0.14.1, ``sky/clouds/*.py``: ``_check_compute_credentials`` of each of these makes a call
with the credential (to list machines, projects, permissions or pods; to log in). Not of these:

- ``azure``, ``fluidstack``, ``hyperbolic``, ``ibm``, ``mithril``, ``shadeform``, ``vast`` and ``verda`` are
  enabled where a file or variables are there, with the right fields at most.
- ``aws`` calls ``sts get-caller-identity`` once, and keeps the answer in a file for as long as
  ``aws configure list`` shows the same: a key that has been revoked since is still enabled for compute.
- ``primeintellect`` calls, but takes every answer other than HTTP 403 for a yes, 401 among them.
"""

_LONGEST_REASON = 2000
_COMPUTE = "compute"


@dataclass(frozen=True)
class SkyPilot:
    """The command ``sky``.

    :param version: what it says that it is; None where it does not answer.
    :param missing: there is no such command.
    :param problem: why it does not answer, as a phrase.
    """

    version: str | None
    missing: bool = False
    problem: str | None = None


@dataclass(frozen=True)
class Cloud:
    """What SkyPilot says of a cloud.

    :param name: as ``sky check`` takes it.
    :param enabled: SkyPilot calls it enabled; None where it did not say.
    :param capabilities: what it is enabled for: ``compute``, ``storage``. SkyPilot 0.8.1 lists none.
    :param reason: SkyPilot's own words on why it is not; may have several lines.
    :param problem: why there is no answer, as a phrase.
    :param known: the clouds that this SkyPilot knows, where it does not know this one.
    :param starting_server: ``sky`` was starting its API server, which is slow, and goes on when it is killed.
    """

    name: str
    enabled: bool | None = None
    capabilities: tuple[str, ...] = ()
    reason: str | None = None
    problem: str | None = None
    known: tuple[str, ...] = ()
    starting_server: bool = False

    @property
    def computes(self) -> bool:
        """Whether machines can be had there; one that is enabled for storage only has none."""
        return bool(self.enabled) and (not self.capabilities or _COMPUTE in self.capabilities)


@probe("skypilot")
def skypilot(run: Runner) -> SkyPilot:
    """Whether the command sky answers, and its version."""
    result = run(["sky", "--version"])
    if result.ending == "missing":
        return SkyPilot(None, missing=True, problem=result.problem)
    if not result.succeeded:
        return SkyPilot(None, problem=_complaint(result))
    found = re.search(r"skypilot, version (\S+)", plain(result.stdout))
    if found is None:
        said = _short(result.stdout or result.stderr) or "nothing"
        return SkyPilot(None, problem=f"'sky --version' does not name SkyPilot; it says: {said}")
    return SkyPilot(printable(found[1]))


@probe("sky_cloud")
def sky_cloud(campaign: Document, run: Runner) -> Cloud | None:
    """What SkyPilot says of the campaign's compute.provider; None where that is not a cloud."""
    name = infra_name(campaign.get("compute.provider"))
    return query(name, run) if name is not None else None


def query(name: str, run: Runner) -> Cloud:
    """Ask SkyPilot about the cloud that ``sky check`` takes as *name*."""
    result = run(["sky", "check", name, "-o", "json"])
    starting = "Starting a local server" in plain(result.stdout)
    if result.ending != "exited":
        return Cloud(name, problem=result.problem, starting_server=starting)
    answer = _from_json(name, result) if result.succeeded else None
    if answer is not None and answer.computes:
        return answer
    if not result.succeeded and not _lacks_option(result):
        return _refused(name, result)
    # It is not enabled, and only the plain text says why; or there is nothing but plain text.
    cloud = _from_text(name, run(["sky", "check", name]))
    if answer is None:
        return cloud
    reason = cloud.reason if cloud.enabled is not None else None
    return Cloud(name, answer.enabled, answer.capabilities, reason)


def _from_json(name: str, result: Result) -> Cloud | None:
    """Read ``{"default": {"Vast": ["compute"]}}``: the clouds that are enabled, by workspace."""
    text = plain(result.stdout)
    start = re.search(r"^\{", text, re.MULTILINE)
    if start is None:
        return None
    try:
        # What stands in front or behind (progress, a hint at a newer version) is not part of it.
        workspaces, _ = json.JSONDecoder().raw_decode(text[start.start() :])
    except ValueError:
        return None
    mappings = [enabled for enabled in workspaces.values() if isinstance(enabled, dict)]
    own = [
        capabilities
        for enabled in mappings
        for shown, capabilities in enabled.items()
        if _is_same(name, shown)
    ]
    words = (str(word) for capabilities in own if isinstance(capabilities, list) for word in capabilities)
    return Cloud(name, bool(own), tuple(dict.fromkeys(words)))


def _is_same(name: str, shown: str) -> bool:
    # It shows "Vast", "AWS", "vSphere" for what it takes as "vast", "aws", "vsphere" (0.14.1: all of them).
    return shown.strip().lower() == name


_STATUS = re.compile(
    r"^[^\S\n]*(?:\W )?(?P<cloud>[A-Za-z][\w ]*): (?P<word>enabled|disabled|not enabled)\b"
    r"(?:[^\S\n]*\[(?P<capabilities>[\w, ]*)\])?",
    re.MULTILINE,
)
_REASON = re.compile(r"^[^\S\n]*(?:Reason|Hint)(?: \[[\w, ]*\])?:[^\S\n]*")


def _from_text(name: str, result: Result) -> Cloud:
    """Read ``Vast: enabled [compute]``, or ``Vast: disabled`` and the indented reason below."""
    if result.ending != "exited":
        starting = "Starting a local server" in plain(result.stdout)
        return Cloud(name, problem=result.problem, starting_server=starting)
    text = plain(result.stdout)
    answers = [found for found in _STATUS.finditer(text) if _is_same(name, found["cloud"])]
    # With several workspaces there are several answers; one that says yes is enough to launch in.
    answer = next((found for found in answers if found["word"] == "enabled"), answers[0] if answers else None)
    if answer is None:
        return _refused(name, result)
    capabilities = tuple(re.findall(r"\w+", answer["capabilities"] or ""))
    if answer["word"] == "enabled":
        return Cloud(name, True, capabilities)
    below = text[answer.end() :].partition("\n")[2].partition("\n\n")[0]
    return Cloud(name, False, reason=_reason(below))


def _reason(below: str) -> str | None:
    below = _REASON.sub("", below)
    if below.startswith("Traceback "):
        below = below.rstrip().rpartition("\n")[2]
    first, newline, rest = below.partition("\n")
    if first.strip() == "error" and rest.strip():
        # All that Vast's check says (0.14.1) of what is wrong; what stands below says more.
        first, newline, rest = textwrap.dedent(rest).strip().partition("\n")
    text = printable(redact(f"{first.strip()}{newline}{textwrap.dedent(rest)}".strip()))
    return text[:_LONGEST_REASON] or None


def _lacks_option(result: Result) -> bool:
    return "no such option" in result.stderr.lower()


_VALID = re.compile(r"is not a valid cloud among \[(?P<known>[^\]]*)\]")


def _refused(name: str, result: Result) -> Cloud:
    found = _VALID.search(plain(result.stderr))
    if found is not None:
        known = tuple(re.findall(r"'([\w-]+)'", found["known"]))
        return Cloud(name, problem=f"this SkyPilot does not know the cloud {name!r}", known=known)
    if result.succeeded:
        return Cloud(name, problem=f"'sky check {name}' printed no result for it: {_short(result.stdout)}")
    return Cloud(name, problem=_complaint(result))


def _complaint(result: Result) -> str:
    """Return how a command failed and what it said last."""
    said = _short(_last_error(plain(result.stderr)) or plain(result.stdout))
    return f"{result.problem}: {said}" if said else str(result.problem)


def _last_error(text: str) -> str:
    # Of exceptions that brought about each other, the last is for people.
    return text.strip().rpartition("\n\n")[2]


def _short(text: str) -> str:
    line = one_line(printable(redact(plain(text))))
    return line if len(line) <= 300 else f"{line[:300]}..."
