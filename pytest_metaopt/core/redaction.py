"""Secrets: what is cut out of every text that leaves this package.

Known by where they stand (the user part of a URL, a header, a query parameter), by their shape (the tokens
of code hosts) and by their value (that of an environment variable which holds one).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

from .environment import our_environment
from .secret_forms import cut
from .secret_names import may_hold_secret, secret_values
from .text import printable

MASK = "***"
"""What stands in the place of a secret."""

_SHORTEST_IN_URL = 4

_URL_USER = re.compile(
    r"""(?P<scheme>(?<![A-Za-z0-9])[A-Za-z][A-Za-z0-9+.-]{0,30}://)
        (?P<user>[^\s/@:'"]{0,256}(?::(?!\d+(?:/|$))[^\s'"]{0,2048}|[^\s/'"]{0,2048}))@""",
    re.VERBOSE,
)
# A password may hold '@' and, unquoted by mistake, '/': up to the last '@' of the word it is all cut, unless
# what stands behind the colon is a port. The bounds keep the time for a long text in proportion to it.
_SCP_USER = re.compile(r"(?<![\w/.@:])([\w.+~-]{1,64}):(?!//)[^\s/@:'\"]{1,1024}@(?=[\w.-]+:)")
_QUERY = re.compile(
    r"([?&;](?:[\w.-]{0,64}(?:token|secret|password|passwd|signature|credential|api_?key|access_?key)|key|sig|auth)=)"
    r"[^\s&;#'\"]+",
    re.IGNORECASE,
)
_HEADER = re.compile(r"(\bauthorization\s*[:=]\s*(?:basic|bearer|token)\s+)[^\s'\",;]+", re.IGNORECASE)
_TOKEN = re.compile(r"\b(?:gh[oprsu]_|github_pat_|glpat-|hf_)[A-Za-z0-9_-]{16,}")


def redact(text: str, *, environ: Mapping[str, str] | None = None, also: Iterable[str] = ()) -> str:
    """Return *text* with every secret in it replaced by ``***``; doing it twice changes nothing more.

    :param environ: the environment whose secret variables count; None: ours.
    :param also: more secrets, known to the caller.
    """
    known = secret_values(our_environment(may_hold_secret) if environ is None else environ)
    text = cut(text, known.union(value for value in also if value), MASK)
    text = _URL_USER.sub(_without_user, text)
    text = _SCP_USER.sub(rf"\1:{MASK}@", text)
    text = _QUERY.sub(rf"\1{MASK}", text)
    text = _HEADER.sub(rf"\1{MASK}", text)
    return _TOKEN.sub(MASK, text)


def safe(text: str) -> str:
    """Return *text* as it may leave this package: without a secret, and printable."""
    return printable(redact(text))


def url_secrets(url: str) -> frozenset[str]:
    """Return the secrets in the user part of *url*, as they stand there and as they are meant.

    A tool may repeat a part of a URL in its message, outside of any URL.
    """
    found = _URL_USER.match(url.strip())
    if found is None:
        return frozenset()
    user, colon, password = found["user"].partition(":")
    secrets = {password} if colon else {user} if _hides_user(found["scheme"]) else set()
    return frozenset(
        form for secret in secrets for form in (secret, unquote(secret)) if len(form) >= _SHORTEST_IN_URL
    )


def _hides_user(scheme: str) -> bool:
    # The user of an ssh URL is a name ("git"); that of an https URL is often the token itself.
    return "ssh" not in scheme.lower()


def _without_user(found: re.Match[str]) -> str:
    user, colon, _ = found["user"].partition(":")
    if _hides_user(found["scheme"]):
        return f"{found['scheme']}{MASK}@"
    return f"{found['scheme']}{user}:{MASK}@" if colon else found[0]
