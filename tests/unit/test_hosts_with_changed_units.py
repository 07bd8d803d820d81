# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts whose administrator has changed systemd's own units about udev and modules, harmlessly and not.

Their truth comes from systemd.unit(5), systemd.exec(5), udevadm(8), systemd-udevd(8), and the units of systemd 252 and 257.
"""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.drawn_hosts import (
    BOTH,
    CARD,
    IDS,
    LIB,
    NATIVE,
    NEITHER,
    OWN,
    SAME,
    Drawn,
    Truth,
    compare,
    saved,
)
from ansible_collections.vfio.variants.tests.unit.module_calls import device_info
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree

if t.TYPE_CHECKING:
    from pathlib import Path


TRIGGER, UDEVD, LISTS = "systemd-udev-trigger.service", "systemd-udevd.service", "systemd-modules-load.service"
ALL = "udevadm trigger --type=all --action=add --prioritized-subsystem=module,block,tpmrm,net,tty,input"
STOCK = (
    "[Unit]\nDescription=Coldplug All udev Devices\nDefaultDependencies=no\nWants=systemd-udevd.service\n"
    "After=systemd-udevd-kernel.socket systemd-udevd-control.socket\nBefore=sysinit.target\nConditionPathIsReadWrite=/sys\n"
    f"[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=-{ALL}\n"
)
STOCK_DAEMON = (
    "[Unit]\nDefaultDependencies=no\nAfter=systemd-sysusers.service\nConditionPathIsReadWrite=/sys\n"
    "[Service]\nCapabilityBoundingSet=~CAP_SYS_TIME CAP_WAKE_ALARM\nType=notify\nExecStart=/usr/lib/systemd/systemd-udevd\n"
    "SystemCallFilter=@system-service @module @raw-io bpf\nSystemCallFilter=~@clock\nPrivateMounts=yes\nIPAddressDeny=any\n"
)
STOCK_LISTS = (
    "[Unit]\nDefaultDependencies=no\nConflicts=shutdown.target\nBefore=sysinit.target shutdown.target\n"
    "ConditionCapability=CAP_SYS_MODULE\nConditionDirectoryNotEmpty=|/etc/modules-load.d\nConditionKernelCommandLine=|modules-load\n"
    "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/lib/systemd/systemd-modules-load\n"
)
UNITS = {f"{LIB}/{TRIGGER}": STOCK, f"{LIB}/{UDEVD}": STOCK_DAEMON, f"{LIB}/{LISTS}": STOCK_LISTS}
LISTED = {"/etc/modules-load.d/card.conf": "vfio-pci\n", **IDS, "/etc/modprobe.d/off.conf": "blacklist nouveau\n"}
BLACKLISTED = {CARD: None, SAME: None}
SERVICE = "[Service]\n"


def trigger(truth: Truth, text: str, name: str = TRIGGER, **files: str) -> Drawn:
    """A drop-in of a unit of systemd; where the truth is not the ordinary one, the answer may be open."""
    own = {**UNITS, **files, f"{OWN}/{name}.d/site.conf": text}
    return Drawn(truth, own, open=() if truth is NATIVE else (CARD, SAME))


def other(text: str) -> str:
    return f"{SERVICE}ExecStart=\nExecStart={text}\n"


def decided(truth: Truth, text: str, name: str = TRIGGER, files: t.Mapping[str, str] | None = None) -> Drawn:
    return Drawn(truth, {**UNITS, **(files or {}), f"{OWN}/{name}.d/site.conf": text})


HOSTS: dict[str, Drawn] = {
    # what leaves the work as it is
    "an order": trigger(NATIVE, "[Unit]\nAfter=local-fs.target\nDescription=Late\n"),
    "a time limit and a priority": trigger(NATIVE, f"{SERVICE}TimeoutSec=180\nNice=-5\nIOSchedulingClass=realtime\n"),
    "a variable": trigger(NATIVE, f"{SERVICE}Environment=SITE=1 COLOUR=red\n"),
    "a file of variables": trigger(NATIVE, f"{SERVICE}EnvironmentFile=-/etc/default/site\n", **{"/etc/default/site": "A=b\n"}),
    "a pause before the work": trigger(NATIVE, f"{SERVICE}ExecStartPre=/bin/sleep 2\n"),
    "a command after the work": trigger(NATIVE, f"{SERVICE}ExecStartPost=/usr/bin/udevadm settle\n"),
    "the same command once more": trigger(NATIVE, other(f"-{ALL}")),
    "the two commands of older systemd": trigger(
        NATIVE, other("udevadm trigger --type=subsystems --action=add\nExecStart=udevadm trigger -t devices -c add")
    ),
    "all but disks": trigger(NATIVE, other("/usr/bin/udevadm trigger --type=all --action=add --subsystem-nomatch=block")),
    "no conditions": trigger(NATIVE, "[Unit]\nConditionPathIsReadWrite=\n"),
    "a condition that holds": trigger(NATIVE, "[Unit]\nConditionPathExists=/etc\n"),
    "a copy of the unit": Drawn(NATIVE, {**UNITS, f"{OWN}/{TRIGGER}": f"# ours\n{STOCK}Nice=5\n"}),
    "a copy of the daemon's unit": Drawn(NATIVE, {**UNITS, f"{OWN}/{UDEVD}": STOCK_DAEMON}),
    "options of the daemon": trigger(NATIVE, other("/usr/lib/systemd/systemd-udevd --event-timeout=600 --children-max=8"), UDEVD),
    "a drop-in of all services": Drawn(
        NATIVE, {**UNITS, f"{OWN}/service.d/site.conf": f"{SERVICE}TimeoutStopSec=10\nNoNewPrivileges=no\n"}
    ),
    "variables of what loads lists": decided(BOTH, f"{SERVICE}Environment=SITE=1\nTimeoutSec=30\n", LISTS, LISTED),
    # what is decided
    "a condition that does not hold": decided(NEITHER, "[Unit]\nConditionPathExists=/etc/never\n"),
    "an assertion that does not hold": decided(NEITHER, "[Unit]\nAssertPathExists=/etc/never\n"),
    "a word that the daemon asks for": decided(NEITHER, "[Unit]\nConditionKernelCommandLine=hotplug\n", UDEVD),
    "lists under a condition that does not hold": decided(BLACKLISTED, "[Unit]\nConditionPathExists=!/etc\n", LISTS, LISTED),
    # what may change the work
    "events of one subsystem": trigger(NEITHER, other("udevadm trigger --type=all --action=add --subsystem-match=block")),
    "another action": trigger(NEITHER, other("udevadm trigger --type=all")),
    "no command": trigger(NEITHER, f"{SERVICE}ExecStart=\nExecStart=/bin/true\n"),
    "events of subsystems alone": trigger(NEITHER, other("udevadm trigger --type=subsystems --action=add")),
    "a condition of the boot's": trigger(NEITHER, "[Unit]\nConditionPathExists=/run/site\n"),
    "work after a command that fails": trigger(NEITHER, f"{SERVICE}ExecStartPre=/bin/false\n"),
    "a daemon that may not load modules": trigger(NEITHER, f"{SERVICE}ProtectKernelModules=yes\n", UDEVD),
    "a daemon without the call": trigger(NEITHER, f"{SERVICE}SystemCallFilter=~@module\n", UDEVD),
    "a daemon without the capability": trigger(NEITHER, f"{SERVICE}CapabilityBoundingSet=~CAP_SYS_MODULE\n", UDEVD),
    "a daemon that does not see modules": trigger(NEITHER, f"{SERVICE}InaccessiblePaths=/usr/lib/modules\n", UDEVD),
    "a daemon for which something has to run": trigger(NEITHER, "[Unit]\nRequires=never.service\n", UDEVD),
    "a daemon that ends after its start": trigger(NEITHER, f"{SERVICE}ExecStartPost=/bin/false\n", UDEVD),
    "all services without modules": Drawn(
        NEITHER, {**UNITS, f"{OWN}/service.d/site.conf": f"{SERVICE}ProtectKernelModules=true\n"}, open=(CARD, SAME)
    ),
    "events that may not be asked for": trigger(NEITHER, f"{SERVICE}ProtectKernelTunables=yes\n"),
    "a daemon that may not write attributes": Drawn(
        NATIVE, {**UNITS, f"{OWN}/{UDEVD}.d/site.conf": f"{SERVICE}ProtectKernelTunables=yes\n"}, open=(CARD, SAME)
    ),
    "a daemon that is told another command line": Drawn(
        NATIVE, {**UNITS, f"{OWN}/{UDEVD}.d/site.conf": f"{SERVICE}Environment=SYSTEMD_PROC_CMDLINE=quiet\n"}, open=(CARD, SAME)
    ),
}

# What takes something from a unit, or ends it, and what does not: systemd.exec(5), systemd.service(5), systemd.unit(5).
TAKES = (
    "SystemCallFilter=\nSystemCallFilter=@basic-io",
    *("NoExecPaths=/", "RestrictFileSystems=ext4 tmpfs", "RestrictFileSystems=~sysfs", "AppArmorProfile=site", "SmackProcessLabel=site"),
    *("SELinuxContext=system_u:system_r:site_t:s0", "WorkingDirectory=/etc/never", "EnvironmentFile=/etc/never", "LoadCredential=x:/never"),
    *("StandardInput=file:/etc/never", "MountImages=/etc/x.raw:/sys", "SystemCallArchitectures=arm64", "PrivatePIDs=yes", "TasksMax=1"),
    *("PrivateNetwork=yes", "MemoryMax=1M", "ProcSubset=pid"),
)
TAKES_FROM_UDEVD = (
    "RestrictAddressFamilies=\nRestrictAddressFamilies=AF_UNIX",
    *("RestrictAddressFamilies=~AF_NETLINK", "RuntimeMaxSec=10", "Type=forking", "SystemCallFilter=\nSystemCallFilter=@system-service"),
    *("SystemCallFilter=~finit_module init_module", "SystemCallFilter=~@module"),
)
LEAVES = (
    "ProtectHome=yes\nPrivateTmp=yes\nLockPersonality=yes\nRestrictRealtime=yes\nNoNewPrivileges=yes\nProtectControlGroups=yes",
    "ProtectHostname=yes\nProtectClock=yes\nMemoryDenyWriteExecute=yes\nUMask=0022\nOOMScoreAdjust=-1000\nRestrictSUIDSGID=yes",
    *("ProtectSystem=strict", "WorkingDirectory=/etc", "WorkingDirectory=-/etc/never", "EnvironmentFile=-/etc/never", "PrivatePIDs=no"),
    *("StandardOutput=null", "SystemCallArchitectures=native", "LimitNOFILE=65536", "TasksMax=infinity", "MemoryMax=2G"),
)
LATE = "[Service]\nType=oneshot\nExecStart=/bin/true\n"


@pytest.mark.sampled(5)
@pytest.mark.parametrize("name", [TRIGGER, UDEVD])
@pytest.mark.parametrize("line", TAKES)
def test_what_takes_something_from_a_unit_leaves_its_work_open(tmp_path: Path, line: str, name: str) -> None:
    drawn = trigger(NEITHER, f"{SERVICE}{line}\n", name)
    compare(drawn.tree(tmp_path), NEITHER, (CARD, SAME))
    assert compare_one(drawn.tree(tmp_path)) == ("unknown", None)


@pytest.mark.parametrize("line", TAKES_FROM_UDEVD)
def test_what_takes_something_from_the_daemon_leaves_its_work_open(tmp_path: Path, line: str) -> None:
    assert compare_one(trigger(NEITHER, f"{SERVICE}{line}\n", UDEVD).tree(tmp_path)) == ("unknown", None)


@pytest.mark.parametrize("name", [TRIGGER, UDEVD])
@pytest.mark.parametrize("line", LEAVES)
def test_what_takes_nothing_leaves_the_answer_certain(tmp_path: Path, line: str, name: str) -> None:
    compare(trigger(NATIVE, f"{SERVICE}{line}\n", name).tree(tmp_path), NATIVE, ())


@pytest.mark.parametrize("after", ["multi-user.target", "network-online.target", "late.service"])
def test_a_unit_that_waits_for_itself_may_be_dropped(tmp_path: Path, after: str) -> None:
    drawn = trigger(NEITHER, f"[Unit]\nAfter={after}\n", TRIGGER, **{f"{OWN}/late.service": LATE})
    assert compare_one(drawn.tree(tmp_path)) == ("unknown", None)


@pytest.mark.parametrize("name", [TRIGGER, LISTS])
def test_a_link_that_is_masked_takes_a_unit_out_of_its_target(tmp_path: Path, name: str) -> None:
    wants = "sysinit.target.wants"
    links = {f"{LIB}/{wants}/{name}": f"../{name}", f"{OWN}/{wants}/{name}": "/dev/null"}
    truth = NEITHER if name == TRIGGER else BLACKLISTED
    compare(Drawn(truth, {**UNITS, **LISTED}, links).tree(tmp_path), {CARD: None}, (CARD,))


def test_lists_without_the_command_line_leave_that_open(tmp_path: Path) -> None:
    files = {**UNITS, **IDS, "/etc/modprobe.d/off.conf": "blacklist nouveau\n", f"{OWN}/{LISTS}.d/a.conf": f"{SERVICE}ProcSubset=pid\n"}
    compare(Drawn(BLACKLISTED, files, cmdline="modules_load=vfio-pci").tree(tmp_path), BLACKLISTED, (CARD, SAME))


MANAGER = "/etc/systemd/system.conf"


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (MANAGER, "CapabilityBoundingSet=~CAP_SYS_MODULE"),
        (MANAGER, "SystemCallArchitectures=arm64"),
        (MANAGER, "DefaultEnvironment=SYSTEMD_PROC_CMDLINE=quiet"),
        (f"{MANAGER}.d/site.conf", 'DefaultEnvironment="A=b" "LD_PRELOAD=/opt/site.so"'),
        (f"{MANAGER}.d/site.conf", "DefaultTasksMax=1"),
    ],
)
def test_what_the_manager_takes_from_all_units_leaves_the_work_open(tmp_path: Path, path: str, line: str) -> None:
    assert compare_one(Drawn(NEITHER, {path: f"[Manager]\n{line}\n"}).tree(tmp_path)) == ("unknown", None)


@pytest.mark.parametrize(
    "word", ["systemd.setenv=SYSTEMD_PROC_CMDLINE=quiet", '"systemd.setenv=LD_PRELOAD=/opt/a b.so"', "systemd.setenv=PATH=/opt"]
)
def test_a_word_that_gives_all_units_such_a_variable_leaves_the_work_open(tmp_path: Path, word: str) -> None:
    assert compare_one(Drawn(NEITHER, cmdline=f"root=/dev/sda2 {word}").tree(tmp_path)) == ("unknown", None)


@pytest.mark.parametrize(
    "word", ["systemd.setenv=LANG=C", "systemd.setenv=SYSTEMD_LOG_LEVEL=debug", "systemd.setenv=LD", "LD_PRELOAD=/opt/a.so"]
)
def test_a_word_that_gives_another_variable_keeps_the_answer_certain(tmp_path: Path, word: str) -> None:
    compare(Drawn(NATIVE, cmdline=f"root=/dev/sda2 {word}").tree(tmp_path), NATIVE, ())


@pytest.mark.parametrize(
    "line",
    [
        "#CapabilityBoundingSet=~CAP_SYS_MODULE",
        "CapabilityBoundingSet=~CAP_SYS_TIME",
        "DefaultEnvironment=A=b",
        "DefaultTimeoutStartSec=10s",
    ],
)
def test_what_the_manager_leaves_them_keeps_the_answer_certain(tmp_path: Path, line: str) -> None:
    compare(Drawn(NATIVE, {MANAGER: f"[Manager]\n{line}\n"}).tree(tmp_path), NATIVE, ())


@pytest.mark.parametrize("text", ["", "[Manager]\nDefaultTasksMax=50%\n"])
def test_a_file_of_the_manager_is_replaced_by_that_of_a_former_folder(tmp_path: Path, text: str) -> None:
    vendors = {f"/usr/local/lib/systemd/{path}": "[Manager]\nDefaultTasksMax=1\n" for path in ("system.conf", "system.conf.d/site.conf")}
    own = {MANAGER: "[Manager]\n", f"{MANAGER}.d/site.conf": text}
    assert compare_one(Drawn(NEITHER, vendors).tree(tmp_path / "before")) == ("unknown", None)
    compare(Drawn(NATIVE, {**vendors, **own}).tree(tmp_path / "after"), NATIVE, ())


DRIVERCTL = "driverctl@.service"
# What may be open with them is the one card.
OF_DRIVERCTL: dict[str, tuple[str, bool]] = {
    "a variable of driverctl's": (f"{SERVICE}Environment=SITE=1\nTimeoutSec=60\n", False),
    "an order of driverctl's": ("[Unit]\nAfter=local-fs.target\n", False),
    "driverctl without rights": (f"{SERVICE}ProtectKernelTunables=yes\n", True),
    "driverctl with another program": (f"{SERVICE}ExecStart=\nExecStart=/bin/true\n", True),
}


@pytest.mark.parametrize("name", OF_DRIVERCTL)
def test_a_change_of_driverctls_unit_counts_where_it_changes_its_work(tmp_path: Path, name: str) -> None:
    text, is_open = OF_DRIVERCTL[name]
    drawn = saved({CARD: "vfio-pci", SAME: "nouveau"}, files={f"{OWN}/{DRIVERCTL}.d/site.conf": text})
    before = compare_one(saved({CARD: "vfio-pci"}).tree(tmp_path / "before"))
    after = compare_one(drawn.tree(tmp_path / "after"))
    assert before == ("certain", "vfio-pci")
    assert (after == before) is not is_open


def compare_one(tree: Tree) -> tuple[str, str | None]:
    (found,) = device_info(tree.host(Commands(tree.root)), devices=CARD)["devices"]
    boot = found["kernels"][DEBIAN_13]
    return boot["certainty"], boot["winner"]


@pytest.mark.parametrize("name", HOSTS)
def test_a_change_of_systemds_own_units_counts_where_it_changes_their_work(tmp_path: Path, name: str) -> None:
    compare(HOSTS[name].tree(tmp_path), HOSTS[name].truth, HOSTS[name].open)
