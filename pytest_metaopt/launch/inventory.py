"""Ansible inventories: the hosts that a pattern stands for, as pytest-testinfra reads them."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from ..core.text import one_line, shortened
from .hosts import HostSpec

_SHOWN_CHARACTERS = 200


LONGEST_READ = 60
"""Seconds: a dynamic inventory queries a cloud, and may hang."""


def _in_time(read: Callable[[], list[str]]) -> list[str]:
    """Return what *read* does; testinfra itself would wait for ever.

    :raises TimeoutError: it took longer than ``LONGEST_READ``.
    """
    done: Future[list[str]] = Future()

    def work() -> None:
        try:
            done.set_result(read())
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
            done.set_exception(error)

    threading.Thread(target=work, name="metaopt-inventory", daemon=True).start()
    try:
        return done.result(LONGEST_READ)
    except FutureTimeout:
        raise TimeoutError from None


def hosts(spec: HostSpec) -> Iterator[HostSpec]:
    """Yield a host spec for each host that the pattern of *spec* stands for.

    testinfra runs ``ansible-inventory``, which is a part of Ansible and reads the file.

    :raises ValueError: no such host, or the inventory cannot be read.
    """
    try:
        from testinfra.backend.ansible import AnsibleBackend
    except ImportError:
        raise ValueError("needs pytest-testinfra: pip install 'pytest-metaopt[nodes]'") from None
    if shutil.which("ansible-inventory") is None:
        raise ValueError("needs ansible-inventory, which is not on PATH; install ansible-core")
    parts = urlsplit(spec.text)
    query = dict(parse_qsl(parts.query))
    pattern = parts.netloc or "all"
    file = query.get("ansible_inventory")
    if file is not None and "," not in file and not Path(file).exists():
        raise ValueError(
            "has an ansible_inventory that does not exist; a path is relative to the launch spec"
        )
    try:
        names = _in_time(lambda: AnsibleBackend.get_hosts(pattern, ansible_inventory=file))
    except TimeoutError:
        message = f"has an inventory that ansible-inventory did not read within {LONGEST_READ} s"
        raise ValueError(message) from None
    except (AssertionError, RuntimeError, OSError, ValueError) as error:
        message = shortened(one_line(str(error)), _SHOWN_CHARACTERS)
        raise ValueError(f"has an inventory that ansible-inventory cannot read: {message}") from None
    if not names:
        raise ValueError(f"names {pattern}, which is not a host or group of the inventory")
    for name in names:
        text = urlunsplit((parts.scheme, name, "", urlencode(query, safe="/"), ""))
        yield HostSpec(text, "ansible", name)
