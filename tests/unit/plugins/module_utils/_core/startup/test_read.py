# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What starts by itself on a host, and what does not."""

from __future__ import annotations

import sqlite3
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import read as startup
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO, DEBIAN_13, E1000E, NVIDIA_DISPLAY, Tree

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.read import Startup

CARD, SAME, NIC = "0000:3b:00.0", "0000:5e:00.0", "0000:02:00.0"
ETC, LIB = "/etc/systemd/system", "/usr/lib/systemd/system"
WANTS = f"{ETC}/multi-user.target.wants"
PROGRAM = "/usr/local/sbin/free-card"
FREES = f"#!/bin/sh\necho {CARD} > /sys/bus/pci/drivers/nouveau/unbind\n"
UNIT = f"[Service]\nType=oneshot\nExecStart={PROGRAM}\n"
GRUB = "/boot/grub/grub.cfg:12"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    modules = {"e1000e": [E1000E], "nouveau": [NVIDIA_DISPLAY], "vfio-pci": [ANY_VFIO], "dm-multipath": []}
    found = Tree(tmp_path).kernel(DEBIAN_13, modules, running=True).systemd()
    return found.pci(CARD).pci(SAME).pci(NIC, "8086:10d3", class_code=0x020000).file(PROGRAM, FREES, 0o755)


def started(tree: Tree, cmdline: str = "", with_systemd: bool = True) -> Startup:
    host = tree.host()
    return startup.read(host, Kernel.read(host, DEBIAN_13), Inventory.read(host), Cmdline.parse(cmdline), GRUB, with_systemd)


def sources(tree: Tree, cmdline: str = "") -> list[str]:
    return [influence.source for influence in started(tree, cmdline).early]


def enabled(tree: Tree, text: str = UNIT, name: str = "card.service", target: str = "multi-user.target", place: str = LIB) -> Tree:
    return tree.file(f"{place}/{name}", text).link(f"{ETC}/{target}.wants/{name}", f"{place}/{name}")


def test_a_host_on_which_nothing_starts_has_no_influence(tree: Tree) -> None:
    assert (started(tree).early, started(tree).later) == ((), ())


# -- units


@pytest.mark.parametrize("place", [ETC, LIB, "/usr/local/lib/systemd/system"])
def test_a_unit_that_a_link_enables_counts_in_every_folder(tree: Tree, place: str) -> None:
    found = started(enabled(tree, place=place))
    assert [influence.source for influence in found.early] == [f"{place}/card.service:3"]
    assert found.later == found.early


def test_a_unit_that_nothing_starts_does_not_count(tree: Tree) -> None:
    assert sources(tree.file(f"{LIB}/card.service", UNIT + "[Install]\nWantedBy=multi-user.target\n")) == []


@pytest.mark.parametrize("target", ["rescue.target", "shutdown.target", "suspend.target", "mine.target"])
def test_a_unit_of_a_target_that_is_not_reached_does_not_count(tree: Tree, target: str) -> None:
    assert sources(enabled(tree, target=target)) == []


@pytest.mark.parametrize(
    "target", ["sysinit.target", "basic.target", "timers.target", "graphical.target", "dev-sda.device", "network-online.target"]
)
def test_a_unit_of_a_target_that_is_reached_counts(tree: Tree, target: str) -> None:
    assert len(sources(enabled(tree, target=target))) == 1


def test_the_default_target_decides(tree: Tree) -> None:
    tree.link(f"{ETC}/default.target", f"{LIB}/multi-user.target")
    assert sources(enabled(tree, target="graphical.target")) == []
    assert len(sources(tree, "systemd.unit=graphical.target")) == 1
    assert sources(enabled(tree), "rescue") == []


@pytest.mark.parametrize("key", ["Wants", "Requires", "BindsTo", "Upholds", "OnFailure"])
def test_what_a_unit_pulls_in_counts(tree: Tree, key: str) -> None:
    enabled(tree, f"[Unit]\n{key}=other.service card.service\n[Service]\nExecStart=/bin/true\n", "first.service")
    assert len(sources(tree.file(f"{LIB}/card.service", UNIT))) == 1


