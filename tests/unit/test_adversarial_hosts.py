# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts drawn from the man pages and sources of kmod, udev and systemd to mislead the forecast, with the truth about each.

What is certain is true, and what is open has the truth among its outcomes; the base is that of the hosts with known answers.
"""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.tests.unit import initramfs_files
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.drawn_hosts import (
    ADDED,
    BOTH,
    BOUND,
    BRIDGE,
    CARD,
    CARD_LINK,
    CARDS,
    CONF,
    EARLY_RULE,
    GUEST,
    IDS,
    LATE_RULE,
    LIB,
    LOAD,
    MOVER,
    MOVES,
    NATIVE,
    NEITHER,
    NIC,
    ONE_LOST,
    OVERRIDE,
    OWN,
    RULE,
    SAME,
    SOFTDEP,
    SSH,
    SSH_LINK,
    TO_GUEST,
    UNBIND,
    UNIT,
    Drawn,
    Truth,
    behind_bridge,
    by_dracut,
    by_initramfs_tools,
    compare,
    daemon,
    installed,
)
from ansible_collections.vfio.variants.tests.unit.module_calls import device_info
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree

if t.TYPE_CHECKING:
    from pathlib import Path

SCRIPT = f"#!/bin/sh\necho vfio-pci > /sys/bus/pci/devices/{CARD}/driver_override\nmodprobe -i vfio-pci\n"


def in_folder(name: str, **files: str) -> t.Callable[[Tree], object]:
    return by_initramfs_tools(**files, **{f"scripts/{name}/ORDER": f'/scripts/{name}/card "$@"\n', f"scripts/{name}/card": SCRIPT})


def enabled(truth: Truth, more: str = "", target: str = "multi-user.target", cmdline: str = "") -> Drawn:
    files = {f"{OWN}/card.service": f"[Unit]\n{more}{UNIT}", MOVER: MOVES}
    return Drawn(truth, files, {f"{OWN}/{target}.wants/card.service": "../card.service"}, cmdline, open=() if truth is NATIVE else (CARD,))


HOSTS: dict[str, Drawn] = {
    # udev
    "the rules that load are masked, and a rule of the host's own loads": Drawn(
        NATIVE,
        {RULE: f'{CARDS}, ENV{{MODALIAS}}=="?*", RUN{{builtin}}+="kmod load"\n'},
        {"/etc/udev/rules.d/80-drivers.rules": "/dev/null"},
    ),
    "a rule that is gone with /run": Drawn(NATIVE, {"/run/udev/rules.d/50-site.rules": TO_GUEST}),
    "a mask that is gone with /run": Drawn(NATIVE, {}, {"/run/udev/rules.d/80-drivers.rules": "/dev/null"}),
    "an empty file masks a rule of a package": Drawn(NATIVE, {"/usr/lib/udev/rules.d/50-site.rules": TO_GUEST, RULE: ""}),
    "a label above its line is not found, and the rest of the line counts": Drawn(
        GUEST, {RULE: f'LABEL="again"\n{TO_GUEST[:-1]}, GOTO="again"\n'}
    ),
    "a label in another file is not found": Drawn(
        GUEST, {RULE: f'SUBSYSTEM=="pci", GOTO="end"\n{TO_GUEST}', "/etc/udev/rules.d/51-more.rules": 'LABEL="end"\n'}
    ),
    "two keys about parents hold for none": Drawn(
        NATIVE, {RULE: f'{ADDED}, KERNELS=="{BRIDGE}", ATTRS{{vendor}}=="0x10de", {OVERRIDE}, {LOAD}\n'}, then=behind_bridge
    ),
    "the event after binding rebinds": Drawn(GUEST, {RULE: f'{BOUND}, DRIVER=="nouveau", {OVERRIDE}, {UNBIND}, {LOAD}\n'}),
    "the event after binding also unbinds the other driver": Drawn(ONE_LOST, {RULE: f"{BOUND}, {OVERRIDE}, {UNBIND}, {LOAD}\n"}),
    "a property is compared before the import on its line": Drawn(
        NATIVE,
        {RULE: f'{ADDED}, KERNEL=="{CARD}", IMPORT{{cmdline}}="guest", ENV{{guest}}=="on", {OVERRIDE}, {LOAD}\n'},
        cmdline="guest=on",
    ),
    "an empty value is not written": Drawn(
        ONE_LOST, {EARLY_RULE: TO_GUEST.partition(", RUN")[0] + "\n", RULE: f'{ADDED}, KERNEL=="{CARD}", ATTR{{driver_override}}=""\n'}
    ),
    "an override with a blank at its end": Drawn(
        ONE_LOST, {RULE: f'{ADDED}, KERNEL=="{CARD}", ATTR{{driver_override}}="vfio-pci ", {LOAD}\n'}
    ),
    "commands of all earlier rules are replaced": Drawn(NEITHER, {LATE_RULE: f'{CARDS}, RUN="/bin/true"\n'}),
    "later commands are forbidden": Drawn(NEITHER, {RULE: f'{CARDS}, RUN:="/bin/true"\n'}),
    "an operator that commands do not have": Drawn(NATIVE, {LATE_RULE: f'{CARDS}, RUN{{builtin}}-="kmod load"\n'}),
    "a bridge is removed in its own event": Drawn(
        ONE_LOST, {RULE: f'{ADDED}, KERNEL=="{BRIDGE}", ATTR{{remove}}="1"\n'}, then=behind_bridge
    ),
    "a bridge is removed in another event": Drawn(
        ONE_LOST, {RULE: f'{ADDED}, KERNEL=="{NIC}", ATTR{{[pci/{BRIDGE}]remove}}="1"\n'}, then=behind_bridge
    ),
    "tmpfiles.d removes a bridge": Drawn(
        ONE_LOST,
        {"/etc/tmpfiles.d/site.conf": f"w /sys/bus/pci/devices/{BRIDGE}/remove - - - - 1\n"},
        then=behind_bridge,
        open=(CARD, SAME, NIC),
    ),
    "a bridge to which another driver is written keeps what is behind it": Drawn(
        NATIVE, {RULE: f'{ADDED}, KERNEL=="{BRIDGE}", {OVERRIDE}, ATTR{{driver/unbind}}="$kernel"\n'}, then=behind_bridge
    ),
    "a rule runs modprobe where there is none": Drawn(
        ONE_LOST,
        {RULE: f'{ADDED}, KERNEL=="{CARD}", {OVERRIDE}, RUN+="/usr/bin/modprobe vfio-pci"\n'},
        then=installed("/usr/sbin/modprobe"),
    ),
    "a rule runs modprobe where it is": Drawn(
        GUEST, {RULE: f'{ADDED}, KERNEL=="{CARD}", {OVERRIDE}, RUN+="/sbin/modprobe vfio-pci"\n'}, then=installed("/usr/sbin/modprobe")
    ),
    # kmod
    "softdeps in a circle": Drawn(NATIVE, {**IDS, CONF: f"{SOFTDEP}softdep vfio-pci pre: nouveau\n"}),
    "softdeps without a blank": Drawn(NATIVE, {**IDS, CONF: "softdep nouveau pre:vfio-pci\n"}),
    "an alias of an alias": Drawn(NEITHER, {**IDS, CONF: "alias guest vfio-pci\nalias pci:v000010DEd00001DB1sv*sd*bc*sc*i* guest\n"}),
    "options of an alias, by which a softdep asks": Drawn(
        BOTH, {CONF: "alias vf vfio-pci\noptions vf ids=10de:1db1\nsoftdep nouveau pre: vf\n"}
    ),
    "a softdep of what is blacklisted": Drawn(BOTH, {**IDS, CONF: f"blacklist vfio-pci\n{SOFTDEP}"}),
    "the last of two lists of IDs": Drawn(NATIVE, {CONF: f"options vfio-pci ids=10de:1db1\noptions vfio-pci ids=8086:10d3\n{SOFTDEP}"}),
    "a comment that goes on": Drawn(NATIVE, {CONF: "# not now \\\nblacklist nouveau\n"}),
    "an install line that runs modprobe where there is none": Drawn(
        NEITHER, {CONF: "install nouveau /usr/bin/modprobe -i nouveau\n"}, then=installed("/usr/sbin/modprobe")
    ),
    "an install line with another command if that modprobe is not there": Drawn(
        NATIVE,
        {CONF: "install nouveau /usr/bin/modprobe vfio-pci || /sbin/modprobe -i nouveau\n", **IDS},
        then=installed("/usr/sbin/modprobe"),
    ),
    # systemd
    "a unit that is masked": Drawn(NATIVE, {f"{LIB}/card.service": UNIT, MOVER: MOVES}, {**CARD_LINK, f"{OWN}/card.service": "/dev/null"}),
    "a unit with a condition that does not hold": enabled(NATIVE, "ConditionPathExists=/etc/never\n"),
    "a unit of rescue.target": enabled(NATIVE, target="rescue.target"),
    "a first unit that is none": enabled(GUEST, cmdline="systemd.unit=rescue"),
    "a run level after another first unit": enabled(GUEST, cmdline="systemd.unit=rescue.target 3"),
    "another first unit after a run level": enabled(NATIVE, cmdline="3 systemd.unit=rescue.target"),
    "an emergency shell": Drawn(NEITHER, cmdline="emergency", open=(CARD, SAME)),
    "an emergency shell as the first unit": Drawn(NEITHER, cmdline="systemd.unit=emergency.target", open=(CARD, SAME)),
    "a word of an initramfs's emergency shell": Drawn(NATIVE, cmdline="rd.emergency"),
    "the replay of events is masked by a word": Drawn(NEITHER, cmdline="systemd.mask=systemd-udev-trigger.service"),
    "a drop-in of another name of a unit": Drawn(
        GUEST,
        {**SSH, f"{OWN}/sshd.service.d/card.conf": f"[Service]\nExecStartPre={MOVER}\n"},
        {**SSH_LINK, f"{OWN}/sshd.service": f"{LIB}/ssh.service"},
        open=(CARD,),
    ),
    "another name of a unit wants one": Drawn(
        GUEST,
        {**SSH, f"{OWN}/card.service": UNIT},
        {**SSH_LINK, f"{OWN}/sshd.service": f"{LIB}/ssh.service", f"{OWN}/sshd.service.wants/card.service": "../card.service"},
        open=(CARD,),
    ),
    "a mount requires a unit": Drawn(
        GUEST,
        {f"{OWN}/card.service": UNIT, MOVER: MOVES, "/etc/fstab": "tmpfs /mnt tmpfs x-systemd.requires=card.service 0 0\n"},
        open=(CARD,),
    ),
    "a mount that nobody asks for requires a unit": Drawn(
        NATIVE, {f"{OWN}/card.service": UNIT, MOVER: MOVES, "/etc/fstab": "tmpfs /mnt tmpfs noauto,x-systemd.requires=card.service 0 0\n"}
    ),
    "a preset at a first boot": Drawn(
        GUEST,
        {
            f"{LIB}/card.service": f"{UNIT}[Install]\nWantedBy=multi-user.target\n",
            MOVER: MOVES,
            "/etc/systemd/system-preset/10-site.preset": "enable card.*\ndisable *\n",
            "/etc/machine-id": "uninitialized\n",
        },
        open=(CARD,),
    ),
    "a preset against a unit at a first boot": Drawn(
        NATIVE,
        {
            f"{LIB}/card.service": f"{UNIT}[Install]\nWantedBy=multi-user.target\n",
            MOVER: MOVES,
            "/usr/lib/systemd/system-preset/99-default.preset": "disable *\n",
            "/etc/machine-id": "uninitialized\n",
        },
    ),
    "a preset at a later boot": Drawn(
        NATIVE,
        {
            f"{LIB}/card.service": f"{UNIT}[Install]\nWantedBy=multi-user.target\n",
            MOVER: MOVES,
            "/etc/systemd/system-preset/10-site.preset": "enable card.service\n",
            "/etc/machine-id": "0123456789abcdef0123456789abcdef\n",
        },
    ),
    "a greeter": daemon("greetd", **{"/etc/greetd/config.toml": f'[default_session]\ncommand = "{MOVER}"\nuser = "root"\n'}),
    "a cluster's address": daemon(
        "keepalived", **{"/etc/keepalived/keepalived.conf": f'vrrp_instance a {{\n  notify_master "{MOVER}"\n}}\n'}
    ),
    "a disk array": daemon("mdmonitor", **{"/etc/mdadm/mdadm.conf": f"PROGRAM {MOVER}\n"}),
    "a tunnel": daemon("openvpn", **{"/etc/openvpn/site.conf": f"dev tun\nup {MOVER}\n"}),
    "no /etc": Drawn(NATIVE, {CONF: "blacklist nouveau\n"}, cmdline="systemd.volatile=yes", open=(CARD, SAME)),
    "an /etc of which changes are lost": Drawn(NEITHER, {CONF: "blacklist nouveau\n"}, cmdline="systemd.volatile=overlay"),
    # initramfs
    "a script of a network boot": Drawn(NATIVE, then=in_folder("nfs-premount")),
    "a script of a network boot, which it is": Drawn(GUEST, cmdline="boot=nfs", then=in_folder("nfs-premount"), open=(CARD,)),
    "a script of a network boot, which the image is for": Drawn(
        GUEST, then=in_folder("nfs-premount", **{"conf/initramfs.conf": "MODULES=most\nBOOT=nfs\n"}), open=(CARD,)
    ),
    "a script of a network boot, which the image is not for": Drawn(
        NATIVE, then=in_folder("nfs-premount", **{"conf/initramfs.conf": "MODULES=most\nBOOT=local\n"})
    ),
    "a script of a boot that has failed": Drawn(NATIVE, then=in_folder("panic")),
    "a script at the end of an initramfs": Drawn(GUEST, then=in_folder("init-bottom"), open=(CARD,)),
    "a script that no order names": Drawn(NATIVE, then=by_initramfs_tools(**{"scripts/init-top/card": SCRIPT})),
    "a hook of a shutdown": Drawn(NATIVE, then=by_dracut(**{"usr/lib/dracut/hooks/shutdown/00-card.sh": SCRIPT})),
    "a hook before the events": Drawn(GUEST, then=by_dracut(**{"usr/lib/dracut/hooks/pre-trigger/00-card.sh": SCRIPT}), open=(CARD,)),
    "a hook where dracut-ng has them": Drawn(GUEST, then=by_dracut(**{"var/lib/dracut/hooks/pre-udev/00-card.sh": SCRIPT}), open=(CARD,)),
    "options of a module that the initramfs has loaded without them": Drawn(
        NATIVE, IDS, then=by_initramfs_tools(**{"conf/modules": "vfio-pci\n"})
    ),
}


@pytest.mark.sampled(5)
@pytest.mark.parametrize("name", HOSTS)
def test_what_is_certain_is_true_and_what_is_open_has_the_truth_among_its_outcomes(tmp_path: Path, name: str) -> None:
    compare(HOSTS[name].tree(tmp_path), HOSTS[name].truth, HOSTS[name].open)


@pytest.mark.parametrize(
    ("now", "then", "said"),
    [
        ("root=UUID=0f22fa61", "root=UUID=7a11c0de", "root=UUID=7a11c0de is not the running system's (root=UUID=0f22fa61)"),
        ("root=/dev/sda1", "root=UUID=7a11c0de", None),
        (
            "root=/dev/sda1 rootflags=subvol=@",
            "root=/dev/sda1 rootflags=subvol=@old",
            "rootflags=subvol=@old is not the running system's (rootflags=subvol=@)",
        ),
        ("root=/dev/sda1 rootflags=subvol=@", "root=/dev/sda1 rootflags=noatime,subvol=/@", None),
    ],
)
def test_a_boot_of_another_root_is_open(tmp_path: Path, now: str, then: str, said: str | None) -> None:
    tree = Drawn(NATIVE, then=lambda tree: tree.cmdline(now)).tree(tmp_path)
    entry = f"menuentry 'Linux' {{\n\tlinux /boot/vmlinuz-{DEBIAN_13} {then}\n\tinitrd {initramfs_files.IMAGE}\n}}\n"
    tree.file("/boot/grub/grub.cfg", f'set default="0"\n{entry}')
    (found,) = device_info(tree.host(Commands(tmp_path)), devices=CARD)["devices"]
    boot = found["kernels"][DEBIAN_13]
    assert [line for line in boot["because"] if "is not the running system's" in line] == [
        line for line in boot["because"] if said is not None and said in line
    ]
    assert (boot["certainty"] == "certain") is (said is None)
