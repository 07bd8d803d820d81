# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A driver of which another version is loaded than is installed: loaded again where nobody holds it, or a reboot is required, and why."""

from __future__ import annotations

import shutil
import signal
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.interruption import Interrupted
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.off_word import install_command
from ansible_collections.vfio.variants.tests.unit.module_calls import claim_info, device_claim
from ansible_collections.vfio.variants.tests.unit.module_files import module_file, signed
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.apply.model_kernel import ModelKernel
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO, DEBIAN_13, NVIDIA_DISPLAY, V100_VARIANT, Tree

GPU, SECOND = "0000:01:00.0", "0000:02:00.0"
VARIANT = "gpu_vfio_pci"
FILE = f"/lib/modules/{DEBIAN_13}/updates/dkms/{VARIANT}.ko"
BUILD = "#1 SMP PREEMPT_DYNAMIC Debian 6.12.107-1 (2026-05-01)"
NOTHING_LEFT = {"changed": False, "reboot_required": False}


class ReloadingKernel(ModelKernel):
    """Its modules have the checksum of their file as they were loaded, and it unloads one that nobody holds."""

    broken = False
    ended = False

    def _run(self, args: list[str], **options: t.Any) -> tuple[int, str, str]:
        words = [word for word in args if word in ("modprobe", "rmmod", VARIANT)]
        if words == ["rmmod", VARIANT]:
            self.log.append(f"rmmod {VARIANT}")
            bound = [name for name in self.names("/sys/bus/pci/devices") if self.owner(name) == VARIANT]
            if bound or self.text_or_none(f"/sys/module/{VARIANT}/refcnt") != "0":
                return 1, "", f"rmmod: ERROR: Module {VARIANT} is in use"
            shutil.rmtree(self.path(f"/sys/module/{VARIANT}"))
            shutil.rmtree(self.path(f"/sys/bus/pci/drivers/{VARIANT}"))
            return 0, "", ""
        if words == ["modprobe", VARIANT] and self.broken:
            return 1, "", f"modprobe: ERROR: could not insert '{VARIANT}': Invalid argument"
        if words == ["modprobe", VARIANT] and self.is_dir(f"/sys/module/{VARIANT}"):
            return 0, "", ""
        done: tuple[int, str, str] = super()._run(args, **options)
        if words == ["modprobe", VARIANT]:
            loaded_from(self.tree, "B")
            for name in self.names("/sys/bus/pci/devices"):
                if self.override(name) == VARIANT and self.owner(name) is None:
                    self._bind(name, VARIANT)
        return done


def loaded_from(tree: Tree, source: str) -> Tree:
    return tree.file(f"/sys/module/{VARIANT}/srcversion", f"{source}\n").file(f"/sys/module/{VARIANT}/refcnt", "0\n")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    modules = {"nouveau": [NVIDIA_DISPLAY], "vfio-pci": [ANY_VFIO], f"updates/dkms/{VARIANT}": [V100_VARIANT]}
    tree = Tree(tmp_path).kernel(DEBIAN_13, modules, running=True)
    tree.file(FILE, module_file(DEBIAN_13, [V100_VARIANT], srcversion="B")).file("/proc/sys/kernel/version", f"{BUILD}\n")
    tree.pci(GPU, driver=VARIANT, override=VARIANT, group=15).pci(SECOND, driver="nouveau", group=16)
    return loaded_from(tree.file("/dev/vfio/15").file("/dev/vfio/16"), "A")


def kernel_of(tree: Tree) -> ReloadingKernel:
    loadable = {VARIANT: [VARIANT], "vfio_pci": ["vfio-pci"], "nouveau": ["nouveau"]}
    return ReloadingKernel(tree, {GPU: "nouveau", SECOND: "nouveau"}, loadable)


def claim(kernel: ModelKernel, devices: t.Any = GPU, check_mode: bool = False, **field: t.Any) -> dict[str, t.Any]:
    claims = [{"devices": devices, **field}]
    return device_claim(kernel, check_mode, claims=claims, timeout=5)


