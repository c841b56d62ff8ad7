"""The plugin's hooks as a table of contents: it costs nothing until a document is named."""

from __future__ import annotations

import pytest

from .session import options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _pytest.config.argparsing import Parser


def pytest_addoption(parser: Parser) -> None:
    """Declare our options and ini keys."""
    options.add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks that a conftest may implement."""
    from .session import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> None:
    """Make what an option or a campaign names an argument, so that its conftests are loaded first."""
    options.add_outside_kinds(early_config, parser, args)
    given = early_config.known_args_namespace
    if options.document_named(early_config, given) or any(
        str(argument).endswith((".yaml", ".yml")) for argument in given.file_or_dir
    ):
        from .session import arguments

        arguments.add_documents(early_config, args)


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers and, where a document is named, the hooks that do the work."""
    for marker in (
        "metaopt: a check of pytest-metaopt.",
        "blocking: a check whose failure means that the campaign is not ready.",
        "advisory: a check whose failure is reported but does not block.",
    ):
        config.addinivalue_line("markers", marker)
    if options.is_requested(config):
        from .session import hooks as session

        session.start(config)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Print the catalog, or refuse documents that are not there, before a session begins."""
    if not options.is_requested(config):
        return None
    from .session import arguments, catalog_page

    refused = arguments.refused_documents(config)
    if refused is not None:
        return refused
    return catalog_page.show(config) if config.option.metaopt_checks else None
