"""Runs a command line's main function in this process, as if it had one of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from subprocess import CompletedProcess
from unittest.mock import patch

from _pytest.pytester import SysModulesSnapshot, SysPathsSnapshot


def run_here(
    main: Callable[[list[str]], int],
    arguments: list[str],
    cwd: Path,
    environment: Mapping[str, str] | None = None,
) -> CompletedProcess[str]:
    """Call *main* in the directory *cwd*, and return its exit status and what it printed.

    Modules that it imports, the path, the environment and the directory are put back as they were.
    """
    out, err = StringIO(), StringIO()
    modules, paths, back = SysModulesSnapshot(), SysPathsSnapshot(), Path.cwd()
    environment = os.environ if environment is None else environment
    try:
        with (
            patch.dict(os.environ, dict(environment), clear=True),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            os.chdir(cwd)
            sys.path[:0] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
            try:
                status = int(main(arguments))
            except SystemExit as ended:
                status = int(ended.code or 0)
    finally:
        os.chdir(back)
        paths.restore()
        modules.restore()
    return CompletedProcess(arguments, status, out.getvalue(), err.getvalue())