def waits(tree: Tree, devices: t.Any = GPU, **field: t.Any) -> str:
    """Why the host waits for a reboot; nothing was touched, now and in check mode."""
    kernel = kernel_of(tree)
    result = claim(kernel, devices, **field)
    assert claim(kernel, devices, check_mode=True, **field) == result
    assert (result["changed"], result["reboot_required"], result["old_in_use"]) == (False, True, [VARIANT])
    assert not any(line.startswith("rmmod") for line in kernel.log)
    (warning,) = result["warnings"]
    assert warning.startswith(f"The running kernel has loaded another version of {VARIANT} than is installed")
    return str(warning)


def test_a_module_that_nobody_holds_is_loaded_again_and_its_device_bound_again(tree: Tree) -> None:
    kernel = kernel_of(tree)
    result = claim(kernel)
    assert kernel.log == [f"drivers/{VARIANT}/unbind <- {GPU}", f"rmmod {VARIANT}", f"modprobe -- {VARIANT}"]
    (device,) = result["devices"]
    assert (result["changed"], result["reboot_required"]) == (True, False)
    assert result["reloaded"] == [{"module": VARIANT, "before": "A", "after": "B"}]
    assert device["steps"] == [f"unbind from {VARIANT}", f"load {VARIANT} again", f"bind to {VARIANT}"]
    assert (kernel.owner(GPU), kernel.override(GPU)) == (VARIANT, VARIANT)
    assert f"{VARIANT} srcversion=A\n" in result["diff"]["before"]
    assert f"{VARIANT} srcversion=B\n" in result["diff"]["after"]


def test_the_second_run_has_nothing_to_do(tree: Tree) -> None:
    kernel = kernel_of(tree)
    claim(kernel)
    kernel.log.clear()
    again = claim(kernel)
    assert {name: again[name] for name in NOTHING_LEFT} == NOTHING_LEFT
    assert "reloaded" not in again
    assert kernel.log == []


def test_check_mode_predicts_it_and_does_nothing(tree: Tree) -> None:
    kernel = kernel_of(tree)
    predicted = claim(kernel, check_mode=True)
    assert kernel.log == []
    assert claim(kernel) == predicted


def to_be_built(kernel: ModelKernel, check_mode: bool = True, **field: t.Any) -> dict[str, t.Any]:
    """The prediction before an earlier task of the play has installed the new version."""
    pending = [{"name": VARIANT, "aliases": [V100_VARIANT], "replaces_loaded": True}]
    return device_claim(kernel, check_mode, claims=[{"devices": GPU, **field}], timeout=5, pending_modules=pending)


def unbuilt(tree: Tree, present: str) -> Tree:
    """The host before the new version is built: it has the file that was loaded, or none, as after `dkms remove`."""
    if present == "none":
        here = f"/lib/modules/{DEBIAN_13}"
        tree.place(FILE).unlink()
        for name in ("dep", "alias"):
            path = tree.place(f"{here}/modules.{name}")
            path.write_text("".join(line for line in path.read_text().splitlines(True) if VARIANT not in line))
        return tree
    return tree.file(FILE, module_file(DEBIAN_13, [V100_VARIANT], srcversion="A"))


@pytest.mark.parametrize("present", ["the loaded one", "none"])
def test_check_mode_predicts_it_of_a_module_that_is_still_to_be_built(tree: Tree, present: str) -> None:
    files = [tree.place(path) for path in (FILE, *(f"/lib/modules/{DEBIAN_13}/modules.{name}" for name in ("dep", "alias")))]
    new = {path: path.read_bytes() for path in files}
    kernel = kernel_of(unbuilt(tree, present))
    predicted = to_be_built(kernel)
    assert kernel.log == []
    assert predicted["reloaded"] == [{"module": VARIANT, "before": "A", "after": None}]
    assert f"{VARIANT} srcversion=known once it is built\n" in predicted["diff"]["after"]
    for path, content in new.items():
        path.write_bytes(content)
    done = claim(kernel)
    assert {**predicted, "reloaded": done["reloaded"], "diff": done["diff"]} == done


