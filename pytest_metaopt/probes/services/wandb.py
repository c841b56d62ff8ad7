"""Weights & Biases: where a credential for its server is, if anywhere. The credential itself is never kept.

As the client looks it up (wandb 0.31.0, ``wandb/sdk/lib/wbauth``), which none of this imports:

- The server is that of ``WANDB_BASE_URL``; else of the settings file that ``wandb login --host`` writes;
  else ``https://api.forge.coreweave.com`` (``https://api.wandb.ai`` up to 0.30.0). For the former the
  client also takes the netrc entry of the latter, not the other way round. A ``WANDB_BASE_URL`` that is set
  but empty, or has no scheme, makes every command of the client fail.
- ``WANDB_API_KEY`` comes first, or ``WANDB_IDENTITY_TOKEN_FILE``; both together are an error. Then one netrc
  file: ``NETRC`` if that is set, else ``~/.netrc`` if it is there, else ``~/_netrc``. Then ``api_key`` of the
  settings file.
- ``wandb login`` writes ``machine <host[:port]>``, ``login user``, ``password <key>`` with mode 0600.
- A key has 40 or more letters, digits and ``_``, behind a prefix that ends with ``-`` if there is one.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from ...core.environment import our_environment
from ...core.redaction import MASK
from ...core.text import printable
from ..pool import probe

if TYPE_CHECKING:
    from ...core.document import Document

SAAS_HOSTS = ("api.forge.coreweave.com", "api.wandb.ai")
"""The hosts of the public service: the default of the client from 0.31.0 on, and that of all before."""

_FORGE = frozenset({"forge.coreweave.com", "api.forge.coreweave.com"})
_PAGES = frozenset({"wandb.ai", "app.wandb.ai", "www.wandb.ai"})
_MAX_BYTES = 1 << 20
_JWT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+")


@dataclass(frozen=True)
class NetrcFile:
    """The one netrc file that the client reads.

    :param path: where it is, or would be.
    :param exists: it is there.
    :param mode: its permission bits.
    :param problem: why it cannot be read, as a phrase.
    """

    path: Path
    exists: bool
    mode: int | None = None
    problem: str | None = None

    @property
    def readable_by_others(self) -> bool:
        """Whether its group, or everyone, may read it."""
        return self.mode is not None and bool(self.mode & (stat.S_IRGRP | stat.S_IROTH))


@dataclass(frozen=True)
class Credential:
    """A credential for the W&B server, or that there is none.

    :param hosts: the server's host, with its port where one is given; for the public service there are two.
    :param named_by: what names the server: a variable, ``wandb.base_url``, a settings file or ``the client``.
    :param source: where a credential was found: a variable or a file; None: nowhere.
    :param flaw: why the client would refuse what was found, as a phrase.
    :param netrc: the netrc file that was looked at, whether or not the credential is in it.
    :param problem: why the server is not known, as a phrase.
    """

    hosts: tuple[str, ...]
    named_by: str
    source: str | None
    flaw: str | None
    netrc: NetrcFile
    problem: str | None = None


@dataclass(frozen=True, repr=False)
class Key:
    """A key; it does not show itself."""

    secret: str

    def __repr__(self) -> str:
        """Say that it is a key, and nothing of it."""
        return f"Key({MASK!r})"


@dataclass(frozen=True)
class Found:
    """What was found, with the key: only for a probe that queries the server, and hands the key on to nobody.

    :param credential: what reports may show.
    :param key: the key itself; None where there is none, or an identity token in its place.
    :param bases: the URLs that the server may be reached at, in the order to try them; none has a user part.
    """

    credential: Credential
    key: Key | None = None
    bases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Viewer:
    """Whose credential it is, as the server says.

    :param host: the server that was queried, or would have been; None where it is not known.
    :param accepted: the server takes the credential; False: it refuses it; None: it did not say.
    :param username: of the account that the credential belongs to.
    :param entities: the account's own entity and its teams, as far as the server lists them.
    :param problem: why it is not accepted, as a phrase.
    """

    host: str | None
    accepted: bool | None
    username: str | None = None
    entities: tuple[str, ...] = ()
    problem: str | None = None


@probe("wandb_credential")
def wandb_credential(campaign: Document, project_root: Path) -> Credential:
    """Where a credential for the campaign's W&B server is."""
    return look(campaign.get("wandb.base_url"), project_root)


