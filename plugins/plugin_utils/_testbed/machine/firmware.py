# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""UEFI firmware for test machines, and the variables that it starts with: whether Secure Boot is on, and which keys are enrolled."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive import root_tree
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.suite import Suite
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.program import run
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.progress import Progress, Say

BIOS, UEFI, SECURE_BOOT = "bios", "uefi", "secure_boot"
STORE = "variables.fd"
"""The file with a machine's variables, in its folder."""
#: edk2's firmware, and the program that writes its variables.
PACKAGES = ("ovmf", "python3-virt-firmware")
#: QEMU's arguments for a machine whose functions have larger windows than edk2 keeps room for by itself.
LARGE_WINDOWS = ("-fw_cfg", "name=opt/ovmf/X-PciMmio64Mb,string=262144")
_SUITE = Suite("trixie")
_FOLDER = "usr/share/OVMF"
#: The vendor under which certificates are entered; any will do.
_ENTERED_BY = "605dab50-e046-4300-abb6-3dd810dd8b23"
_LIBRARIES = ("virt", "importlib_resources", "pefile.py", "ordlookup")


@dataclass(frozen=True)
class Firmware:
    """The packages' files below ``root``."""

    root: Path

    @property
    def code(self) -> Path:
        """The build that can do Secure Boot; it is off as long as the variables hold no key."""
        return self.root / _FOLDER / "OVMF_CODE_4M.secboot.fd"

    def words(self, store: str | Path) -> tuple[str, ...]:
        """QEMU's arguments for a q35 machine; the firmware's variables are in the file ``store``, which the guest changes."""
        return (
            *("-machine", "smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on"),
            *("-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={self.code}"),
            *("-drive", f"if=pflash,format=raw,unit=1,file={store}"),
        )

    def write_variables(self, store: Path, secure_boot: bool, owner: t.Sequence[Path] = (), database: t.Sequence[Path] = ()) -> None:
        """New variables; with Secure Boot those of Microsoft's keys.  ``owner``: the machine owner's certificates, in DER or PEM, as
        shim has them once they were confirmed; ``database``: further ones of the firmware itself."""
        source = self.root / _FOLDER / ("OVMF_VARS_4M.ms.fd" if secure_boot else "OVMF_VARS_4M.fd")
        words = [word for option, paths in (("--add-mok", owner), ("--add-db", database)) for path in paths for word in (option, path)]
        words = [part for word in words for part in ((word, _ENTERED_BY) if isinstance(word, str) else (word,))]
        with tempfile.TemporaryDirectory() as folder:
            for name in _LIBRARIES:
                (Path(folder) / name).symlink_to(self.root / "usr/lib/python3/dist-packages" / name)
            start = "import sys; from virt.firmware.vars import main; sys.exit(main())"
            env = {"PYTHONPATH": folder, "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
            run((sys.executable, "-c", start, "-i", source, *words, "-o", store), timeout=120, env=env)


def partition_words(folder: Path) -> tuple[str, ...]:
    """QEMU's arguments for a disk with the files of that folder, which the firmware looks into where neither the root disk nor another one
    with a lower bootindex has anything for it."""
    # The slot is the one between those of root ports and those of the board's own functions.
    device = "virtio-blk-pci,drive=testbed-esp,bus=pcie.0,addr=1e,bootindex=9"
    return ("-drive", f"file=fat:{folder},if=none,id=testbed-esp,format=raw,readonly=on", "-device", device)


def provide(cache: Cache, mirror: t.Callable[[], str], say: Say) -> Firmware:
    """Unpacked into the cache, where it stays. `mirror` is asked only then."""
    place = cache.root / "firmware" / hashlib.sha256(json.dumps((_SUITE.name, PACKAGES)).encode()).hexdigest()[:16]
    with cache.lock(f"firmware-{place.name}"):
        if not place.is_dir():
            progress = Progress("firmware", say)
            with cache.building(place) as folder:
                root_tree.extract(_SUITE, mirror(), PACKAGES, folder / "root", progress, timeout=1800)
            progress("unpacked")
    return Firmware(place / "root")