@pytest.mark.parametrize(
    "mask", [lambda tree: tree.link(f"{ETC}/card.service", "/dev/null"), lambda tree: tree.file(f"{ETC}/card.service", "")]
)
def test_a_masked_unit_does_not_count(tree: Tree, mask: t.Callable[[Tree], Tree]) -> None:
    assert sources(mask(enabled(tree))) == []


def test_a_unit_can_be_masked_and_wanted_by_the_command_line(tree: Tree) -> None:
    assert sources(enabled(tree), "systemd.mask=card.service") == []
    tree.file(f"{LIB}/late.service", UNIT)
    assert sources(tree, "systemd.mask=card systemd.wants=late") == [f"{LIB}/late.service:3"]


def test_a_command_of_the_command_line_counts(tree: Tree) -> None:
    assert sources(tree, f'"systemd.run={PROGRAM} now"') == [f"{GRUB}: systemd.run="]


def test_a_template_knows_its_instance(tree: Tree) -> None:
    text = "[Service]\nExecStart=/bin/sh -c 'echo %I > /sys/bus/pci/drivers/nouveau/unbind'\n"
    tree.file(f"{LIB}/free@.service", text)
    tree.link(f"{WANTS}/free@0000:5e:00.0.service", f"{LIB}/free@.service")
    assert [influence.addresses for influence in started(tree).early] == [frozenset({SAME})]


@pytest.mark.parametrize("folder", ["card.service.d", "service.d"])
def test_a_drop_in_counts(tree: Tree, folder: str) -> None:
    enabled(tree, "[Service]\nExecStart=/bin/true\n").file(f"{ETC}/{folder}/site.conf", f"[Service]\nExecStartPre={PROGRAM}\n")
    assert sources(tree) == [f"{ETC}/{folder}/site.conf:2"]


def test_a_drop_in_of_a_prefix_counts(tree: Tree) -> None:
    enabled(tree, "[Service]\nExecStart=/bin/true\n", "site-card.service")
    assert len(sources(tree.file(f"{ETC}/site-.service.d/a.conf", f"[Service]\nExecStartPost=-{PROGRAM}\n"))) == 1


def test_an_empty_assignment_takes_back_what_was_there(tree: Tree) -> None:
    enabled(tree).file(f"{ETC}/card.service.d/off.conf", "[Service]\nExecStart=\nExecStart=/bin/true\n")
    assert sources(tree) == []


@pytest.mark.parametrize(
    ("kind", "text"), [("timer", "[Timer]\nOnBootSec=1min\n"), ("path", "[Path]\nPathExists=/x\n"), ("socket", "[Socket]\n")]
)
def test_a_timer_path_or_socket_starts_its_service(tree: Tree, kind: str, text: str) -> None:
    tree.file(f"{LIB}/card.service", UNIT)
    assert sources(enabled(tree, text, f"card.{kind}", f"{kind}s.target")) == [f"{LIB}/card.service:3"]


@pytest.mark.parametrize(
    ("lines", "count"),
    [
        ("ConditionPathExists=/etc/site.conf\n", 0),
        ("ConditionPathExists=!/etc/site.conf\n", 1),
        ("ConditionPathExists=/run/site\n", 1),
        ("ConditionPathExists=|/etc/site.conf\nConditionPathExists=|/etc/hosts\n", 0),
        ("ConditionKernelCommandLine=site\n", 0),
        ("ConditionKernelCommandLine=!site\n", 1),
        ("AssertPathIsDirectory=/etc/site\n", 0),
    ],
)
def test_conditions_on_files_and_the_command_line_are_decided(tree: Tree, lines: str, count: int) -> None:
    assert len(sources(enabled(tree, f"[Unit]\n{lines}{UNIT}"))) == count


