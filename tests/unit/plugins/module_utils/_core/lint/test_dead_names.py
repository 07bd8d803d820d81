# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names in modprobe.d and on the command line of modules that do not exist."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import INITRAMFS, Coldplug, ListedModule
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import PolicyFiles
from ansible_collections.vfio.variants.tests.unit.boots import STOCK, boot, device, load_list, stage
from ansible_collections.vfio.variants.tests.unit.judged import judged, kinds, sentence
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12


@pytest.mark.parametrize(
    "line",
    [
        "blacklist nouvaeu",
        "options nouvaeu modeset=0",
        "install nouvaeu /bin/false",
        "softdep nouvaeu pre: vfio-pci",
        "softdep e1000e pre: nouvaeu",
    ],
)
def test_a_line_for_a_module_that_no_kernel_has_is_told_with_the_nearest_name(line: str) -> None:
    said = sentence("unknown-module", boot(modprobe=f"# a comment\n{line}\n", cmdline="vfio-pci.ids=10de:1db1"))
    assert "/etc/modprobe.d/site.conf:2" in said
    assert "Did you mean nouveau?" in said


def test_a_name_that_is_like_no_other_has_no_nearest_one() -> None:
    assert sentence("unknown-module", boot(modprobe="blacklist frobnicator")).endswith("Check the spelling, or remove it.")


def test_names_that_some_kernel_has_are_fine_loadable_or_built_in_with_dashes_or_underscores() -> None:
    text = "blacklist nouveau\noptions vfio-pci ids=10de:1db1\nsoftdep nouveau pre: vfio-pci\n"
    old = boot(modprobe=text, release=DEBIAN_12, modules={"vfio_pci": [], "vfio_pci_core": [], "amdgpu": []})
    assert "unknown-module" not in kinds(old, boot(modprobe=text + "blacklist amdgpu\n"))
    assert kinds(boot(modprobe="options drm debug=1", builtin=["drm"])) == ["options-of-builtin"]


def test_what_a_distribution_blacklists_is_intentional_of_the_host() -> None:
    assert kinds(boot(modprobe={"/usr/lib/modprobe.d/fbdev-blacklist.conf": "blacklist arkfb\n"})) == []
    conffile = {"/etc/modprobe.d/intel-microcode-blacklist.conf": "blacklist microcode\n"}
    assert kinds(boot(modprobe=conffile), files=PolicyFiles(packaged=frozenset(conffile))) == []
    assert kinds(boot(modprobe=conffile)) == ["unknown-module"]


def test_a_word_that_is_an_alias_may_stand_in_a_softdep_but_not_in_a_blacklist() -> None:
    files = PolicyFiles(synonyms={"crc32c": frozenset({"crc32c_generic"})})
    assert kinds(boot(modprobe="softdep e1000e pre: crc32c\noptions crc32c x=1"), files=files) == []
    assert "Write crc32c_generic." in sentence("blacklisted-alias", boot(modprobe="blacklist crc32c"), files=files)


def test_a_word_that_modprobe_d_itself_defines_is_known() -> None:
    assert kinds(boot(modprobe="alias mygpu nouveau\noptions mygpu modeset=0\n")) == []


def test_kmod_takes_no_wildcards_in_a_blacklist_but_in_a_softdep() -> None:
    assert "does not expand wildcards" in sentence("wildcard-name", boot(modprobe="blacklist nouv*"))
    assert kinds(boot(modprobe="install nouv* /bin/false")) == []


def test_an_alias_to_a_module_that_no_kernel_has_leaves_its_devices_alone() -> None:
    pattern = "pci:v000010DEd00001DB1sv*sd*bc*sc*i*"
    assert "get no driver" in sentence("unknown-module", boot(modprobe=f"alias {pattern} nouvaeu"))
    assert kinds(boot(modprobe=f"alias {pattern} nouveau\nalias net-pf-10 off")) == []


