# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the root's init loads at boot, and beside what."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot import read_root
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Coldplug, ListedModule, LoadList
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import SourceLine, blacklisting
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, DRIVERS_RULES, Tree, stock_debian

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Stage, Step
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import Directive

GRUB = "/boot/grub/grub.cfg:132"
MODULES_LOAD = "/etc/systemd/system/systemd-modules-load.service"
DEBUG_GENERATOR = "/usr/lib/systemd/system-generators/systemd-debug-generator"
COLDPLUG_ALONE = ((Coldplug(),),)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return stock_debian(tmp_path).systemd()


def stage(tree: Tree, cmdline: str = "", inherited: tuple[Directive, ...] = ()) -> Stage:
    host = tree.host()
    return read_root.read_stage(host, Kernel.read(host, DEBIAN_13), read_root.rules_of(host), Cmdline.parse(cmdline), GRUB, inherited)


def listed(*entries: tuple[str, str], in_order: bool = True) -> LoadList:
    return LoadList("systemd-modules-load", tuple(ListedModule(name, source) for name, source in entries), in_order)


def beside(*entries: tuple[str, str], in_order: bool = True) -> tuple[Step, ...]:
    return ((listed(*entries, in_order=in_order), Coldplug()),)


def test_a_root_without_a_list_only_coldplugs(tree: Tree) -> None:
    one = stage(tree)
    assert (one.name, one.place, one.steps, one.doubts) == ("root", "/", COLDPLUG_ALONE, ())


def test_the_lists_are_read_by_base_name_after_the_command_line(tree: Tree) -> None:
    tree.file("/etc/modules-load.d/b.conf", "# by hand\n; also\n  vfio-pci  \n").file("/usr/lib/modules-load.d/a.conf", "e1000e\n")
    assert stage(tree, "modules_load=loop,nbd rd.modules_load=early").steps == beside(
        ("loop", GRUB), ("nbd", GRUB), ("e1000e", "/usr/lib/modules-load.d/a.conf:1"), ("vfio_pci", "/etc/modules-load.d/b.conf:3")
    )


def test_of_two_lists_with_one_name_the_first_directorys_counts(tree: Tree) -> None:
    tree.file("/etc/modules-load.d/a.conf", "vfio-pci\n").file("/usr/lib/modules-load.d/a.conf", "e1000e\n")
    assert stage(tree).steps == beside(("vfio_pci", "/etc/modules-load.d/a.conf:1"))


def test_a_list_linked_to_nothing_hides_its_namesake(tree: Tree) -> None:
    tree.link("/etc/modules-load.d/a.conf", "/dev/null").file("/usr/lib/modules-load.d/a.conf", "e1000e\n")
    assert stage(tree).steps == COLDPLUG_ALONE


def test_etc_modules_is_read_through_debians_link_only(tree: Tree) -> None:
    tree.file("/etc/modules", "vfio-pci\n")
    assert stage(tree).steps == COLDPLUG_ALONE
    tree.link("/etc/modules-load.d/modules.conf", "../modules")
    assert stage(tree).steps == beside(("vfio_pci", "/etc/modules:1"))


def test_a_line_with_options_names_no_module_to_systemd(tree: Tree) -> None:
    tree.file("/etc/modules-load.d/vfio.conf", "vfio-pci ids=10de:1db1\n")
    assert stage(tree).steps == COLDPLUG_ALONE


def test_what_lies_in_run_now_is_gone_at_the_next_boot(tree: Tree) -> None:
    tree.file("/run/modules-load.d/a.conf", "vfio-pci\n").file("/run/modprobe.d/a.conf", "blacklist e1000e\n")
    one = stage(tree.file("/run/udev/rules.d/90-a.rules", 'ATTR{driver_override}="vfio-pci"\n'))
    assert one.steps == COLDPLUG_ALONE
    assert one.config.blacklisted("e1000e") == ()
    assert {rule.path for rule in one.rules.rules} == {DRIVERS_RULES}