def look(base_url: object, root: Path, *, environ: Mapping[str, str] | None = None) -> Credential:
    """Look for a credential as the client would.

    :param base_url: the campaign's ``wandb.base_url``; None where it has none.
    :param root: the project root, whose ``wandb/settings`` counts.
    :param environ: the environment, ``HOME`` included; None: ours.
    """
    return find(base_url, root, environ=environ).credential


def find(base_url: object, root: Path, *, environ: Mapping[str, str] | None = None) -> Found:
    """Look as :func:`look` does, and keep the key."""
    known = our_environment() if environ is None else environ
    settings = _Settings(known, root)
    named_by, url = _server(base_url, known, settings)
    file = _netrc_file(known)
    try:
        machines = _machines(url)
    except ValueError as error:
        return Found(Credential((), named_by, None, None, file, problem=f"{named_by} {error}"))
    hosts = tuple(printable(machine.rpartition("@")[2]) for machine in machines)
    keys, file = _keys(file, machines)
    source, flaw = _from_environment(known)
    key = known.get("WANDB_API_KEY") or None
    if source is None and keys:
        key = keys[0]
        source, flaw = str(file.path), _flaw(key)
    if source is None and (kept := settings.get("api_key")) is not None and url == settings.get("base_url"):
        key = kept
        source, flaw = settings.place("api_key"), _flaw(key)
    credential = Credential(hosts, named_by, source, flaw, file)
    return Found(credential, None if key is None else Key(key), _bases(url))


def _server(base_url: object, environ: Mapping[str, str], settings: _Settings) -> tuple[str, object]:
    """Return what names the server, and the URL that it gives; None: the client's own default."""
    if "WANDB_BASE_URL" in environ:
        return "WANDB_BASE_URL", environ["WANDB_BASE_URL"]
    if base_url is not None:
        return "wandb.base_url", base_url
    url = settings.get("base_url")
    return ("the client", None) if url is None else (settings.place("base_url"), url)


def _machines(url: object) -> tuple[str, ...]:
    """Return the names that a netrc entry for *url* may have.

    :raises ValueError: it is not a URL that the client takes.
    """
    if url is None:
        return SAAS_HOSTS
    if not isinstance(url, str):
        raise ValueError("is not text")  # noqa: TRY004 - one exception for all that is wrong with it
    if not url.strip():
        raise ValueError("is set, but empty")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("is not a URL") from None
    if parts.scheme.lower() not in {"http", "https"} or not parts.hostname:
        raise ValueError("is not a URL with http:// or https://")
    if parts.hostname in _PAGES:
        raise ValueError(f"names the web pages; the server is https://{SAAS_HOSTS[1]}")
    if parts.scheme.lower() == "http" and parts.hostname in SAAS_HOSTS:
        # The client refuses it, too; the key would be sent in the clear.
        raise ValueError(f"must be https for {parts.hostname}")
    if parts.hostname in _FORGE:
        return SAAS_HOSTS
    return (parts.netloc,)


