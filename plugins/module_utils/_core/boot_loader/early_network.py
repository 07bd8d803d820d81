# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an initramfs is told about networks and servers by files of its generator, and by the firmware, beside the kernel's arguments."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import names_if_any
from ansible_collections.vfio.variants.plugins.module_utils._core.host.shell_assignments import Assignments
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline, name_and_value
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.network_words import named_interfaces

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

INITRAMFS_TOOLS = ("/etc/initramfs-tools/initramfs.conf", "/etc/initramfs-tools/conf.d")
"""Read at build time, and by configure_networking() in the image."""
ISCSI = "/etc/iscsi/iscsi.initramfs"
"""What open-iscsi's hook puts into the image of initramfs-tools."""
DRACUT = ("/etc/dracut.conf", "/etc/dracut.conf.d", "/usr/lib/dracut/dracut.conf.d")
WORDS_OF_DRACUT = "kernel_cmdline"
"""The variable with arguments that dracut puts into the image (dracut.conf(5))."""
FIRMWARE = "/sys/firmware/ibft"
OF_FIRMWARE = frozenset(("rd.iscsi.firmware", "rd.iscsi.ibft", "iscsi_auto"))
"""Words by which the root is where the firmware has it (dracut.cmdline(7), README.Debian of open-iscsi)."""
NEVER = ("0", "no", "off")


class EarlyNetwork(t.NamedTuple):
    """``lines`` are arguments with their file; ``interfaces`` and ``servers`` as the guards know them from arguments."""

    lines: tuple[tuple[Cmdline, str], ...]
    interfaces: tuple[tuple[str, str], ...]
    servers: tuple[str, ...]


def read(host: Host, given: t.Iterable[Cmdline]) -> EarlyNetwork:
    """``given`` are the arguments of the kernels, which say whether the firmware's settings count."""
    lines = list(_of_dracut(host))
    interfaces: list[tuple[str, str]] = []
    for path in _files(host, INITRAMFS_TOOLS, ""):
        known = _read(host, path)
        as_word = Cmdline((f"ip={known.get('IP') or ''}",))
        interfaces += [(f"IP= in {path}", name) for _word, name in named_interfaces(as_word)]
        interfaces += [(f"DEVICE= in {path}", known.get("DEVICE") or "")] if known.get("DEVICE") else []
    if any(map(_asks_firmware, (*given, *(line for line, _path in lines)))):
        for name in names_if_any(host, FIRMWARE):
            address = host.text_or_none(f"{FIRMWARE}/{name}/mac") if name.startswith("ethernet") else None
            interfaces += [(f"the firmware for iSCSI (iBFT, {name})", address.lower())] if address else []
    server = _read(host, ISCSI).get("ISCSI_TARGET_IP")
    return EarlyNetwork(tuple(lines), tuple(interfaces), (server,) if server else ())


def _asks_firmware(cmdline: Cmdline) -> bool:
    words = map(name_and_value, cmdline.arguments)
    return any((name in OF_FIRMWARE and value not in NEVER) or (name, value) == ("ip", "ibft") for name, value in words)


def _of_dracut(host: Host) -> t.Iterator[tuple[Cmdline, str]]:
    for path in _files(host, DRACUT, ".conf"):
        words = _read(host, path).get(WORDS_OF_DRACUT)
        if words:
            yield Cmdline.parse(words), path


def _files(host: Host, places: t.Iterable[str], ending: str) -> t.Iterator[str]:
    for place in places:
        if host.is_file(place):
            yield place
        else:
            yield from (f"{place}/{name}" for name in names_if_any(host, place) if name.endswith(ending))


def _read(host: Host, path: str) -> Assignments:
    return Assignments.parse((host.text_or_none(path) or "") if host.is_file(path) else "")
