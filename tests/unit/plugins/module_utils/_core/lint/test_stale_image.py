# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images that hold another policy than the host."""

from __future__ import annotations

import dataclasses

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import INITRAMFS, Coldplug, ListedModule
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import ImageFile, PolicyFile, PolicyFiles
from ansible_collections.vfio.variants.tests.unit.boots import boot, device, image_path, load_list, stage
from ansible_collections.vfio.variants.tests.unit.judged import kinds, sentence
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13

V100 = device("0000:3b:00.0", driver="nouveau")
RULE = 'KERNEL=="0000:3b:00.0", ATTR{driver_override}="vfio-pci", RUN{builtin}+="kmod load vfio-pci"\n'
IMAGE = image_path()


def test_an_image_that_lacks_a_blacklist_is_stale() -> None:
    said = sentence("stale-image", boot(stage(INITRAMFS), stage(modprobe="blacklist nouveau\n")))
    assert said == f"{IMAGE} does not have the host's /etc/modprobe.d/site.conf. Rebuild that image."


def test_an_image_with_another_version_of_a_file_is_stale() -> None:
    image = stage(INITRAMFS, modprobe="options vfio-pci ids=8086:10d3\n")
    said = sentence("stale-image", boot(image, stage(modprobe="options vfio-pci ids=10de:1db1\n")))
    assert "has another version of /etc/modprobe.d/site.conf than the host. " in said


def test_comments_and_modules_that_do_not_matter_make_no_image_stale() -> None:
    image = stage(INITRAMFS, modprobe="# old words\nblacklist nouveau\n")
    built_in = boot(image, stage(modprobe="# new words\n\nblacklist  nouveau\noptions loop max_loop=8\n"))
    assert "stale-image" not in kinds(built_in, devices=[V100])


def test_a_file_that_the_host_has_no_more_is_still_heard_in_the_image() -> None:
    said = sentence("stale-image", boot(stage(INITRAMFS, modprobe="blacklist nouveau\n"), stage()))
    assert "still has /etc/modprobe.d/site.conf, which the host does not have." in said


def test_a_distributions_own_files_are_not_compared() -> None:
    own = {"/usr/lib/modprobe.d/nvidia.conf": "blacklist nouveau\n"}
    assert kinds(boot(stage(INITRAMFS), stage(modprobe=own))) == []


def test_an_image_without_a_rule_or_with_an_older_one_is_stale() -> None:
    assert kinds(boot(stage(INITRAMFS), stage(rules=RULE)), devices=[V100]) == ["stale-image"]
    older = {"/usr/lib/udev/rules.d/90-site.rules": RULE.replace("vfio-pci", "nouveau")}
    assert kinds(boot(stage(INITRAMFS, rules=older), stage(rules=RULE)), devices=[V100]) == ["stale-image"]


def test_an_image_keeps_the_rules_of_etc_below_usr_lib() -> None:
    copied = {"/usr/lib/udev/rules.d/90-site.rules": RULE}
    assert kinds(boot(stage(INITRAMFS, rules=copied), stage(rules=RULE)), devices=[V100]) == []


def test_a_module_that_the_image_was_not_told_to_load_makes_it_stale() -> None:
    files = PolicyFiles(initramfs_tools=True, for_image=(ListedModule("vfio-pci", "/etc/initramfs-tools/modules:1"),))
    assert "does not load vfio-pci" in sentence("stale-image", boot(stage(INITRAMFS), stage()), files=files)
    assert kinds(boot(stage(INITRAMFS, load=["vfio_pci"]), stage()), files=files) == []


def test_a_module_that_dracut_shall_take_in_and_did_not_makes_an_image_stale() -> None:
    files = PolicyFiles(dracut=True, for_image=(ListedModule("vfio-pci", "/etc/dracut.conf.d/10-vfio.conf:1"),))
    without: dict[str, list[str]] = {"e1000e": [], "nouveau": []}
    assert "does not contain vfio-pci" in sentence("stale-image", boot(stage(INITRAMFS, modules=without), stage()), files=files)
    assert kinds(boot(stage(INITRAMFS), stage()), files=files) == []


