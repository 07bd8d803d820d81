# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest that boots by shim and signed GRUB with Secure Boot on, and which modules its kernel takes.

Then the same as a rehearsal boots it, by the keys that the first boot has left in files: without shim, and by shim and GRUB.
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
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal import host_keys, signed_start
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
    taken, files = parse(guest_run.reported(qemu, guest_run.from_disk(materials, folder / "signed.img", store), folder).report)
    config = materials.path("boot/config-*").read_text(encoding="utf-8")
    return Signed(
        release=materials.release,
        taken=taken,
        signatures={name: content[len(plain) :] for name, content in modules.items()},
        files=files,
        config="\n".join(line for line in config.splitlines() if any(word in line for word in _OPTIONS)) + "\n",
        image=_version_part(materials.kernel.read_bytes()[:_IMAGE]),
    )


def rehearsed(qemu: Qemu, materials: Materials, folder: Path, host: Host, *, by_shim: bool) -> dict[str, bool]:
    """Which of the modules of ``boot`` the kernel takes as it is rehearsed for the host that this boot has left.  As there, HostError."""
    ended = guest_run.reported(qemu, _rehearsal(materials, folder, host, materials.kernel, by_shim=by_shim), folder)
    return parse(ended.report)[0]


def is_refused(qemu: Qemu, materials: Materials, folder: Path, host: Host) -> bool:
    """Whether a rehearsal by shim and GRUB says of a kernel with another content than was signed that it is refused."""
    changed = folder / "changed"
    content = bytearray(materials.kernel.read_bytes())
    content[len(content) // 2] ^= 0xFF
    changed.write_bytes(content)
    ended = guest_run.reported(qemu, _rehearsal(materials, folder, host, changed, by_shim=True), folder)
    return "@end" not in ended.report and signed_start.REFUSED in ended.console


def _rehearsal(materials: Materials, folder: Path, host: Host, kernel: Path, *, by_shim: bool) -> tuple[str, ...]:
    """QEMU's words for the firmware and what it starts."""
    entry = BootEntry(materials.release, Cmdline.parse(""), "")
    found = host_keys.keys_for(rehearsal_signatures.signatures(host, entry), by_shim=by_shim)
    words = host_keys.firmware_words(Firmware(materials.root), folder, found)
    image = folder / "signed/base.img"
    if not by_shim:
        return (*words, "-kernel", str(kernel), "-initrd", str(image), "-append", CONSOLE)
    programs = {"shim": "/signed/EFI/BOOT/BOOTX64.EFI", "grub": "/signed/EFI/BOOT/grubx64.efi"}
    why = signed_start.lay_out(programs, folder, folder, kernel, image, CONSOLE.split())
    if why is not None:
        raise HostError(f"The partition of the rehearsal was not made: {why}.")
    return (*words, *signed_start.words_for(folder / signed_start.PARTITION))


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