@pytest.mark.parametrize(
    ("lines", "count"),
    [
        ("User=nobody\n", 0),
        ("User=root\n", 1),
        ("DynamicUser=yes\n", 0),
        ("User=nobody\nAmbientCapabilities=CAP_SYS_ADMIN\n", 1),
        ("ProtectKernelTunables=yes\nProtectKernelModules=yes\n", 0),
        ("ProtectKernelTunables=yes\n", 1),
    ],
)
def test_what_a_service_may_not_do_does_not_count(tree: Tree, lines: str, count: int) -> None:
    assert len(sources(enabled(tree, UNIT + lines))) == count
    assert len(sources(enabled(tree, UNIT.replace("ExecStart=", "ExecStart=+") + lines))) == 1


def test_a_script_that_starts_a_unit_is_followed(tree: Tree) -> None:
    tree.file(f"{LIB}/card.service", UNIT)
    assert len(sources(enabled(tree, "[Service]\nExecStart=/usr/bin/systemctl --no-block start card.service\n", "first.service"))) == 1


def test_units_that_pull_each_other_in_end(tree: Tree) -> None:
    tree.file(f"{LIB}/b.service", "[Unit]\nWants=a.service\n[Service]\nExecStart=/usr/bin/systemctl start a.service\n")
    assert sources(enabled(tree, "[Unit]\nWants=b.service\n[Service]\nExecStart=/usr/bin/systemctl start b.service\n", "a.service")) == []


def test_a_unit_that_a_rule_asks_for_is_judged_though_it_is_not_enabled(tree: Tree) -> None:
    host = tree.file(f"{LIB}/card.service", UNIT).host()
    found = startup.judge_unit(host, "card.service", "/etc/udev/rules.d/9.rules:1", Kernel.read(host, DEBIAN_13), Inventory.read(host))
    assert [influence.addresses for influence in found] == [frozenset({CARD})]


def test_a_bus_name_starts_its_service(tree: Tree) -> None:
    tree.file("/usr/share/dbus-1/system-services/org.site.service", f"[D-BUS Service]\nName=org.site\nExec={PROGRAM}\nUser=root\n")
    assert len(sources(tree)) == 1


GENERATOR = "/etc/systemd/system-generators/site"


@pytest.mark.parametrize(
    "line",
    [
        "cp /opt/site/card.service $1/",
        'cat /opt/site/card.service >"$1/card.service"',
        "echo blacklist nouveau >/run/modprobe.d/site.conf",
        "ln -s /dev/null $1/systemd-udevd.service",
        'echo "ExecStart=$(cat /etc/site)" >>$1/card.service',
    ],
)
def test_a_generator_whose_units_are_not_in_its_text_may_do_anything(tree: Tree, line: str) -> None:
    (influence,) = started(tree.file(GENERATOR, f"#!/bin/sh\n{line}\n", 0o755)).early
    assert influence.addresses is None
    tree.place(GENERATOR).chmod(0o644)
    assert sources(tree) == []


def test_a_compiled_generator_of_no_package_may_do_anything(tree: Tree) -> None:
    (influence,) = started(tree.file(GENERATOR, b"\x7fELF\0", 0o755)).early
    assert influence.addresses is None


def test_a_generator_s_text_bounds_what_it_and_its_units_do(tree: Tree) -> None:
    assert sources(tree.file(GENERATOR, "#!/bin/sh\ntrue\n", 0o755)) == []
    text = f"cat >$1/made.service <<END\n[Service]\nExecStart={PROGRAM}\nEND\nmkdir -p $1/multi-user.target.wants\n"
    (influence,) = started(tree.file(GENERATOR, f"#!/bin/sh\n{text}", 0o755)).early
    assert influence.addresses == frozenset({CARD})


def test_a_unit_that_a_generator_enables_counts(tree: Tree) -> None:
    tree.file(f"{LIB}/card.service", UNIT)
    (influence,) = started(tree.file(GENERATOR, f"#!/bin/sh\nln -s {LIB}/card.service $1/basic.target.wants/\n", 0o755)).early
    assert influence.addresses == frozenset({CARD})