@pytest.mark.parametrize(("version", "in_order"), [(252, True), (258, True), (259, False), (262, False)])
def test_newer_systemd_loads_several_modules_at_a_time(tmp_path: Path, version: int, in_order: bool) -> None:
    tree = stock_debian(tmp_path).systemd(version).file("/etc/modules-load.d/a.conf", "e1000e\nvfio-pci\n")
    place = "/etc/modules-load.d/a.conf"
    assert stage(tree).steps == beside(("e1000e", f"{place}:1"), ("vfio_pci", f"{place}:2"), in_order=in_order)


def test_a_systemd_of_unknown_version_keeps_no_order(tree: Tree) -> None:
    tree.place("/usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-257.so").unlink()
    tree.file("/etc/modules-load.d/a.conf", "vfio-pci\n")
    assert stage(tree).steps == beside(("vfio_pci", "/etc/modules-load.d/a.conf:1"), in_order=False)


def test_a_masked_unit_loads_nothing(tree: Tree) -> None:
    tree.file("/etc/modules-load.d/a.conf", "vfio-pci\n").link(MODULES_LOAD, "/dev/null")
    assert stage(tree).steps == COLDPLUG_ALONE


def test_a_unit_is_masked_on_the_command_line_too(tree: Tree) -> None:
    tree.file("/etc/modules-load.d/a.conf", "vfio-pci\n").file(DEBUG_GENERATOR, b"\x7fELF")
    assert stage(tree, "systemd.mask=systemd-modules-load.service").steps == COLDPLUG_ALONE
    assert stage(tree, "rd.systemd.mask=systemd-modules-load").steps != COLDPLUG_ALONE
    (alone,) = stage(tree, "systemd.mask=systemd-udev-trigger.service").steps
    assert alone == (listed(("vfio_pci", "/etc/modules-load.d/a.conf:1")),)


def test_a_list_ordered_before_the_coldplug_wins_no_race(tree: Tree) -> None:
    tree.file("/etc/modules-load.d/a.conf", "vfio-pci\n")
    tree.file(f"{MODULES_LOAD}.d/first.conf", "[Unit]\nBefore=systemd-udev-trigger.service\n")
    assert stage(tree).steps == ((listed(("vfio_pci", "/etc/modules-load.d/a.conf:1")),), (Coldplug(),))


def test_a_coldplug_ordered_after_the_list_waits_for_it(tree: Tree) -> None:
    tree.file("/etc/modules-load.d/a.conf", "vfio-pci\n")
    tree.file("/etc/systemd/system/systemd-udev-trigger.service.d/late.conf", "[Unit]\nAfter=systemd-modules-load.service\n")
    assert stage(tree).steps == ((listed(("vfio_pci", "/etc/modules-load.d/a.conf:1")),), (Coldplug(),))


def test_waiting_for_the_trigger_is_not_waiting_for_what_it_loads(tree: Tree) -> None:
    tree.file("/etc/modules-load.d/a.conf", "vfio-pci\n")
    drop_in = f"{MODULES_LOAD}.d/last.conf"
    tree.file(drop_in, "[Unit]\nAfter=systemd-udev-trigger.service\n")
    assert stage(tree).steps == beside(("vfio_pci", "/etc/modules-load.d/a.conf:1"))
    tree.file(drop_in, "[Unit]\nAfter=systemd-udev-settle.service\nWants=systemd-udev-settle.service\n")
    assert stage(tree).steps == ((Coldplug(),), (listed(("vfio_pci", "/etc/modules-load.d/a.conf:1")),))


def test_a_unit_with_another_command_is_a_doubt(tree: Tree) -> None:
    tree.file("/etc/modules-load.d/a.conf", "vfio-pci\n")
    tree.file(f"{MODULES_LOAD}.d/site.conf", "[Service]\nExecStartPre=/usr/local/bin/site\n")
    assert stage(tree).doubts == (f"{MODULES_LOAD}.d/site.conf changes systemd-modules-load.service; the effect cannot be determined.",)


