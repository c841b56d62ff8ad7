"""The forms in which a tool may repeat a secret: quoted, encoded, broken over lines.

Base64 is RFC 4648, with the secret at each of the three places in a group that something before it
(``user:``, RFC 7617) may shift it to.
"""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import quote, quote_plus

_SHORTEST = 8
"""Characters of a form that is searched for with white space in it: a shorter one stands in ordinary text."""


def cut(text: str, secrets: Iterable[str], mask: str) -> str:
    """Return *text* with *mask* in place of each of *secrets*, in whatever form it stands there."""
    exact, bare = _forms(frozenset(secrets))
    for form in exact:
        text = text.replace(form, mask)
    left = "".join(text.split())
    found = [form for form in bare if form in left]
    if found:
        text = _pattern(tuple(found)).sub(mask, text)
    return text


@lru_cache(maxsize=64)
def _forms(secrets: frozenset[str]) -> tuple[list[str], list[str]]:
    """Return what is searched for as it is, and what with white space anywhere; the longest first."""
    exact = {
        form for secret in secrets for form in (secret, quote(secret, safe="", errors="surrogateescape"))
    }
    bare = {
        squeezed
        for secret in secrets
        for form in _encoded(secret)
        if len(squeezed := "".join(form.split())) >= _SHORTEST
    }
    return sorted(exact, key=len, reverse=True), sorted(bare, key=len, reverse=True)


def _encoded(secret: str) -> Iterator[str]:
    # One secret may be a part of another, and a key of several lines may be printed line by line.
    lines = [line for line in secret.splitlines() if not line.startswith("-----")]
    for text in dict.fromkeys([secret, *(lines if len(lines) > 1 else ())]):
        for escaped in (text, ascii(text)[1:-1], repr(text)[1:-1], json.dumps(text)[1:-1]):
            yield escaped
            yield escaped.replace("'", "\\'")
            yield escaped.replace("\\'", "'")
        yield json.dumps(text, ensure_ascii=False)[1:-1]
        yield html.escape(text)
        yield html.escape(text, quote=False)
        yield quote(text, errors="surrogateescape")
        yield quote(text, safe="", errors="surrogateescape")
        yield quote_plus(text, errors="surrogateescape")
    data = secret.encode("utf-8", "surrogateescape")
    yield data.hex()
    yield data.hex().upper()
    for encode in (b64encode, urlsafe_b64encode):
        for before, skipped in ((0, 0), (1, 2), (2, 3)):
            whole = (before + len(data)) * 8 // 6  # what comes behind has a part in the next character
            yield encode(bytes(before) + data)[skipped:whole].decode("ascii")


@lru_cache(maxsize=64)
def _pattern(forms: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(r"\s*".join(map(re.escape, form)) for form in forms))
