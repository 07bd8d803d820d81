# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of `device_claim` on one host at the same time, and what a run says while it is at it."""

from __future__ import annotations

import contextlib
import os
import traceback
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.bind import JUDGED_APART
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.journal import DIRECTORY
from ansible_collections.vfio.variants.plugins.module_utils._core.host.lock import LOCK_TIMEOUT
from ansible_collections.vfio.variants.plugins.module_utils._core.host.progress import in_log
from ansible_collections.vfio.variants.plugins.modules import device_claim as module
from ansible_collections.vfio.variants.tests.unit.module_calls import device_claim, options_of
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.apply.model_kernel import DEVICES, ModelKernel
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO, DEBIAN_13, NVIDIA_DISPLAY, V100_VARIANT, Tree

if t.TYPE_CHECKING:
    from pathlib import Path

ADDRESSES = tuple(f"0000:0{number}:00.0" for number in range(1, 5))
GPU, SECOND, *_OTHERS = ADDRESSES
VARIANT = "nvlink2gpu_vfio_pci"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    modules = {"nouveau": [NVIDIA_DISPLAY], "vfio-pci": [ANY_VFIO], VARIANT: [V100_VARIANT]}
    tree = Tree(tmp_path).kernel(DEBIAN_13, modules, running=True)
    for number, address in enumerate(ADDRESSES, 15):
        tree.pci(address, driver="nouveau", group=number).file(f"/dev/vfio/{number}")
    return tree


class Overtaken(ModelKernel):
    """A host on which something else happens while a run judges without the lock: the next of ``meanwhile`` each time."""

    def __init__(self, tree: Tree, *meanwhile: t.Callable[[], object]) -> None:
        loadable = {"vfio_pci": ["vfio-pci"], "vfio-pci": ["vfio-pci"], VARIANT: [VARIANT], "nouveau": ["nouveau"]}
        super().__init__(tree, dict.fromkeys(ADDRESSES, "nouveau"), loadable)
        self._meanwhile = list(meanwhile)
        self._is_judging = False

    @contextlib.contextmanager
    def lock(self, timeout: float = LOCK_TIMEOUT) -> t.Iterator[int | None]:
        with super().lock(min(timeout, 20)) as turn:
            yield turn
        self._is_judging = True

    def is_file(self, path: str) -> bool:
        # What is asked once the devices have been read.
        if path == f"{DIRECTORY}/device_claim.json" and self._writer is None and self._is_judging and self._meanwhile:
            self._is_judging = False
            self._meanwhile.pop(0)()
        return super().is_file(path)

    @property
    def is_done(self) -> bool:
        return not self._meanwhile


def claim(kernel: ModelKernel, devices: t.Any, **options: t.Any) -> dict[str, t.Any]:
    return device_claim(kernel, devices=devices, **{"timeout": 5, **options})


def test_while_one_run_judges_another_binds_its_card_and_both_end_well(tree: Tree) -> None:
    kernel = Overtaken(tree, lambda: claim(Overtaken(tree), SECOND))
    assert claim(kernel, GPU)["devices"][0]["driver"] == VARIANT
    assert kernel.is_done
    assert [kernel.owner(address) for address in (GPU, SECOND)] == [VARIANT, VARIANT]


def test_of_one_card_the_second_run_sees_what_the_first_has_done(tree: Tree) -> None:
    kernel = Overtaken(tree, lambda: claim(Overtaken(tree), GPU, driver="vfio-pci"))
    (device,) = claim(kernel, GPU)["devices"]
    assert (device["driver_before"], device["driver"]) == ("vfio-pci", VARIANT)
    kernel = Overtaken(tree, lambda: claim(Overtaken(tree), SECOND))
    assert not claim(kernel, SECOND)["changed"]


def test_a_run_that_is_overtaken_again_and_again_comes_to_its_end(tree: Tree) -> None:
    others = [lambda driver=driver: claim(Overtaken(tree), SECOND, driver=driver) for driver in ("vfio-pci", VARIANT) * JUDGED_APART]
    kernel = Overtaken(tree, *others)
    (device,) = claim(kernel, GPU)["devices"]
    assert device["driver"] == VARIANT
    assert len(kernel._meanwhile) == len(others) - JUDGED_APART


def test_a_refusal_counts_only_if_nobody_was_at_it_meanwhile(tree: Tree) -> None:
    """Another run has all devices of a claim between two drivers, and is done before the lock is free."""
    here = f"{DEVICES}/{GPU}"
    kernel = Overtaken(tree)

    def hidden() -> None:
        claim(Overtaken(tree), SECOND, driver="vfio-pci")
        os.rename(kernel.path(here), kernel.path("/hidden"))

    def back() -> None:
        os.rename(kernel.path("/hidden"), kernel.path(here))
        claim(Overtaken(tree), SECOND)

    kernel._meanwhile = [hidden, back]
    assert claim(kernel, GPU)["devices"][0]["driver"] == VARIANT
    assert kernel.is_done
    with pytest.raises(HostError, match="no PCI device"):
        claim(kernel, "0000:0a:00.0")


def test_processes_that_claim_different_cards_at_once_all_end_well(tree: Tree) -> None:
    children = {address: os.fork() or _claimed(tree, address) for address in ADDRESSES}
    codes = {address: os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for address, child in children.items()}
    assert codes == dict.fromkeys(ADDRESSES, 0)
    kernel = Overtaken(tree)
    assert {kernel.owner(address) for address in ADDRESSES} == {VARIANT}
    assert not kernel.exists(f"{DIRECTORY}/device_claim.json")


def _claimed(tree: Tree, address: str) -> t.NoReturn:
    code = 1
    try:
        code = int(claim(Overtaken(tree), address)["devices"][0]["driver"] != VARIANT)
    except BaseException:
        traceback.print_exc()
    os._exit(code)


def told(kernel: ModelKernel, **options: t.Any) -> list[str]:
    said: list[str] = []
    request = module.request(options_of(module.ARGUMENTS, timeout=5, **options))
    with pytest.raises(HostError) if kernel.refusing else contextlib.nullcontext():
        module.bound(kernel, request, False, said.append)
    return said


def test_a_run_says_of_each_device_when_it_is_done(tree: Tree) -> None:
    kernel = Overtaken(tree)
    assert told(kernel, devices=[GPU, SECOND]) == [f"bound {GPU} to {VARIANT}, 1 of 2", f"bound {SECOND} to {VARIANT}, 2 of 2"]
    assert told(kernel, devices=[GPU, SECOND]) == []
    assert told(kernel, devices=GPU, state="absent") == [f"returned {GPU} to nouveau, 1 of 1"]


def test_a_run_that_fails_says_which_devices_it_has_put_back(tree: Tree) -> None:
    kernel = Overtaken(tree)
    kernel.refusing.add("vfio-pci")
    claims = [{"devices": GPU}, {"devices": SECOND, "driver": "vfio-pci"}]
    back = [f"{address} is back with nouveau (driver_override none)." for address in (SECOND, GPU)]
    assert told(kernel, claims=claims) == [f"bound {GPU} to {VARIANT}, 1 of 2", *back]


class Log:
    def __init__(self) -> None:
        self.said: list[str] = []

    def log(self, msg: str) -> None:
        self.said.append(msg)


def test_no_character_of_a_sentence_makes_the_log_fail() -> None:
    log = Log()
    in_log(log)("a\0b \udc80 é")
    assert log.said == ["a b \\udc80 \\xe9"]
