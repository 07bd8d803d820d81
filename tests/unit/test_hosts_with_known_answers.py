# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts whose cards' drivers are known, from boots or from sources: the answer is right, or open with the truth among its outcomes.

Each is a Debian 13 with nouveau, e1000e and vfio-pci, two V100 and a network controller, and what is described; where an answer may be
open, the line that makes it so has to be named.
"""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import ANOTHER
from ansible_collections.vfio.variants.tests.unit import worked_examples
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.driver_files import Driver, driver_file
from ansible_collections.vfio.variants.tests.unit.module_calls import device_info
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree

if t.TYPE_CHECKING:
    from pathlib import Path

CARD, SAME, NIC = "0000:3b:00.0", "0000:5e:00.0", "0000:02:00.0"
DEVICES = f"{NIC} 0200: 8086:10d3\n{CARD} 0302: 10de:1db1\n{SAME} 0302: 10de:1db1\n"
MULTI_USER = "/etc/systemd/system/multi-user.target.wants"
LIB = "/usr/lib/systemd/system"
MOVER = "/usr/local/sbin/to-guest"
# Unbinds the first card, and has the kernel look for a driver again.
MOVES = (
    "#!/bin/sh -e\n"
    f"dev=/sys/bus/pci/devices/{CARD}\n"
    'echo vfio-pci > "$dev/driver_override"\n'
    f'if [ -d "$dev/driver" ]; then echo {CARD} > "$dev/driver/unbind"; fi\n'
    f"modprobe vfio-pci && echo {CARD} > /sys/bus/pci/drivers_probe\n"
)
ADDED = 'ACTION=="add", SUBSYSTEM=="pci"'


@dataclasses.dataclass(frozen=True)
class Known:
    """A host's own files, links and words, and the truth by address; where ``opened`` has a word, the card's answer may be open for it."""

    truth: t.Mapping[str, str | None]
    files: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    links: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    cmdline: str = ""
    opened: str = ""

    def tree(self, root: Path) -> Tree:
        words = {worked_examples.CMDLINE: self.cmdline} if self.cmdline else {}
        example = worked_examples.Example("known", {worked_examples.DEVICES: DEVICES, **self.files, **words}, (), None, (0, 0))
        tree = example.host(root)
        for name, kinds in (("nouveau", ("modeset:int", "runpm:int")), ("vfio-pci", ("ids:string", "disable_denylist:bool"))):
            module = worked_examples.MODULES[name]
            fields: dict[str, t.Any] = {"parmtype": "\0parmtype=".join(kinds)}
            made = driver_file(DEBIAN_13, [Driver(module.driver.encode(), (module.entry,))], aliases=[module.alias], **fields)
            tree.file(f"/lib/modules/{DEBIAN_13}/{module.folder}/{name}.ko", made)
        for path, text in self.files.items():
            if text.startswith(("#!", "\x7fELF")):
                tree.file(path, text, 0o755)
        for path, target in self.links.items():
            tree.link(path, target)
        return tree


def started(name: str, command: str, more: str = "", **files: str) -> dict[str, t.Any]:
    """A unit of a package, enabled, and further files."""
    unit = f"[Unit]\n{more}[Service]\nType=oneshot\nExecStart={command}\n"
    return {"files": {f"{LIB}/{name}.service": unit, **files}, "links": {f"{MULTI_USER}/{name}.service": f"{LIB}/{name}.service"}}


KNOWN: dict[str, Known] = {
    "a rule removes one card": Known(
        {CARD: None, SAME: "nouveau"},
        {"/etc/udev/rules.d/50-gone.rules": f'{ADDED}, KERNEL=="{CARD}", ATTR{{remove}}="1"\n'},
    ),
    "a rule loads vfio-pci while udev still compares": Known(
        {CARD: "vfio-pci", SAME: "vfio-pci"},
        {
            "/etc/modprobe.d/ids.conf": "options vfio-pci ids=10de:1db1\n",
            "/etc/udev/rules.d/09-load.rules": f'{ADDED}, ATTR{{vendor}}=="0x10de", IMPORT{{builtin}}="kmod load vfio-pci"\n',
        },
    ),
    "the driver's own event gives it an ID": Known(
        {CARD: "vfio-pci", SAME: "vfio-pci"},
        {
            "/etc/modprobe.d/off.conf": "blacklist nouveau\n",
            "/etc/modules-load.d/load.conf": "vfio-pci\n",
            "/etc/udev/rules.d/11-id.rules": 'ACTION=="add", SUBSYSTEM=="drivers", KERNEL=="vfio-pci", ATTR{new_id}="10de 1db1"\n',
        },
    ),
    "a rule of one card runs a shell that removes it by its path": Known(
        {CARD: None, SAME: "nouveau"},
        {"/etc/udev/rules.d/50-gone.rules": f'{ADDED}, KERNEL=="{CARD}", RUN+="/bin/sh -c \'echo 1 > /sys$devpath/remove\'"\n'},
        opened="50-gone.rules:1",
    ),
    "an install command takes a card when a unit loads another module": Known(
        {CARD: None, SAME: "nouveau"},
        {
            "/etc/modprobe.d/site.conf": f"install vfio_pci {MOVER}\n",
            MOVER: (
                "#!/bin/sh\n"
                f"echo pci-stub >/sys/bus/pci/devices/{CARD}/driver_override\n"
                f"echo {CARD} >/sys/bus/pci/devices/{CARD}/driver/unbind\n"
            ),
            "/etc/systemd/system/prepare.service": "[Service]\nExecStart=/sbin/modprobe vfio-pci\n",
        },
        {f"{MULTI_USER}/prepare.service": "../prepare.service"},
        opened=MOVER,
    ),
    "a rule has the kernel run a program to load modules": Known(
        {CARD: "vfio-pci", SAME: "nouveau", NIC: "e1000e"},
        {"/etc/udev/rules.d/50-load.rules": f'SUBSYSTEM=="net", SYSCTL{{kernel/modprobe}}="{MOVER}"\n', MOVER: MOVES},
        opened="50-load.rules:1",
    ),
    "tmpfiles.d writes the override at some time": Known(
        {CARD: "vfio-pci", SAME: "nouveau"},
        {
            "/etc/modules-load.d/load.conf": "vfio-pci\n",
            "/etc/tmpfiles.d/card.conf": f"w /sys/bus/pci/devices/{CARD}/driver_override - - - - vfio-pci\n",
        },
        opened="tmpfiles.d/card.conf",
    ),
    "a unit below /usr/lib with its script in /usr/libexec": Known(
        {CARD: "vfio-pci"}, **started("card-to-guest", "/usr/libexec/to-guest", **{"/usr/libexec/to-guest": MOVES}), opened="card-to-guest"
    ),
    "cron at reboot": Known(
        {CARD: "vfio-pci"},
        **started(
            "cron",
            "/usr/sbin/cron -f",
            **{"/usr/sbin/cron": "\x7fELF\x02\x01\x01", "/etc/cron.d/card": f"@reboot root {MOVER}\n", MOVER: MOVES},
        ),
        opened="cron.d/card",
    ),
    "a compiled program of no package": Known(
        {CARD: "vfio-pci"},
        **started("cardd", "/opt/site/cardd", **{"/opt/site/cardd": "\x7fELF\x02\x01\x01 driver_override drivers_probe"}),
        opened="cardd",
    ),
    "nouveau leaves cards alone": Known({CARD: None, SAME: None}, {"/etc/modprobe.d/kms.conf": "options nouveau modeset=0\n"}),
    "words that are for init": Known({CARD: "nouveau"}, cmdline="-- module_blacklist=nouveau"),
    "systemd runs a command of the command line": Known(
        {CARD: "vfio-pci"}, {MOVER: MOVES}, cmdline=f"systemd.run={MOVER} systemd.run_success_action=none", opened="systemd.run"
    ),
    "nouveau is loaded where nvidia has not come": Known(
        {CARD: "nouveau"},
        {
            "/etc/modprobe.d/off.conf": "blacklist nouveau\n",
            f"{LIB}/no-nvidia.service": (
                "[Unit]\nConditionPathExists=!/sys/module/nvidia\n[Service]\nType=oneshot\nExecStart=-/sbin/modprobe nouveau\n"
            ),
        },
        {"/etc/systemd/system/graphical.target.wants/no-nvidia.service": f"{LIB}/no-nvidia.service"},
        opened="no-nvidia",
    ),
    "units that load what drives no PCI device": Known(
        {CARD: "nouveau", NIC: "e1000e"},
        {
            f"{LIB}/containerd.service": "[Service]\nExecStartPre=-/sbin/modprobe overlay\nExecStart=/usr/bin/containerd\n",
            f"{LIB}/multipathd.service": "[Unit]\nWants=modprobe@dm_multipath.service\n[Service]\nExecStart=/sbin/multipathd -d\n",
            f"{LIB}/modprobe@.service": "[Service]\nType=oneshot\nExecStart=-/sbin/modprobe -abq %i\n",
            f"{LIB}/zfs-load-module.service": "[Service]\nType=oneshot\nExecStart=/sbin/modprobe zfs\n",
        },
        {f"{MULTI_USER}/{name}.service": f"{LIB}/{name}.service" for name in ("containerd", "multipathd", "zfs-load-module")},
    ),
    "the rules of NVIDIA's packages without its driver": Known(
        {CARD: "vfio-pci"},
        {
            "/etc/udev/rules.d/61-card.rules": (
                f'{ADDED}, KERNEL=="{CARD}", ATTR{{driver_override}}="vfio-pci", RUN{{builtin}}+="kmod load vfio-pci"\n'
            ),
            "/usr/lib/udev/rules.d/71-nvidia.rules": (
                'SUBSYSTEM=="pci", DRIVER=="nvidia", ACTION!="remove", RUN+="/usr/bin/nvidia-modprobe -c0 -u"\n'
                'SUBSYSTEM=="pci", DRIVERS=="nvidia", ACTION!="remove", ATTR{power/control}="auto"\n'
            ),
        },
    ),
    "driverctl and DPDK with nothing configured": Known(
        {CARD: "nouveau"},
        **started(
            "dpdk",
            "/usr/lib/dpdk/dpdk-init start",
            **{"/usr/lib/dpdk/dpdk-init": '#!/bin/sh\ndpdk-devbind.py -b "$MOD" "$ID"\n', "/etc/dpdk/interfaces": "# bus id driver\n"},
        ),
    ),
    "a unit that nothing starts": Known(
        {CARD: "nouveau"},
        {
            "/etc/systemd/system/later.service": f"[Service]\nExecStart={MOVER}\n[Install]\nWantedBy=multi-user.target\n",
            MOVER: MOVES,
        },
    ),
    "Debian's nvidia packages without a module for this kernel": Known(
        {CARD: None, SAME: None},
        {
            "/etc/modprobe.d/nvidia-blacklists-nouveau.conf": "blacklist nouveau\n",
            "/etc/modprobe.d/nvidia.conf": (
                "alias pci:v000010DEd*sv*sd*bc03* nvidia\n"
                "install nvidia /sbin/modprobe --ignore-install nvidia-current $CMDLINE_OPTS\n"
                "install nvidia-drm /sbin/modprobe nvidia && /sbin/modprobe --ignore-install nvidia-current-drm $CMDLINE_OPTS\n"
            ),
            "/etc/modules-load.d/nvidia.conf": "nvidia-drm\n",
        },
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_drivers_are_as_they_are_known_to_be(tmp_path: Path, name: str) -> None:
    known = KNOWN[name]
    compare(known.tree(tmp_path), known.truth, (CARD,) if known.opened else (), known.opened)


def compare(tree: Tree, truth: t.Mapping[str, str | None], may_be_open: t.Collection[str], named: str = "") -> None:
    """Each answer is right; or, where that is allowed, open with the truth among its outcomes, and names what makes it so."""
    answers = {device["address"]: device["kernels"][DEBIAN_13] for device in device_info(tree.host(Commands(tree.root)))["devices"]}
    for address, driver in truth.items():
        found = answers[address]
        assert found["because"], f"{address}: {found['certainty']} without a reason"
        if address not in may_be_open or found["certainty"] == "certain":
            assert (address, found["certainty"], found["winner"]) == (address, "certain", driver)
            continue
        assert {driver, ANOTHER} & {*found["outcomes"]}
        if named:
            assert found["certainty"] == "unknown"
            assert any(named in line for line in found["because"])


def test_at_least_half_of_the_cards_have_a_certain_answer() -> None:
    assert sum(not known.opened for known in KNOWN.values()) > len(KNOWN) / 2
