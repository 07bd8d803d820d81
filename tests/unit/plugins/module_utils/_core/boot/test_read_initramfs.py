# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an initramfs does about drivers, read from the image."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot import read_initramfs
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Coldplug, ListedModule, LoadList
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image import Image
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.tests.unit.boots import device
from ansible_collections.vfio.variants.tests.unit.images import Link, archive
from ansible_collections.vfio.variants.tests.unit.initramfs_files import DISK_AND_NET, IMAGE, dracut, initramfs_tools, modules_of
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, NVIDIA_DISPLAY, Tree

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Stage
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.read_initramfs import Early
    from ansible_collections.vfio.variants.tests.unit.images import Entry

GRUB = "/boot/grub/grub.cfg:132"
COLDPLUG_ALONE = ((Coldplug(),),)


def early(tmp_path: Path, entries: t.Mapping[str, Entry], cmdline: str = "") -> Early:
    host = Tree(tmp_path).file(IMAGE, archive(entries)).host()
    return read_initramfs.read_stage(Image.read(host, IMAGE, DEBIAN_13), Cmdline.parse(cmdline), GRUB)


def stage(tmp_path: Path, entries: t.Mapping[str, Entry], cmdline: str = "") -> Stage:
    return early(tmp_path, entries, cmdline).stage


def lists(one: Stage) -> dict[str, list[str]]:
    works = [work for step in one.steps for work in step if isinstance(work, LoadList)]
    return {work.program: [entry.name for entry in work.modules] for work in works}


# -- initramfs-tools


def test_initramfs_tools_coldplugs_and_then_loads_its_list(tmp_path: Path) -> None:
    one = stage(tmp_path, initramfs_tools() | {"conf/modules": "# by hand\nvfio-pci ids=10de:1db1\n\next4\n"})
    listed = (ListedModule("vfio_pci", f"{IMAGE}:/conf/modules:2", "ids=10de:1db1"), ListedModule("ext4", f"{IMAGE}:/conf/modules:4"))
    assert one.steps == ((Coldplug(),), (LoadList("conf/modules", listed),))
    assert one.doubts == ()


def test_options_in_the_list_come_behind_those_of_modprobe_d(tmp_path: Path) -> None:
    entries = initramfs_tools() | {"conf/modules": "vfio-pci ids=10de:1db1\n", "etc/modprobe.d/a.conf": "options vfio-pci ids=8086:10d3\n"}
    one = stage(tmp_path, entries, "vfio-pci.ids=1234:1111")
    assert [option.arguments[1] for option in one.config.options("vfio_pci")] == ["ids=8086:10d3", "ids=1234:1111", "ids=10de:1db1"]
    assert one.doubts == ()


def test_options_of_a_module_that_something_else_may_load_before_are_in_doubt(tmp_path: Path) -> None:
    entries = initramfs_tools() | {"conf/modules": "vfio-pci ids=10de:1db1\n", "etc/modprobe.d/a.conf": "softdep e1000e pre: vfio-pci\n"}
    assert stage(tmp_path, entries).doubts == (
        f"{IMAGE}:/conf/modules:1 gives vfio_pci options, which have no effect if something else loads it first.",
    )


@pytest.mark.parametrize(
    ("listed", "more", "is_lost"),
    [
        ("e1000e debug=1", {}, True),
        ("e1000e debug=1", {"etc/modprobe.d/a.conf": "alias net-pf-16 off\n"}, True),
        ("e1000e debug=1", {"etc/modprobe.d/a.conf": "blacklist e1000e\n"}, None),
        ("e1000e debug=1", {"etc/modprobe.d/a.conf": "install e1000e /bin/true\n"}, None),
        ("e1000e debug=1", {"etc/modprobe.d/a.conf": "alias pci:v00008086* vfio-pci\n"}, None),
        ("vfio-pci ids=10de:1db1", {"etc/modprobe.d/a.conf": "softdep e1000e pre: vfio-pci\n"}, True),
        ("vfio-pci ids=10de:1db1", {"etc/modprobe.d/a.conf": "softdep e1000* pre: vfio-pci\n"}, True),
        ("vfio-pci ids=10de:1db1", {"etc/modprobe.d/a.conf": "softdep nouveau pre: vfio-pci\n"}, False),
        ("vfio-pci ids=10de:1db1", {"etc/modprobe.d/a.conf": "softdep e1000e pre: loop\nsoftdep e1000e pre: vfio-pci\n"}, None),
        ("vfio-pci ids=10de:1db1", {"etc/modprobe.d/a.conf": "softdep e1000e pre: vfio-pci\nblacklist e1000e\n"}, None),
    ],
)
def test_options_in_the_list_come_too_late_where_udev_has_loaded_the_module(
    tmp_path: Path, listed: str, more: dict[str, str], is_lost: bool | None
) -> None:
    """load_modules() in scripts/functions comes behind scripts/init-top/udev, which waits until udev has settled."""
    host = Tree(tmp_path).file(IMAGE, archive(initramfs_tools() | {"conf/modules": f"{listed}\n", **more})).host()
    inventory = Inventory((device("0000:02:00.0", "8086:10d3", class_code=0x020000),), {})
    one = read_initramfs.read_stage(Image.read(host, IMAGE, DEBIAN_13), Cmdline.parse(""), GRUB, inventory=inventory).stage
    name = listed.partition(" ")[0].replace("-", "_")
    assert (bool(one.config.options(name)), len(one.doubts)) == (is_lost is not True, is_lost is None)


