# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that does not come to its end, at whatever step: what it undoes, what it says, and what the next run makes of the rest."""

from __future__ import annotations

import os
import signal
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.attribute_writer import WriteError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.host.journal import DIRECTORY
from ansible_collections.vfio.variants.tests.unit.module_calls import claim_info, device_claim
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.apply.model_kernel import ModelKernel
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.apply.stepped_kernel import claim_in_steps
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO, DEBIAN_13, E1000E, NVIDIA_DISPLAY, V100_VARIANT, Tree

if t.TYPE_CHECKING:
    from pathlib import Path

GPU, NIC = "0000:01:00.0", "0000:03:00.0"
VARIANT = "nvlink2gpu_vfio_pci"
NATIVES = {GPU: "nouveau", NIC: "e1000e"}
LOADABLE = {"vfio_pci": ["vfio-pci"], VARIANT: [VARIANT], "nouveau": ["nouveau"], "e1000e": ["e1000e"]}
NATIVE_STATE = {GPU: ("nouveau", None), NIC: ("e1000e", None)}
CLAIMED_STATE = {GPU: (VARIANT, VARIANT), NIC: ("vfio-pci", "vfio-pci")}
STEPS = 12
"""Two devices, three writes each, before and after each of them."""


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    modules = {"nouveau": [NVIDIA_DISPLAY], "e1000e": [E1000E], "vfio-pci": [ANY_VFIO], VARIANT: [V100_VARIANT]}
    tree = Tree(tmp_path).kernel(DEBIAN_13, modules, running=True).file("/proc/sys/kernel/random/boot_id", "this-boot\n")
    tree.pci(GPU, driver="nouveau", group=15).pci(NIC, id="8086:10d3", class_code=0x020000, driver="e1000e", group=17)
    tree.module("vfio_pci", ["vfio-pci"])
    return tree


def kernel_of(tree: Tree) -> ModelKernel:
    return ModelKernel(tree, NATIVES, LOADABLE)


def state(tree: Tree) -> dict[str, tuple[str | None, str | None]]:
    kernel = kernel_of(tree)
    return {address: (kernel.owner(address), kernel.override(address)) for address in (GPU, NIC)}


def stopped(tree: Tree, stop: int, number: int, **options: t.Any) -> tuple[int, dict[str, t.Any]]:
    given = {"devices": [GPU, NIC], "timeout": 5, **options}
    return claim_in_steps(tree, NATIVES, LOADABLE, stop, number, **given)


def claim(tree: Tree, **options: t.Any) -> dict[str, t.Any]:
    return device_claim(kernel_of(tree), **{"devices": [GPU, NIC], "timeout": 5, **options})


def test_a_run_that_nothing_stops_makes_every_step(tree: Tree) -> None:
    steps, result = stopped(tree, 0, signal.SIGTERM)
    assert (steps, result["changed"], state(tree)) == (STEPS, True, CLAIMED_STATE)
    assert not tree.place(DIRECTORY).exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_a_signal_at_any_step_puts_every_device_back(tree: Tree, step: int, number: signal.Signals) -> None:
    _steps, result = stopped(tree, step, number)
    assert state(tree) == NATIVE_STATE
    assert result["failed"]
    assert result["msg"].startswith(f"The run was ended by {number.name}. ")
    assert f"{GPU} is back with nouveau (driver_override none)." in result["msg"]
    assert not tree.place(DIRECTORY).exists()


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_a_signal_while_devices_are_returned_leaves_them_claimed(tree: Tree, step: int) -> None:
    claim(tree)
    _steps, result = stopped(tree, step, signal.SIGTERM, state="absent")
    assert (result["failed"], state(tree)) == (True, CLAIMED_STATE)


@pytest.mark.parametrize("write", range(6))
def test_an_error_of_the_system_at_any_write_puts_every_device_back(tree: Tree, write: int) -> None:
    class Failing(ModelKernel):
        count = 0

        def write_attribute(self, path: str, value: str, timeout: float) -> None:
            self.count += 1
            if self.count == write + 1:
                raise OSError(5, "Input/output error", path)
            super().write_attribute(path, value, timeout)

    with pytest.raises(HostError, match="Input/output error") as caught:
        device_claim(Failing(tree, NATIVES, LOADABLE), devices=[GPU, NIC], timeout=5)
    assert state(tree) == NATIVE_STATE
    assert all(one["restored"] for one in caught.value.facts["left"])


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_after_a_kill_at_any_step_the_same_run_finishes(tree: Tree, step: int) -> None:
    stopped(tree, step, signal.SIGKILL)
    predicted = claim(tree, check_mode=True)
    result = claim(tree)
    assert predicted["recovered"] == result["recovered"]
    assert state(tree) == CLAIMED_STATE
    assert not tree.place(DIRECTORY).exists()
    assert not claim(tree)["changed"]


