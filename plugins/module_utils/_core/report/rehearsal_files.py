# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that a host's boot needs elsewhere: what is predicted of it, its PCI functions, its kernels, and the files that decide."""

from __future__ import annotations

import dataclasses
import json
import posixpath
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.find_images import images_of
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import kernel_image, next_boot, signed_start
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.boot_files import BootFiles
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, cut
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.host.mounts import FSTAB, rows_of
from ansible_collections.vfio.variants.plugins.module_utils._core.host.noting_host import NotingHost
from ansible_collections.vfio.variants.plugins.module_utils._core.host.root_path import followed
from ansible_collections.vfio.variants.plugins.module_utils._core.host.tree_archive import (
    LeftOutFile,
    TreeList,
    read_wanted,
    write_list,
    write_piece,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image import Image
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import built_in_modules
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.signature_policy import kernel_sees_secure_boot
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import DEVICES, Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_mounts import CRYPTTAB
from ansible_collections.vfio.variants.plugins.module_utils._core.report.collection import answer_of
from ansible_collections.vfio.variants.plugins.module_utils._core.report.described_functions import in_place
from ansible_collections.vfio.variants.plugins.module_utils._core.report.rehearsal_signatures import signatures
from ansible_collections.vfio.variants.plugins.module_utils._core.report.secret_files import (
    MADE_BY_THE_KERNEL,
    TOPS,
    choice,
    is_secret,
    key_files,
    without_secrets,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.credentials import sealed
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.schedules import is_executable

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.next_boot import BootEntry
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.command import Runner
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import Result
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device

LIST, PIECE = "files.json.gz", "files.tar.gz"
MODULES = "/usr/lib/modules"
PIECE_BYTES = 64 << 20
CONFIGURATION_BYTES = 256
_KERNELS = ("/boot/vmlinuz-{0}", "/boot/vmlinux-{0}", "/usr/lib/modules/{0}/vmlinuz", "/boot/kernel-{0}")
#: By which the root file system can be shown to an initramfs, and the file system that it must know.
STORAGE = ("virtio_blk", "ahci", "nvme")
FILE_SYSTEM = "ext4"
_SCRIPT = b"#!"


@dataclasses.dataclass(frozen=True)
class FilesRequest:
    """``folder``: an existing one on the host, for the list, or for the piece of the files that ``wanted`` there names.

    ``hardware`` takes the place of the functions in /sys.
    """

    folder: str
    kernels: tuple[str, ...]
    size_limit: int
    exclude: tuple[str, ...] = ()
    wanted: str | None = None
    first: int = 0
    hardware: tuple[Device, ...] | None = None


def gather(root: str, runner: Runner | None, request: FilesRequest) -> Result:
    """Write the list, or a piece of the files, and say so."""
    if request.wanted is not None:
        wanted = read_wanted(request.wanted)
        following = write_piece(root, f"{request.folder}/{PIECE}", wanted, without_secrets, request.first, PIECE_BYTES)
        return {"changed": False, "path": f"{request.folder}/{PIECE}", "next": following, "wanted": len(wanted)}
    host = NotingHost(root, runner)
    if request.hardware is None and not host.is_dir(DEVICES):
        raise HostError(
            f"root: {cut(host.root)} has no {DEVICES}, so that no device can be offered to a driver.", "Describe the devices with hardware."
        )
    answer = answer_of(host, request.hardware, hidden=True)
    noted = sorted(host.notes.whole | host.notes.contents.keys())
    plain = Host(root, runner)
    entries = _entries(plain, answer, request.kernels)
    releases = [entry.release for entry in entries]
    keys = key_files(*([row for _number, row in rows_of(plain, table)] for table in (CRYPTTAB, FSTAB)))
    listed = TreeList(plain.root, choice(releases, request.exclude, keys), without_secrets, request.size_limit)
    for top in (*TOPS, MODULES, *(f"{MODULES}/{release}" for release in releases)):
        if top not in listed.entries:
            listed.add_tree(top)
    missing = _add_noted(plain, listed, noted, keys, json.dumps(answer))
    kernels = [_kernel(plain, entry, listed) for entry in entries]
    facts = {
        "forecast": answer,
        "functions": _functions(plain, request.hardware),
        "kernels": kernels,
        "missing": [dataclasses.asdict(one) for one in missing],
        "cpu": plain.text_or_none("/proc/cpuinfo") or "",
        "efi": plain.is_dir("/sys/firmware/efi"),
        "signed_start": _signed_start(plain, listed),
    }
    size = write_list(f"{request.folder}/{LIST}", listed, facts)
    return {"changed": False, "path": f"{request.folder}/{LIST}", "size": size, "files": len(listed.entries)}


def _entries(host: Host, answer: Result, kernels: t.Sequence[str]) -> list[BootEntry]:
    """Those of the kernels that are asked for: `next`, `all`, or releases."""
    found = next_boot.read(host).entries
    chosen = answer["next_boot"]["release"]
    names = [chosen if name == "next" else name for name in kernels if name != "all"]
    if None in names and "all" not in kernels:
        raise HostError(
            f"kernels: which kernel boots next cannot be determined. {answer['next_boot']['reason']}", "Name the release of the kernel."
        )
    unknown = [name for name in names if name is not None and name not in found]
    if unknown:
        raise HostError(
            f"kernels: the boot loader starts no kernel {unknown[0]}.", f"Allowed are next, all, and {', '.join(sorted(found))}."
        )
    return list(found.values()) if "all" in kernels else [found[str(name)] for name in dict.fromkeys(names)]


def _signed_start(host: Host, listed: TreeList) -> Result | None:
    """With Secure Boot, shim and the GRUB behind it, if the firmware starts these; the files are added to the list."""
    found = signed_start.read(BootFiles(host)) if kernel_sees_secure_boot(host) else None
    if found is None:
        return None
    programs = {name: _real(host, path) for name, path in found._asdict().items()}
    for path in programs.values():
        listed.add_file(path)
    return programs


def _kernel(host: Host, entry: BootEntry, listed: TreeList) -> Result:
    """A kernel's file, images and arguments; the files are added to the list."""
    image = _image(host, entry)
    if image is None:
        raise HostError(
            f"The image of kernel {entry.release} was not found.", f"It is sought as {_KERNELS[0].format(entry.release)} and the like."
        )
    image, initrds = _real(host, image), tuple(_real(host, path) for path in images_of(host, entry).paths)
    for path in (image, *initrds):
        listed.add_file(path)
    known = _drivable(host, entry, initrds)
    return {
        "release": entry.release,
        "image": image,
        "initrds": list(initrds),
        "arguments": list(entry.cmdline.arguments),
        "doubts": list(entry.doubts),
        "storage": [name for name in STORAGE if name in known],
        "file_system": FILE_SYSTEM in known,
        "no_modules": entry.cmdline.refuses_all,
        "signatures": signatures(host, entry),
    }


def _image(host: Host, entry: BootEntry) -> str | None:
    """The file with the entry's kernel: a unified image, which is the entry's source, or the release's own."""
    unified = next((path for path in (entry.source, *entry.initrds) if kernel_image.read(host, path) is not None), None)
    # kernel-install has the kernel beside its initramfs.
    beside = [f"{posixpath.dirname(path)}/linux" for path in entry.initrds]
    places = (*(name.format(entry.release) for name in _KERNELS), *beside)
    return unified or next((path for path in places if host.is_file(path)), None)


def _drivable(host: Host, entry: BootEntry, initrds: tuple[str, ...]) -> frozenset[str]:
    """The modules that the kernel has before its root; everything that matters where that cannot be read: the boot will show it."""
    names = frozenset(built_in_modules(host.text_or_none(f"/usr/lib/modules/{entry.release}/modules.builtin") or ""))
    if entry.cmdline.refuses_all:
        return names
    try:
        image = Image.read(host, initrds[0], entry.release, more=initrds[1:]) if initrds else None
    except HostError:
        loadable = frozenset((*STORAGE, FILE_SYSTEM))
    else:
        loadable = frozenset(image.modules) if image else frozenset()
    return names | loadable.difference(entry.cmdline.refused)


def _real(host: Host, path: str) -> str:
    """The place of a file whose path may lead through links."""
    root = host.root.rstrip("/")
    return followed(host.root, path)[len(root) :]


def _add_noted(host: Host, listed: TreeList, noted: t.Iterable[str], keys: t.Container[str], answer: str) -> list[LeftOutFile]:
    """What starts by itself, or is read by that, outside of what is collected anyway; returned is what cannot be collected.

    ``answer`` is the forecast's, as JSON.
    """
    missing = []
    for path in noted:
        if MADE_BY_THE_KERNEL.fullmatch(path) or path in listed.entries or not host.is_file(path):
            continue
        if path in keys or is_secret(path, _is_script(host, path)):
            # Settings below /etc that hold secrets bind no driver unless the forecast names them; a program there may.
            if not path.startswith("/etc/") or is_executable(host, path) or _is_named(path, answer):
                missing.append(LeftOutFile(path, "something that starts by itself reads it, and it may hold secrets"))
            continue
        listed.add_file(path)
    missing += [LeftOutFile(path, "only the host itself can open it") for path in sealed(host) if _is_named(path, answer)]
    changed = sorted(listed.rewritten.intersection(noted))
    return [*missing, *(LeftOutFile(path, "passwords, tokens or keys were taken out of it") for path in changed)]


def _is_script(host: Host, path: str) -> bool:
    """Texts lose their passwords and keys, so that a script is sent although its name speaks of such."""
    return host.head(path, len(_SCRIPT)) == _SCRIPT


def _is_named(path: str, answer: str) -> bool:
    return json.dumps(path)[1:-1] in answer


def _functions(host: Host, hardware: tuple[Device, ...] | None) -> list[Result]:
    """Those in /sys, or the described ones, with the ports that they are behind."""
    if hardware is None:
        return [_function(host, device) for device in Inventory.read(host).devices]
    devices, ports = in_place(hardware)
    return [{**_identity(one), "resource": "", "configuration": ports.get(one.address, b"").hex()} for one in devices]


def _function(host: Host, device: Device) -> Result:
    """A PCI function as its configuration space and sysfs show it."""
    place = f"{DEVICES}/{device.address}"
    return {
        **_identity(device),
        "resource": host.text_or_none(f"{place}/resource") or "",
        "configuration": (host.head(f"{place}/config", CONFIGURATION_BYTES) or b"").hex(),
    }


def _identity(device: Device) -> Result:
    return {
        "address": device.address,
        "path": device.path,
        "vendor": device.vendor,
        "device": device.device,
        "subsystem_vendor": device.subsystem_vendor,
        "subsystem_device": device.subsystem_device,
        "class": device.class_code,
        "modalias": device.modalias,
        "revision": device.revision,
        "driver": device.driver,
        "physical_function": device.physical_function,
    }
