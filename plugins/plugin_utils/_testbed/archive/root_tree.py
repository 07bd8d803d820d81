# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian packages unpacked and installed into a folder by mmdebstrap."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive import apt
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.guest_file import GuestFile, write_archive
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.recipe import DPKG_OPTIONS, Recipe
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.suite import KEYRING, Suite
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.unavailable import (
    ArchiveUnavailableError,
    MissingPackage,
    obtain,
    preferences,
)
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.program import require, run
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.progress import Progress

#: How this machine reaches the archive is its administrator's decision; everything else of its apt configuration stays out.
_CONNECTION = ("Acquire::http::", "Acquire::https::", "Acquire::Retries ")
_DPKG_DATABASE = Path("/var/lib/dpkg")
#: In the tree, as long as it is being made.
_PINS = "etc/apt/preferences.d/while-making"

_APT_OPTIONS = (
    'APT::Install-Recommends "false"',
    # A mirror may lag behind, and testing's Release files expire within days; the signature is checked all the same.
    'Acquire::Check-Valid-Until "false"',
)


def install(
    recipe: Recipe, extra: t.Sequence[GuestFile], suite: Suite, mirror: str, tree: Path, progress: Progress, timeout: float
) -> None:
    """Install the recipe's packages, its files and the `extra` files into the new folder `tree`.

    Runs as root only.  mmdebstrap dies with this process, and with it every mount, because the mounts live in a name
    space of its own; in that name space the package database of this machine is read-only, so that no hook can touch it.
    What the `mirror` cannot deliver is asked for again, and then another version of it that it names.
    """
    before, after = (tree.parent / name for name in ("before.tar", "after.tar"))
    write_archive(recipe.files_before_packages, before)
    write_archive((*recipe.files_after_packages, *extra), after)
    hooks = (
        f"--essential-hook=tar-in {shlex.quote(str(before))} /",
        *(f'--customize-hook=chroot "$1" {shlex.join(command)}' for command in recipe.commands),
        f"--customize-hook=tar-in {shlex.quote(str(after))} /",
    )
    words = ("--mode=root", "--variant=minbase", *hooks, f"--include={','.join(recipe.packages)}")

    def attempt(avoided: tuple[MissingPackage, ...]) -> None:
        # What backports are asked for is not what the release below them has; that release's fixes are in yet another archive.
        other = "" if not avoided else suite.without_base("linux-image-* linux-headers-*") or suite.security(mirror)
        sources, preference = (recipe.sources, other) if suite.is_backports else (recipe.sources + other, "")
        _make(words, suite, sources, preferences(avoided) + preference, tree, progress, timeout)

    obtain(attempt, progress.say)
    (tree / "etc/apt/apt.conf.d/99mmdebstrap").unlink(missing_ok=True)
    for path in (before, after):
        path.unlink()


def extract(
    suite: Suite,
    mirror: str,
    packages: t.Sequence[str],
    tree: Path,
    progress: Progress,
    timeout: float,
    *,
    further: str = "",
    other_versions: bool = True,
    architecture: str = "",
) -> None:
    """Unpack packages and what they depend on into the new folder `tree`, configuring nothing; needs no root.

    `further`: more lines of sources.list(5); `architecture`: another one than this machine's, as Debian calls it.
    """
    other = (f"--architectures={architecture}",) if architecture else ()
    words = ("--mode=chrootless", "--variant=extract", f"--include={','.join(packages)}", *other)

    def attempt(avoided: tuple[MissingPackage, ...]) -> None:
        if avoided and not other_versions:
            raise ArchiveUnavailableError(avoided)
        _make(words, suite, suite.sources(mirror) + further, preferences(avoided) + suite.preference("*"), tree, progress, timeout)

    obtain(attempt, progress.say)


def _make(words: t.Sequence[str], suite: Suite, sources: str, preference: str, tree: Path, progress: Progress, timeout: float) -> None:
    """One run of mmdebstrap, into a tree that is not there yet, or that an earlier run did not finish."""
    shutil.rmtree(tree, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        lists, pins = Path(folder) / "sources.list", Path(folder) / "preferences"
        lists.write_text(sources, encoding="utf-8")
        pins.write_text(preference, encoding="utf-8")
        hook = f'--setup-hook=mkdir -p "$1"/etc/apt/preferences.d && cp {shlex.quote(str(pins))} "$1"/{_PINS}'
        arguments = (*words, *((hook,) if preference else ()), suite.base, str(tree), str(lists))
        _mmdebstrap(arguments, progress, timeout)
    (tree / _PINS).unlink(missing_ok=True)


def _mmdebstrap(arguments: t.Sequence[str], progress: Progress, timeout: float) -> None:
    if not KEYRING.is_file():
        raise HostError(f"This machine has no {KEYRING}, which verifies Debian's archive.", "apt-get install debian-archive-keyring")

    def report(line: str) -> None:
        if line.startswith("I: ") and line.endswith("..."):
            progress(line[3:-3].strip())

    mmdebstrap = require("mmdebstrap", "mmdebstrap")
    with apt.classified():
        run((*_confined(), mmdebstrap, *_options(), *arguments), timeout=timeout, on_line=report, on_wait=progress.still)


def _confined() -> tuple[str, ...]:
    setpriv = require("setpriv", "util-linux")
    if os.geteuid() != 0:
        return (setpriv, "--pdeathsig", "KILL", "--")
    unshare = (require("unshare", "util-linux"), "--mount", "--pid", "--mount-proc", "--fork", "--kill-child", "--")
    words = (setpriv, "--pdeathsig", "KILL", "--", *unshare)
    if not _DPKG_DATABASE.is_dir():
        return words
    guard = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    return (*words, "sh", "-c", guard, str(_DPKG_DATABASE))


def _options() -> tuple[str, ...]:
    apt = (f"--aptopt={option}" for option in (*_APT_OPTIONS, *_connection_options()))
    return (*apt, *(f"--dpkgopt={option}" for option in DPKG_OPTIONS))


def _connection_options() -> tuple[str, ...]:
    lines = run((require("apt-config", "apt"), "dump"), timeout=60).splitlines()
    return tuple(line for line in lines if line.startswith(_CONNECTION) and not line.endswith('"";'))