@pytest.mark.parametrize("key", ["ExecStartPre", "ExecStartPost"])
def test_what_a_drop_in_adds_to_a_unit_of_systemd_s_counts(tree: Tree, key: str) -> None:
    enabled(tree, "[Service]\nExecStart=/usr/lib/systemd/systemd-udevd\n", "systemd-udevd.service", "sysinit.target")
    assert sources(tree) == []
    (influence,) = started(tree.file(f"{ETC}/systemd-udevd.service.d/more.conf", f"[Service]\n{key}=-{PROGRAM}\n")).early
    assert influence.addresses == frozenset({CARD})


def test_live_update_may_keep_devices_as_they_are(tree: Tree) -> None:
    assert sources(tree, "liveupdate=on") == [f"{GRUB}: liveupdate="]
    assert sources(tree, "liveupdate=off") == []


def test_a_boot_by_kexec_is_assumed_not_to_be_one(tree: Tree) -> None:
    assert len(started(tree).assumes) == 1
    assert "kexec" in started(tree.file("/etc/default/kexec", "LOAD_KEXEC=true\n")).assumes[-1]


def test_the_program_in_place_of_init_counts(tree: Tree) -> None:
    (influence,) = started(tree.file("/opt/init", f"{FREES}exec /sbin/init\n", 0o755), "init=/opt/init").early
    assert (influence.source, influence.acts, influence.addresses) == (
        f"{GRUB}: init=/opt/init",
        frozenset({"unbind"}),
        frozenset({CARD}),
    )
    assert started(tree, "init=/sbin/init").early == ()


# -- scripts and schedules


def test_rc_local_counts_where_it_can_be_run(tree: Tree) -> None:
    assert sources(tree.file("/etc/rc.local", FREES)) == []
    assert sources(tree.file("/etc/rc.local", FREES, 0o755)) == ["/etc/rc.local:2"]
    assert sources(tree.link(f"{ETC}/rc-local.service", "/dev/null")) == []


def test_a_script_of_a_run_level_counts_unless_a_unit_takes_its_place(tree: Tree) -> None:
    tree.file("/etc/init.d/card", FREES, 0o755).link("/etc/rc2.d/S01card", "../init.d/card")
    assert len(sources(tree)) == 1
    assert sources(tree.file(f"{LIB}/card.service", "[Service]\nExecStart=/bin/true\n")) == []
    assert len(started(tree, with_systemd=False).early) == 1


def test_only_what_cron_runs_at_its_start_counts_and_only_where_cron_is_enabled(tree: Tree) -> None:
    tree.file("/etc/cron.d/card", f"# site\n@reboot root {PROGRAM}\n@daily root {PROGRAM}\n@reboot nobody {PROGRAM}\n")
    assert sources(tree) == []
    enabled(tree, "[Service]\nExecStart=/usr/sbin/cron -f\n", "cron.service")
    assert sources(tree) == ["/etc/cron.d/card:2"]
    tree.file("/var/spool/cron/crontabs/root", f"@reboot {PROGRAM}\n")
    assert len(sources(tree)) == 2


# -- files that are read


@pytest.mark.parametrize(
    ("line", "addresses", "drivers"),
    [
        (f"w /sys/bus/pci/devices/{CARD}/driver_override - - - - vfio-pci", {CARD}, {"vfio-pci"}),
        (f"w+! /sys/bus/pci/devices/{CARD}/driver_override - - - - vfio-pci", {CARD}, {"vfio-pci"}),
        ("w /sys/bus/pci/devices/0000:3b:*/driver_override - - - - vfio-pci", {CARD}, {"vfio-pci"}),
        (f"f+ /sys/bus/pci/drivers/nouveau/unbind - - - - {SAME}", {SAME}, {"nouveau"}),
        (f"w /sys/bus/pci/devices/{CARD}/remove - - - - 1", {CARD}, None),
        ("w /sys/bus/pci/drivers/vfio-pci/new_id - - - - 10de 1db1", {CARD, SAME}, {"vfio-pci"}),
    ],
)
def test_a_line_of_tmpfiles_is_bound_to_what_it_names(
    tree: Tree, line: str, addresses: frozenset[str], drivers: frozenset[str] | None
) -> None:
    tree.file("/etc/tmpfiles.d/card.conf", f"# site\n{line}\n")
    (influence,) = started(tree).early
    assert (influence.source, influence.addresses, influence.drivers) == ("/etc/tmpfiles.d/card.conf:2", addresses, drivers)