@pytest.mark.parametrize("state_before", ["native", "claimed"])
@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_after_a_kill_at_any_step_absent_returns_every_device(tree: Tree, step: int, state_before: str) -> None:
    if state_before == "claimed":
        claim(tree)
    stopped(tree, step, signal.SIGKILL, state="present" if state_before == "native" else "absent")
    claim(tree, state="absent")
    assert state(tree) == NATIVE_STATE
    assert not tree.place(DIRECTORY).exists()


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_after_a_kill_a_run_for_another_device_undoes_what_is_half_done(tree: Tree, step: int) -> None:
    other = "0000:04:00.0"
    tree.pci(other, id="8086:10d3", class_code=0x020000, driver="vfio-pci", override="vfio-pci", group=18)
    stopped(tree, step, signal.SIGKILL)
    half = {address for address, now in state(tree).items() if now not in (NATIVE_STATE[address], CLAIMED_STATE[address])}
    result = claim(tree, devices=other)
    assert all(state(tree)[address] == NATIVE_STATE[address] for address in half)
    assert [item["outcome"] for item in result["recovered"]] == (["undone"] if half else [])
    assert result["changed"] is bool(half)
    assert len(result["warnings"]) == len(result["recovered"])


def test_a_half_state_is_in_the_answer_of_claim_info(tree: Tree) -> None:
    tree.systemd().cmdline("ro")
    stopped(tree, 4, signal.SIGKILL)  # after the first device was unbound
    assert state(tree)[GPU] == (None, VARIANT)
    found = claim_info(Host(str(tree.root)), devices=[GPU, NIC])["unfinished"]
    assert [item["operation"] for item in found] == ["device_claim"]
    assert f"{GPU} has driver none and driver_override {VARIANT}" in found[0]["what"][0]


def test_after_a_reboot_nothing_of_a_killed_binding_counts(tree: Tree) -> None:
    stopped(tree, 4, signal.SIGKILL)
    tree.file("/proc/sys/kernel/random/boot_id", "next-boot\n")
    assert claim(tree, state="absent")["recovered"] == []


class Hanging(Host):
    """A host whose nouveau does not let a device go: the kernel's own file is a pipe here that nobody reads, and a real child hangs."""

    def __init__(self, tree: Tree) -> None:
        self.kernel = kernel_of(tree)
        super().__init__(str(tree.root), self.kernel._run)

    def write_attributes(self, writes: t.Sequence[tuple[str, str]], timeout: float) -> None:
        for done, (path, value) in enumerate(writes):
            if path.endswith(("/nouveau/unbind", f"/{VARIANT}/unbind")):
                try:
                    super().write_attributes(writes[done:], min(timeout, 0.3))
                except WriteError as error:
                    error.done += done
                    raise
            self.kernel.write_attribute(path, value, timeout)


@pytest.fixture
def hanging(tree: Tree) -> t.Iterator[Hanging]:
    pipes = [tree.place(f"/sys/bus/pci/drivers/{driver}/unbind") for driver in ("nouveau", VARIANT)]
    for pipe in pipes:
        pipe.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(pipe)
    yield Hanging(tree)
    for pipe in pipes:
        os.close(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK))


def left_behind(error: pytest.ExceptionInfo[HostError]) -> int:
    """The process that waits."""
    return int(error.value.facts["waiting"]["process"])


def test_an_unbind_that_hangs_is_bounded_and_says_how_each_device_is_left_and_what_to_do(tree: Tree, hanging: Hanging) -> None:
    first = "0000:00:19.0"
    tree.pci(first, id="8086:10d3", class_code=0x020000, driver="e1000e", group=3)
    hanging.kernel.natives = {**NATIVES, first: "e1000e"}
    with pytest.raises(HostError) as caught:
        device_claim(hanging, devices=[first, GPU], timeout=5)
    assert f"process {left_behind(caught)} still waits" in caught.value.msg
    assert f"{GPU} is left with driver nouveau and driver_override {VARIANT}" in caught.value.msg
    assert f"{first} is back with e1000e (driver_override none)." in caught.value.msg
    assert "`state: absent`" in str(caught.value.hint)
    assert [(one["address"], one["restored"]) for one in caught.value.facts["left"]] == [(GPU, False), (first, True)]


