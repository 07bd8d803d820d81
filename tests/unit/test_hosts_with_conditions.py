# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts with units that are not started, or end before they act, and with install lines that remove modules.

Their truth comes from systemd.unit(5), systemd.service(5), the sources of systemd (src/shared/condition.c), and modprobe(8).
"""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.conditions import Conditions
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import Unit, UnitSetting
from ansible_collections.vfio.variants.tests.unit.drawn_hosts import (
    BOTH,
    GUEST,
    IDS,
    MOVER,
    MULTI_USER,
    NATIVE,
    NEITHER,
    OWN,
    RULE,
    TO_GUEST,
    Drawn,
    compare,
    said,
    unit,
)
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path

OS = {"/etc/os-release": 'ID=debian\nVERSION_ID="13"\n'}
NAME = {"/etc/hostname": "alpha.example\n"}
BARE = {
    "/proc/cpuinfo": "processor\t: 0\nflags\t\t: fpu vme\n",
    "/sys/class/dmi/id/sys_vendor": "Supermicro\n",
    "/sys/class/dmi/id/product_name": "SYS-4029GP\n",
}
GUEST_MACHINE = {
    "/proc/cpuinfo": "processor\t: 0\nflags\t\t: fpu vme hypervisor\n",
    "/sys/class/dmi/id/sys_vendor": "QEMU\n",
}
ARM = {"/usr/lib/systemd/systemd": "\x7fELF\2\1\1" + "\0" * 9 + "\3\0\x3e\0"}
WANTS = "[Unit]\nWants=card.service\n"
SCRIPT = f"ExecStart={MOVER}"


def when(truth: t.Any, condition: str, more: t.Mapping[str, str] | None = None, cmdline: str = "") -> Drawn:
    """A unit that gives the card to the guest, if this holds."""
    return unit(truth, head=f"{condition}\n", more=more, cmdline=cmdline)


def before(truth: t.Any, *lines: str, more: t.Mapping[str, str] | None = None) -> Drawn:
    """A unit that gives the card to the guest, if these commands let it."""
    return unit(truth, "\n".join((*lines, SCRIPT)), more=more)


def timer(truth: t.Any, condition: str) -> Drawn:
    files = {f"{OWN}/go.timer": f"[Unit]\n{condition}\n[Timer]\nOnStartupSec=1\nUnit=card.service\n"}
    return unit(truth, enabled=False, more={**files, f"{OWN}/timers.target.wants/go.timer": "<../go.timer>"})


HOSTS: dict[str, Drawn] = {
    # the kernel and the machine
    "another architecture": when(NATIVE, "ConditionArchitecture=arm64"),
    "this architecture": when(GUEST, "ConditionArchitecture=x86-64"),
    "this architecture by its program": when(GUEST, "ConditionArchitecture=x86-64", ARM),
    "not this architecture": when(NATIVE, "ConditionArchitecture=!x86-64"),
    "not another architecture": when(GUEST, "ConditionArchitecture=!arm64"),
    "an architecture that there is not": when(GUEST, "ConditionArchitecture=|amd64\nConditionPathExists=|/etc"),
    "the native architecture": when(NATIVE, "ConditionArchitecture=!native"),
    "one of two architectures": when(GUEST, "ConditionArchitecture=|arm64\nConditionArchitecture=|x86-64"),
    "none of two architectures": when(NATIVE, "ConditionArchitecture=|arm64\nConditionArchitecture=|s390x"),
    "an asserted architecture": when(NATIVE, "AssertArchitecture=riscv64"),
    "a newer kernel": when(NATIVE, "ConditionKernelVersion=>=7.0"),
    "an older kernel": when(NATIVE, "ConditionKernelVersion=<6.1"),
    "a range of kernels": when(GUEST, "ConditionKernelVersion=>=6.1 <7"),
    "a range of kernels that it is not in": when(NATIVE, "ConditionKernelVersion=>=6.1 <6.12"),
    "a blank after the operator": when(NATIVE, "ConditionKernelVersion=> 6.13"),
    "no such range": when(GUEST, "ConditionKernelVersion=!<6.1"),
    "a pattern of kernels": when(GUEST, "ConditionKernelVersion=6.12.*"),
    "another pattern of kernels": when(NATIVE, "ConditionKernelVersion=6.1.*"),
    "a kernel by its whole name": when(NATIVE, "ConditionKernelVersion=6.12"),
    "a version since 258": when(NATIVE, "ConditionVersion=kernel >=7.0"),
    "a version of something else": when(GUEST, "ConditionVersion=systemd >=200"),
    "a word without its value": when(GUEST, "ConditionKernelCommandLine=guest", cmdline="guest=1"),
    "a word with another value": when(NATIVE, "ConditionKernelCommandLine=guest=2", cmdline="guest=1"),
    "the beginning of a word": when(NATIVE, "ConditionKernelCommandLine=gue", cmdline="guest=1"),
    "a word that a boot loader adds": when(GUEST, "ConditionKernelCommandLine=BOOT_IMAGE"),
    "no firmware of that kind": when(NATIVE, "ConditionFirmware=uefi", {"/sys/firmware/dmi/tables/DMI": "x"}),
    "no firmware of that kind, by a word": when(GUEST, "ConditionFirmware=uefi", {"/sys/firmware/dmi/tables/DMI": "x"}, "efi=runtime"),
    "a container": when(NATIVE, "ConditionVirtualization=container"),
    "a container by a word": when(GUEST, "ConditionVirtualization=container", cmdline="container=lxc"),
    "not in a container": when(GUEST, "ConditionVirtualization=!container"),
    "a virtual machine, on a real one": when(NATIVE, "ConditionVirtualization=vm", BARE),
    "anything virtual, on a real one": when(NATIVE, "ConditionVirtualization=yes", BARE),
    "one kind, on a real machine": when(NATIVE, "ConditionVirtualization=kvm", BARE),
    "a real machine": when(GUEST, "ConditionVirtualization=no", BARE),
    "a real machine, in a virtual one": when(NATIVE, "ConditionVirtualization=no", GUEST_MACHINE),
    "one kind, in a virtual machine": when(GUEST, "ConditionVirtualization=kvm", GUEST_MACHINE),
    "a machine whose maker makes virtual ones, too": when(
        GUEST, "ConditionVirtualization=oracle", {**BARE, "/sys/class/dmi/id/sys_vendor": "Oracle Corporation\n"}
    ),
    "a hypervisor's own system": when(GUEST, "ConditionVirtualization=no", {**BARE, "/proc/xen/capabilities": "control_d\n"}),
    "no secure boot without such firmware": when(NATIVE, "ConditionSecurity=uefi-secureboot", {"/sys/firmware/dmi/tables/DMI": "x"}),
    "a security module that is off": when(NATIVE, "ConditionSecurity=apparmor", cmdline="apparmor=0"),
    "a security module that can be on": when(GUEST, "ConditionSecurity=apparmor", cmdline="apparmor=1"),
    # the host
    "another host": when(NATIVE, "ConditionHost=beta*", NAME),
    "this host": when(GUEST, "ConditionHost=ALPHA.*", NAME),
    "not this host": when(NATIVE, "ConditionHost=!alpha.example", NAME),
    "another host, by a word": when(GUEST, "ConditionHost=beta", NAME, "systemd.hostname=beta"),
    "another host, where something gives names": when(GUEST, "ConditionHost=beta", {**NAME, "/usr/bin/cloud-init": "#!/bin/sh\n"}),
    "another distribution": when(NATIVE, "ConditionOSRelease=ID=fedora", OS),
    "this distribution, and later": when(GUEST, "ConditionOSRelease=ID=debian VERSION_ID>=13", OS),
    "this distribution, earlier": when(NATIVE, "ConditionOSRelease=ID=debian VERSION_ID<13", OS),
    "a field that the distribution has not": when(NATIVE, "ConditionOSRelease=VARIANT_ID=server", OS),
    "another group": when(NATIVE, "ConditionGroup=1000"),
    "a credential": when(GUEST, "ConditionCredential=card"),
    "memory": when(GUEST, "ConditionMemory=>1"),
    # files
    "a pattern of files that there are": when(GUEST, "ConditionPathExistsGlob=/etc/host*", NAME),
    "a pattern of files that there are not": when(NATIVE, "ConditionPathExistsGlob=/etc/never*"),
    "a pattern of hidden files": when(NATIVE, "ConditionPathExistsGlob=/opt/card/*", {"/opt/card/.hidden": ""}),
    "a pattern with braces": when(GUEST, "ConditionPathExistsGlob=/etc/{hostname,x}", NAME),
    "a program that may not be run": when(NATIVE, "ConditionFileIsExecutable=/etc/hostname", NAME),
    "a program that may be run": when(GUEST, f"ConditionFileIsExecutable={MOVER}"),
    "a link to what the boot makes": when(GUEST, "ConditionPathExists=/etc/card.state", {"/etc/card.state": "</run/card.state>"}),
    "a folder that is linked to what the boot makes": when(GUEST, "ConditionPathExists=/var/card/x", {"/var/card": "</run/card>"}),
    "a file behind two signs": when(GUEST, "ConditionPathExists=!!/etc/never"),
    # other units
    "a timer that is not started": timer(NATIVE, "ConditionPathExists=/etc/never"),
    "a timer that is": timer(GUEST, "ConditionPathExists=!/etc/never"),
    "a unit that one needs which is not started": unit(
        GUEST,
        enabled=False,
        more={
            f"{OWN}/other.service": "[Unit]\nRequires=card.service\nConditionPathExists=/etc/never\n[Service]\nExecStart=/bin/true\n",
            f"{MULTI_USER}/other.service": "<../other.service>",
        },
    ),
    "a unit that is started where an assertion fails": unit(
        GUEST,
        enabled=False,
        more={
            f"{OWN}/other.service": "[Unit]\nOnFailure=card.service\nAssertPathExists=/etc/never\n[Service]\nExecStart=/bin/true\n",
            f"{MULTI_USER}/other.service": "<../other.service>",
        },
    ),
    "a rule for another architecture": Drawn(NATIVE, {RULE: f'CONST{{arch}}=="arm64", {TO_GUEST}'}),
    "a rule for this architecture": Drawn(GUEST, {RULE: f'CONST{{arch}}=="x86-64", {TO_GUEST}'}),
    "a drop-in of a target that cannot be seen": unit(GUEST, enabled=False, more={f"{OWN}/multi-user.target.d/a.conf": WANTS}),
    "a drop-in of a target that is masked": unit(
        NATIVE,
        enabled=False,
        more={f"{OWN}/printer.target.d/a.conf": WANTS, f"{OWN}/printer.target": "</dev/null>"},
    ),
    "a wish of a target that is masked": unit(
        NATIVE,
        enabled=False,
        more={f"{OWN}/printer.target.wants/card.service": "<../card.service>", f"{OWN}/printer.target": "</dev/null>"},
    ),
    "a drop-in of a target that comes with hardware": unit(GUEST, enabled=False, more={f"{OWN}/printer.target.d/a.conf": WANTS}),
    # commands before the work
    "a condition that says no": before(NATIVE, "ExecCondition=/bin/false"),
    "a condition that says no, by its name": before(NATIVE, "ExecCondition=false"),
    "a condition that says yes": before(GUEST, "ExecCondition=/usr/bin/true"),
    "a condition whose end does not count": before(GUEST, "ExecCondition=-/bin/false"),
    "a condition with a program of the site": before(GUEST, "ExecCondition=false", more={"/usr/local/bin/false": "#!/bin/sh\nexit 0\n"}),
    "a condition with a status that is as good": before(GUEST, "SuccessExitStatus=1", "ExecCondition=/bin/false"),
    "a condition by a file that there is not": before(NATIVE, "ExecCondition=/usr/bin/test -e /etc/never"),
    "a condition by a file that there is": before(GUEST, "ExecCondition=/usr/bin/test -f /etc/hostname", more=NAME),
    "a condition by the want of a file": before(NATIVE, "ExecCondition=/usr/bin/test ! -e /etc/hostname", more=NAME),
    "a condition by a file of this boot": before(GUEST, "ExecCondition=/usr/bin/test -e /run/card"),
    "a condition in brackets": before(NATIVE, "ExecCondition=[ -d /etc/never ]"),
    "a condition of a shell": before(NATIVE, "ExecCondition=/bin/sh -c 'exit 1'"),
    "a condition of a shell that says yes": before(GUEST, "ExecCondition=/bin/sh -c 'exit 256'"),
    "a condition of a shell, of two": before(NATIVE, "ExecCondition=/bin/sh -c 'true && [ -e /etc/never ]'"),
    "a condition of a shell, one of two": before(GUEST, "ExecCondition=/bin/sh -c 'false || ! false'"),
    "a condition of a shell with a variable": before(GUEST, "ExecCondition=/bin/sh -c '[ -n \"$$HOME\" ]'"),
    "a condition of a shell that reads": before(GUEST, "ExecCondition=/bin/sh -c 'grep -q x /proc/cmdline'"),
    "a preparation that fails": before(NATIVE, "ExecStartPre=/bin/false"),
    "a preparation whose end does not count": before(GUEST, "ExecStartPre=-/bin/false"),
    "a preparation that makes what is asked for": before(
        GUEST, "ExecStartPre=/usr/bin/mkdir -p /var/lib/card", "ExecStartPre=/usr/bin/test -d /var/lib/card"
    ),
    "a folder of the unit that is asked for": before(GUEST, "StateDirectory=card", "ExecCondition=/usr/bin/test -d /var/lib/card"),
    "a folder that the unit does not see": before(
        GUEST, "InaccessiblePaths=/etc/hostname", "ExecCondition=/usr/bin/test ! -s /etc/hostname", more=NAME
    ),
    "work that fails before": before(NATIVE, "ExecStart=/bin/false"),
    "work that fails before, of a service that stays": unit(
        GUEST, f"ExecStart=/bin/false\nExecStartPost={MOVER}".replace("ExecStart=", "Type=simple\nExecStart=", 1)
    ),
    "work after the end of one that fails": unit(GUEST, f"ExecStart=/bin/false\nExecStopPost={MOVER}"),
    "work at the stop of one that never ran": unit(NATIVE, f"ExecCondition=/bin/false\nExecStart=/bin/true\nExecStop={MOVER}"),
    # install lines that remove
    "an install line that removes what drives nothing": said(
        "install nouveau /sbin/modprobe -r pcspkr; /sbin/modprobe --ignore-install nouveau\n", NATIVE
    ),
    "an install line that removes what there is not": said("install nouveau /sbin/modprobe -qr never; /sbin/modprobe -i nouveau\n", NATIVE),
    "an install line that goes on only after a removal that fails": said(
        "install nouveau /sbin/modprobe -r never && /sbin/modprobe -i nouveau\n", NEITHER
    ),
    "an install line that goes on after a removal that fails": said(
        "install nouveau /sbin/modprobe -r never || /sbin/modprobe -i nouveau\n", NATIVE
    ),
    "an install line that only removes": said("install nouveau /sbin/modprobe -r pcspkr\n", NEITHER),
    "an install line that removes, then loads another": said(
        "install nouveau /sbin/modprobe --remove pcspkr; /sbin/modprobe vfio-pci; /sbin/modprobe -i nouveau\n", BOTH, **IDS
    ),
}


@pytest.mark.sampled(5)
@pytest.mark.parametrize("name", HOSTS)
def test_the_answers_are_true_or_open_where_they_may_be(tmp_path: Path, name: str) -> None:
    compare(HOSTS[name].tree(tmp_path), HOSTS[name].truth, HOSTS[name].open)


def test_what_an_install_line_removes_is_open_for_its_own_devices(tmp_path: Path) -> None:
    text = "install vfio-pci /sbin/modprobe -r nouveau; /sbin/modprobe -i vfio-pci\n"
    drawn = said(f"{text}softdep nouveau post: vfio-pci\n", NATIVE)
    compare(drawn.tree(tmp_path), NATIVE, tuple(NATIVE))


def test_what_follows_a_removal_only_if_it_ends_well_is_open(tmp_path: Path) -> None:
    drawn = said("install nouveau /sbin/modprobe -r vfio-pci && /sbin/modprobe -i nouveau\n", NATIVE)
    compare(drawn.tree(tmp_path), NATIVE, tuple(NATIVE))
    with pytest.raises(AssertionError, match="certain"):
        compare(drawn.tree(tmp_path / "again"), NATIVE, ())


@pytest.mark.parametrize(
    ("condition", "cmdline", "holds"),
    [("uefi", "", True), ("!uefi", "", False), ("!uefi", "noefi", True), ("device-tree", "", True)],
)
def test_firmware_is_as_it_is_now(tmp_path: Path, condition: str, cmdline: str, holds: bool) -> None:
    host = Tree(tmp_path).file("/sys/firmware/efi/fw_platform_size", "64\n").host()
    unit_ = Unit("a.service", ("a.service",), "/a", (UnitSetting("Unit", "ConditionFirmware", condition, "/a:1"),))
    assert Conditions(host, Cmdline.parse(cmdline)).may_hold(unit_) is holds
