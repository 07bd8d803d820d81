# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""DKMS's own commands for one version of a package, each bounded in time."""

from __future__ import annotations

import dataclasses
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.tree import Places
    from ansible_collections.vfio.variants.plugins.module_utils._core.host import Completed, Host

# DKMS calls depmod, modinfo and others by name, and a session without a login shell may lack the sbin folders.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SECONDS = 300
"""For everything but a build: copying files and, on a slow machine, half a minute of depmod."""
NOT_MEANT_FOR_KERNEL = 77


@dataclasses.dataclass(frozen=True)
class DkmsCommand:
    """``dkms`` on a version of a package, in the trees that ``places`` names."""

    host: Host
    places: Places
    name: str
    version: str

    def add(self) -> None:
        self._run("add")

    def build(self, release: str, arch: str, seconds: float) -> Completed:
        """Exit code 0, or 77 when the package is not meant for that kernel.  Raises HostError on every other."""
        return self._run("build", *_kernel(release, arch), seconds=seconds, ok=(0, NOT_MEANT_FOR_KERNEL))

    def install(self, release: str, arch: str) -> None:
        # Without --force DKMS 3.0 keeps a file of the same version, says nothing and exits with 0.
        self._run("install", *_kernel(release, arch), "--no-depmod", "--force")

    def uninstall(self, release: str, arch: str) -> None:
        self._run("uninstall", *_kernel(release, arch), "--no-depmod")

    def remove(self) -> None:
        self._run("remove", "--all", "--no-depmod")

    def _run(self, action: str, *arguments: str, seconds: float = SECONDS, ok: t.Container[int] = (0,)) -> Completed:
        trees = ("--dkmstree", self.places.tree, "--sourcetree", self.places.source, "--installtree", self.places.install)
        argv = ["dkms", action, "-m", self.name, "-v", self.version, *arguments, *trees]
        return self.host.run(argv, seconds, ok=ok, env={"PATH": PATH})


def run_depmod(host: Host, release: str) -> None:
    """Let depmod read a kernel's module tree again, against the kernel's symbols where they are known."""
    symbols = f"/boot/System.map-{release}"
    known = ("-F", symbols) if host.is_file(symbols) else ()
    host.run(["depmod", "-a", *known, release], SECONDS, env={"PATH": PATH})


def _kernel(release: str, arch: str) -> tuple[str, ...]:
    return ("-k", release, "-a", arch)