@pytest.mark.parametrize("option", ["modprobe.blacklist", "module_blacklist"])
def test_a_dash_never_matches_on_the_command_line(option: str) -> None:
    assert "Write vfio_pci." in sentence("dash-never-matches", boot(cmdline=f"ro {option}=nouveau,vfio-pci"))
    assert kinds(boot(cmdline=f"ro {option}=nouveau,vfio_pci")) == []


@pytest.mark.parametrize("option", ["modprobe.blacklist", "module_blacklist"])
def test_an_unknown_name_on_the_command_line_is_told(option: str) -> None:
    said = sentence("unknown-module", boot(cmdline=f"{option}=nouvaeu", cmdline_source="/boot/grub/grub.cfg:132"))
    assert said.startswith("/boot/grub/grub.cfg:132:")


def test_options_of_what_is_not_a_module_are_normal_on_the_command_line() -> None:
    assert kinds(boot(cmdline="printk.time=1 systemd.unit=rescue.target rd.driver.blacklist=x")) == []
    assert kinds(boot(cmdline="vfoi_pci.ids=10de:1db1")) == ["unknown-module"]


def test_a_blacklist_of_a_built_in_native_is_told() -> None:
    loadable = {name: aliases for name, aliases in STOCK.items() if name != "nouveau"}
    said = sentence("blacklisted-builtin", boot(modprobe="blacklist nouveau", modules=loadable, builtin=["nouveau"]))
    assert "initcall_blacklist=" in said
    assert kinds(boot(modprobe="blacklist nouveau", builtin=["shpchp"])) == []
    assert kinds(boot(cmdline="module_blacklist=nouveau", modules=loadable, builtin=["nouveau"])) == ["blacklisted-builtin"]


def test_options_in_a_file_for_a_built_in_belong_on_the_command_line() -> None:
    built_in: dict[str, t.Any] = {"modules": {"nouveau": []}, "builtin": ["vfio_pci"]}
    said = sentence("options-of-builtin", boot(modprobe="options vfio-pci ids=10de:1db1 disable_vga=1", **built_in))
    assert "Put vfio-pci.ids=10de:1db1 vfio-pci.disable_vga=1 on the kernel's command line." in said
    assert kinds(boot(cmdline="vfio-pci.ids=10de:1db1", **built_in)) == []


def test_what_several_kernels_have_in_common_is_said_once() -> None:
    boots = [boot(modprobe="blacklist nouvaeu", release=release) for release in ("6.1.0-1-amd64", "6.12.1-amd64")]
    (finding,) = judged(*boots)
    assert "6.1.0-1-amd64 and 6.12.1-amd64" in finding.sentence


V100 = device("0000:3b:00.0", driver="nouveau")
OLD = {**STOCK, "vfio_virqfd": []}
IDS = "options vfio-pci ids=10de:1db1\n"


def told(*names: str) -> PolicyFiles:
    listed = tuple(ListedModule(name, f"/etc/initramfs-tools/modules:{number}") for number, name in enumerate(names, 1))
    return PolicyFiles(for_image=listed)


def test_vfio_virqfd_is_stale_where_a_kernel_has_it_no_more() -> None:
    said = sentence("stale-module", boot(load=["vfio", "vfio_virqfd"], modules={**STOCK, "vfio": []}))
    assert said.startswith("/etc/modules:2 names vfio_virqfd")
    assert "Linux 6.2" in said
    assert kinds(boot(), files=told("vfio-virqfd")) == ["stale-module"]
    assert kinds(boot(modprobe="softdep nouveau pre: vfio_virqfd")) == ["stale-module"]


def test_vfio_virqfd_is_fine_where_the_only_kernel_has_it() -> None:
    assert kinds(boot(load=["vfio_virqfd"], modules=OLD, release=DEBIAN_12)) == []


def test_an_older_kernel_that_has_it_does_not_excuse_the_newer_one() -> None:
    assert kinds(boot(modules=OLD, release=DEBIAN_12), boot(), files=told("vfio_virqfd")) == ["stale-module"]


def test_a_listed_name_that_nobody_has_is_told() -> None:
    assert "Did you mean vfio_pci?" in sentence("unknown-listed-module", boot(load=["vfio-pcie"]))
    assert kinds(boot(), files=told("nouvaeu")) == ["unknown-listed-module"]


