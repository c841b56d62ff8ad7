"""The command line and the ini file: what can be set.

Imported in every pytest session, used or not, so it imports only tables, which import nothing.
"""

from __future__ import annotations

from copy import copy

import pytest

from ..documents.kinds import KINDS, Kind
from ..reports.formats import FORMATS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_OUTSIDE = pytest.StashKey[tuple[str, ...]]()
"""The destinations of the options of kinds from other packages."""


def add_options(parser: pytest.Parser) -> None:
    """Declare the options and ini keys."""
    group = parser.getgroup("metaopt", "preflight of GPU training campaigns (pytest-metaopt)")
    formats = ", ".join(f"{name} ({known.help})" for name, known in FORMATS.items())
    for kind in KINDS.values():
        _add_kind(group, kind)
    group.addoption(
        "--metaopt-override",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="Override a value of every run config: a dotted path, and a value in YAML syntax"
        " (repeatable), such as compute.num_accelerators=2.",
    )
    group.addoption(
        "--metaopt-root",
        metavar="DIR",
        help="Project root: where .ml-metaopt/ and .gitignore belong. Default: the nearest directory at or"
        " above the campaign file that holds .ml-metaopt or .git, else the campaign file's directory.",
    )
    group.addoption(
        "--metaopt-no-bootstrap",
        action="store_true",
        help="Run no bootstrap: nothing in the project is created or changed but the readiness artifact.",
    )
    group.addoption(
        "--metaopt-readiness",
        metavar="PATH",
        help="Write the readiness artifact here instead of .ml-metaopt/preflight-readiness.json.",
    )
    group.addoption(
        "--metaopt-report",
        action="append",
        default=[],
        metavar="FORMAT[=PATH]",
        help="Write the findings in this format, to a file or else to the terminal (repeatable). Formats:"
        f" {formats}, and those that other packages register.",
    )
    group.addoption(
        "--metaopt-timeout",
        metavar="SECONDS",
        help="Timeout of each query (SkyPilot, git ls-remote, a node, ...), in seconds. Default: 60.",
    )
    group.addoption(
        "--metaopt-max-connections",
        metavar="N",
        help="Maximum number of nodes queried at a time. Default: 64.",
    )
    group.addoption(
        "--metaopt-online",
        action="store_true",
        help="Also send the credentials to the services, to verify that they are accepted.",
    )
    group.addoption(
        "--metaopt-checks",
        action="store_true",
        help="Print the catalog of checks, built-in ones and your own, and exit.",
    )
    parser.addini(
        "metaopt_advisory",
        "Ids of checks whose failure is reported but does not block.",
        type="args",
        default=[],
    )
    parser.addini(
        "metaopt_models",
        "Names of the models that the training code knows, for job[model_known].",
        type="args",
        default=[],
    )
    parser.addini(
        "metaopt_model_registry",
        "Where the training code keeps its models, package.module:REGISTRY (a mapping or iterable of names);"
        " it is imported in a process of its own.",
        default="",
    )
    parser.addini(
        "metaopt_trainer",
        "The source of the trainer's arguments, for job[hyper_known]: package.module:build_parser (returns an"
        " argparse parser), or a script that has --help.",
        default="",
    )
    parser.addini(
        "metaopt_blocking",
        "Ids of advisory checks whose failure is to block.",
        type="args",
        default=[],
    )


def add_outside_kinds(config: pytest.Config, parser: pytest.Parser, args: list[str]) -> None:
    """Declare the options of the kinds that other packages register, where *args* may have one.

    To look for their entry points takes a while, so sessions without any of our options do not.

    :raises pytest.UsageError: a kind cannot be used.
    """
    if not any(str(arg).startswith("--metaopt-") or arg in {"-h", "--help"} for arg in args):
        return
    from ..documents.kinds import KindError, outside_kinds

    try:
        outside = list(outside_kinds().values())
    except KindError as error:
        raise pytest.UsageError(str(error)) from None
    if not outside:
        return
    group = parser.getgroup("metaopt")
    for kind in outside:
        _add_kind(group, kind)
    config.stash[_OUTSIDE] = tuple(kind.destination for kind in outside)
    config.known_args_namespace = parser.parse_known_args(args, namespace=copy(config.option))


def _add_kind(group: pytest.OptionGroup, kind: Kind) -> None:
    group.addoption(
        kind.option,
        action="append",
        default=[],
        dest=kind.destination,
        metavar=kind.metavar,
        help=kind.help,
    )


def document_named(config: pytest.Config, option: object) -> bool:
    """Whether *option*, the parsed command line, names a document by option."""
    outside = config.stash.get(_OUTSIDE, ())
    names: Iterable[str] = (*(kind.destination for kind in KINDS.values()), *outside)
    return any(getattr(option, name, ()) for name in names)


def is_requested(config: pytest.Config) -> bool:
    """Tell, without importing anything, whether this session may have a document of ours."""
    option = config.option
    suffixes = tuple(suffix for kind in KINDS.values() for suffix in kind.suffixes)
    return bool(
        document_named(config, option)
        or option.metaopt_override
        or option.metaopt_checks
        or any(file_part(arg).endswith(suffixes) for arg in config.args)
    )


def file_part(argument: str) -> str:
    """Return the path of an argument that may be a node id."""
    return str(argument).split("::", 1)[0]
