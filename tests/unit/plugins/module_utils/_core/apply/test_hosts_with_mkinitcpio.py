# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""On a host like Arch the policy gets into the image that boots, or it is said why it does not."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.image_sync import sync_images
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image import Image
from ansible_collections.vfio.variants.plugins.modules import initramfs
from ansible_collections.vfio.variants.tests.unit.mkinitcpio_hosts import IMAGE, PRESET, PRESET_TEXT, RELEASE, arch_host, host_of
from ansible_collections.vfio.variants.tests.unit.module_calls import options_of
from ansible_collections.vfio.variants.tests.unit.policy_hosts import MKINITCPIO, MODPROBE, RULES, VARIANT, refused, run
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path

CLAIM = {"devices": "10de:1db1"}
BY_IDS = {**CLAIM, "driver": "vfio-pci", "strategy": "ids"}


def sync(tree: Tree, policy: dict[str, t.Any] | None = None, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
    given = options_of(initramfs.ARGUMENTS, **{"timeout": 60, "policy": policy, **options})
    return sync_images(host_of(tree), initramfs.request(given), check).result()


def held(tree: Tree) -> Image:
    return Image.read(host_of(tree), IMAGE, RELEASE)


def test_the_policy_reaches_the_image_that_the_entry_names(tmp_path: Path) -> None:
    tree = arch_host(tmp_path)
    policy = run(tree, CLAIM)["policy"]
    predicted = sync(tree, policy, check=True)
    done = sync(tree, policy)

    assert predicted == done
    assert done["kernels"][RELEASE]["image"] == IMAGE
    assert done["kernels"][RELEASE]["generator"] == "mkinitcpio"
    assert f"{RULES} is not in it." in done["kernels"][RELEASE]["reasons"]
    assert RULES.lstrip("/") in held(tree).names
    assert VARIANT in held(tree).modules
    assert not sync(tree, policy)["changed"]


def test_files_of_modprobe_are_taken_in_without_the_hook_modconf(tmp_path: Path) -> None:
    tree = arch_host(tmp_path)
    sync(tree, run(tree, BY_IDS)["policy"])

    assert held(tree).text(MODPROBE) is not None


def test_ours_are_loaded_before_the_natives_that_the_host_lists(tmp_path: Path) -> None:
    tree = arch_host(tmp_path, settings="MODULES=(nouveau)\n")
    sync(tree, run(tree, BY_IDS)["policy"])

    assert held(tree).text("config") == b'MODULES="vfio_pci nouveau"\n'


def test_settings_of_the_old_form_are_kept(tmp_path: Path) -> None:
    tree = arch_host(tmp_path, settings='MODULES="e1000e nouveau"\nFILES="/etc/os-release"\n')
    tree.file("/etc/mkinitcpio.conf", f'MODULES="e1000e nouveau"\nFILES="{tree.place("/etc/os-release")}"\n')
    sync(tree, run(tree, BY_IDS)["policy"])

    assert held(tree).text("config") == b'MODULES="vfio_pci e1000e nouveau"\n'
    assert {"etc/os-release", MODPROBE.lstrip("/")} <= held(tree).names


def test_other_drop_ins_come_first_and_a_module_that_a_kernel_lacks_does_not_matter(tmp_path: Path) -> None:
    tree = arch_host(tmp_path).file("/etc/mkinitcpio.conf.d/vm.conf", "MODULES=(nouveau)\n")
    policy = run(tree, CLAIM)["policy"]
    text = tree.place(MKINITCPIO).read_text()
    tree.file(MKINITCPIO, text.replace(f"'{VARIANT}?'", f"'{VARIANT}?' 'missing?'"))
    sync(tree)

    assert held(tree).text("config") == f'MODULES="{VARIANT} nouveau"\n'.encode()
    assert policy["modules"] == [VARIANT]


def test_absence_takes_the_policy_out_of_the_image_again(tmp_path: Path) -> None:
    tree = arch_host(tmp_path)
    sync(tree, run(tree, CLAIM)["policy"])
    gone = run(tree, state="absent")["policy"]

    assert sync(tree, gone)["changed"]
    assert not tree.place(MKINITCPIO).exists()
    assert RULES.lstrip("/") not in held(tree).names


def test_the_presets_options_are_kept(tmp_path: Path) -> None:
    tree = arch_host(tmp_path, preset=f'{PRESET_TEXT}default_options="-S autodetect"\n')
    policy = run(tree, CLAIM)["policy"]
    host = host_of(tree)
    sync_images(host, initramfs.request(options_of(initramfs.ARGUMENTS, timeout=60, policy=policy)), False)

    assert sync(tree, policy)["changed"] is False


def test_a_preset_with_settings_of_its_own_is_said_before_anything_is_written(tmp_path: Path) -> None:
    tree = arch_host(tmp_path, preset=f'{PRESET_TEXT}ALL_config="/etc/mkinitcpio.conf"\n')
    said = refused(tree, CLAIM)

    assert said.startswith(f"{PRESET} has kernel {RELEASE}'s image built from /etc/mkinitcpio.conf alone")
    assert MKINITCPIO in said


def test_settings_that_read_ours_reach_the_image(tmp_path: Path) -> None:
    tree = arch_host(tmp_path, preset=f'{PRESET_TEXT}ALL_config="/etc/mkinitcpio.conf"\n')
    tree.file("/etc/mkinitcpio.conf", f"MODULES=()\n. {MKINITCPIO}\n")

    assert run(tree, CLAIM)["changed"]


def test_booster_is_said_before_anything_is_written(tmp_path: Path) -> None:
    tree = arch_host(tmp_path).file("/usr/bin/booster", "#!/bin/sh\n", 0o755)
    tree.place("/usr/bin/mkinitcpio").unlink()
    said = refused(tree, CLAIM)

    assert said.startswith("booster builds the initramfs images of this host, which a boot policy does not reach: its images have no udev")
    assert "/etc/booster.yaml" in said


def test_an_image_named_by_its_package_is_judged_without_a_boot_entry(tmp_path: Path) -> None:
    tree = arch_host(tmp_path)
    tree.place("/boot/grub/grub.cfg").unlink()
    policy = run(tree, CLAIM, check=True)["policy"]

    assert sync(tree, policy, check=True)["kernels"][RELEASE]["image"] == IMAGE


def test_dracut_builds_the_image_that_is_named_by_its_package(tmp_path: Path) -> None:
    tree = arch_host(tmp_path).file("/usr/bin/dracut", "#!/bin/sh\n", 0o755)
    tree.place("/usr/bin/mkinitcpio").unlink()
    tree.place("/boot/grub/grub.cfg").unlink()
    found = sync(tree, run(tree, CLAIM, check=True)["policy"], check=True)["kernels"][RELEASE]

    assert (found["image"], found["generator"]) == (IMAGE, "dracut")


@pytest.mark.parametrize(
    ("files", "links", "generator"),
    [
        (["/usr/share/libalpm/hooks/90-mkinitcpio-install.hook"], {}, "mkinitcpio"),
        (["/usr/share/libalpm/hooks/90-dracut-install.hook"], {}, "dracut"),
        (
            ["/usr/share/libalpm/hooks/90-mkinitcpio-install.hook", "/usr/share/libalpm/hooks/90-dracut-install.hook"],
            {"/etc/pacman.d/hooks/90-mkinitcpio-install.hook": "/dev/null"},
            "dracut",
        ),
    ],
)
def test_of_two_generators_the_one_counts_that_a_new_kernel_calls(
    tmp_path: Path, files: list[str], links: dict[str, str], generator: str
) -> None:
    tree = arch_host(tmp_path).file("/usr/bin/dracut", "#!/bin/sh\n", 0o755).file("/dev/null")
    for path in files:
        tree.file(path, "[Trigger]\n")
    for path, target in links.items():
        tree.link(path, target)
    found = sync(tree, run(tree, CLAIM, check=True)["policy"], check=True)["kernels"][RELEASE]

    assert found["generator"] == generator


def test_of_two_generators_that_nothing_calls_the_one_with_presets_counts_and_else_none(tmp_path: Path) -> None:
    tree = arch_host(tmp_path).file("/usr/bin/dracut", "#!/bin/sh\n", 0o755)
    assert sync(tree, check=True)["kernels"][RELEASE]["generator"] == "mkinitcpio"
    tree.place(PRESET).unlink()
    with pytest.raises(HostError, match="dracut and mkinitcpio are both installed"):
        sync(tree, check=True)
    assert sync(tree, check=True, generator="mkinitcpio")["kernels"][RELEASE]["generator"] == "mkinitcpio"


UNIFIED = "/efi/EFI/Linux/arch-linux.efi"


def test_a_unified_image_of_the_preset_is_built_again_as_one(tmp_path: Path) -> None:
    preset = PRESET_TEXT.replace("default_image=", "#default_image=").replace("#default_uki=", "default_uki=")
    tree = arch_host(tmp_path, preset=preset).directory("/efi/EFI/Linux")
    tree.place("/boot/grub/grub.cfg").unlink()
    tree.place(IMAGE).unlink()
    host_of(tree).run(["mkinitcpio", "-k", RELEASE, "-U", str(tree.place(UNIFIED))], 60)
    policy = run(tree, CLAIM)["policy"]
    done = sync(tree, policy)

    assert (done["kernels"][RELEASE]["image"], done["kernels"][RELEASE]["rebuilt"]) == (UNIFIED, True)
    assert tree.place(UNIFIED).read_bytes()[:2] == b"MZ"
    assert RULES.lstrip("/") in Image.read(host_of(tree), UNIFIED, RELEASE).names
    assert not sync(tree, policy)["changed"]