def test_a_listed_name_that_a_kernel_may_lack_is_fine() -> None:
    optional = ListedModule("mlx5_vfio_pci", "/etc/mkinitcpio.conf:1", written="mlx5_vfio_pci?")
    assert kinds(boot(), files=PolicyFiles(for_image=(optional,))) == []


def test_listed_modules_aliases_and_what_a_package_lists_are_fine() -> None:
    assert kinds(boot(load=["vfio-pci", "e1000e"]), files=told("vfio-pci")) == []
    assert kinds(boot(load=["crc32c"]), files=PolicyFiles(synonyms={"crc32c": frozenset({"crc32c_generic"})})) == []
    packaged = load_list("systemd-modules-load", "fwupd-msr", source="/usr/lib/modules-load.d/fwupd.conf")
    assert kinds(boot(stage(steps=((packaged, Coldplug()),)))) == []


def test_vfio_pci_in_initramfs_tools_modules_comes_after_the_native() -> None:
    image = stage(INITRAMFS, modprobe=IDS, load=["vfio-pci"])
    said = sentence("listed-too-late", boot(image, stage(modprobe=IDS)), devices=[V100])
    assert "conf/modules:1, a copy of /etc/initramfs-tools/modules, loads vfio-pci after udev has loaded nouveau" in said
    assert "softdep nouveau pre: vfio-pci" in said


def test_vfio_pci_in_the_image_is_fine_where_nothing_comes_before_it() -> None:
    without_native = {name: aliases for name, aliases in STOCK.items() if name != "nouveau"}
    for image in (
        stage(INITRAMFS, modprobe=IDS, load=["vfio-pci"], modules=without_native),
        stage(INITRAMFS, modprobe=IDS + "blacklist nouveau\n", load=["vfio-pci"]),
        stage(INITRAMFS, modprobe=IDS + "softdep nouveau pre: vfio-pci\n", load=["vfio-pci"]),
        stage(INITRAMFS, modprobe=IDS, steps=((load_list("rd.driver.pre", "vfio-pci"),), (Coldplug(),))),
    ):
        assert "listed-too-late" not in kinds(boot(image, stage(modprobe=IDS)), devices=[V100])


def test_vfio_pci_without_a_device_of_its_own_is_too_late_for_nobody() -> None:
    assert kinds(boot(stage(INITRAMFS, load=["vfio-pci"]), stage()), devices=[V100]) == []


@pytest.mark.parametrize(
    "line", ["blacklist nvidia", "install nvidia_drm /bin/false", "softdep nvidia pre: vfio-pci", "options i915 modeset=0"]
)
def test_a_precaution_against_a_module_that_is_not_installed_is_left_alone(line: str) -> None:
    assert "unknown-module" not in kinds(boot(modprobe=f"{line}\n", cmdline="vfio-pci.ids=10de:1db1"))


@pytest.mark.parametrize(("name", "told"), [("i915", False), ("nvidia", False), ("vfio_pci_core", True), ("noveau", True)])
def test_a_precaution_on_the_command_line_is_left_alone_too(name: str, told: bool) -> None:
    without = boot(cmdline=f"module_blacklist={name}", modules={"nouveau": [], "e1000e": []})
    assert ("unknown-module" in kinds(without)) == told


@pytest.mark.parametrize("line", ["softdep nouveau pre: nvidia", "alias pci:v000010DE* i915"])
def test_another_name_is_not_suggested_for_a_module_that_is_only_missing(line: str) -> None:
    assert sentence("unknown-module", boot(modprobe=f"{line}\n")).endswith("Install that module for the kernel, or remove the line.")


def test_virtio_pci_is_not_suggested_for_vfio_pci() -> None:
    without = boot(modprobe="options vfio-pci ids=10de:1db1\n", modules={"nouveau": [], "virtio_pci": []})
    assert sentence("unknown-module", without).endswith("Install that module for the kernel, or remove the line.")