def test_an_image_without_udevs_script_does_not_coldplug(tmp_path: Path) -> None:
    assert stage(tmp_path, initramfs_tools(scripts=["blacklist"]) | {"conf/modules": "ext4\n"}).steps[0] != (Coldplug(),)
    assert stage(tmp_path, initramfs_tools(scripts=["blacklist"])).steps == ()


def test_the_last_blacklist_argument_counts_where_the_image_has_the_script(tmp_path: Path) -> None:
    said = "blacklist=e1000e blacklist=nouveau,snd-hda-intel"
    config = stage(tmp_path, initramfs_tools(), said).config
    assert [str(source) for source in config.blacklisted("snd_hda_intel")] == [GRUB]
    assert config.blacklisted("e1000e") == ()
    assert stage(tmp_path, initramfs_tools(scripts=["udev"]), said).config.blacklisted("nouveau") == ()


def test_a_blacklist_of_initramfs_tools_ends_with_the_initramfs(tmp_path: Path) -> None:
    assert early(tmp_path, initramfs_tools(), "blacklist=nouveau").blacklisted == ()


def test_modprobe_blacklist_holds_in_the_image_as_well(tmp_path: Path) -> None:
    assert stage(tmp_path, initramfs_tools(), "modprobe.blacklist=nouveau").config.blacklisted("nouveau")


@pytest.mark.parametrize("word", ["break", "break=top", "break=mount,bottom"])
def test_a_break_is_a_doubt(tmp_path: Path, word: str) -> None:
    assert stage(tmp_path, initramfs_tools(), f"quiet {word}").doubts == (
        f"{GRUB}: {word} opens a shell in the initramfs, where anything may happen.",
    )


def test_a_break_that_the_scripts_do_not_know_is_none(tmp_path: Path) -> None:
    assert stage(tmp_path, initramfs_tools(), "break=fast").doubts == ()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('echo vfio-pci > "$device/driver_override"', "writes to driver_override"),
        ("echo 0000:01:00.0 > /sys/bus/pci/drivers/e1000e/unbind", "writes to unbind"),
        ("modprobe -q e1000e", "loads e1000e"),
        ('modprobe "$module"', "loads $module"),
    ],
)
def test_a_script_of_the_administrators_that_meddles_with_drivers_is_noticed(tmp_path: Path, line: str, says: str) -> None:
    entries = initramfs_tools(scripts=["udev", "site"]) | {"scripts/init-top/site": f"#!/bin/sh\n# a site's own\n{line}\n"}
    (influence,) = stage(tmp_path, entries).influences
    assert influence.source == f"{IMAGE}:/scripts/init-top/site:3"
    assert influence.fact == says


@pytest.mark.parametrize("line", ["modprobe -q ext4", "# echo > /sys/bus/pci/drivers_probe", "modprobe nouveau"])
def test_a_script_that_loads_no_pci_driver_of_the_image_is_none(tmp_path: Path, line: str) -> None:
    entries = initramfs_tools(scripts=["udev", "site"]) | {"scripts/init-top/site": f"#!/bin/sh\n{line}\n"}
    assert stage(tmp_path, entries).influences == ()


def test_a_script_that_no_order_names_does_not_run(tmp_path: Path) -> None:
    entries = initramfs_tools() | {"scripts/init-top/site": "#!/bin/sh\nmodprobe e1000e\n"}
    assert stage(tmp_path, entries).influences == ()


def test_configuration_in_run_does_not_outlive_the_mount_over_it(tmp_path: Path) -> None:
    assert stage(tmp_path, initramfs_tools() | {"run/modprobe.d/site.conf": "blacklist e1000e\n"}).config.blacklisted("e1000e") == ()


# -- what any image may lack


def test_an_image_without_modules_holds_no_contender(tmp_path: Path) -> None:
    entries = {name: entry for name, entry in initramfs_tools().items() if "/modules." not in name}
    one = stage(tmp_path, entries)
    assert (one.kernel.release, dict(one.kernel.modules)) == (DEBIAN_13, {})


