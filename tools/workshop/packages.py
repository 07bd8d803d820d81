# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian packages that the project needs on the machine where it is tested."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from workshop.console import say, stay_silent
from workshop.errors import WorkshopError
from workshop.process import stream

INSTALL_SECONDS = 1800
RETRIES = ("-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=300")


def wanted(listing: Path) -> list[str]:
    """The packages named in a file: one a line, comments after a hash."""
    lines = (line.split("#", 1)[0].strip() for line in listing.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def is_installed(package: str) -> bool:
    query = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package]
    done = subprocess.run(query, capture_output=True, encoding="utf-8", check=False, timeout=60)
    return done.returncode == 0 and done.stdout == "installed"


def install_missing(listing: Path) -> None:
    """Install what is missing; asks the package index anew only if the known one does not do."""
    if not shutil.which("dpkg-query") or not shutil.which("apt-get"):
        say(f"no apt here: these Debian packages, or what your system calls them, have to be installed: {' '.join(wanted(listing))}")
        return
    missing = [package for package in wanted(listing) if not is_installed(package)]
    if not missing:
        return
    say(f"installing Debian packages: {' '.join(missing)}")
    install = ["apt-get", *RETRIES, "install", "--yes", "--no-install-recommends", "--quiet", *missing]
    if _as_root(install, quiet=True):
        return
    if not _as_root(["apt-get", *RETRIES, "update", "--quiet"]) or not _as_root(install):
        raise WorkshopError(f"Debian packages could not be installed: {' '.join(missing)}. See apt-get's messages above.")


def _as_root(argv: list[str], *, quiet: bool = False) -> bool:
    if os.geteuid() != 0:
        if not shutil.which("sudo"):
            raise WorkshopError(f"'{' '.join(argv)}' needs root, and there is no sudo. Run it as root, then make again.")
        argv = ["sudo", "--non-interactive", "DEBIAN_FRONTEND=noninteractive", *argv]
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return stream(argv, cwd=Path("/"), env=env, seconds=INSTALL_SECONDS, show=stay_silent if quiet else say).code == 0