@pytest.mark.parametrize(
    "line",
    [
        f"w /sys/bus/pci/devices/{CARD}/power/control - - - - auto",
        f"f /sys/bus/pci/devices/{CARD}/driver_override - - - - vfio-pci",
        f"z /sys/bus/pci/devices/{CARD}/driver_override 0660 root kvm",
        "d /run/site",
        "L /etc/a - - - - b",
    ],
)
def test_other_lines_of_tmpfiles_do_nothing_to_drivers(tree: Tree, line: str) -> None:
    assert sources(tree.file("/etc/tmpfiles.d/card.conf", line)) == []


def test_a_file_of_the_same_name_hides_that_of_a_package(tree: Tree) -> None:
    tree.file("/usr/lib/tmpfiles.d/card.conf", f"w /sys/bus/pci/devices/{CARD}/remove - - - - 1\n")
    assert len(sources(tree)) == 1
    assert sources(tree.link("/etc/tmpfiles.d/card.conf", "/dev/null")) == []


@pytest.mark.parametrize("line", ["kernel.modules_disabled=1", "kernel/modules_disabled = 1", "-kernel.modules_* = 1"])
def test_a_setting_that_refuses_modules_is_noticed(tree: Tree, line: str) -> None:
    (influence,) = started(tree.file("/etc/sysctl.d/9.conf", f"{line}\n")).early
    assert influence.acts == {"lock"}


def test_the_kernels_program_for_modules_is_judged(tree: Tree) -> None:
    assert len(sources(tree.file("/etc/sysctl.d/9.conf", f"kernel.modprobe = {PROGRAM}\n"))) == 1
    assert sources(tree.file("/etc/sysctl.d/9.conf", "kernel.modprobe = /sbin/modprobe\n")) == []


def test_cloud_inits_commands_count_where_it_is_enabled(tree: Tree) -> None:
    tree.file("/etc/cloud/cloud.cfg.d/9.cfg", f"runcmd:\n  - echo a\nbootcmd:\n  - [ {PROGRAM}, now ]\nother:\n  - x\n")
    assert sources(tree) == []
    assert sources(enabled(tree, "[Service]\nExecStart=/bin/true\n", "cloud-init.service")) == ["/etc/cloud/cloud.cfg.d/9.cfg:3"]


def test_tuned_does_what_its_active_profile_says(tree: Tree) -> None:
    enabled(tree, "[Service]\nExecStart=/bin/true\n", "tuned.service").file("/etc/tuned/active_profile", "site\n")
    tree.file("/etc/tuned/site/tuned.conf", "[main]\ninclude=base\n[modules]\nnouveau=+r\n")
    tree.file(
        "/usr/lib/tuned/base/tuned.conf", f"[script]\nscript=${{i:PROFILE_DIR}}/a.sh\n[sysfs]\n/sys/bus/pci/devices/{SAME}/remove=1\n"
    )
    tree.file("/usr/lib/tuned/base/a.sh", FREES, 0o755)
    found = started(tree).early
    assert {influence.source for influence in found} == {
        "/etc/tuned/site/tuned.conf:4",
        "/usr/lib/tuned/base/tuned.conf:2",
        "/usr/lib/tuned/base/tuned.conf:4",
    }