@pytest.mark.parametrize("present", ["the loaded one", "none"])
def test_what_keeps_it_is_predicted_of_a_module_that_is_still_to_be_built(tree: Tree, present: str) -> None:
    new = tree.place(FILE).read_bytes()
    kernel = kernel_of(unbuilt(loaded_from(tree, "A").file(f"/sys/module/{VARIANT}/refcnt", "1\n"), present))
    predicted = to_be_built(kernel)
    assert (predicted["changed"], predicted["reboot_required"], predicted["old_in_use"]) == (False, True, [VARIANT])
    assert "it is in use (references: 1)" in predicted["warnings"][0]
    if present != "none":
        tree.file(FILE, new)
        assert claim(kernel) == predicted


@pytest.mark.parametrize("field", [{}, {"reload": False}])
def test_a_key_that_dkms_still_has_to_make_keeps_it_where_signatures_are_asked_for(tree: Tree, field: dict[str, bool]) -> None:
    tree.cmdline("module.sig_enforce=1")
    (warning,) = to_be_built(kernel_of(unbuilt(tree, "the loaded one")), **field)["warnings"]
    assert ("`reload: false`" if field else "it makes a key for that at its first build") in warning


def test_what_is_not_loaded_is_not_loaded_again(tree: Tree) -> None:
    shutil.rmtree(tree.place(f"/sys/module/{VARIANT}"))
    tree.pci(GPU, driver="nouveau", group=15)
    assert "reloaded" not in to_be_built(kernel_of(tree))


def test_claim_info_names_what_is_still_to_be_built(tree: Tree) -> None:
    """As where nothing is bound before the next boot, for which a reboot is required then."""
    pending = [{"name": VARIANT, "aliases": [V100_VARIANT], "replaces_loaded": True}]
    unbuilt(tree, "the loaded one")
    assert "old_in_use" not in claim_info(tree.host(), devices=GPU)
    assert claim_info(tree.host(), devices=GPU, pending_modules=pending)["old_in_use"] == [VARIANT]


def test_a_function_that_is_bound_without_an_override_gets_one_for_it(tree: Tree) -> None:
    tree.file(f"/sys/bus/pci/devices/{GPU}/driver_override", "(null)\n")
    kernel = kernel_of(tree)
    assert claim(kernel, check_mode=True) == claim(kernel)
    assert (kernel.owner(GPU), kernel.override(GPU)) == (VARIANT, VARIANT)
    assert not claim(kernel)["changed"]


def test_it_is_loaded_again_before_another_function_goes_to_it(tree: Tree) -> None:
    kernel = kernel_of(tree)
    result = claim(kernel, "10de:1db1")
    assert [kernel.owner(GPU), kernel.owner(SECOND)] == [VARIANT, VARIANT]
    assert kernel.log.index(f"rmmod {VARIANT}") < kernel.log.index("drivers/nouveau/unbind <- " + SECOND)
    assert result["devices"][1]["steps"][-2:] == [f"load {VARIANT} again", f"bind to {VARIANT}"]


def test_the_same_version_is_left_alone(tree: Tree) -> None:
    kernel = kernel_of(loaded_from(tree, "B"))
    assert not claim(kernel)["changed"]
    assert kernel.log == []


def test_the_claim_can_forbid_it(tree: Tree) -> None:
    assert "as `reload: false` of a claim does not allow it" in waits(tree, reload=False)


def test_what_is_not_claimed_keeps_it(tree: Tree) -> None:
    tree.pci("0000:03:00.0", id="10de:1db5", driver=VARIANT, override=VARIANT, group=17)
    assert "0000:03:00.0 is bound to it and not claimed for it" in waits(tree)


def test_an_open_node_keeps_it_also_where_the_claim_ignores_that_guard(tree: Tree) -> None:
    tree.link("/proc/4711/fd/7", "/dev/vfio/15").file("/proc/4711/comm", "qemu-system-x86\n")
    for guards in ({}, {"in_use": "ignore"}):
        assert f"{GPU} is in use: process 4711 (a guest, qemu-system-x86) has /dev/vfio/15 open" in waits(tree, guards=guards)


