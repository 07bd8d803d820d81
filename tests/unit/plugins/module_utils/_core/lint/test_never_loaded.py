# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""IDs for a module that nothing loads, and lines that keep out less than is meant, or more."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import INITRAMFS, ROOT, ListedModule
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import PolicyFiles
from ansible_collections.vfio.variants.tests.unit.boots import boot, device, stage
from ansible_collections.vfio.variants.tests.unit.judged import judged, kinds, sentence

V100 = device("0000:3b:00.0", driver="nouveau")
SECOND = device("0000:5e:00.0", driver="nouveau")
IDS = "options vfio-pci ids=10de:1db1\n"
LOADS = 'ACTION=="add", KERNEL=="0000:02:00.0", RUN{builtin}+="kmod load vfio-pci"\n'


@pytest.mark.parametrize(("modprobe", "cmdline", "source"), [(IDS, "", "/etc/modprobe.d/site.conf:1"), ("", "vfio-pci.ids=10de:1db1", "")])
def test_ids_of_a_module_that_comes_after_the_native_are_named_with_what_is_missing(modprobe: str, cmdline: str, source: str) -> None:
    said = sentence("ids-not-loaded", boot(modprobe=modprobe, cmdline=cmdline), devices=[V100])
    assert said.startswith(source)
    assert said.endswith(
        " gives 0000:3b:00.0 to vfio-pci, but nothing loads vfio-pci before nouveau, which takes it."
        " Add `softdep nouveau pre: vfio-pci` to a file in /etc/modprobe.d whose name ends in .conf."
    )
    assert "which takes them" in sentence("ids-not-loaded", boot(modprobe=modprobe, cmdline=cmdline), devices=[V100, SECOND])


@pytest.mark.parametrize(
    "more",
    [
        "softdep nouveau pre: vfio-pci\n",
        "blacklist nouveau\n",
        "install nouveau /bin/false\n",
        "install nouveau /sbin/modprobe vfio-pci; /sbin/modprobe --ignore-install nouveau\n",
        "alias pci:v000010DEd* vfio-pci\n",
        "blacklist vfio-pci\n",
    ],
)
def test_what_loads_the_module_or_keeps_the_native_out_is_enough(more: str) -> None:
    assert "ids-not-loaded" not in kinds(boot(modprobe=f"{IDS}{more}"), devices=[V100])


def test_lists_rules_words_and_images_load_modules_too() -> None:
    assert "ids-not-loaded" not in kinds(boot(stage(modprobe=IDS, load=["vfio-pci"])), devices=[V100])
    assert "ids-not-loaded" not in kinds(boot(modprobe=IDS, rules=LOADS), devices=[V100])
    assert "ids-not-loaded" not in kinds(boot(stage(INITRAMFS, modprobe=IDS, load=["vfio_pci"]), stage(ROOT, modprobe=IDS)), devices=[V100])
    assert "ids-not-loaded" not in kinds(boot(modprobe=IDS, modules={"nouveau": []}, builtin=["vfio_pci"]), devices=[V100])
    assert "ids-not-loaded" not in kinds(boot(modprobe=IDS, rules='KERNEL=="0000:3b:00.0", ATTR{driver_override}="x"\n'), devices=[V100])


def test_a_list_for_an_initramfs_that_is_yet_to_be_built_counts() -> None:
    files = PolicyFiles(for_image=(ListedModule("vfio-pci", "/etc/initramfs-tools/modules:1"),))
    assert "ids-not-loaded" not in kinds(boot(modprobe=IDS), devices=[V100], files=files)


def test_other_mistakes_of_the_line_are_told_beside_it() -> None:
    found = kinds(boot(modprobe="options vfio-pci ids=10de:1db1: disable_vgaa=1\n"), devices=[V100])
    assert {"ids-not-loaded", "ids-malformed", "unknown-parameter"} <= set(found)


@pytest.mark.parametrize("command", ["/bin/false", "/bin/true"])
def test_an_install_line_that_keeps_the_claimed_module_out_is_told(command: str) -> None:
    said = sentence("claimed-not-installed", boot(modprobe=f"{IDS}install vfio-pci {command}\n"), devices=[V100])
    assert said == (
        f"/etc/modprobe.d/site.conf:2: `install vfio-pci {command}` keeps vfio-pci from being loaded, but the policy assigns"
        " 0000:3b:00.0 to it. Remove that line."
    )


@pytest.mark.parametrize(
    "text",
    [
        "install vfio-pci /bin/false\n",
        f"{IDS}install vfio-pci /sbin/modprobe --ignore-install vfio-pci\n",
        f"{IDS}install vfio-pci /bin/false\nsoftdep vfio-pci pre: vfio\n",
        f"{IDS}install nouveau /bin/false\n",
    ],
)
def test_an_install_line_that_keeps_nothing_claimed_out_is_fine(text: str) -> None:
    assert "claimed-not-installed" not in kinds(boot(modprobe=text), devices=[V100])


@pytest.mark.parametrize("word", ["off", "null"])
def test_an_alias_of_a_native_s_name_does_not_keep_udev_from_loading_it(word: str) -> None:
    said = sentence("alias-to-nothing", boot(modprobe=f"alias nouveau {word}\n"), devices=[V100])
    assert said.endswith("udev loads it by its devices' aliases. Write `blacklist nouveau`.")


@pytest.mark.parametrize("text", ["alias floppy off\n", "alias nouveau off\nblacklist nouveau\n", "alias pci:v000010DEd* off\n"])
def test_an_alias_that_does_what_is_meant_or_is_about_nothing_here_is_fine(text: str) -> None:
    assert "alias-to-nothing" not in kinds(boot(modprobe=text), devices=[V100])


@pytest.mark.parametrize("name", ["nouveau.ko", "nouveau.ko.xz", "drivers/gpu/drm/nouveau/nouveau.ko", "kernel/drivers/gpu/drm/nouveau"])
def test_of_a_file_s_path_the_module_is_meant(name: str) -> None:
    (found,) = judged(boot(modprobe=f"blacklist {name}\n"), devices=[V100])
    assert found.sentence.endswith("Did you mean nouveau?")
