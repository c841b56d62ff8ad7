"""One mistake is reported by one check: what another one reports is left to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..core.check import Check
from ..core.document import Document, Position
from ..core.finding import CheckFailed, NotApplicable
from ..core.outcome import Failure
from .evaluation import failed


def left_to_report(
    failure: Failure, check: Check, document: Document, position: Position | None, others: Iterable[Check]
) -> Failure:
    """Return *failure* without the findings that *others* report.

    :param check: the check that failed.
    :param position: where its subject begins.
    :param others: the checks that it yields to, of those that are evaluated on *document*.
    :raises NotApplicable: they report all of them.
    """
    error = failure.error
    if not isinstance(error, CheckFailed):
        return failure
    reported: dict[str | None, str] = {}
    for other in others:
        for key in _keys(other, document):
            reported.setdefault(key, other.label)
    left = [found for found in error.findings if found.key not in reported]
    if not left:
        labels = dict.fromkeys(reported[found.key] for found in error.findings)
        raise NotApplicable(f"reported by {', '.join(labels)}")
    rest = CheckFailed(left, error.remediation, advisory=error.advisory)
    return failed(rest.with_traceback(error.__traceback__), check, position)


def may_report_for(other: Check, check: Check) -> bool:
    """Return whether *check* yields to *other*, which must be no less severe and take only the document."""
    return (
        other.id in check.yields_to
        and other.document == check.document
        and other.fixtures == (check.document,)
        and (other.severity == "blocking" or check.severity == "advisory")
    )


def _keys(check: Check, document: Document) -> Iterator[str]:
    """Yield the keys of what *check* finds in *document*."""
    try:
        check.function(document)
    except CheckFailed as error:
        yield from (found.key for found in error.findings if found.key is not None)
    except Exception:  # noqa: BLE001 - its own item reports how it crashed; it found no mistake
        return
