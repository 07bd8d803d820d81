# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator is told to change, where another driver than the claimed one will win."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import INITRAMFS, ROOT, Assigned, Later
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.forecast import forecast
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.suggested_change import would_change
from ansible_collections.vfio.variants.tests.unit.boots import STOCK, boot, device, image_path, stage
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.forecast.test_forecast import (
    OVERRIDE,
    SECOND,
    STOCK_RULES,
    rules,
)
from ansible_collections.vfio.variants.tests.unit.trees import NVIDIA_DISPLAY

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot

CARD = device()
CLAIM = OVERRIDE.format(CARD.address, "vfio-pci", "vfio-pci")


def advice(found: Boot, driver: str = "vfio-pci", *others: t.Any) -> str | None:
    cards = [CARD, *others]
    return would_change(CARD, driver, cards, found, forecast(cards, found)[CARD.address])


def test_nothing_has_to_change_where_the_claimed_driver_wins() -> None:
    assert advice(boot(rules=rules(CLAIM))) is None


def test_a_line_that_stands_in_the_way_is_named() -> None:
    found = boot(rules=rules(CLAIM), modprobe="blacklist vfio-pci\n")
    assert advice(found) == "Remove /etc/modprobe.d/site.conf:1 (blacklist vfio_pci)."


def test_an_image_without_the_policy_is_to_be_rebuilt() -> None:
    found = boot(stage(INITRAMFS, rules=STOCK_RULES), stage(ROOT, rules=rules(CLAIM)))
    assert advice(found) == f"Rebuild {image_path()}: it does not hold what the root's files say."


IDS = "options vfio-pci ids=10de:1db1\n"
SOFTDEP = "Add `softdep nouveau pre: vfio-pci` to /etc/modprobe.d/00-vfio.conf"


def test_ids_that_come_too_late_want_a_softdep() -> None:
    assert advice(boot(rules=STOCK_RULES, modprobe=IDS)) == f"{SOFTDEP}."
    in_vain = f"{IDS}softdep nouveau pre: drm\n"
    assert advice(boot(rules=STOCK_RULES, modprobe=in_vain)) == f"{SOFTDEP}."


def test_a_native_of_several_aliases_has_one_softdep() -> None:
    modules = {**STOCK, "nouveau": [NVIDIA_DISPLAY, "pci:v000010DEd00001DB1sv*sd*bc*sc*i*"]}
    assert advice(boot(rules=STOCK_RULES, modprobe=IDS, modules=modules)) == f"{SOFTDEP}."


def test_the_image_wants_it_as_well() -> None:
    found = boot(stage(INITRAMFS, rules=STOCK_RULES), stage(ROOT, rules=STOCK_RULES, modprobe=IDS))
    assert advice(found) == f"{SOFTDEP} and rebuild {image_path()}."


def test_where_nobody_has_claimed_the_device_a_policy_does_it() -> None:
    found = boot(stage(INITRAMFS, rules=STOCK_RULES), stage(ROOT, rules=STOCK_RULES))
    assert advice(found) == f"Claim 0000:01:00.0 for vfio-pci with boot_policy and rebuild {image_path()}."


def test_a_driver_that_the_kernel_lacks_has_to_be_built_first() -> None:
    sentence = advice(boot(rules=rules(CLAIM)), "nvlink2gpu_vfio_pci")
    assert sentence is not None
    assert sentence.endswith("has no module with a driver nvlink2gpu_vfio_pci: install or build it for that kernel first.")


def test_no_file_helps_against_a_built_in_native() -> None:
    found = boot(rules=rules(CLAIM), builtin={"nouveau": STOCK["nouveau"]}, modules={"vfio_pci": STOCK["vfio_pci"]})
    sentence = advice(found)
    assert sentence is not None
    assert "nouveau is built into kernel" in sentence


def test_an_argument_that_takes_the_iommu_away_is_named() -> None:
    assert advice(boot(rules=rules(CLAIM), cmdline="quiet iommu=off")) == "Remove iommu=off from the command line (/proc/cmdline)."


def test_so_is_one_that_blacklists_the_claimed_module() -> None:
    found = boot(rules=rules(CLAIM), cmdline="modprobe.blacklist=vfio_pci quiet=1")
    assert advice(found) == "Remove modprobe.blacklist=vfio_pci from the command line (/proc/cmdline)."


def test_a_list_that_loads_the_native_beside_udev_is_named() -> None:
    assert advice(boot(rules=rules(CLAIM), load=["nouveau"])) == "Remove /etc/modules:1 (systemd-modules-load loads nouveau)."


def test_driverctl_s_file_is_named() -> None:
    later = Later(driverctl={CARD.address: Assigned("e1000e", "/etc/driverctl.d/pci-0000:01:00.0")})
    assert advice(boot(rules=rules(CLAIM), later=later)) == "Remove /etc/driverctl.d/pci-0000:01:00.0."


def test_an_identical_card_that_may_load_the_native_first_is_answered_by_a_policy() -> None:
    sentence = advice(boot(rules=rules(CLAIM)), "vfio-pci", device(SECOND))
    assert sentence == "Claim 0000:01:00.0 for vfio-pci with boot_policy."


def test_where_one_change_is_not_enough_two_are_named_in_their_order() -> None:
    sentence = advice(boot(rules=rules(CLAIM), modprobe="blacklist vfio-pci\n"), "vfio-pci", device(SECOND))
    assert sentence == "Remove /etc/modprobe.d/site.conf:1 (blacklist vfio_pci), and claim 0000:01:00.0 for vfio-pci with boot_policy."


def test_what_cannot_be_determined_is_not_settled_by_a_policy_of_our_own() -> None:
    doubtful = f'KERNEL=="{CARD.address}", PROGRAM=="/bin/ask", ATTR{{driver_override}}="nouveau"\n'
    assert advice(boot(rules=rules(doubtful))) is None
