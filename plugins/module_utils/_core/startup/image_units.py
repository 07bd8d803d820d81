# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd does in an initramfs besides udev and lists of modules: units, generators, tmpfiles.d and sysctl.d of its own.

What the root's packages have brought is harmless, as the root shows it; without their database what lies below /usr/lib under a name of
systemd's or the generator's is taken to be theirs.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.startup import generators, services, sysctl, tmpfiles
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.command_line import units_of_word
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.conditions import Conditions
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.programs import ProgramAnalysis
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.systemd_variables import SystemdVariables
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import UnitFiles
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.units import StartedUnits

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.ownership import Ownership

TARGETS = (
    "default.target",
    "initrd.target",
    "initrd-switch-root.target",
    "sysinit.target",
    "basic.target",
    "sockets.target",
    "timers.target",
    "paths.target",
)
PROGRAMS = ("/usr/bin/systemd-tmpfiles", "/bin/systemd-tmpfiles"), ("/usr/lib/systemd/systemd-sysctl", "/lib/systemd/systemd-sysctl")
# They are simulated, or run the hooks that are judged by themselves.
_SIMULATED = ("systemd-modules-load.service", "systemd-udevd.service", "systemd-udev-trigger.service", "dracut-")
_OF_DISTRIBUTION = re.compile(r"(?:/usr)?/lib/systemd/(?:system|system-generators)/")
_KNOWN = re.compile(
    r"(?:systemd|dracut|initrd|plymouth|lvm2?|dm|multipath|iscsi|nvme|nvmf|kmod|modprobe@|NetworkManager|nm|dbus|sysroot|emergency|rescue|blk"
    r"|cryptsetup|remote|rngd|rpcbind|ostree|mdmon|mdadm|console|getty|clevis|fips|ignition|coreos|user|quotaon|syslog|debug-shell)[\w@.:\\-]*"
)


def judged(view: FileTree, kernel: Kernel, ownership: Ownership, inventory: Inventory | None, cmdline: Cmdline) -> t.Iterator[Influence]:
    """What an image's systemd may do that the root's packages have not brought."""
    files = UnitFiles(view, generators.masked_by_word(view, cmdline, in_initrd=True))
    conditions = Conditions(view, cmdline, kernel.release)
    judge = ProgramAnalysis(view, kernel, inventory, None, ownership, SystemdVariables.read(view, cmdline, ownership))
    target = cmdline.values_for_systemd("rd.systemd.unit")[-1:]
    wants = units_of_word(cmdline, "wants", in_initrd=True)
    asked = [(name, name) for name in (*target, *TARGETS)] + [(name, "rd.systemd.wants") for name in wants]
    for started in StartedUnits(files, asked, conditions.may_hold).found.values():
        unit = started.unit
        if not conditions.may_hold(unit):
            continue
        keys = services.BESIDE if unit.name.startswith(_SIMULATED) else services.KEYS
        for command in services.commands(unit, view, keys, manager=judge.manager):
            if not _is_of_packages(view, ownership, command.source):
                yield from judge.of_unit(command)
    yield from _of_generators(view, ownership, judge)
    if any(map(view.exists, PROGRAMS[0])):
        yield from tmpfiles.read(view, inventory, judge.of)
    if any(map(view.exists, PROGRAMS[1])):
        yield from sysctl.read(view, False, judge.of)


def _is_of_packages(view: FileTree, ownership: Ownership, source: str) -> bool:
    """Whether packages have brought the file of a setting, which is shown with its image and line."""
    path = source.rpartition(":")[0].removeprefix(view.shown(""))
    if ownership.is_readable:
        return ownership.is_intact(path)
    name = path.rpartition("/")[2]
    return _OF_DISTRIBUTION.match(path) is not None and ".d/" not in path and _KNOWN.fullmatch(name) is not None


def _of_generators(view: FileTree, ownership: Ownership, judge: ProgramAnalysis) -> t.Iterator[Influence]:
    for folder in generators.FOLDERS:
        for name in view.names(folder) if view.is_dir(folder) else ():
            path = f"{folder}/{name}"
            if ownership.is_readable and ownership.is_intact(path):
                continue
            content = view.head(path, 2)
            if content == b"#!":
                yield from judge.of(path, view.shown(path), {})
            elif content is not None and (ownership.is_readable or _OF_DISTRIBUTION.match(path) is None):
                yield from generators.judged(judge, path)