@pytest.mark.parametrize(
    ("path", "content", "because"),
    [
        (f"/sys/module/{VARIANT}/holders/other_module", "", "other_module needs it"),
        (f"/sys/module/{VARIANT}/refcnt", "1\n", "it is in use (references: 1)"),
        (f"/sys/module/{VARIANT}/drivers/platform:gpu", "", "it has drivers on another bus, too (platform:gpu)"),
        ("/proc/sys/kernel/modules_disabled", "1\n", "the kernel neither loads nor unloads modules any more"),
        (
            "/etc/modprobe.d/gpu.conf",
            f"install {VARIANT} /bin/true\n",
            "/etc/modprobe.d/gpu.conf:1 has a command of its own",
        ),
        ("/proc/cmdline", "module.sig_enforce=1\n", "the installed one is not signed, which the kernel asks for (module.sig_enforce"),
        (FILE, module_file("6.1.0-1-amd64", [V100_VARIANT], srcversion="B"), f"{FILE} is built for kernel 6.1.0-1-amd64"),
    ],
)
def test_what_else_keeps_it_is_said(tree: Tree, path: str, content: str | bytes, because: str) -> None:
    assert because in waits(tree.file(path, content))


def test_a_module_whose_key_may_not_be_trusted_is_not_exchanged_for_one_that_runs(tree: Tree) -> None:
    tree.file(FILE, signed(module_file(DEBIAN_13, [V100_VARIANT], srcversion="B"), "DKMS")).cmdline("module.sig_enforce=1")
    assert "the kernel takes signed modules only (module.sig_enforce on its command line), and its key is none" in waits(tree)


@pytest.mark.parametrize(
    ("command", "loads"),
    [
        (install_command(VARIANT), True),
        (f"/sbin/modprobe -i {VARIANT} $CMDLINE_OPTS", True),
        (f"modprobe other; modprobe --ignore-install {VARIANT}", True),
        (f"modprobe -i other_{VARIANT}", False),
        ("/bin/false", False),
        (f"insmod /opt/{VARIANT}.ko", False),
        (":", False),
    ],
)
def test_a_command_that_loads_the_module_itself_is_none_in_the_way(tree: Tree, command: str, loads: bool) -> None:
    """As the policy has one for each driver that it gives IDs."""
    tree.file("/etc/modprobe.d/vfio-variants.conf", f"install {VARIANT} {command}\n")
    if loads:
        assert "reloaded" in claim(kernel_of(tree))
    else:
        assert "/etc/modprobe.d/vfio-variants.conf:1 has a command of its own" in waits(tree)


def test_a_kernel_that_does_not_unload_modules_waits(tree: Tree) -> None:
    tree.place(f"/sys/module/{VARIANT}/refcnt").unlink()
    assert "this kernel does not unload modules" in waits(tree)


@pytest.mark.parametrize("build", [BUILD, "#1 SMP PREEMPT_DYNAMIC Debian 6.12.107-2 (2026-06-01)"])
def test_a_kernel_that_was_replaced_by_another_build_since_its_boot_waits(tree: Tree, build: str) -> None:
    """Its symbols may have other versions than the modules beside it ask for."""
    text = f"{DEBIAN_13} (debian-kernel@lists.debian.org) {build}".encode() + b"\0"
    header = bytes(0x202) + b"HdrS" + bytes(8) + (0x300 - 0x200).to_bytes(2, "little")
    tree.file(f"/boot/vmlinuz-{DEBIAN_13}", header.ljust(0x300, b"\0") + text)
    if build == BUILD:
        assert claim(kernel_of(tree))["reboot_required"] is False
    else:
        assert f"/boot/vmlinuz-{DEBIAN_13} is another build of the kernel than the one that runs" in waits(tree)


def test_a_module_of_the_kernels_own_waits_where_the_kernel_may_have_been_replaced(tree: Tree) -> None:
    here = f"/lib/modules/{DEBIAN_13}"
    dep, alias = (tree.place(f"{here}/modules.{name}").read_text() for name in ("dep", "alias"))
    tree.file(f"{here}/modules.dep", dep.replace("updates/dkms/gpu", "kernel/drivers/vfio/pci/gpu")).file(f"{here}/modules.alias", alias)
    tree.file(f"{here}/kernel/drivers/vfio/pci/{VARIANT}.ko", module_file(DEBIAN_13, [V100_VARIANT], srcversion="B"))
    assert "whether the kernel that runs is the installed one cannot be determined" in waits(tree)


