# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts whose kernel, initramfs and arguments are one program: what is on their EFI system partition, and how firmware starts it.

QEMU hands the program to the firmware: which entry a boot loader chooses is what the boots of tests/uefi show.
"""

from __future__ import annotations

import tempfile
import typing as t
from pathlib import Path

import machine
from kernel import Kernel

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.efi_variables import GLOBAL, LOADER, VARIABLES
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.firmware import STORE, Firmware
from ansible_collections.vfio.variants.tests.uefi.materials import Materials

#: The ports by the numbers of their buses: edk2's firmware goes by the order of the slots, that of the other guests the other way round.
PORTS = dict(
    zip(
        sorted(one.address.split(":")[1] for one in machine.FUNCTIONS if one.port),
        sorted(one.port for one in machine.FUNCTIONS if one.port),
        strict=True,
    )
)
_PARTITION, _PROGRAM = "boot/efi", "EFI/Linux/debian.efi"
_LOADERS = ("EFI/BOOT/BOOTX64.EFI", "EFI/systemd/systemd-bootx64.efi")
_VOLATILE = b"\x06\0\0\0"


def lay_out(materials: Materials, kernel: Kernel, words: str, initrds: t.Sequence[bytes], root: Path) -> None:
    """As kernel-install and bootctl leave them: systemd-boot with one entry, and what the firmware's variables say of a boot by it."""
    loader = (materials.root / "usr/lib/systemd/boot/efi/systemd-bootx64.efi").read_bytes()
    texts = {f"{_PARTITION}/{place}": loader for place in _LOADERS}
    texts[f"{_PARTITION}/loader/loader.conf"] = b"timeout 0\n"
    texts[f"{VARIABLES}/LoaderInfo-{LOADER}"] = _VOLATILE + "systemd-boot 257\0".encode("utf-16-le")
    texts[f"{VARIABLES}/SecureBoot-{GLOBAL}"] = _VOLATILE + b"\0"
    for path, content in texts.items():
        place = root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    program = root / _PARTITION / _PROGRAM
    program.parent.mkdir()
    make(materials, kernel, words, initrds, program)


def make(materials: Materials, kernel: Kernel, words: str, initrds: t.Sequence[bytes], program: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="unified-") as name:
        images = [Path(name) / str(number) for number in range(len(initrds))]
        for place, content in zip(images, initrds, strict=True):
            place.write_bytes(content)
        parts = (f"--linux={kernel.image}", *(f"--initrd={place}" for place in images), f"--cmdline={words}")
        materials.ukify(*parts, f"--uname={kernel.release}", "--os-release=ID=debian\n", f"--output={program}")


def started(materials: Materials, machine_words: t.Sequence[str], program: Path) -> list[str]:
    """The words of the other guests' machine, with edk2's firmware, which starts the program."""
    words = list(machine_words)
    at = words.index("-bios")
    del words[at : at + 2]
    store = program.with_name(STORE)
    firmware = Firmware(materials.root)
    firmware.write_variables(store, secure_boot=False)
    return [*map(_other_port, words), *firmware.words(store), "-kernel", str(program)]


def _other_port(word: str) -> str:
    """A port at the place that it has by ``PORTS``."""
    if not word.startswith("pcie-root-port,"):
        return word
    here = next(one for one in machine.FUNCTIONS if one.port and word.endswith(f"addr={one.port}"))
    return word.replace(f"addr={here.port}", f"addr={PORTS[here.address.split(':')[1]]}")
