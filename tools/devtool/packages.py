# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian packages that the project needs on the machine where it is tested."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.unavailable import (
    ArchiveUnavailableError,
    MissingPackage,
    in_apt_output,
    obtain,
    preferences,
)
from devtool.console import say, stay_silent
from devtool.errors import DevtoolError
from devtool.process import Ended, stream

INSTALL_SECONDS = 1800
RETRIES = ("-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=300")
# apt's sentences are understood in English only.
VARIABLES = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
PREFERENCES = Path("/etc/apt/preferences")


def wanted(listing: Path) -> list[str]:
    """The packages named in a file: one a line, comments after a hash."""
    lines = (line.split("#", 1)[0].strip() for line in listing.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def is_installed(package: str) -> bool:
    query = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package]
    done = subprocess.run(query, capture_output=True, encoding="utf-8", check=False, timeout=60)
    return done.returncode == 0 and done.stdout == "installed"


def install_missing(listing: Path) -> None:
    """Install what is missing; asks for a new package index only if the known one does not do.

    ArchiveUnavailableError when the archive lacks something, in every version; DevtoolError when anything else is wrong.
    """
    if not shutil.which("dpkg-query") or not shutil.which("apt-get"):
        say(f"no apt here: these Debian packages, or what your system calls them, have to be installed: {' '.join(wanted(listing))}")
        return
    missing = [package for package in wanted(listing) if not is_installed(package)]
    if not missing:
        return
    say(f"installing Debian packages: {' '.join(missing)}")
    if _install(missing, (), quiet=True).code != 0:
        obtain(lambda avoided: _install_from_new_index(missing, avoided), say)


def _install_from_new_index(packages: list[str], avoided: tuple[MissingPackage, ...]) -> None:
    # An index that cannot be read may be one that none of the packages comes from.
    _as_root(["apt-get", *RETRIES, "update", "--quiet"])
    ended = _install(packages, avoided)
    if ended.code == 0:
        return
    missing = in_apt_output("\n".join(ended.output))
    if missing:
        raise ArchiveUnavailableError(missing)
    raise DevtoolError(f"Debian packages could not be installed: {' '.join(packages)}. See apt-get's messages above.")


def _install(packages: list[str], avoided: tuple[MissingPackage, ...], *, quiet: bool = False) -> Ended:
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="preferences-") as file:
        own = PREFERENCES.read_text(encoding="utf-8") if PREFERENCES.is_file() else ""
        file.write(f"{own}\n\n{preferences(avoided)}")
        file.flush()
        Path(file.name).chmod(0o644)
        instead = ("-o", f"Dir::Etc::preferences={file.name}") if avoided else ()
        return _as_root(["apt-get", *RETRIES, *instead, "install", "--yes", "--no-install-recommends", "--quiet", *packages], quiet=quiet)


def _as_root(argv: list[str], *, quiet: bool = False) -> Ended:
    if os.geteuid() != 0:
        if not shutil.which("sudo"):
            raise DevtoolError(f"'{' '.join(argv)}' needs root, and there is no sudo. Run it as root, then make again.")
        argv = ["sudo", "--non-interactive", *(f"{name}={value}" for name, value in VARIABLES.items()), *argv]
    return stream(argv, cwd=Path("/"), env={**os.environ, **VARIABLES}, seconds=INSTALL_SECONDS, show=stay_silent if quiet else say)
