# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A DKMS package of one of the kernel's own variants, with that driver's files of each kernel's own source.

    <name>-<version>/dkms.conf, Makefile
    <name>-<version>/<release>/drivers/vfio/pci/…   unchanged, as in the source of that kernel
    <name>-<version>/<release>/origin.json           where they are from, their licences and checksums
    <name>-<version>/<release>/options.mk            the options of make with which they are built

What a kernel was given once stays while the kernel does: the package with its source may be replaced by that of a newer kernel.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.conf import DkmsConf
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.driver_files import COPYING, LARGEST_SOURCE
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.module_check import ExpectedModule
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.source_tree import SourceFile, digest
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.kernel_identity import KernelIdentity
    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.linux_tree import LinuxTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.variant_source import Variant
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import Result

VERSION = "1"
"""Of the package's own form.  What it has of kernels is in each kernel's folder."""
ORIGIN, OPTIONS = "origin.json", "options.mk"
RELEASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*", re.ASCII)
_CONF = """\
# Written by vfio.variants.dkms_package: a driver of the kernel's own source, for those kernels of which that source was there.
PACKAGE_NAME="{name}"
PACKAGE_VERSION="{version}"

BUILT_MODULE_NAME[0]="{module}"
BUILT_MODULE_LOCATION[0]="${{kernelver}}/{folder}"
DEST_MODULE_LOCATION[0]="/updates/dkms"

MAKE[0]="make KVER=${{kernelver}} KDIR=${{kernel_source_dir}} modules"
AUTOINSTALL="yes"

BUILD_EXCLUSIVE_KERNEL="^({releases})$"
BUILD_EXCLUSIVE_CONFIG="CONFIG_VFIO_PCI_CORE"
"""
_MAKEFILE = """\
# Written by vfio.variants.dkms_package. {release}/options.mk has the options that the kernel itself would be built with.
KVER ?= $(shell uname -r)
KDIR ?= /lib/modules/$(KVER)/build

-include $(KVER)/options.mk

modules:
\t$(MAKE) -C $(KDIR) M=$(CURDIR)/$(KVER)/{folder} $(VARIANT_OPTIONS) KCFLAGS="$(VARIANT_FLAGS)" modules

clean:
\tfind . -type f '(' -name '*.o' -o -name '*.ko' -o -name '*.mod' -o -name '*.mod.c' -o -name '.*.cmd' -o -name '.*.d' \\
\t\t-o -name modules.order -o -name Module.symvers ')' -delete

.PHONY: modules clean
"""


@dataclasses.dataclass(frozen=True)
class VariantForKernel:
    """The driver for one kernel: what origin.json says, and the files of the kernel's source."""

    release: str
    origin: t.Mapping[str, t.Any]
    files: t.Mapping[str, bytes]

    @classmethod
    def of(cls, variant: Variant, tree: LinuxTree, kernel: KernelIdentity, options: t.AbstractSet[str]) -> VariantForKernel:
        copying = {COPYING: tree.files[COPYING]} if COPYING in tree.files else {}
        files = {**copying, **variant.files}
        origin = {
            "kernel": kernel.release,
            "version": tree.version,
            "package": kernel.package or tree.package,
            "from": tree.where,
            "licences": list(variant.licences),
            "module": variant.module,
            "folder": variant.folder,
            "option": variant.option,
            "parts": list(variant.parts(options)),
            "without": list(variant.selected(options)),
            "only_compiles": variant.only_compiles(options),
            "aliases": list(variant.aliases),
            "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())},
        }
        return cls(kernel.release, origin, files)

    @classmethod
    def kept(cls, host: Host, package: str, kernel: KernelIdentity) -> VariantForKernel | None:
        """What the package that is there has for a kernel, if that is whole and from the same source as the kernel."""
        here = f"{package}/{kernel.release}"
        try:
            origin = json.loads(host.text_or_none(f"{here}/{ORIGIN}") or "")
            files = {str(name): host.read_bytes(f"{here}/{name}", LARGEST_SOURCE) for name in origin["files"] if _is_inside(str(name))}
            whole = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()} == origin["files"]
            same = kernel.version in (None, origin["version"]) and kernel.package in (None, origin["package"])
            found = cls(kernel.release, origin, files) if whole and same and origin["kernel"] == kernel.release else None
            return found if found is not None and found.expected and found.source_files else None
        except (HostError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    @property
    def module(self) -> str:
        return str(self.origin["module"])

    @property
    def expected(self) -> tuple[ExpectedModule, ...]:
        return (ExpectedModule(self.module, tuple(map(str, self.origin["aliases"]))),)

    @property
    def source_files(self) -> tuple[SourceFile, ...]:
        own = {ORIGIN: f"{json.dumps(self.origin, indent=1, sort_keys=True)}\n".encode(), OPTIONS: self._options().encode()}
        return tuple(SourceFile(f"{self.release}/{name}", False, content) for name, content in {**self.files, **own}.items())

    def result(self) -> Result:
        return {key: self.origin[key] for key in ("from", "version", "package", "licences", "without", "only_compiles")}

    def _options(self) -> str:
        parts = [str(part) for part in self.origin["parts"]]
        values = [f"CONFIG_{self.origin['option']}=m", *(f"CONFIG_{part}=y" for part in parts)]
        flags = [f"-DCONFIG_{self.origin['option']}_MODULE=1", *(f"-DCONFIG_{part}=1" for part in parts)]
        return f"VARIANT_OPTIONS := {' '.join(values)}\nVARIANT_FLAGS := {' '.join(flags)}\n"


def _is_inside(name: str) -> bool:
    return not name.startswith("/") and ".." not in name.split("/")


def package_name(variant: str) -> str:
    return f"linux-vfio-{variant.replace('_', '-')}"


def package_files(variant: str, kernels: t.Sequence[VariantForKernel]) -> tuple[DkmsConf, str, tuple[SourceFile, ...]]:
    """The package's dkms.conf, the digest of its files, and these; the newest kernel is the last of ``kernels``."""
    name, newest = package_name(variant), kernels[-1]
    releases = "|".join(re.sub(r"[.+]", lambda sign: f"[{sign[0]}]", kernel.release) for kernel in kernels)
    words = {"name": name, "version": VERSION, "module": newest.module, "folder": newest.origin["folder"], "releases": releases}
    conf = _CONF.format(**words)
    makefile = _MAKEFILE.format(release="RELEASE", folder=newest.origin["folder"])
    own = (SourceFile("dkms.conf", False, conf.encode()), SourceFile("Makefile", False, makefile.encode()))
    files = (*own, *(file for kernel in kernels for file in kernel.source_files))
    return DkmsConf(conf, f"{name}-{VERSION}/dkms.conf"), digest(files), files