def test_vpp_takes_what_its_configuration_names(tree: Tree) -> None:
    enabled(tree, "[Service]\nExecStart=/bin/true\n", "vpp.service").file(
        "/etc/vpp/startup.conf", f"dpdk {{\n dev {NIC} {{ name a }}\n}}\n"
    )
    assert started(tree).early[0].addresses == frozenset({NIC})
    assert started(tree.file("/etc/vpp/startup.conf", "unix { }\n")).early[0].addresses == frozenset({NIC})
    assert sources(tree.file("/etc/vpp/startup.conf", "dpdk { no-pci }\n")) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/systemd/network/50-nic.link", "[Link]\nSR-IOVVirtualFunctions=4\n"),
        ("/etc/netplan/50.yaml", "network:\n  ethernets:\n    a:\n      virtual-function-count: 4\n"),
    ],
)
def test_what_makes_virtual_functions_is_noticed(tree: Tree, path: str, text: str) -> None:
    (influence,) = started(tree.file(path, text)).early
    assert influence.acts == {"create"}


# -- guests

GUEST = "cores: 4\nhostpci0: 3b:00,pcie=1\n{}\n"


def proxmox(tree: Tree, path: str, text: str | bytes) -> Tree:
    return enabled(
        tree.file(path, text), "[Service]\nExecStart=/usr/bin/pvesh --nooutput create /nodes/localhost/startall\n", "pve-guests.service"
    )


@pytest.mark.parametrize(("lines", "addresses"), [("onboot: 1", [{CARD, SAME}]), ("onboot: 0", []), ("[snapshot]\nonboot: 1", [])])
def test_a_guest_of_proxmoxs_that_starts_with_the_host_takes_all_cards_of_the_id(
    tree: Tree, lines: str, addresses: list[frozenset[str]]
) -> None:
    proxmox(tree, "/etc/pve/qemu-server/100.conf", GUEST.format(lines))
    assert [influence.addresses for influence in started(tree).later] == addresses
    assert started(tree).early == ()


def test_proxmoxs_database_is_read_where_its_file_system_is_not_there(tree: Tree) -> None:
    place = proxmox(tree, "/var/lib/pve-cluster/config.db", b"").place("/var/lib/pve-cluster/config.db")
    place.unlink()
    with sqlite3.connect(place) as database:
        # The table that pmxcfs makes (src/pmxcfs/database.c of pve-cluster).
        database.execute(
            "CREATE TABLE tree (inode INTEGER PRIMARY KEY NOT NULL, parent INTEGER NOT NULL CHECK(typeof(parent)=='integer'),"
            "version INTEGER NOT NULL, writer INTEGER NOT NULL, mtime INTEGER NOT NULL, "
            "type INTEGER NOT NULL, name TEXT NOT NULL, data BLOB)"
        )
        mapping = b"card\n\tmap id=10de:1db1,node=pve,path=0000:5e:00.0\n"
        rows = [(5, 0, 4, "qemu-server", None), (6, 5, 8, "100.conf", b"onboot: 1\nhostpci0: mapping=card\n")]
        rows += [(7, 0, 4, "mapping", None), (8, 7, 8, "pci.cfg", mapping)]
        database.executemany("INSERT INTO tree VALUES (?, ?, 1, 0, 0, ?, ?, ?)", rows)
    database.close()
    assert [influence.addresses for influence in started(tree).later] == [frozenset({CARD, SAME})]


def test_a_database_that_is_none_leaves_every_device_open(tree: Tree) -> None:
    (influence,) = started(proxmox(tree, "/var/lib/pve-cluster/config.db", b"not a database")).later
    assert (influence.addresses, influence.drivers) == (None, frozenset({"vfio-pci"}))


def test_xen_takes_what_a_guest_that_starts_with_it_lists(tree: Tree) -> None:
    (influence,) = started(tree.file("/etc/xen/auto/guest.cfg", f"pci = [ '{CARD}', ]\n")).later
    assert influence.addresses == frozenset({CARD})


def test_a_hook_of_libvirts_counts_with_an_autostarted_guest_only(tree: Tree) -> None:
    enabled(tree.file("/etc/libvirt/hooks/qemu", FREES, 0o755), "[Service]\nExecStart=/usr/sbin/libvirtd\n", "libvirtd.service")
    assert started(tree).later == ()
    assert len(started(tree.file("/etc/libvirt/qemu/autostart/guest.xml", "<domain/>")).later) == 1
