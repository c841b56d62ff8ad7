"""Install what the laboratory of network namespaces needs, where it can: as root on Debian or Ubuntu.

tox runs it before the tests. Where it cannot, it says why, and the tests of real nodes skip with that reason.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

PACKAGES = ("iproute2", "iputils-ping", "openssh-client", "openssh-server")
PROGRAMS = ("ip", "ping", "ssh", "ssh-keygen", "sshd")
_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
_LONGEST = 180


def main() -> None:
    """Install the packages of the programs that are missing."""
    missing = [program for program in PROGRAMS if shutil.which(program, path=_PATH) is None]
    if not missing:
        return
    reported = f"tests of real nodes need {', '.join(missing)}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"{reported}; this is not root on Debian or Ubuntu, so they will skip", file=sys.stderr)
        return
    # Where the lists cannot be renewed, those that are there may do.
    problems = [
        problem
        for arguments in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", *PACKAGES])
        if (problem := _apt_get(arguments)) is not None
    ]
    for problem in problems:
        print(problem, file=sys.stderr)
    still = [program for program in PROGRAMS if shutil.which(program, path=_PATH) is None]
    reported = f"{', '.join(still)} could not be installed" if still else f"installed {', '.join(PACKAGES)}"
    print(f"{reported}{', so tests of real nodes will skip' if still else ''}", file=sys.stderr)


def _apt_get(arguments: list[str]) -> str | None:
    """Run ``apt-get``; return what it said at the end where it failed, or took too long."""
    try:
        done = subprocess.run(
            ["apt-get", *arguments],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_LONGEST,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"apt-get {arguments[0]} took more than {_LONGEST} s"
    return None if done.returncode == 0 else f"apt-get {arguments[0]} failed: {done.stdout[-2000:]}"


if __name__ == "__main__":
    main()