def test_a_list_of_modules_to_load_is_compared_with_dracuts_copy() -> None:
    place = "/etc/modules-load.d/gpu.conf"
    root = stage(steps=((load_list("systemd-modules-load", "e1000e", "vfio-pci", source=place), Coldplug()),))
    older, same = (
        stage(INITRAMFS, steps=((load_list("systemd-modules-load", *names, source=f"{IMAGE}:{place}"), Coldplug()),))
        for names in (["e1000e"], ["e1000e", "vfio_pci"])
    )
    assert sentence("stale-image", boot(older, root), files=PolicyFiles(dracut=True)).startswith(f"{IMAGE} is older than {place}:2")
    assert kinds(boot(same, root), files=PolicyFiles(dracut=True)) == []
    assert kinds(boot(older, root), files=PolicyFiles(initramfs_tools=True)) == []


def unread(newer: float, older: float = 100.0) -> PolicyFiles:
    image = {DEBIAN_13: ImageFile(IMAGE, 200.0)}
    return PolicyFiles(images=image, mtimes={"/etc/modprobe.d/site.conf": newer, "/etc/udev/rules.d/90-site.rules": older})


def test_where_an_image_cannot_be_read_ages_count() -> None:
    root = stage(modprobe="blacklist nouveau\n", rules=RULE)
    said = sentence("stale-image", boot(root), files=unread(newer=300.0), devices=[V100])
    assert said.startswith(f"{IMAGE} is older than /etc/modprobe.d/site.conf, and cannot be read")
    assert kinds(boot(root), files=unread(newer=150.0), devices=[V100]) == []


def test_ages_say_nothing_about_an_image_that_was_read_and_agrees() -> None:
    same = "blacklist nouveau\n"
    assert kinds(boot(stage(INITRAMFS, modprobe=same), stage(modprobe=same)), files=unread(newer=300.0)) == []


def test_the_hosts_own_way_to_rebuild_its_images_is_named() -> None:
    files = PolicyFiles(dracut=True, rebuilding="Run `dracut --force {image} {release}`.")
    said = sentence("stale-image", boot(stage(INITRAMFS), stage(modprobe="blacklist nouveau\n")), files=files)
    assert said.endswith(f"Run `dracut --force {IMAGE} {DEBIAN_13}`.")


def test_a_file_that_the_host_has_emptied_is_still_heard_in_the_image() -> None:
    there = PolicyFiles(modprobe=(PolicyFile("/etc/modprobe.d/site.conf", "# emptied\n"),))
    said = sentence("stale-image", boot(stage(INITRAMFS, modprobe="blacklist nouveau\n"), stage()), files=there)
    assert "has another version of /etc/modprobe.d/site.conf than the host. " in said


def test_all_files_that_an_image_lacks_are_one_sentence() -> None:
    more = {"/etc/modprobe.d/a.conf": "blacklist nouveau\n", "/etc/modprobe.d/b.conf": "options vfio-pci ids=10de:1db1\n"}
    said = sentence("stale-image", boot(stage(INITRAMFS), stage(modprobe=more, rules=RULE)), devices=[V100])
    files = "/etc/modprobe.d/a.conf, /etc/modprobe.d/b.conf and /etc/udev/rules.d/90-site.rules"
    assert said.startswith(f"{IMAGE} does not have the host's {files}. ")


def test_rules_that_the_host_masks_and_the_image_does_not_are_said_to_be_that() -> None:
    root = stage()
    masked = dataclasses.replace(root, rules=dataclasses.replace(root.rules, masked=("/etc/udev/rules.d/90-site.rules",)))
    said = sentence("stale-image", boot(stage(INITRAMFS, rules={"/usr/lib/udev/rules.d/90-site.rules": RULE}), masked), devices=[V100])
    assert said.startswith(f"{IMAGE} has the rules that /etc/udev/rules.d/90-site.rules masks on the host. ")
