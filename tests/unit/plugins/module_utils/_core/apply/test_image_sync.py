# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Initramfs images are rebuilt if, and only if, they do not match the policy, and never lost."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.apply import initramfs_build
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.unfinished import unfinished_work
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.policy import header, modules_line
from ansible_collections.vfio.variants.tests.unit.images import archive, module, packed
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.apply.image_machine import (
    CORE,
    DRACUT,
    HOOK,
    OPTIONS,
    OURS,
    RULES,
    VFIO,
    Machine,
)
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, DEBIAN_13

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.tests.unit.images import Entry


@pytest.fixture(params=["initramfs-tools", "dracut"])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Machine:
    return Machine(tmp_path, request.param).has_policy()


def test_an_image_that_matches_is_not_touched(machine: Machine) -> None:
    machine.has_image(machine.content())

    assert machine.sync().result()["changed"] is False
    assert not any("mkinitramfs" in call[0] or "dracut" in call[0] for call in machine.commands.calls)


def test_an_image_that_lacks_everything_is_rebuilt_once(machine: Machine) -> None:
    machine.has_image(machine.content(options=None, rules=None, core=None, vfio=None)).will_build(machine.content())
    predicted = machine.sync(check_mode=True).result()
    done = machine.sync().result()

    assert done == predicted
    assert done["kernels"][DEBIAN_13] == {
        "image": machine.image,
        "generator": "dracut" if machine.tree.place("/usr/bin/dracut").exists() else "initramfs-tools",
        "reasons": [
            "/etc/modprobe.d/gpus.conf is not in it.",
            "/etc/udev/rules.d/70-gpus.rules is not in it.",
            "Module vfio_pci is not in it.",
            "Module vfio_pci_core is not in it.",
        ],
        "rebuilt": True,
        "missing_modules": [],
    }
    assert machine.booted == machine.content()
    assert machine.sync().result()["changed"] is False
    assert machine.in_boot == [f"initrd.img-{DEBIAN_13}"]


def test_check_mode_writes_nothing(machine: Machine) -> None:
    machine.has_image(machine.content(rules=None)).will_build(machine.content())
    before = {path: path.stat().st_mtime_ns for path in machine.tree.root.rglob("*")}

    assert machine.sync(check_mode=True).result()["changed"] is True
    assert {path: path.stat().st_mtime_ns for path in machine.tree.root.rglob("*")} == before


@pytest.mark.parametrize(
    ("part", "entry", "reason"),
    [
        ("options", OPTIONS + "# more\n", "It contains another version of /etc/modprobe.d/gpus.conf."),
        ("rules", RULES.replace("vfio-pci", "nouveau"), "It contains another version of /etc/udev/rules.d/70-gpus.rules."),
        ("vfio", module("older"), f"It contains another build of module vfio_pci than /lib/modules/{DEBIAN_13}/{VFIO}."),
        ("core", None, "Module vfio_pci_core is not in it."),
        ("other", header("cards"), "It still contains etc/modprobe.d/other.conf, which this host no longer has."),
    ],
)
def test_each_difference_is_named(machine: Machine, part: str, entry: Entry | None, reason: str) -> None:
    machine.has_image(machine.content(**{part: entry}))

    assert machine.reasons() == (reason,)


def test_early_loading_matters_only_where_the_image_has_it(machine: Machine) -> None:
    machine.has_image(machine.content())
    machine.tree.file(OURS.early, header("gpus") + "vfio-pci\n")
    assert machine.reasons() == ()

    machine.has_image(packed(archive({"etc/modules-load.d/gpus.conf": header("gpus")}), "gzip"))
    assert "It contains another version of /etc/modules-load.d/gpus.conf." in machine.reasons()


def test_without_a_policy_an_image_only_must_not_hold_an_old_one(machine: Machine) -> None:
    for path in OURS.all:
        machine.tree.place(path).unlink(missing_ok=True)
    assert machine.reasons() == ()

    machine.has_image(machine.content())
    assert machine.reasons() == (
        "It still contains etc/modprobe.d/gpus.conf, which this host no longer has.",
        "It still contains usr/lib/udev/rules.d/70-gpus.rules, which this host no longer has.",
    )


