"""Ask a check: evaluate, bootstrap, evaluate again, and say how it came out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from ..core.check import Check
from ..core.document import Position
from ..core.finding import CheckFailed, Finding, NotApplicable
from ..core.outcome import Failure
from ..core.redaction import safe
from ..core.state_folder import BootstrapError
from ..core.text import one_line
from .compat import Skipped


@dataclass(frozen=True)
class Bootstrapping:
    """That a bootstrap ran: what it changed, or why it could not."""

    changes: tuple[str, ...] = ()
    error: str | None = None


def evaluate(check: Check, arguments: Mapping[str, Any], position: Position | None = None) -> Failure | None:
    """Call the check's function; return why it says no, or None where it holds.

    What is neither an assertion nor a failure (a bug in the check) says no as well, with ``crash`` set.
    :class:`~pytest_metaopt.core.finding.NotApplicable` and ``pytest.skip`` pass through.

    :param position: where the subject of the check begins; findings without a position of their own have it.
    """
    line, column = position or (None, None)
    try:
        answer = check.function(**arguments)
    except (pytest.exit.Exception, NotApplicable):
        raise
    except CheckFailed as error:
        return failed(error, check, position)
    except AssertionError as error:
        return Failure(_assertion_message(error, check), safe(check.remediation), line, column, error=error)
    except pytest.fail.Exception as error:
        return Failure(
            safe(error.msg or check.description), safe(check.remediation), line, column, error=error
        )
    except (Exception, SystemExit) as error:  # noqa: BLE001 - becomes the check's failure, with its traceback
        message = f"the check crashed: {brief(error)}"
        return Failure(message, safe(check.remediation), line, column, crash=True, error=error)
    if answer is not None:
        # "return x == y" where an assert was meant would otherwise always hold.
        return Failure(
            f"the check returned {safe(repr(answer))}; a check asserts, or calls fail()",
            "Assert in the check's function instead of returning a value.",
            line,
            column,
            crash=True,
        )
    return None


def failed(error: CheckFailed, check: Check, position: Position | None) -> Failure:
    """Return the failure that *error*, raised by :func:`~pytest_metaopt.core.check.fail`, stands for.

    :param position: as of :func:`evaluate`.
    """
    remediation = error.remediation if error.remediation is not None else check.remediation
    many = len(error.findings) > 1
    findings = tuple(
        replace(found, message=safe(one_line(found.message) if many else found.message))
        for found in error.findings
    )
    if position is not None:
        findings = tuple(found if found.line else Finding(found.message, *position) for found in findings)
    first = findings[0]
    message = first.message
    if many:
        one_place = len({(found.line, found.column) for found in findings}) == 1
        lines = [
            f"line {found.line}: {found.message}" if found.line and not one_place else found.message
            for found in findings
        ]
        message = "\n".join([f"{len(findings)} problems", *lines])
    return Failure(
        message,
        safe(remediation),
        first.line,
        first.column,
        findings if many else (),
        advisory=error.advisory,
        error=error,
    )


def bootstrap(fixture: str, request: Callable[[str], Any]) -> Bootstrapping:
    """Request the bootstrap *fixture*; return what it changed, or why it could not."""
    try:
        returned = request(fixture)
    except pytest.exit.Exception:
        raise
    except pytest.FixtureLookupError as error:
        missing = error.argname or fixture
        return Bootstrapping(error=f"fixture {missing!r} not found")
    except (pytest.fail.Exception, Skipped, NotApplicable) as error:
        return Bootstrapping(error=safe(str(error)))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - becomes the check's failure
        return Bootstrapping(error=brief(error))
    if returned is None:
        return Bootstrapping(changes=(f"{fixture} ran",))
    if isinstance(returned, str):
        return Bootstrapping(changes=(safe(returned),))
    try:
        return Bootstrapping(changes=tuple(safe(str(change)) for change in returned))
    except TypeError:
        return Bootstrapping(changes=(f"{fixture} ran",))


def brief(error: BaseException) -> str:
    """Return an exception as one phrase: an OSError as its reason and file, others with their type."""
    if isinstance(error, OSError) and error.strerror:
        return safe(f"{error.filename}: {error.strerror}" if error.filename else error.strerror)
    text = str(error)
    if isinstance(error, BootstrapError):
        return safe(text)
    return safe(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def _assertion_message(error: AssertionError, check: Check) -> str:
    text = safe(str(error))
    # pytest's rewritten assertions put the values that were compared behind the author's own message.
    own, found, _ = text.partition("\nassert ")
    if found:
        return own
    return text or f"does not hold: {check.description}"
