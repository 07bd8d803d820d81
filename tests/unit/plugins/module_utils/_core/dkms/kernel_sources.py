# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small sources of kernels, laid out as Linux is, with variant drivers that only the model of DKMS can compile."""

from __future__ import annotations

import io
import tarfile
import typing as t

ACME = "vfio_pci:v00001E3Dd00000010sv*sd*bc*sc*i*"
CONFIG = "CONFIG_VFIO_PCI_CORE=m\nCONFIG_ACME_CORE=m\nCONFIG_PCI_IOV=y\n"
KCONFIG = """\
# A comment
config ACME_VFIO_PCI
\ttristate "VFIO support for ACME devices"
\tdepends on ACME_CORE && PCI_IOV
\tselect VFIO_PCI_CORE
\tselect IOMMUFD_DRIVER
\thelp
\t  depends on nothing, as far as this text goes.

config ACME_VFIO_PCI_LEGACY
\tbool "Old devices"
\tdepends on ACME_VFIO_PCI && ACME_LEGACY
\tdefault y
"""


def driver(*aliases: str, ids: str = "{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(PCI_VENDOR_ID_ACME, 0x0010) }, /* all */") -> str:
    """A source file with a table, and for the model of a compiler its aliases."""
    lines = "\n".join(aliases)
    return (
        f"// SPDX-License-{'Identifier'}: GPL-2.0-only\n/*\n{lines}\n*/\n"
        f"static const struct pci_device_id acme_table[] = {{\n\t{ids}\n\t{{}}\n}};\n"
        "MODULE_DEVICE_TABLE(pci, acme_table);\n"
    )


def linux(version: str, source: str | None = None, kconfig: str = KCONFIG) -> dict[str, str]:
    """The files of a kernel's source that has the variant `acme`."""
    major, minor, patch = version.split(".")
    return {
        "COPYING": "GPL-2.0 WITH Linux-syscall-note\n",
        "Makefile": f"# top\nVERSION = {major}\nPATCHLEVEL = {minor}\nSUBLEVEL = {patch}\nEXTRAVERSION =\nNAME = A Name\n",
        "drivers/gpu/other.c": "int other;\n",
        "drivers/vfio/pci/Makefile": "obj-$(CONFIG_ACME_VFIO_PCI) += acme/\n",
        "drivers/vfio/pci/acme/Kconfig": kconfig,
        "drivers/vfio/pci/acme/Makefile": "obj-$(CONFIG_ACME_VFIO_PCI) += acme-vfio-pci.o\nacme-vfio-pci-y := main.o\n",
        "drivers/vfio/pci/acme/main.c": driver(ACME) if source is None else source,
        "include/linux/pci_ids.h": "#define PCI_VENDOR_ID_ACME\t\t0x1e3d\n",
        "kernel/fork.c": "int fork;\n",
    }


def archive(files: t.Mapping[str, str], folder: str = "linux-source-6.12", kind: str = "w:xz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=t.cast("t.Any", kind)) as opened:
        for name, text in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(text)
            opened.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def generated(version: str, package: str | None = None) -> dict[str, str]:
    """The headers, by their path below include/generated, by which a kernel says from what it was built."""
    major, minor, patch = version.split(".")
    code = f"#define LINUX_VERSION_MAJOR {major}\n#define LINUX_VERSION_PATCHLEVEL {minor}\n#define LINUX_VERSION_SUBLEVEL {patch}\n"
    said = {"package.h": f'#define LINUX_PACKAGE_ID " Debian {package}"\n'} if package else {}
    return {"uapi/linux/version.h": code, **said}
