# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the collection asks a host for before it builds, compared with what a build really takes."""

from __future__ import annotations

import contextlib
import typing as t

from build_root import BuildRoot
from chroot_runner import ChrootRunner
from package import CheckError, Package
from target import Target

from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.build_requirements import missing_for_kernel

#: A program of each package, with the package.
_LLVM = {"clang": "clang", "ld.lld": "lld", "llvm-strip": "llvm"}


def asks_for_llvm(package: Package, root: BuildRoot, target: Target) -> str:
    """Each of LLVM's packages is asked for by its name where it is the only one that is not there, and none where all are."""
    host = Host(str(root.tree), ChrootRunner(root, target.crossing))
    _expect(host, target, [])
    for program, wanted in _LLVM.items():
        with _without(root, program):
            _expect(host, target, [wanted])
    return f"{', '.join(_LLVM.values())} of which one is missing"


def _expect(host: Host, target: Target, wanted: list[str]) -> None:
    found = missing_for_kernel(host, target.release)
    if [one.package for one in found] != wanted:
        raise CheckError(f"{wanted or 'nothing'} is missing, and the collection asks for {[one.what for one in found]}")


@contextlib.contextmanager
def _without(root: BuildRoot, program: str) -> t.Iterator[None]:
    path = root.tree / "usr/bin" / program
    aside = path.with_name(f"{program}.aside")
    path.rename(aside)
    try:
        yield
    finally:
        aside.rename(path)
