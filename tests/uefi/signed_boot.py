# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest that boots by shim and signed GRUB with Secure Boot on, and which modules its kernel takes.

Then the same as a rehearsal boots it: without shim, by the keys that the first boot has left in files.
"""

from __future__ import annotations

import base64
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.next_boot import BootEntry
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.report import rehearsal_signatures
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.image import esp as loaders
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.firmware import Firmware
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal import host_keys
from ansible_collections.vfio.variants.tests.uefi import disk, guest_run, keys
from ansible_collections.vfio.variants.tests.uefi.observed_signed import UNSIGNED, VENDOR, Signed
from ansible_collections.vfio.variants.tests.uefi.scenario import CONSOLE, started_by, write_file

if t.TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.qemu_program import Qemu
    from ansible_collections.vfio.variants.tests.uefi.materials import Materials

MODULE = "kernel/drivers/net/dummy.ko.xz"
#: What decides whose signatures the kernel takes, and may be read before.
_OPTIONS = ("MODULE_SIG", "LOCK_DOWN", "IMA_ARCH", "_KEYRING")
_IMAGE = 0x10000


def boot(qemu: Qemu, materials: Materials, folder: Path) -> Signed:
    """One boot.  HostError if the guest does not come to its end."""
    known = keys.made()
    store, esp = folder / "signed.fd", folder / "signed"
    keys.enter(Firmware(materials.root), known, folder, store)
    original = materials.module(MODULE)
    plain = keys.unsigned(original)
    modules = {UNSIGNED: plain, VENDOR: original, **{name: key.signed(plain) for name, key in known.items()}}
    _lay_out(materials, modules, esp)
    disk.make(materials, esp, folder / "signed.img")
    report = guest_run.reported(qemu, guest_run.from_disk(materials, folder / "signed.img", store), folder)
    taken, files = parse(report)
    config = materials.path("boot/config-*").read_text(encoding="utf-8")
    return Signed(
        release=materials.release,
        taken=taken,
        signatures={name: content[len(plain) :] for name, content in modules.items()},
        files=files,
        config="\n".join(line for line in config.splitlines() if any(word in line for word in _OPTIONS)) + "\n",
        image=_version_part(materials.kernel.read_bytes()[:_IMAGE]),
    )


def rehearsed(qemu: Qemu, materials: Materials, folder: Path, host: Host) -> dict[str, bool]:
    """Which of the modules of ``boot`` the kernel takes as it is rehearsed for the host that this boot has left.  As there, HostError."""
    entry = BootEntry(materials.release, Cmdline.parse(""), "")
    found = host_keys.keys_for(rehearsal_signatures.signatures(host, entry), by_shim=False)
    words = host_keys.firmware_words(Firmware(materials.root), folder, found)
    image = folder / "signed/base.img"
    started = ("-kernel", str(materials.kernel), "-initrd", str(image), "-append", CONSOLE)
    taken, _files = parse(guest_run.reported(qemu, (*words, *started), folder))
    return taken


def _version_part(image: bytes) -> bytes:
    """The beginning of the image in which nothing but the header and the version is left, so that it can be kept."""
    offset = int.from_bytes(image[0x20E:0x210], "little") + 0x200
    end = image.index(b"\0", offset)
    return bytes(0x202) + image[0x202:0x210] + bytes(offset - 0x210) + image[offset : end + 1]


def _lay_out(materials: Materials, modules: t.Mapping[str, bytes], folder: Path) -> None:
    archive = started_by(materials, "signed-init")
    archive.folder("/modules")
    for name, content in modules.items():
        archive.file(f"/modules/{name}", content)
    loaders.write(folder, materials.root, f"linux /linux {CONSOLE}\ninitrd /base.img\nboot\n")
    write_file(folder / "linux", materials.kernel.read_bytes())
    write_file(folder / "base.img", archive.content())


def parse(report: str) -> tuple[dict[str, bool], dict[str, bytes]]:
    """What the guest's init wrote."""
    lines = [line.rstrip("\r") for line in report.split("\n")]
    if "@end" not in lines:
        raise HostError(f"The guest with Secure Boot did not come to its end: {' '.join(lines[-3:])}")
    words = [line.split(" ") for line in lines]
    taken = {line[1]: line[0] == "@taken" for line in words if line[0] in ("@taken", "@refused")}
    return taken, {line[1]: base64.b64decode(line[2]) for line in words if line[0] == "@file"}