def _bases(url: object) -> tuple[str, ...]:
    """Return the URLs at which the server of *url*, which the client takes, may be reached."""
    if not isinstance(url, str):
        return tuple(f"https://{host}" for host in SAAS_HOSTS)
    parts = urlsplit(url)
    if parts.scheme.lower() == "http" and parts.hostname in SAAS_HOSTS:
        # The client refuses it, too; the key would be sent in the clear.
        raise ValueError(f"must be https for {parts.hostname}")
    if parts.hostname in _FORGE:
        # "https://forge.coreweave.com/api/wandb" is a proxy before it, which the client goes around.
        return (f"https://{SAAS_HOSTS[0]}",)
    return (urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", "")),)


def _from_environment(environ: Mapping[str, str]) -> tuple[str | None, str | None]:
    key, token_file = environ.get("WANDB_API_KEY"), environ.get("WANDB_IDENTITY_TOKEN_FILE")
    if key and token_file:
        return "WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE is set as well, which the client refuses"
    if key:
        return "WANDB_API_KEY", _flaw(key)
    if token_file:
        there = _expanded(token_file, environ).is_file()
        return "WANDB_IDENTITY_TOKEN_FILE", None if there else "it is not the path of a file"
    return None, None


def _flaw(key: str) -> str | None:
    """Return what is wrong with the form of *key*, without repeating any of it."""
    if not key:
        return "the key is empty"
    if _JWT.fullmatch(key):
        return None
    secret = key.split("-", 1)[-1]
    if not re.fullmatch(r"[\w-]+", secret):
        return "a key holds only letters, digits and '_'"
    return None if len(secret) >= 40 else f"a key has 40 characters or more, this one has {len(secret)}"


# -- files ------------------------------------------------------------------------------------


def _home(environ: Mapping[str, str]) -> Path:
    given = environ.get("HOME")
    return Path(given) if given else Path.home()


def _expanded(path: str, environ: Mapping[str, str]) -> Path:
    if path == "~" or path.startswith("~/"):
        return _home(environ) / path[2:]
    return Path(path)


def _netrc_file(environ: Mapping[str, str]) -> NetrcFile:
    given = environ.get("NETRC")
    if given:
        return _seen(_expanded(given, environ))
    home = _home(environ)
    usual = _seen(home / ".netrc")
    other = _seen(home / "_netrc")
    return other if other.exists and not usual.exists else usual


def _seen(path: Path) -> NetrcFile:
    try:
        status = path.stat()
    except FileNotFoundError:
        return NetrcFile(path, exists=False)
    except (OSError, ValueError) as error:
        return NetrcFile(path, exists=True, problem=f"cannot be read: {getattr(error, 'strerror', error)}")
    mode = stat.S_IMODE(status.st_mode)
    problem = None
    if not stat.S_ISREG(status.st_mode):
        # Reading a FIFO would wait for ever.
        problem = "is not a regular file"
    elif status.st_size > _MAX_BYTES:
        problem = f"is larger than {_MAX_BYTES} bytes"
    return NetrcFile(path, exists=True, mode=mode, problem=problem)


def _keys(file: NetrcFile, machines: tuple[str, ...]) -> tuple[list[str], NetrcFile]:
    """Return what *file* has for *machines*, and the file with the reason where it cannot be read."""
    if not file.exists or file.problem is not None:
        return [], file
    # Most sessions have no file to read; so in _Settings.
    import netrc

    try:
        entries = netrc.netrc(str(file.path))
    except netrc.NetrcParseError as error:
        # Its message repeats the word that it stumbled over, which may be the key.
        place = f"line {error.lineno} is" if error.lineno else "it is"
        problem = f"cannot be read as netrc: {place} malformed"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except ValueError:
        problem = "cannot be read: it is not UTF-8"
    else:
        found = [entry for machine in machines if (entry := entries.authenticators(machine)) is not None]
        return [password for _, _, password in found if password], file
    return [], NetrcFile(file.path, exists=True, mode=file.mode, problem=problem)


class _Settings:
    """The client's settings files: ``wandb/settings`` in the project before the one in the user's folder."""

    def __init__(self, environ: Mapping[str, str], root: Path) -> None:
        given = environ.get("WANDB_CONFIG_DIR")
        folder = _expanded(given, environ) if given else _home(environ) / ".config" / "wandb"
        paths = (root / "wandb" / "settings", folder / "settings")
        self._files = [(path, values) for path in paths if (values := self._read(path))]

    @staticmethod
    def _read(path: Path) -> dict[str, str]:
        # The client logs what is wrong with it and goes on without the file, too.
        try:
            if not path.is_file() or path.stat().st_size > _MAX_BYTES:
                return {}
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError):
            return {}
        import configparser

        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read_string(text)
        except (ValueError, configparser.Error):
            return {}
        return dict(parser["default"]) if parser.has_section("default") else {}

    def get(self, name: str) -> str | None:
        """Return a setting, the nearest file's first."""
        return next((values[name] for _, values in self._files if name in values), None)

    def place(self, name: str) -> str:
        """Return the file that :meth:`get` has it from."""
        return next(str(path) for path, values in self._files if name in values)
