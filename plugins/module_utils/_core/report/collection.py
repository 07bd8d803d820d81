# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that `device_info` reads of a host as one archive without secrets, from which it gives the host's own answer."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import kernel_image
from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.host.noting_host import NotingHost
from ansible_collections.vfio.variants.plugins.module_utils._core.host.snapshot import LARGEST, LeftOut, Snapshot, take, unpacked
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.reduced_image import reduced
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import inventory_of
from ansible_collections.vfio.variants.plugins.module_utils._core.report.cached_report import CachedReport, Wanted
from ansible_collections.vfio.variants.plugins.module_utils._core.report.device_report import ShownDevice
from ansible_collections.vfio.variants.plugins.module_utils._core.report.redaction import Redactor
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.ownership import Ownership

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.command import Runner
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import Result
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device

TOP = "vfio-variants-host"
NAMES = ("/etc/hostname", "/proc/sys/kernel/hostname")
NO_CACHE = "/nonexistent"
MODULES = re.compile(r"/(?:usr/)?lib/modules/")
PACKAGES = re.compile(r"/(?:usr/lib/sysimage|var/lib)/(?:rpm|dpkg|pacman)/")
SQLITE = b"SQLite format 3\0"
MOST_DIFFERENCES = 20


@dataclasses.dataclass(frozen=True)
class Collection:
    """The archive, what is not in it, and in what the answer from it differs from the host's own."""

    snapshot: Snapshot
    differences: tuple[str, ...]

    def result(self) -> Result:
        return {
            "size": len(self.snapshot.data),
            "entries": self.snapshot.entries,
            "left_out": [dataclasses.asdict(one) for one in self.snapshot.left_out],
            "same_answer": not self.differences,
            "differences": list(self.differences),
        }


def collect(root: str, runner: Runner | None) -> Collection:
    """Read the host as `device_info` does, pack what was read, and ask again about the unpacked archive."""
    host = NotingHost(root, runner)
    answer = answer_of(host)
    redactor = Redactor(name for path in NAMES for name in _names(host.text_or_none(path)))
    snapshot = take(host, _Rewriting(Host(root, runner), redactor, host.notes.images).content, TOP)
    with unpacked(snapshot, TOP) as tree:
        again = answer_of(Host(tree, runner))
    return Collection(snapshot, tuple(_differences(redactor.value(answer), redactor.value(again)))[:MOST_DIFFERENCES])


def _names(text: str | None) -> list[str]:
    return [] if not text else [text, text.partition(".")[0]]


def answer_of(host: Host, hardware: tuple[Device, ...] | None = None, hidden: bool = False) -> Result:
    """`device_info`'s answer, from no cache: what is remembered is not read.  ``hardware`` takes the place of the devices in /sys;
    ``hidden`` if each kernel of a device also has what decides and a boot elsewhere need not show."""
    if not host.is_dir("/"):
        raise HostError(f"root: {host.root} is not a directory.", "Give the directory that the host's file system is mounted on.")
    inventory = inventory_of(host, hardware)
    described = hardware is not None
    wanted = Wanted(hidden=hidden)
    report = CachedReport.read(host, inventory, inventory.devices, described, wanted, Cache(host, False, NO_CACHE))
    devices = [{**ShownDevice(device, inventory.group_of(device)).result(), **report.of(device)} for device in inventory.devices]
    return {"devices": devices, **report.of_host()}


class _Rewriting:
    """What each file's content becomes."""

    def __init__(self, host: Host, redactor: Redactor, images: t.Mapping[str, t.Collection[str]]) -> None:
        self._host = host
        self._redactor = redactor
        self._images = images
        self._ownership = Ownership.of(host)

    def content(self, path: str, content: bytes | None) -> bytes | str:
        if content is None:
            return f"it has more than {LARGEST >> 20} MiB"
        if kernel_image.initrd_part(self._host, path) is not None:
            return "a unified kernel image has an initramfs in it, which may have secrets"
        if path in self._images:
            return self._image(path)
        if content.startswith(SQLITE) and not PACKAGES.match(path):
            return "a database may have secrets"
        if MODULES.match(path):
            return content
        redacted = self._redactor.content(content)
        # What a package has brought is public, and would no longer be known as its package's.
        return content if redacted != content and self._ownership.is_intact(path) else redacted

    def _image(self, path: str) -> bytes | str:
        try:
            return reduced(self._host, path, self._images[path], self._redactor.content)
        except HostError as error:
            return f"it cannot be read: {error.msg}"


def _differences(first: Result, second: Result) -> t.Iterator[str]:
    """One sentence for each device, and for each other part of the answer, that is not the same."""
    known = {device["address"]: device for device in second["devices"]}
    for device in first["devices"]:
        other = known.get(device["address"], {})
        fields = sorted(name for name, value in device.items() if other.get(name) != value)
        if fields:
            yield f"{device['address']}: {', '.join(fields)}"
    yield from (name for name, value in first.items() if name != "devices" and second.get(name) != value)


__all__ = ["Collection", "LeftOut", "collect"]