def test_a_missing_image_is_built(machine: Machine) -> None:
    machine.will_build(machine.content())

    assert machine.reasons() == (f"There is no image {machine.image}.",)
    assert machine.sync().result()["changed"] is True
    assert machine.booted == machine.content()


def test_a_damaged_image_is_rebuilt(machine: Machine) -> None:
    machine.has_image(machine.content()[:-100]).will_build(machine.content())

    assert machine.sync().plans[0].reasons[0].startswith(f"{machine.image} cannot be read: ")
    assert machine.booted == machine.content()


def test_a_module_that_the_kernel_does_not_have_is_told_and_not_waited_for(machine: Machine) -> None:
    machine.tree.file(OURS.hook, HOOK + modules_line(["vfio_pci"])).file(
        OURS.hook.replace("gpus", "nics"), "#!/bin/sh\n" + header("nics") + modules_line(["mlx5_vfio_pci"])
    )
    machine.has_image(machine.content())
    done = machine.sync()

    assert done.plans[0].missing_modules == ("mlx5_vfio_pci",)
    assert done.result()["changed"] is False
    assert done.warnings() == (f"Kernel {DEBIAN_13} does not have mlx5_vfio_pci, so {machine.image} cannot contain it.",)


def test_a_built_in_module_is_not_looked_for(machine: Machine) -> None:
    machine.tree.file(f"/lib/modules/{DEBIAN_13}/modules.dep", "").file(f"/lib/modules/{DEBIAN_13}/modules.builtin", f"{CORE}\n{VFIO}\n")
    machine.has_image(machine.content(core=None, vfio=None))

    assert machine.sync().plans[0].reasons == ()
    assert machine.sync().plans[0].missing_modules == ()


def test_force_rebuilds_what_matches(machine: Machine) -> None:
    machine.has_image(machine.content()).will_build(machine.content(other=None))

    assert machine.sync(force=True).plans[0].reasons == ("A rebuild was requested with `force`.",)
    assert machine.booted == machine.content(other=None)


# -- a policy that is still to come


def digests(**contents: str | None) -> dict[str, str | None]:
    files: dict[str, str | None] = dict.fromkeys(OURS.all)
    return {
        **files,
        **{getattr(OURS, name): hashlib.sha256(text.encode()).hexdigest() for name, text in contents.items() if text is not None},
    }


