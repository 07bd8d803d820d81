# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders whose scripts are run at boot by a package's program: being in a folder is all that starts them."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import head_text, names_in
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.schedules import is_executable

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.programs import ProgramAnalysis
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import IsStarted

_CLOUD_UNITS = (
    "cloud-init.service",
    "cloud-config.service",
    "cloud-final.service",
    "cloud-init-network.service",
    "cloud-init-main.service",
)
# Folders (below which one more level of folders is read) and the units of which one must be started.
_FOLDERS: t.Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("/etc/NetworkManager/dispatcher.d", ("NetworkManager.service",)),
    ("/usr/lib/NetworkManager/dispatcher.d", ("NetworkManager.service",)),
    ("/etc/networkd-dispatcher", ("networkd-dispatcher.service",)),
    ("/usr/lib/networkd-dispatcher", ("networkd-dispatcher.service",)),
    ("/etc/network/if-pre-up.d", ("networking.service",)),
    ("/etc/network/if-up.d", ("networking.service",)),
    ("/etc/dhcp/dhclient-enter-hooks.d", ("networking.service", "NetworkManager.service")),
    ("/etc/dhcp/dhclient-exit-hooks.d", ("networking.service", "NetworkManager.service")),
    ("/etc/dhcp/dhclient.d", ("networking.service", "NetworkManager.service", "network.service")),
    ("/var/lib/cloud/scripts/per-boot", ("cloud-final.service",)),
    ("/var/lib/cloud/instance/boothooks", _CLOUD_UNITS),
    ("/etc/libvirt/hooks/daemon.d", ("libvirtd.service", "virtqemud.service")),
    ("/etc/libvirt/hooks/network.d", ("libvirtd.service", "virtnetworkd.service")),
    ("/etc/local.d", ("local.service", "openrc.service")),
    ("/etc/X11/Xsession.d", ()),
)
_FILES: t.Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("/etc/libvirt/hooks/daemon", ("libvirtd.service", "virtqemud.service")),
    ("/etc/libvirt/hooks/network", ("libvirtd.service", "virtnetworkd.service")),
    ("/sbin/ifup-local", ("network.service", "NetworkManager.service")),
)
INTERFACES = ("/etc/network/interfaces", "/etc/network/interfaces.d")
_LARGEST = 256 << 10
_UP = re.compile(r"^\s*(?:pre-up|up|post-up)\s+(.+)$")
CLOUD = (
    "/etc/cloud/cloud.cfg",
    "/etc/cloud/cloud.cfg.d",
    "/var/lib/cloud/instance/cloud-config.txt",
    "/var/lib/cloud/instance/user-data.txt",
    "/var/lib/cloud/instance/vendor-cloud-config.txt",
    "/var/lib/cloud/instance/vendor2-cloud-config.txt",
)
_ONCE_SCRIPTS = (
    "/var/lib/cloud/instance/scripts",
    "/var/lib/cloud/instance/scripts/vendor",
    "/var/lib/cloud/scripts/per-instance",
    "/var/lib/cloud/scripts/per-once",
)
_ONCE = "/var/lib/cloud/instance/sem/config_{0}"
_TOP = re.compile(r"^[A-Za-z_][\w-]*\s*:")


def read(host: Host, judge: ProgramAnalysis, is_started: IsStarted) -> t.Iterator[Influence]:
    """What the scripts in such folders may do, and the commands in the network's and cloud-init's files."""
    for folder, units in _FOLDERS:
        if any(map(is_started, units)):
            for path in _scripts(host, folder, 1):
                yield from judge.of(path, path, None)
    for path, units in _FILES:
        if is_executable(host, path) and any(map(is_started, units)):
            yield from judge.of(path, path, None)
    if is_started("networking.service"):
        yield from _interfaces(host, judge)
    if any(map(is_started, _CLOUD_UNITS)) and not host.exists("/etc/cloud/cloud-init.disabled"):
        yield from _cloud(host, judge)


def _interfaces(host: Host, judge: ProgramAnalysis) -> t.Iterator[Influence]:
    """The commands that ifupdown runs for an interface (interfaces(5))."""
    for path in (INTERFACES[0], *(f"{INTERFACES[1]}/{name}" for name in names_in(host, INTERFACES[1]))):
        for number, line in enumerate(head_text(host, path, _LARGEST).split("\n"), 1):
            match = _UP.match(line)
            if match is not None:
                yield from judge.of(match[1], f"{path}:{number}", None)


def _scripts(host: Host, folder: str, deeper: int) -> t.Iterator[str]:
    for name in names_in(host, folder):
        path = f"{folder}/{name}"
        if is_executable(host, path):
            yield path
        elif deeper and host.is_dir(path) and name not in ("no-wait.d", "pre-down.d"):
            yield from _scripts(host, path, deeper - 1)


def _cloud(host: Host, judge: ProgramAnalysis) -> t.Iterator[Influence]:
    """bootcmd runs at every boot, runcmd and the scripts of user data once per instance."""
    done = host.exists(_ONCE.format("runcmd")) or host.exists(_ONCE.format("scripts_user"))
    paths = [path for path in CLOUD if host.is_file(path)]
    paths += [f"{CLOUD[1]}/{name}" for name in names_in(host, CLOUD[1]) if name.endswith(".cfg")]
    for path in paths:
        text = head_text(host, path, _LARGEST)
        if text.startswith("#!") and not done:
            yield from judge.of_text(text, path)
            continue
        for key in ("bootcmd",) if done else ("bootcmd", "runcmd"):
            for number, block in _blocks(text, key):
                yield from judge.of_text(block, f"{path}:{number}")
    if not done:
        for folder in _ONCE_SCRIPTS:
            for path in _scripts(host, folder, 0):
                yield from judge.of(path, path, None)


def _blocks(text: str, key: str) -> t.Iterator[tuple[int, str]]:
    """The lines below a key of a YAML file, with the number of the key's line; commands in lists become words."""
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if not re.match(rf"{key}\s*:", line):
            continue
        block = [line.partition(":")[2]]
        for following in lines[number:]:
            if _TOP.match(following):
                break
            block.append(re.sub(r"^\s*-\s*", "", following))
        yield number, "\n".join(_command(one) for one in block)


def _command(line: str) -> str:
    """`[ modprobe, vfio-pci ]` as a command line."""
    flow = re.fullmatch(r"\s*\[(.*)\]\s*", line)
    return line if flow is None else " ".join(word.strip().strip("\"'") for word in flow[1].split(","))