def test_kmod_never_reads_the_text_of_its_index(tmp_path: Path) -> None:
    entries = {name: entry for name, entry in initramfs_tools().items() if not name.endswith(".bin")}
    assert "has no modules.alias.bin" in stage(tmp_path, entries).doubts[0]


def test_an_index_without_its_text_cannot_be_read(tmp_path: Path) -> None:
    entries = {name: entry for name, entry in initramfs_tools().items() if not name.endswith("modules.alias")}
    assert "modules.alias.bin but not modules.alias" in stage(tmp_path, entries).doubts[0]


@pytest.mark.parametrize("rules", [Link("/dev/null"), "# nothing\n"])
def test_rules_that_are_masked_or_changed_are_read_as_they_are(tmp_path: Path, rules: Entry) -> None:
    one = stage(tmp_path, initramfs_tools() | {"etc/udev/rules.d/80-drivers.rules": rules})
    assert one.doubts == ()
    assert not any("kmod load" in key.value for rule in one.rules.rules for key in rule.keys)
    assert one.rules.masked == ((f"{IMAGE}:/etc/udev/rules.d/80-drivers.rules",) if isinstance(rules, Link) else ())


def test_an_image_with_udev_but_without_the_rule_that_loads_drivers_is_in_doubt(tmp_path: Path) -> None:
    entries = {name: entry for name, entry in initramfs_tools().items() if not name.endswith("80-drivers.rules")}
    (doubt,) = stage(tmp_path, entries).doubts
    assert doubt.startswith(f"{IMAGE}:/usr/lib/udev/rules.d has no 80-drivers.rules: ")


def test_an_image_of_another_generator_is_a_doubt(tmp_path: Path) -> None:
    entries: dict[str, Entry] = modules_of(DEBIAN_13, DISK_AND_NET) | {"init": "#!/bin/sh\n", "usr/lib/systemd/systemd-udevd": b"\x7fELF"}
    one = stage(tmp_path, entries)
    assert one.steps == COLDPLUG_ALONE
    known = "initramfs-tools, dracut, mkinitcpio and booster"
    assert one.doubts == (f"{IMAGE}:/init was built by none of {known}: what it loads, and when, cannot be determined.",)


# -- dracut


def test_dracut_loads_what_the_command_line_names_before_and_after_the_coldplug(tmp_path: Path) -> None:
    one = stage(tmp_path, dracut(), "rd.driver.pre=vfio-pci,e1000e rd.driver.post=igb rd.driver.pre=ext4")
    assert one.steps == (
        (LoadList("rd.driver.pre", tuple(ListedModule(name, GRUB) for name in ("vfio_pci", "e1000e", "ext4")), honours_blacklist=False),),
        (Coldplug(),),
        (LoadList("rd.driver.post", (ListedModule("igb", GRUB),), honours_blacklist=False),),
    )


def test_dracut_blacklists_in_run_which_the_root_inherits(tmp_path: Path) -> None:
    found = early(tmp_path, dracut(), "rd.driver.blacklist=nouveau,bochs rd.driver.post=igb")
    assert [(line.arguments, str(line.source), str(line)) for line in found.blacklisted] == [
        (("nouveau",), GRUB, "rd.driver.blacklist=nouveau,bochs"),
        (("bochs",), GRUB, "rd.driver.blacklist=nouveau,bochs"),
        (("igb",), GRUB, "rd.driver.post=igb"),
    ]
    assert found.stage.config.blacklisted("bochs")


def test_a_post_list_with_commas_blacklists_nothing(tmp_path: Path) -> None:
    assert early(tmp_path, dracut(), "rd.driver.post=igb,nvme").blacklisted == ()


def test_without_systemd_the_blacklist_ends_with_the_initramfs(tmp_path: Path) -> None:
    found = early(tmp_path, dracut(with_systemd=False), "rd.driver.blacklist=nouveau")
    assert found.blacklisted == ()
    assert found.stage.config.blacklisted("nouveau")


def test_the_images_own_arguments_come_before_the_kernels(tmp_path: Path) -> None:
    entries = dracut() | {"etc/cmdline.d/10-vfio.conf": '\nrd.driver.pre="vfio_pci"\n', "etc/cmdline": "rd.driver.pre=late\n"}
    (work, *_others) = stage(tmp_path, entries, "rd.driver.pre=e1000e").steps[0]
    assert isinstance(work, LoadList)
    assert [(entry.name, entry.source) for entry in work.modules] == [
        ("vfio_pci", f"{IMAGE}:/etc/cmdline.d/10-vfio.conf:2"),
        ("late", f"{IMAGE}:/etc/cmdline:1"),
        ("e1000e", GRUB),
    ]


def test_etc_cmdline_alone_does_not_start_the_unit_that_reads_it(tmp_path: Path) -> None:
    assert stage(tmp_path, dracut() | {"etc/cmdline": "rd.driver.pre=vfio_pci\n"}).steps == COLDPLUG_ALONE


