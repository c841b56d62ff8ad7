"""The one file that knows names of pytest that are not public.

Tested with the versions of pytest in tox.ini. Each is here because pytest has no public way to do
the same: to run an item's set-up, call and tear-down without reporting it, to put a verdict on the
JUnit suite, to make a failure's text survive pytest-xdist, to run a session that only prints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from _pytest import python
from _pytest._code.code import ExceptionChainRepr, ReprEntryNative, ReprFileLocation, ReprTraceback
from _pytest.junitxml import xml_key
from _pytest.main import wrap_session
from _pytest.outcomes import Skipped
from _pytest.skipping import evaluate_skip_marks

__all__ = [
    "Skipped",
    "add_suite_property",
    "callspec",
    "failure_repr",
    "fill",
    "fixtures_declared",
    "fixtures_of",
    "missing_fixtures",
    "print_in_session",
    "run_unreported",
]

_FIXTURES = f"{__package__}.fixtures"


def run_unreported(item: pytest.Function, keep: pytest.Item | pytest.Session) -> None:
    """Run *item*'s set-up, call and tear-down once more than pytest does, and make no report of it.

    :param keep: what runs next; fixtures that it uses too are not torn down.

    The hooks of other plugins are left out: several of them (pytest-json-report's, for one) rely on what
    they prepared for a run that is reported. What a fixture raises is not reported here: the item's own run,
    which follows, raises it again.
    """
    if evaluate_skip_marks(item) is not None:
        return
    if not item._request:
        item._initrequest()  # type: ignore[unreachable]
    state = item.session._setupstate
    try:
        try:
            state.setup(item)
            item.runtest()
        finally:
            state.teardown_exact(keep)  # type: ignore[arg-type]
    except pytest.exit.Exception:
        raise
    except (Exception, SystemExit, Skipped, pytest.fail.Exception):  # noqa: BLE001, S110 - see above
        pass
    finally:
        item._request = False  # type: ignore[assignment]
        item.funcargs = None  # type: ignore[assignment]


def callspec(param_id: str, marks: list[pytest.Mark]) -> Any:
    """Return what makes an item count as a parametrized test, with *param_id* in its brackets and *marks*."""
    specification = vars(python).get("CallSpec") or python.CallSpec2  # the name until pytest 9.1
    return specification(_idlist=(param_id,), marks=marks)


def fixtures_of(item: pytest.Function) -> Any:
    """Return what pytest found out of the fixtures of *item*, for others with the same function and marks."""
    return item._fixtureinfo


def missing_fixtures(item: pytest.Function, names: Iterable[str]) -> list[str]:
    """Return those of *names*, which the function of *item* takes, for which there is no fixture."""
    seen = item._fixtureinfo.name2fixturedefs
    return [name for name in names if name != "request" and not seen.get(name)]


def fixtures_declared(session: pytest.Session) -> list[str]:
    """Return the name of every fixture that is declared anywhere."""
    manager = vars(session._fixturemanager)
    # The first until pytest 9.1, the others since.
    tables = ("_arg2fixturedefs", "_arg2node2fixturedefs", "_arg2nodeid2fixturedefs")
    return [name for table in tables for name in manager.get(table, ())]


def fill(item: pytest.Function, name: str, value: object) -> None:
    """Give *item* the *value* that our fixture *name* would, unless a project overrides the fixture."""
    found = item._fixtureinfo.name2fixturedefs.get(name, ())
    if len(found) == 1 and found[0].func.__module__ == _FIXTURES:
        # The fixture itself takes the request, which so is among what pytest is about to set up, too.
        item.funcargs.update({name: value, "request": item._request})


def failure_repr(path: Path | str, line: int, summary: str, text: str) -> ExceptionChainRepr:
    """Return a failure as pytest wants it: *summary* for JUnit and the last lines, *text* for people."""
    if not text.endswith("\n"):
        text += "\n"
    traceback = ReprTraceback([ReprEntryNative([text])], None, "native")
    return ExceptionChainRepr([(traceback, ReprFileLocation(str(path), line, summary), None)])


def add_suite_property(config: pytest.Config, name: str, value: str) -> None:
    """Add a property to the JUnit suite, where one is written."""
    xml = config.stash.get(xml_key, None)
    if xml is not None:
        xml.add_global_property(name, value)


def print_in_session(config: pytest.Config, show: Callable[[pytest.Session], None]) -> int:
    """Begin a session, call *show* in it, and end it; return the exit status."""

    def main(_config: pytest.Config, session: pytest.Session) -> None:
        show(session)

    return int(wrap_session(config, main))
