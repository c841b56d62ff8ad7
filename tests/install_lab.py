"""Install what the laboratory of network namespaces needs, where it can: as root on Debian or Ubuntu.

tox runs it before the tests. Where it can't, it says why, and the tests of real nodes skip with that reason.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

PACKAGES = ("iproute2", "iputils-ping", "openssh-client", "openssh-server")
PROGRAMS = ("ip", "ping", "ssh", "ssh-keygen", "sshd")
_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
_LONGEST = 300


def main() -> None:
    """Install the packages of the programs that are missing."""
    missing = [program for program in PROGRAMS if shutil.which(program, path=_PATH) is None]
    if not missing:
        return
    told = f"tests of real nodes need {', '.join(missing)}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"{told}; this is not root on Debian or Ubuntu, so they will skip", file=sys.stderr)
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(
            ["apt-get", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_LONGEST,
            check=False,
        )
        if done.returncode != 0:
            print(f"{told}; apt-get {arguments[0]} failed, so they will skip:", file=sys.stderr)
            print(done.stdout[-2000:], file=sys.stderr)
            return
    print(f"installed {', '.join(PACKAGES)}", file=sys.stderr)


if __name__ == "__main__":
    main()
