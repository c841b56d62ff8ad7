"""The command line and the ini file: what can be set.

Imported in every pytest session, used or not, so it imports nothing: the typed settings are next door.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import pytest


def add_options(parser: pytest.Parser) -> None:
    """Declare the options and ini keys."""
    group = parser.getgroup("metaopt", "preflight of GPU training campaigns (pytest-metaopt)")
    group.addoption(
        "--metaopt-campaign",
        action="append",
        default=[],
        metavar="PATH",
        help="Run the checks of this campaign file (repeatable). With no other path on the command line"
        " nothing else is collected.",
    )
    group.addoption(
        "--metaopt-manifest",
        action="append",
        default=[],
        metavar="PATH|auto",
        help="Run the checks of this training manifest (repeatable). auto: the first that is there of"
        " /etc/cis490/training_manifest.toml and training_manifest.toml in the project root.",
    )
    group.addoption(
        "--metaopt-run-config",
        action="append",
        default=[],
        metavar="PATH",
        help="Run the checks of this run config, or of those that match a pattern such as 'runs/*.yaml'"
        " (repeatable).",
    )
    group.addoption(
        "--metaopt-launch",
        action="append",
        default=[],
        metavar="PATH",
        help="Run the checks of this launch spec: its nodes, GPUs, networks and disks (repeatable).",
    )
    group.addoption(
        "--metaopt-override",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="Look at every run config as if it had this value: a dotted path, and a value as YAML reads it"
        " (repeatable), such as compute.num_accelerators=2.",
    )
    group.addoption(
        "--metaopt-root",
        metavar="DIR",
        help="Project root: where .ml-metaopt/ and .gitignore belong. Default: the nearest folder at or above"
        " the campaign file that holds .ml-metaopt or .git, else the campaign file's folder.",
    )
    group.addoption(
        "--metaopt-no-bootstrap",
        action="store_true",
        help="Evaluate only: run no bootstrap, so that nothing in the project is made or changed"
        " but the readiness artifact.",
    )
    group.addoption(
        "--metaopt-readiness",
        metavar="PATH",
        help="Write the readiness artifact here instead of .ml-metaopt/preflight-readiness.json.",
    )
    group.addoption(
        "--metaopt-timeout",
        metavar="SECONDS",
        help="Seconds that each fact from outside (SkyPilot's answer, git ls-remote, a node, ...) may take."
        " Default: 60.",
    )
    group.addoption(
        "--metaopt-max-connections",
        metavar="N",
        help="How many nodes of a launch are asked at a time. Default: 64.",
    )
    group.addoption(
        "--metaopt-online",
        action="store_true",
        help="Look deeper: ask the services themselves whether they accept the credentials.",
    )
    group.addoption(
        "--metaopt-checks",
        action="store_true",
        help="Print the catalog of checks, built-in ones and your own, and exit.",
    )
    parser.addini(
        "metaopt_advisory",
        "Ids of checks whose failure is to be told but not to block.",
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
        "What knows the trainer's arguments, for job[hyper_known]: package.module:build_parser (returns an"
        " argparse parser), or a script that has --help.",
        default="",
    )
    parser.addini(
        "metaopt_blocking",
        "Ids of advisory checks whose failure is to block.",
        type="args",
        default=[],
    )


def asked_for(config: pytest.Config) -> bool:
    """Tell, without importing anything, whether this session may have a document of ours."""
    option = config.option
    return bool(
        option.metaopt_campaign
        or option.metaopt_manifest
        or option.metaopt_run_config
        or option.metaopt_launch
        or option.metaopt_override
        or option.metaopt_checks
        or any(file_part(arg).endswith((".yaml", ".yml", ".toml")) for arg in config.args)
    )


def file_part(argument: str) -> str:
    """Return the path of an argument that may be a node id."""
    return str(argument).split("::", 1)[0]
