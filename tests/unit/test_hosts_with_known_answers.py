# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts whose cards' drivers are known, from boots or from sources: the answer is right, or open with the truth among its outcomes.

Each is a Debian 13 with nouveau, e1000e and vfio-pci, two V100 and a network controller, and what is described; where an answer may be
open, the line that makes it so has to be named.
"""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.tests.unit.drawn_hosts import (
    ADDED,
    CARD,
    LIB,
    MOVER,
    MOVES,
    MULTI_USER,
    NIC,
    SAME,
    Known,
    compare,
    started,
)

if t.TYPE_CHECKING:
    from pathlib import Path

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


def test_at_least_half_of_the_cards_have_a_certain_answer() -> None:
    assert sum(not known.opened for known in KNOWN.values()) > len(KNOWN) / 2