def test_an_image_without_the_script_ignores_the_driver_arguments(tmp_path: Path) -> None:
    entries = {name: entry for name, entry in dracut().items() if name != "usr/bin/dracut-pre-udev"}
    assert stage(tmp_path, entries, "rd.driver.pre=vfio_pci rd.driver.blacklist=nouveau").steps == COLDPLUG_ALONE


def test_systemd_in_the_image_loads_its_lists_beside_the_coldplug(tmp_path: Path) -> None:
    entries = dracut() | {"usr/lib/modules-load.d/vfio.conf": "vfio-pci\n"}
    (step,) = stage(tmp_path, entries, "rd.modules_load=early modules-load=both").steps
    listed = (
        ListedModule("early", GRUB),
        ListedModule("both", GRUB),
        ListedModule("vfio_pci", f"{IMAGE}:/usr/lib/modules-load.d/vfio.conf:1"),
    )
    assert step == (LoadList("systemd-modules-load", listed), Coldplug())


def test_without_systemd_nobody_reads_modules_load_d(tmp_path: Path) -> None:
    entries = dracut(with_systemd=False) | {"usr/lib/modules-load.d/vfio.conf": "vfio-pci\n"}
    assert stage(tmp_path, entries, "rd.driver.pre=vfio_pci").steps[-1] == (Coldplug(),)
    assert lists(stage(tmp_path, entries, "modules_load=x rd.driver.pre=vfio_pci")) == {"rd.driver.pre": ["vfio_pci"]}


def test_only_rd_systemd_mask_counts_in_the_image(tmp_path: Path) -> None:
    entries = dracut() | {"etc/modules-load.d/vfio.conf": "vfio-pci\n"}
    assert lists(stage(tmp_path, entries, "systemd.mask=systemd-modules-load.service"))
    assert not lists(stage(tmp_path, entries, "rd.systemd.mask=systemd-modules-load"))


def test_two_programs_without_an_order_are_a_doubt(tmp_path: Path) -> None:
    entries = dracut({"e1000e": [], "nouveau": [NVIDIA_DISPLAY]}) | {"etc/modules-load.d/site.conf": "nouveau\n"}
    assert "in no fixed order" in stage(tmp_path, entries, "rd.driver.pre=e1000e").doubts[0]
    assert "blacklists nouveau" in stage(tmp_path, entries, "rd.driver.blacklist=nouveau").doubts[0]


@pytest.mark.parametrize("word", ["rd.break", "rd.break=pre-udev", "rd.hostonly=0", "rd.cmdline=ask"])
def test_what_lets_somebody_meddle_with_dracuts_image_is_a_doubt(tmp_path: Path, word: str) -> None:
    assert f"{GRUB}: {word} " in stage(tmp_path, dracut(), word).doubts[0]


def test_levels_of_udevs_log_decide_nothing(tmp_path: Path) -> None:
    assert stage(tmp_path, dracut(), "rd.udev.log_level=debug rd.udev.debug rd.shell").doubts == ()


def test_a_hook_that_meddles_with_drivers_is_noticed(tmp_path: Path) -> None:
    hook = "var/lib/dracut/hooks/pre-trigger/20-vfio.sh"
    entries = dracut() | {"usr/lib/dracut/hooks": Link("/var/lib/dracut/hooks"), hook: "echo vfio-pci > $d/driver_override\n"}
    (influence,) = stage(tmp_path, entries).influences
    assert (influence.source, influence.fact) == (f"{IMAGE}:/var/lib/dracut/hooks/pre-trigger/20-vfio.sh:1", "writes to driver_override")


@pytest.mark.parametrize("place", ["var/lib", "etc", "usr/lib"])
def test_a_hook_in_each_folder_of_dracut_112_is_noticed(tmp_path: Path, place: str) -> None:
    """list_hooks() in dracut-lib.sh."""
    hook = f"{place}/dracut/hooks/pre-udev/20-vfio.sh"
    (influence,) = stage(tmp_path, dracut() | {hook: "echo vfio-pci > $d/driver_override\n"}).influences
    assert influence.source == f"{IMAGE}:/{hook.removeprefix('usr/')}:1"


def test_what_the_generator_s_own_script_writes_of_blacklist_is_simulated_and_not_noticed(tmp_path: Path) -> None:
    script = '#!/bin/sh\nfor b in $(echo $blacklist | sed "s/,/ /g"); do\n\techo "blacklist $b" >> "/etc/modprobe.d/initramfs"\ndone\n'
    image = {**initramfs_tools(), "scripts/init-top/blacklist": script}
    assert stage(tmp_path, image).influences == ()
    assert stage(tmp_path / "own", {**image, "scripts/init-top/keymap": script}).influences != ()