@pytest.mark.parametrize(
    "line", ["ExecStartPre=-/usr/local/bin/site", "ExecStartPost=+-/usr/local/bin/site", "ExecStop=/usr/local/bin/site"]
)
def test_a_command_beside_the_work_that_cannot_stop_it_leaves_no_doubt(tree: Tree, line: str) -> None:
    tree.file("/etc/modules-load.d/a.conf", "vfio-pci\n")
    assert stage(tree.file(f"{MODULES_LOAD}.d/site.conf", f"[Service]\n{line}\n")).doubts == ()


def test_what_dracut_has_blacklisted_in_run_holds_in_the_root(tree: Tree) -> None:
    assert [
        str(source)
        for source in stage(
            tree, inherited=(blacklisting("nouveau", SourceLine(GRUB, 0), "rd.driver.blacklist=nouveau"),)
        ).config.blacklisted("nouveau")
    ] == [GRUB]


def test_the_next_boots_command_line_counts_not_the_running_one(tree: Tree) -> None:
    tree.cmdline("modprobe.blacklist=e1000e")
    config = stage(tree, "modprobe.blacklist=nouveau vfio-pci.ids=10de:1db1").config
    assert config.blacklisted("e1000e") == ()
    assert [str(source) for source in config.blacklisted("nouveau")] == [GRUB]
    assert [option.arguments[1] for option in config.options("vfio_pci")] == ["ids=10de:1db1"]


def test_the_modules_own_softdeps_take_part(tree: Tree) -> None:
    tree.file(f"/lib/modules/{DEBIAN_13}/modules.softdep", "softdep e1000e pre: vfio_pci\n")
    assert stage(tree).config.softdeps("e1000e")[0].arguments == ("e1000e", "pre:", "vfio_pci")


def test_without_the_rule_that_loads_drivers_the_coldplug_is_in_doubt(tree: Tree) -> None:
    tree.place(DRIVERS_RULES).unlink()
    assert stage(tree).doubts == ("/usr/lib/udev/rules.d has no 80-drivers.rules: udev does not load drivers, or another rule does it.",)


def test_a_file_that_only_old_versions_of_kmod_read_is_a_doubt_where_the_version_is_not_known(tree: Tree) -> None:
    tree.file("/etc/modprobe.d/x.alias", "blacklist nouveau\n")
    assert any("/etc/modprobe.d/x.alias" in doubt for doubt in stage(tree).doubts)
    tree.file("/usr/lib/x86_64-linux-gnu/libkmod.so.2.5.1")
    assert not any("/etc/modprobe.d/x.alias" in doubt for doubt in stage(tree).doubts)


def test_rules_that_decide_nothing_are_left_alone(tree: Tree) -> None:
    tree.file("/usr/lib/udev/rules.d/60-block.rules", 'SUBSYSTEM=="block", ENV{ID_TYPE}="disk"\n')
    tree.file("/etc/udev/rules.d/90-site.rules", 'SUBSYSTEM=="pci", ATTR{driver_override}="vfio-pci"\n')
    assert {rule.path for rule in stage(tree).rules.rules} == {DRIVERS_RULES, "/etc/udev/rules.d/90-site.rules"}


def test_another_init_on_the_command_line_is_a_doubt(tree: Tree) -> None:
    assert stage(tree, "init=/bin/sh").doubts == (f"{GRUB}: init=/bin/sh replaces the host's init; what it loads cannot be determined.",)


@pytest.mark.parametrize(
    ("last", "is_known"),
    [
        ("exec /sbin/init", True),
        ('exec /lib/systemd/systemd "$@"', True),
        ("exec /bin/sh", False),
        ("/sbin/init", False),
        ("# exec /sbin/init", False),
    ],
)
def test_a_script_in_place_of_init_makes_way_for_it(tree: Tree, last: str, is_known: bool) -> None:
    tree.file("/opt/site/init", f"#!/bin/sh\nmodprobe vfio-pci\n{last}\n", 0o755)
    assert (stage(tree, "init=/opt/site/init").doubts == ()) == is_known
    assert stage(tree, "init=/lib/systemd/systemd").doubts == ()


