"""Which variables hold a secret: by the words of the name, unless the value cannot be one.

A name is taken for a secret's unless it is known not to be: a secret that is printed is worse than a word
that is not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

KNOWN_VARIABLES = frozenset(
    {
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AZURE_CLIENT_SECRET",
        "GH_TOKEN",
        "GITHUB_TOKEN",
        "GITLAB_TOKEN",
        "HF_TOKEN",
        "HUGGING_FACE_HUB_TOKEN",
        "LAMBDA_API_KEY",
        "RUNPOD_API_KEY",
        "SKYPILOT_SERVICE_ACCOUNT_TOKEN",
        "VAST_API_KEY",
        "WANDB_API_KEY",
    }
)
"""Environment variables of the tools that a campaign uses whose value is a secret, whatever it looks like."""

ORDINARY_VARIABLES = frozenset(
    {
        "AWS_ACCESS_KEY_ID",  # the public half
        "GPG_KEY",  # the fingerprint that the images of Python on Docker Hub name
        "SSH_AUTH_SOCK",
    }
)
"""Variables whose name has a secret's word and whose value everybody may know."""

_SHORTEST_KNOWN = 4
_SHORTEST_GUESSED = 8
# A shorter value would be cut out of ordinary words: API_TOKEN=no.

_WORD = re.compile(r"AUTH|CREDS?|CREDENTIALS?|JWT|KEY|PAT|PW|SECRETS?")
"""What a whole word of a name may be."""
_ENDING = re.compile(
    r".*(?:PASS|PASSWORD|PASSWD|PASSPHRASE|PWD?|TOKEN|SECRET|API_?KEY|ACCESSKEY|SECRETKEY|PRIVATEKEY)"
)
"""What a word of a name may end with: PGPASSWORD, SSHPASS, BINDPW."""
_SEPARATOR = re.compile(r"[^A-Z]+")

_NO_SECRET = re.compile(
    r"true|false|yes|no|on|off|none|null|[-+]?[\d._]{1,15}(?:e[-+]?\d+)?[%kmgt]?i?b?", re.IGNORECASE
)
"""A flag or a number; what has more digits than any count or time is none."""


def names_secret(name: str) -> bool:
    """Return whether a variable or key called *name* holds a secret, by the name."""
    return _shortest(name.upper()) is not None


def secret_values(environ: Mapping[str, str]) -> frozenset[str]:
    """Return the values of the variables of *environ* that hold a secret."""
    return frozenset(
        bare for name, value in environ.items() if (bare := value.strip()) and _is_secret(name, bare)
    )


def may_hold_secret(name: str) -> bool:
    """Return whether the value of the variable called *name* has to be looked at."""
    return _shortest(name if name in KNOWN_VARIABLES else name.upper()) is not None


def _is_secret(name: str, value: str) -> bool:
    shortest = _shortest(name if name in KNOWN_VARIABLES else name.upper())
    if shortest is None or len(value) < shortest:
        return False
    return name in KNOWN_VARIABLES or not _cannot_be_secret(value)


# Every text that is reported is searched for the secrets of a whole environment.
@lru_cache(maxsize=4096)
def _shortest(name: str) -> int | None:
    if name in KNOWN_VARIABLES:
        return _SHORTEST_KNOWN
    if name in ORDINARY_VARIABLES:
        return None
    words = _SEPARATOR.split(name)
    guessed = any(_WORD.fullmatch(word) or _ENDING.fullmatch(word) for word in words)
    return _SHORTEST_GUESSED if guessed else None


@lru_cache(maxsize=1024)
def _cannot_be_secret(value: str) -> bool:
    """Return whether *value* is a flag, a number or a path; base64 too may begin with ``/``."""
    if _NO_SECRET.fullmatch(value) is not None or value.startswith(("~/", "./", "../")):
        return True
    first = value[1:].partition("/")[0]
    return value.startswith("/") and bool(first) and "\0" not in first and Path(f"/{first}").is_dir()