def test_the_kernels_stack_of_the_process_that_waits_is_in_the_answer(tree: Tree, hanging: Hanging) -> None:
    with pytest.raises(HostError) as caught:
        device_claim(hanging, devices=GPU, timeout=5)
    try:
        with open(f"/proc/{left_behind(caught)}/stack", encoding="ascii") as file:
            readable = bool(file.read())
    except PermissionError:
        readable = False
    assert bool(caught.value.facts["waiting"]["stack"]) is readable


@pytest.mark.parametrize("before", ["native", "claimed"])
def test_once_the_kernel_is_done_absent_counts_the_card_as_ours_and_the_native_driver_comes_back(
    tree: Tree, hanging: Hanging, before: str
) -> None:
    if before == "claimed":
        claim(tree, devices=GPU)
    with pytest.raises(HostError) as caught:
        device_claim(hanging, devices=GPU, timeout=5, state="present" if before == "native" else "absent")
    # The user of the device has ended, and the kernel completes the unbind.
    process = left_behind(caught)
    os.kill(process, signal.SIGKILL)
    assert Host.wait_until(lambda: not Host.start_time(process), seconds=10)
    tree.place(f"/sys/bus/pci/devices/{GPU}/driver").unlink()
    result = claim(tree, devices=GPU, state="absent")
    assert (result["changed"], state(tree)[GPU]) == (True, ("nouveau", None))


def test_while_a_process_still_waits_the_next_run_says_so_and_does_not_leave_another_behind(tree: Tree, hanging: Hanging) -> None:
    with pytest.raises(HostError) as caught:
        device_claim(hanging, devices=GPU, timeout=5)
    process = left_behind(caught)
    with pytest.raises(HostError, match=f"{GPU} is still being unbound: process {process} of an earlier run waits"):
        device_claim(hanging, devices=GPU, timeout=5)


def test_while_a_process_still_waits_other_devices_can_be_claimed(tree: Tree, hanging: Hanging) -> None:
    with pytest.raises(HostError):
        device_claim(hanging, devices=GPU, timeout=5)
    result = device_claim(hanging, devices=NIC, timeout=5)
    assert state(tree)[NIC] == CLAIMED_STATE[NIC]
    assert [item["outcome"] for item in result["recovered"]] == ["left"]


def test_the_lock_is_free_while_a_process_of_an_earlier_run_still_waits(tree: Tree, hanging: Hanging) -> None:
    with pytest.raises(HostError):
        device_claim(hanging, devices=GPU, timeout=5)
    with tree.host().lock(timeout=1):
        pass


class TestManyCards:
    CARDS = tuple(f"0000:{bus:02x}:00.0" for bus in range(16, 24))

    @pytest.fixture
    def kernel(self, tree: Tree) -> ModelKernel:
        for group, address in enumerate(self.CARDS, 40):
            tree.pci(address, driver="nouveau", group=group)
        return ModelKernel(tree, dict.fromkeys(self.CARDS, "nouveau"), LOADABLE)

    def test_what_they_have_in_common_is_asked_once(self, kernel: ModelKernel) -> None:
        assert device_claim(kernel, devices=list(self.CARDS))["changed"]
        assert [kernel.owner(address) for address in self.CARDS] == [VARIANT] * len(self.CARDS)
        loads = [line for line in kernel.log if line.startswith("modprobe")]
        assert len(loads) == len(set(loads))
        assert not [line for line in kernel.log if line.startswith("ip ") and kernel.log.count(line) > 1]

    def test_their_native_driver_is_loaded_once_by_their_alias(self, kernel: ModelKernel) -> None:
        device_claim(kernel, devices=list(self.CARDS))
        kernel.log.clear()
        assert device_claim(kernel, devices=list(self.CARDS), state="absent")["changed"]
        assert [kernel.owner(address) for address in self.CARDS] == ["nouveau"] * len(self.CARDS)
        assert len([line for line in kernel.log if line.startswith("modprobe")]) == 1