def test_check_mode_predicts_with_the_policy_to_come(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.has_image(machine.content(options=None, rules=None, core=None, vfio=None)).will_build(machine.content())
    policy = {"files": digests(modprobe=OPTIONS, rules=RULES, hook=HOOK, dracut=DRACUT), "modules": ["vfio-pci"]}
    predicted = machine.sync(check_mode=True, policy=policy).result()

    machine.has_policy()
    assert machine.sync(policy=policy).result() == predicted


def test_check_mode_predicts_the_removal_of_a_policy(machine: Machine) -> None:
    machine.has_image(machine.content())

    assert machine.reasons(policy={"files": digests(), "modules": []}) == (
        "It still contains etc/modprobe.d/gpus.conf, which this host no longer has.",
        "It still contains usr/lib/udev/rules.d/70-gpus.rules, which this host no longer has.",
    )


def test_another_policy_on_the_host_counts_beside_the_given_one(machine: Machine) -> None:
    machine.has_image(machine.content())
    machine.tree.file("/etc/modprobe.d/nics.conf", header("nics"))
    policy = {"files": digests(modprobe=OPTIONS, rules=RULES), "modules": ["vfio_pci"]}

    assert machine.reasons(policy=policy) == ("/etc/modprobe.d/nics.conf is not in it.",)


def test_a_module_that_the_play_installs_will_need_an_image(machine: Machine) -> None:
    machine.has_image(machine.content())
    policy = {"files": digests(modprobe=OPTIONS, rules=RULES), "modules": ["vfio_pci", "nvlink2gpu_vfio_pci"]}
    pending = [{"name": "nvlink2gpu-vfio-pci", "aliases": []}]

    assert machine.reasons(policy=policy, pending_modules=pending) == ("Module nvlink2gpu_vfio_pci is not in it.",)
    assert machine.sync(check_mode=True, policy=policy, pending_modules=pending).plans[0].missing_modules == ()


def test_only_a_kernel_that_the_package_is_for_will_have_its_module(machine: Machine) -> None:
    machine.has_image(machine.content())
    policy = {"files": digests(modprobe=OPTIONS, rules=RULES), "modules": ["vfio_pci", "nvlink2gpu_vfio_pci"]}
    for kernels, missing in (([machine.release], ()), (["6.6.6"], ("nvlink2gpu_vfio_pci",)), ([], ("nvlink2gpu_vfio_pci",))):
        pending = [{"name": "nvlink2gpu_vfio_pci", "kernels": kernels}]
        (plan,) = machine.sync(check_mode=True, policy=policy, pending_modules=pending).plans
        assert plan.missing_modules == missing
        assert bool(plan.reasons) is not bool(missing)


def test_an_image_with_a_module_that_the_play_replaces_will_be_rebuilt(machine: Machine) -> None:
    machine.has_image(machine.content())
    for kernels, reasons in (([machine.release], 1), (["6.6.6"], 0), ([], 0)):
        pending = [{"name": "vfio-pci", "new_for": kernels}]
        found = machine.reasons(pending_modules=pending)
        assert len(found) == reasons
        assert all("It contains another build of module vfio_pci than" in reason for reason in found)


def test_a_policy_that_is_not_in_place_is_refused_before_anything_is_built(machine: Machine) -> None:
    machine.has_image(machine.content(rules=None)).will_build(machine.content())
    old = machine.booted

    with pytest.raises(HostError, match=r"^/etc/modprobe\.d/gpus\.conf has different content"):
        machine.sync(policy={"files": {OURS.modprobe: hashlib.sha256(b"").hexdigest()}, "modules": []})
    with pytest.raises(HostError, match=r"^/etc/udev/rules\.d/70-gpus\.rules is still there"):
        machine.sync(policy={"files": {OURS.rules: None}, "modules": []})
    assert machine.booted == old


@pytest.mark.parametrize(
    ("files", "wrong"),
    [({"etc/x": None}, "'etc/x' is not an absolute path"), ({"/etc/x": "abc"}, "'abc' for /etc/x"), ({"/etc/x": 7}, "'7' for /etc/x")],
)
def test_something_else_than_a_policy_is_refused(machine: Machine, files: dict[str, t.Any], wrong: str) -> None:
    with pytest.raises(HostError, match=wrong):
        machine.sync(check_mode=True, policy={"files": files, "modules": []})


# -- when building fails


def test_a_failed_build_leaves_the_old_image_and_tells_why(machine: Machine) -> None:
    machine.has_image(machine.content(rules=None))
    old = machine.booted

    with pytest.raises(HostError, match=r"failed with exit code 3: no disk\. /boot") as error:
        machine.sync()
    assert error.value.facts["log"] == ["no disk"]
    assert machine.booted == old
    assert machine.in_boot == [f"initrd.img-{DEBIAN_13}"]


def test_a_new_image_without_an_improvement_is_thrown_away(machine: Machine) -> None:
    machine.has_image(machine.content(rules=None)).will_build(machine.content(vfio=module("older")))
    old = machine.booted

    with pytest.raises(HostError, match="does not match the policy: It contains another build of module vfio_pci"):
        machine.sync()
    assert machine.booted == old
    assert machine.in_boot == [f"initrd.img-{DEBIAN_13}"]


def test_a_build_that_hangs_is_ended(machine: Machine) -> None:
    machine.has_image(machine.content(rules=None))
    machine.generator_hangs()
    old = machine.booted

    with pytest.raises(HostError, match=r"did not finish within 1 s\. /boot") as error:
        machine.sync(timeout=1)
    assert error.value.facts["log"] == ["started"]
    assert machine.booted == old
    assert machine.in_boot == [f"initrd.img-{DEBIAN_13}"]


def test_a_full_boot_file_system_is_named_before_anything_is_built(machine: Machine) -> None:
    machine.has_image(machine.content(rules=None)).will_build(machine.content())
    machine.tree.file("/usr/bin/stat", "#!/bin/sh\necho 4096 100\n", 0o755)

    with pytest.raises(HostError, match="/boot has 0 MiB free and about 8 MiB are needed"):
        machine.sync()
    assert not machine.tree.place(f"{machine.image}.vfio-variants-new").exists()


# -- the boot loader


def with_loader_hooks(machine: Machine, code: int, seconds: int = 0) -> Path:
    """run-parts as Debian has it would call what lies in the directory; here it notes what it was told."""
    told = machine.tree.place("/told")
    machine.tree.file("/etc/initramfs/post-update.d/loader", "#!/bin/sh\n", 0o755)
    machine.tree.file("/usr/bin/run-parts", f'#!/bin/sh\necho "$@" >> {told}\nsleep {seconds}\nexit {code}\n', 0o755)
    return told


def test_the_boot_loader_is_told_of_a_new_image_once_it_is_in_place(machine: Machine) -> None:
    told = with_loader_hooks(machine, 0)
    machine.has_image(machine.content(rules=None)).will_build(machine.content())
    machine.sync()

    assert told.read_text() == f"--arg={DEBIAN_13} --arg={machine.image} /etc/initramfs/post-update.d\n"
    assert machine.in_boot == [f"initrd.img-{DEBIAN_13}"]


def test_the_boot_loader_has_as_long_as_a_build(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(initramfs_build, "LOADER_TIMEOUT", 1)
    with_loader_hooks(machine, 0, seconds=2)
    machine.has_image(machine.content(rules=None)).will_build(machine.content())

    assert machine.sync(timeout=60).plans[0].reasons
    assert machine.sync(check_mode=True).plans[0].reasons == ()


def test_the_old_image_comes_back_when_the_boot_loader_cannot_take_the_new_one(machine: Machine) -> None:
    told = with_loader_hooks(machine, 1)
    machine.has_image(machine.content(rules=None)).will_build(machine.content())
    old = machine.booted

    with pytest.raises(HostError, match="run-parts"):
        machine.sync()
    assert machine.booted == old
    assert len(told.read_text().splitlines()) == 2
    assert machine.in_boot == [f"initrd.img-{DEBIAN_13}"]


def test_a_run_that_was_killed_before_the_boot_loader_knew_is_made_good(machine: Machine) -> None:
    told = with_loader_hooks(machine, 0)
    machine.has_image(machine.content()).will_build(machine.content())
    machine.tree.file(f"{machine.image}.vfio-variants-old", "the old one")

    assert machine.sync().plans[0].reasons == ("An earlier rebuild was interrupted before the boot loader's hooks had run.",)
    assert told.exists()
    assert machine.sync().result()["changed"] is False


def disk_that_fails(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """It cannot say that what has changed in this folder is on it."""
    real = os.fsync

    def fsync(handle: int) -> None:
        if os.path.realpath(f"/proc/self/fd/{handle}") == str(folder):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)


def test_an_image_of_which_the_disk_does_not_say_that_it_is_there_is_finished_by_a_later_run(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.has_image(machine.content(rules=None)).will_build(machine.content())
    unsettled = f"{machine.image}: its directory cannot be synchronized with the disk (Input/output error)"
    with monkeypatch.context() as patch:
        disk_that_fails(patch, machine.tree.place("/boot"))
        with pytest.raises(
            HostError, match=f"^{re.escape(machine.image)} was replaced by one that matches the policy. {re.escape(unsettled)}"
        ):
            machine.sync()
        assert machine.booted == machine.content()
        host = machine.tree.host()
        assert [work.operation for work in unfinished_work(host, Inventory.read(host))] == ["initramfs"]
        with pytest.raises(HostError, match=f"^{re.escape(unsettled)}"):
            machine.sync()
    predicted = machine.sync(check_mode=True).result()
    done = machine.sync().result()
    assert done == predicted
    assert (done["changed"], done["recovered"][0]["outcome"], done["recovered"][0]["what"]) == (
        False,
        "finished",
        [f"{machine.image} is complete."],
    )
    assert machine.sync().result()["recovered"] == []


def test_the_image_before_comes_back_with_its_copies_where_the_disk_does_not_say_that_the_new_one_is_there(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = with_loader_hooks(machine, 0)
    machine.has_image(machine.content(rules=None)).will_build(machine.content())
    old = machine.booted
    disk_that_fails(monkeypatch, machine.tree.place("/boot"))
    with pytest.raises(HostError, match=f"^{re.escape(machine.image)}: its directory cannot be synchronized"):
        machine.sync()
    assert machine.booted == old
    assert told.exists()
    assert machine.in_boot == [f"initrd.img-{DEBIAN_13}"]
    monkeypatch.undo()
    assert machine.sync().result()["recovered"] == []
    assert machine.booted == machine.content()


# -- which kernels, which generator


def test_only_the_wanted_kernels_are_looked_at(machine: Machine) -> None:
    machine.has_image(machine.content())
    machine.kernel(DEBIAN_12)
    machine.tree.running(DEBIAN_13)

    assert [plan.release for plan in machine.sync(check_mode=True).plans] == [DEBIAN_12, DEBIAN_13]
    assert [plan.release for plan in machine.sync(check_mode=True, kernels=["running"]).plans] == [DEBIAN_13]
    assert [plan.release for plan in machine.sync(check_mode=True, kernels=[DEBIAN_12]).plans] == [DEBIAN_12]


def test_a_kernel_that_is_not_installed_is_refused(machine: Machine) -> None:
    with pytest.raises(HostError, match=r"kernels: kernel 6\.12\.107 is not installed") as error:
        machine.sync(kernels=["6.12.107"])
    assert error.value.hint == f"Allowed are all, running, and the installed {DEBIAN_13}."


def test_fedoras_image_is_found_under_its_own_name(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "dracut", image="/boot/initramfs-{}.img").has_policy()
    machine.has_image(machine.content(rules=None)).will_build(machine.content())
    machine.sync()

    assert machine.booted == machine.content()
    assert machine.in_boot == [f"initramfs-{DEBIAN_13}.img"]


def test_of_two_generators_the_one_that_new_kernels_call_is_used(tmp_path: Path) -> None:
    machine = Machine(tmp_path).has_policy()
    machine.generator("dracut")
    machine.has_image(machine.content())

    with pytest.raises(HostError, match="initramfs-tools and dracut"):
        machine.sync()
    assert machine.sync(generator="dracut").generator == "dracut"
    machine.tree.file("/etc/kernel/postinst.d/initramfs-tools", "#!/bin/sh\n", 0o755)
    assert machine.sync().generator == "initramfs-tools"


def test_what_a_removed_initramfs_tools_left_behind_does_not_count_as_a_generator(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "initramfs-tools").has_policy()
    machine.generator("dracut")
    machine.tree.place("/usr/sbin/update-initramfs").unlink()
    machine.has_image(machine.content())

    assert machine.sync().generator == "dracut"


def test_a_generator_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="generator: dracut is not installed"):
        Machine(tmp_path).has_policy().sync(generator="dracut")


def test_a_host_without_generator_and_without_image_has_nothing_to_do(tmp_path: Path) -> None:
    machine = Machine(tmp_path).has_policy()
    machine.tree.place("/usr/sbin/mkinitramfs").unlink()
    assert machine.sync().result()["changed"] is False

    machine.has_image(machine.content(rules=None))
    with pytest.raises(HostError, match="this host has no initramfs generator"):
        machine.sync()
