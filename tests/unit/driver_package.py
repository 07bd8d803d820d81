# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A package of kernel drivers, as its own files tell of it."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

PACKAGES = Path(__file__).resolve().parents[2] / "files/kernel"
TEMPLATE = PACKAGES / "template"

# What the kernel's build knows when it reads Kbuild.
_KERNEL = "CONFIG_MODULES := y\nCONFIG_VFIO_PCI_CORE := m\nKERNELRELEASE := 9.9.9\n"


@dataclass(frozen=True)
class DriverPackage:
    folder: Path

    @property
    def manifest(self) -> dict[str, list[str]]:
        """Module by module, the aliases that it has to carry."""
        return {module["name"]: module["aliases"] for module in json.loads(self._text("modules.json"))["modules"]}

    @property
    def dkms(self) -> dict[str, str]:
        """What dkms.conf sets."""
        return dict(re.findall(r'^([\w\[\]]+)="(.*)"$', self._text("dkms.conf"), re.MULTILINE))

    @property
    def table(self) -> list[tuple[int, int]]:
        """The IDs of the one driver's table, vendor and device, as its source has them."""
        (source,) = self.folder.glob("*.c")
        whole = re.search(r"struct pci_device_id \w+\[\] = \{\n(.*?)\t\{\}\n\};", source.read_text("utf-8"), re.DOTALL)
        assert whole is not None
        lines = whole[1].splitlines()
        found = [re.fullmatch(r"\t\{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO\(0x([0-9a-f]{4}), 0x([0-9a-f]{4})\) \},", line) for line in lines]
        return [(int(line[1], 16), int(line[2], 16)) for line in found if line] if all(found) else []

    def objects(self, headers: Path) -> list[str]:
        """What the kernel's build makes of it, its Kbuild being read by make; `headers` is the kernel's include folder."""
        kernel = f"{_KERNEL}srctree := {headers.parent}\nLINUXINCLUDE := -I{headers}\n"
        makefile = f"{kernel}src := {self.folder}\ninclude $(src)/Kbuild\nall:\n\t@echo $(obj-m)\n"
        done = subprocess.run(["make", "-s", "-f", "-"], input=makefile, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    def included(self) -> set[str]:
        """The files of its own that sources and headers include."""
        texts = [path.read_text("utf-8") for path in self.folder.iterdir() if path.suffix in (".c", ".h")]
        return {name for text in texts for name in re.findall(r'^#include "(.*)"$', text, re.MULTILINE)}

    def _text(self, name: str) -> str:
        return (self.folder / name).read_text("utf-8")
