"""The built-in report formats.

Read in every pytest session, for ``--help``, so it imports nothing of the package.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Format(NamedTuple):
    """A report format.

    :param module: the module that writes it, imported when used: it has a function ``text(verdicts)``.
    :param help: what ``--help`` says of it.
    """

    module: str
    help: str


FORMATS: Mapping[str, Format] = {
    "github": Format("pytest_metaopt.reports.github", "annotations of GitHub Actions"),
}
"""The built-in formats by their names."""
