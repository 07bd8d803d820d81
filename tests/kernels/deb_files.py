# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single packages of the archive, unpacked without being installed."""

from __future__ import annotations

import subprocess
import tempfile
import typing as t
from pathlib import Path

from kernel_offers import Deb

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed import apt
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.program import require
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.unavailable import asked_again

_SECONDS = 900
Say = t.Callable[[str], None]
Command = t.Sequence[str | Path]


def unpack(deb: Deb, folder: Path, say: Say, *members: str) -> None:
    """Into a folder, all of it or these members only; ArchiveUnavailableError when it cannot be had."""
    with tempfile.TemporaryDirectory() as place:
        # Not dpkg -x, which puts a folder in the place of a link such as /lib.
        written: Command = ("tar", "--extract", "--directory", folder, "--keep-directory-symlink", *members)
        piped(deb.address, ("dpkg-deb", "--fsys-tarfile", _fetched(deb, Path(place), say)), written)


def unpack_inner(deb: Deb, archive: str, folder: Path, say: Say, *members: str) -> None:
    """Into a folder, these members of an archive that is in the package, without the first two parts of their paths."""
    with tempfile.TemporaryDirectory() as place:
        outer: Command = ("dpkg-deb", "--fsys-tarfile", _fetched(deb, Path(place), say))
        inner: Command = ("tar", "--extract", "--xz", "--occurrence=1", "--directory", folder, "--strip-components=2", *members)
        piped(deb.address, outer, ("tar", "--extract", "--to-stdout", archive), inner, to_the_end=False)


def _fetched(deb: Deb, place: Path, say: Say) -> Path:
    file = place / "package.deb"
    require(str(apt.HELPER), "apt")
    asked_again(lambda: apt.download(deb.address, deb.sha256, file), say)
    return file


def piped(what: str, *commands: Command, to_the_end: bool = True) -> None:
    """Run programs of which each reads what the one before it writes: whether that is all of it says `to_the_end`."""
    running: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands[:-1]:
            before = running[-1].stdout if running else None
            running.append(subprocess.Popen(command, stdin=before, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL))
            if before:
                before.close()
        last = subprocess.run(commands[-1], stdin=running[-1].stdout, capture_output=True, text=True, timeout=_SECONDS, check=False)
    finally:
        for process in running:
            if process.stdout:
                process.stdout.close()
        for process in running:
            process.wait(_SECONDS)
    if last.returncode or (to_the_end and any(process.returncode for process in running)):
        raise HostError(f"{what} cannot be unpacked: {last.stderr.strip()}")