def test_sysvinit_loads_its_list_when_udev_has_settled_whatever_is_blacklisted(tmp_path: Path) -> None:
    tree = stock_debian(tmp_path).file("/sbin/init", b"\x7fELF", 0o755).file(DRIVERS_RULES, 'RUN{builtin}+="kmod load"\n')
    for script in ("kmod", "udev", "checkroot.sh"):
        tree.file(f"/etc/init.d/{script}", "#!/bin/sh\n", 0o755)
    tree.file("/etc/modules", "# by hand\nvfio-pci ids=10de:1db1\n").file("/etc/modules-load.d/a.conf", "loop\n")
    entries = (ListedModule("loop", "/etc/modules-load.d/a.conf:1"), ListedModule("vfio_pci", "/etc/modules:2", "ids=10de:1db1"))
    one = stage(tree)
    assert one.steps == ((Coldplug(),), (LoadList("kmod", entries, honours_blacklist=False),))
    assert one.doubts == ()


def test_an_init_that_nobody_knows_is_a_doubt(tmp_path: Path) -> None:
    tree = stock_debian(tmp_path).file(DRIVERS_RULES, 'RUN{builtin}+="kmod load"\n')
    assert stage(tree).doubts == ("/ has no /sbin/init: what this root loads at boot cannot be determined.",)
    assert stage(tree.link("/sbin/init", "openrc-init")).doubts[0].endswith("what this root loads at boot cannot be determined.")
    assert stage(tree.file("/sbin/openrc-init", b"\x7fELF")).doubts == (
        "/sbin/init is not systemd: what it loads, and when, cannot be determined.",
    )


LETS_NO_DRIVER_LOAD = 'SUBSYSTEM=="pci", ENV{MODALIAS}="pci:none"\n'


@pytest.mark.parametrize(("version", "rules"), [(257, 1), (258, 0)])
def test_a_rule_that_one_udev_keeps_and_another_drops_is_read_as_by_the_one_here(tree: Tree, version: int, rules: int) -> None:
    tree.file("/etc/udev/rules.d/10-gpu.rules", LETS_NO_DRIVER_LOAD).file(f"/usr/lib/systemd/libsystemd-shared-{version}.so", "")
    found = [rule for rule in read_root.rules_of(tree.host()).rules if rule.path.endswith("10-gpu.rules")]
    assert (len(found), read_root.udev_version_doubt(tree.host())) == (rules, ())


def test_an_image_without_udevs_library_has_the_version_of_its_root(tmp_path: Path) -> None:
    image = Tree(tmp_path / "image").file("/etc/udev/rules.d/10-gpu.rules", LETS_NO_DRIVER_LOAD)
    old, new = (Tree(tmp_path / f"{version}").file(f"/usr/lib/systemd/libsystemd-shared-{version}.so", "") for version in (252, 261))
    assert [len(read_root.rules_of(image.host(), root.host()).rules) for root in (old, new)] == [1, 0]
    assert read_root.udev_version_doubt(image.host(), old.host()) == ()


def test_where_no_version_is_known_a_rule_that_versions_read_differently_is_a_doubt(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/etc/udev/rules.d/10-gpu.rules", LETS_NO_DRIVER_LOAD)
    (doubt,) = read_root.udev_version_doubt(tree.host())
    assert doubt.startswith("/etc/udev/rules.d/10-gpu.rules:1: versions of udev read this differently")
    tree.file("/etc/udev/rules.d/10-gpu.rules", 'SUBSYSTEM=="pci", ATTR{driver_override}="vfio-pci"\n')
    assert read_root.udev_version_doubt(tree.host()) == ()
