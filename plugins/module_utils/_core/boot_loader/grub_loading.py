# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an entry of GRUB's menu loads: the kernel, its arguments, its initramfs images."""

from __future__ import annotations

import posixpath
import re

LINUX = ("linux", "linuxefi", "linux16", "linux32", "kernel")
INITRD = ("initrd", "initrdefi", "initrd16", "initrd32")
HYPERVISOR = ("multiboot", "multiboot2", "xen_hypervisor")
# They load something else than Linux, in the place of what was loaded before.
OTHERS = (
    "chainloader",
    "ntldr",
    "freedos",
    "truecrypt",
    "plan9",
    "kfreebsd",
    "knetbsd",
    "kopenbsd",
    "xnu_kernel",
    "xnu_kernel64",
    "appleloader",
)
MODULE = ("module", "module2", "xen_module")
# Ubuntu's console hand-off to the kernel, which GRUB sets depending on the graphics card: no module and no udev rule reads it.
IRRELEVANT_VARIABLES = frozenset(("vt_handoff",))


class Loading:
    """Collects the commands that load something; the last kernel counts, as in GRUB."""

    def __init__(self) -> None:
        self.kernel: str | None = None
        self.arguments: tuple[str, ...] = ()
        self.initrds: tuple[str, ...] = ()
        self.source: str | None = None
        self.doubts: list[str] = []
        self.is_other = False
        """Whether something else than Linux is loaded."""
        self.chained: str | None = None
        """A program of the firmware that is started, such as a unified image, which ``arguments`` are for then."""
        self.hypervisor: str | None = None
        """Xen's file, which starts the kernel as its own guest."""

    @property
    def command_line(self) -> str:
        return " ".join(as_argument(field) for field in self.arguments)

    def take(self, fields: tuple[str, ...], unknown: tuple[str, ...], here: str, is_certain: bool) -> bool:
        """Whether this command loads something.  ``here`` is its file and line, ``unknown`` the variables in it with unknown values."""
        name = fields[0]
        if name not in (*LINUX, *INITRD, *HYPERVISOR, *MODULE, *OTHERS):
            return False
        if not is_certain:
            self.doubts.append(f"{here}: whether this `{name}` is run cannot be determined without running GRUB.")
        self.doubts += [f"{here}: the value of ${variable} is unknown." for variable in sorted(set(unknown) - IRRELEVANT_VARIABLES)]
        at = next((at for at, field in enumerate(fields) if at > 0 and not field.startswith("--")), len(fields))
        if name in OTHERS:
            self.kernel, self.hypervisor, self.is_other = None, None, True
            self.chained = fields[at] if name == "chainloader" and at < len(fields) else None
            self.arguments = fields[at + 1 :]
        elif name in INITRD:
            self._initrd(fields[at:], here)
        elif at == len(fields):
            self.doubts.append(f"{here}: this `{name}` does not name a file.")
        elif name in LINUX:
            self.kernel, self.arguments, self.source, self.initrds = fields[at], fields[at + 1 :], here, ()
            self.hypervisor, self.is_other, self.chained = None, False, None
        elif name in HYPERVISOR:
            self.hypervisor = fields[at] if posixpath.basename(fields[at]).startswith("xen") else None
            self.kernel, self.initrds, self.is_other, self.chained = None, (), self.hypervisor is None, None
        elif self.hypervisor is not None:
            self._module(fields[at], fields[at + 1 :], here)
        return True

    def _initrd(self, paths: tuple[str, ...], here: str) -> None:
        self.initrds = tuple(path for path in paths if not path.startswith("newc:"))
        if len(self.initrds) < len(paths):
            self.doubts.append(f"{here} adds single files to the initramfs, which are not read.")

    def _module(self, path: str, arguments: tuple[str, ...], here: str) -> None:
        """Xen takes its first module as the kernel and the next as the initramfs."""
        if self.kernel is None:
            rest = arguments[1:] if arguments[:1] == ("placeholder",) else arguments
            self.kernel, self.arguments, self.source = path, rest, here
        elif not posixpath.basename(path).startswith(("xenpolicy", "ucode")):
            self.initrds += (path,)


def load_alike(command: str, other: str) -> bool:
    """Whether two commands load the same thing: openSUSE's $linux is `linux` or `linuxefi`, depending on processor and firmware."""
    return any(command in commands and other in commands for commands in (LINUX, INITRD))


def as_argument(field: str) -> str:
    """A field as GRUB writes it to the kernel's command line.  (grub-core/lib/cmdline.c)"""
    escaped = re.sub(r"\\(?!x[0-9a-fA-F]{2})|['\"]", lambda match: f"\\{match[0]}", field)
    return f'"{escaped}"' if " " in field else escaped