def test_a_module_that_it_needs_of_another_version_waits_as_well(tree: Tree) -> None:
    here = f"/lib/modules/{DEBIAN_13}"
    dep = (tree.place(f"{here}/modules.dep")).read_text().replace(f"{VARIANT}.ko:", f"{VARIANT}.ko: kernel/core_of_gpus.ko")
    tree.file(f"{here}/modules.dep", dep + "kernel/core_of_gpus.ko:\n")
    tree.file(f"{here}/kernel/core_of_gpus.ko", module_file(DEBIAN_13, srcversion="D")).file("/sys/module/core_of_gpus/srcversion", "C\n")
    assert "core_of_gpus, which it needs, is loaded in another version than is installed as well" in waits(tree)


def test_a_module_that_does_not_load_leaves_its_device_to_nobody_and_says_so(tree: Tree) -> None:
    kernel = kernel_of(tree)
    kernel.broken = True
    with pytest.raises(HostError) as caught:
        claim(kernel)
    assert f"The version of {VARIANT} that was loaded before is on disk no more" in caught.value.msg
    assert f"{GPU} is left with driver none and driver_override {VARIANT}" in caught.value.msg
    # The override keeps every other driver away from it.
    assert (kernel.owner(GPU), kernel.override(GPU)) == (None, VARIANT)
    kernel.broken = False
    assert claim(kernel)["devices"][0]["driver"] == VARIANT


def test_a_module_that_cannot_be_unloaded_gets_its_device_back(tree: Tree) -> None:
    """Whoever takes hold of it after it was judged."""
    kernel = kernel_of(tree)
    kernel.loadable = {**kernel.loadable}
    unbind = kernel._unbind

    def taken(driver: str, address: str, timeout: float) -> None:
        unbind(driver, address, timeout)
        tree.file(f"/sys/module/{VARIANT}/refcnt", "1\n")

    kernel._unbind = taken  # type: ignore[method-assign]
    with pytest.raises(HostError, match=f"Module {VARIANT} is in use"):
        claim(kernel)
    assert (kernel.owner(GPU), kernel.override(GPU)) == (VARIANT, VARIANT)


@pytest.mark.parametrize(("command", "source"), [("rmmod", "A"), ("modprobe", "B")])
def test_a_signal_in_between_leaves_the_device_to_the_driver(tree: Tree, command: str, source: str) -> None:
    """To the loaded version of it, or to the installed one once that is gone."""
    kernel = kernel_of(tree)
    run = kernel._run

    def interrupted(args: list[str], **options: t.Any) -> tuple[int, str, str]:
        if command in args and not kernel.ended:
            kernel.ended = True
            raise Interrupted(signal.SIGTERM)
        return run(args, **options)

    kernel._runner = interrupted
    with pytest.raises(HostError, match=f"The run was ended by SIGTERM. {GPU} is back with {VARIANT}"):
        claim(kernel)
    assert (kernel.owner(GPU), kernel.override(GPU)) == (VARIANT, VARIANT)
    assert (tree.place(f"/sys/module/{VARIANT}/srcversion")).read_text() == f"{source}\n"


def test_a_hanging_unbind_is_bounded_and_told(tree: Tree) -> None:
    kernel = kernel_of(tree)
    kernel.hanging.add(VARIANT)
    with pytest.raises(HostError, match=f"{VARIANT} did not release {GPU} within 5 s"):
        claim(kernel)
    assert kernel.owner(GPU) == VARIANT


def test_what_returns_to_its_native_driver_needs_no_other_version(tree: Tree) -> None:
    kernel = kernel_of(tree)
    result = device_claim(kernel, devices=GPU, state="absent", timeout=5)
    assert "reboot_required" not in result
    assert kernel.owner(GPU) == "nouveau"
    assert not any(line.startswith("rmmod") for line in kernel.log)


def test_claim_info_names_it_until_it_is_loaded_again(tree: Tree) -> None:
    assert claim_info(tree.host(), devices=GPU)["old_in_use"] == [VARIANT]
    claim(kernel_of(tree))
    assert "old_in_use" not in claim_info(tree.host(), devices=GPU)
