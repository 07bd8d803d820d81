# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator is told to change, where another driver than the claimed one will win."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import INITRAMFS, ROOT, Assigned, Later
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.forecast import forecast
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.suggested_change import OutOfBudgetError, Search, would_change
from ansible_collections.vfio.variants.tests.unit.boots import STOCK, boot, device, image_path, stage
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.forecast.test_forecast import (
    OVERRIDE,
    SECOND,
    STOCK_RULES,
    rules,
)
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO, NVIDIA_DISPLAY

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
    assert advice(found) == "Remove /etc/modprobe.d/site.conf:1 (blacklist vfio-pci)."


def test_an_image_without_the_policy_is_to_be_rebuilt() -> None:
    found = boot(stage(INITRAMFS, rules=STOCK_RULES), stage(ROOT, rules=rules(CLAIM)))
    assert advice(found) == f"Rebuild {image_path()}: it does not have what the root's files say."


IDS = "options vfio-pci ids=10de:1db1\n"
SOFTDEP = "Add `softdep nouveau pre: vfio-pci` to /etc/modprobe.d/00-vfio.conf"


def test_ids_that_come_too_late_want_a_softdep() -> None:
    assert advice(boot(rules=STOCK_RULES, modprobe=IDS)) == f"{SOFTDEP}."


def test_a_softdep_that_is_there_keeps_its_words() -> None:
    in_vain = boot(rules=STOCK_RULES, modprobe=f"{IDS}softdep nouveau pre: drm post: foo\n")
    assert advice(in_vain) == "Replace /etc/modprobe.d/site.conf:2 by `softdep nouveau pre: vfio-pci drm post: foo`."
    packaged = boot(
        rules=STOCK_RULES, modprobe={"/etc/modprobe.d/site.conf": IDS, "/usr/lib/modprobe.d/x.conf": "softdep nouveau post: drm\n"}
    )
    assert advice(packaged) == "Add `softdep nouveau pre: vfio-pci post: drm` to /etc/modprobe.d/00-vfio.conf."


def test_a_native_of_several_aliases_has_one_softdep() -> None:
    modules = {**STOCK, "nouveau": [NVIDIA_DISPLAY, "pci:v000010DEd00001DB1sv*sd*bc*sc*i*"]}
    assert advice(boot(rules=STOCK_RULES, modprobe=IDS, modules=modules)) == f"{SOFTDEP}."


def test_the_image_wants_it_as_well() -> None:
    found = boot(stage(INITRAMFS, rules=STOCK_RULES), stage(ROOT, rules=STOCK_RULES, modprobe=IDS))
    assert advice(found) == f"{SOFTDEP}, then rebuild {image_path()}."


def test_where_nobody_has_claimed_the_device_a_policy_does_it() -> None:
    found = boot(stage(INITRAMFS, rules=STOCK_RULES), stage(ROOT, rules=STOCK_RULES))
    assert advice(found) == f"Claim 0000:01:00.0 for vfio-pci with boot_policy, then rebuild {image_path()}."


@pytest.mark.parametrize("driver", ["VFIO-PCI", "vfio_pci", "vfiopci"])
def test_a_driver_in_other_signs_has_to_be_written_in_its_own(driver: str) -> None:
    sentence = advice(boot(rules=rules(OVERRIDE.format(CARD.address, driver, driver))), driver)
    assert sentence is not None
    assert sentence.endswith(f"has no module with a driver {driver}: write vfio-pci, as the kernel compares every sign.")


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


NVIDIA = {"nouveau": [NVIDIA_DISPLAY], "nvidia": [NVIDIA_DISPLAY], "vfio_pci_core": [], "vfio_pci": [ANY_VFIO]}
OTHER_GPU = device("0000:02:00.0", "10de:1c82", driver="nvidia")
KEEPS_NOUVEAU_OUT = {"/usr/lib/modprobe.d/nvidia.conf": "blacklist nouveau\n"}


def test_a_blacklist_that_keeps_the_hosts_own_card_from_another_driver_stays() -> None:
    site = {"/etc/modprobe.d/site.conf": f"{IDS}softdep nouveau pre: vfio-pci\n", **KEEPS_NOUVEAU_OUT}
    found = boot(rules=STOCK_RULES, modules=NVIDIA, modprobe=site)
    said = "Add `softdep nvidia pre: vfio-pci` to /etc/modprobe.d/00-vfio.conf."
    assert advice(found, "vfio-pci", OTHER_GPU) == said
    assert advice(found) == said


def test_a_blacklist_of_the_administrators_own_stays_too() -> None:
    found = boot(rules=STOCK_RULES, modprobe=f"{IDS}softdep nouveau pre: vfio-pci\nblacklist nouveau\n")
    assert forecast([CARD], found)[CARD.address].driver is None
    assert advice(found) == "Add `vfio-pci` to /etc/modules-load.d/vfio.conf."


def test_a_change_that_would_take_another_devices_driver_is_not_given() -> None:
    """Without the rule both would be bound to vfio-pci by its ids=, and the second one is not claimed for it."""
    other = device(SECOND)
    none = 'ACTION=="add", ATTR{vendor}=="0x10de", ATTR{driver_override}="none"\n'
    shared = boot(rules=rules(none), modprobe=f"{IDS}softdep nouveau pre: vfio-pci\n")
    removal = "Remove /etc/udev/rules.d/90-site.rules:1 (driver_override=none)."
    alone = Search([CARD], shared)
    assert would_change(CARD, "vfio-pci", [CARD], shared, forecast([CARD], shared)[CARD.address], alone) == removal
    kept = Search([CARD, other], shared, {other.address: "none"})
    assert would_change(CARD, "vfio-pci", [CARD, other], shared, forecast([CARD, other], shared)[CARD.address], kept) != removal


def test_names_are_taken_out_of_a_list_on_the_command_line_and_the_others_stay() -> None:
    found = boot(rules=rules(CLAIM), cmdline="modprobe.blacklist=nouveau,vfio_pci")
    said = "Replace modprobe.blacklist=nouveau,vfio_pci by modprobe.blacklist=nouveau on the command line (/proc/cmdline)."
    assert advice(found) == said


def test_a_line_in_the_image_is_removed_where_a_person_edits_it() -> None:
    line: dict[str, t.Any] = {"modprobe": "blacklist vfio-pci\n", "rules": rules(CLAIM)}
    found = boot(stage(INITRAMFS, **line), stage(ROOT, **line))
    assert advice(found) == "Remove /etc/modprobe.d/site.conf:1 (blacklist vfio-pci)."


def test_what_a_package_has_written_is_not_to_be_removed() -> None:
    found = boot(rules=rules(CLAIM), modprobe={"/usr/lib/modprobe.d/x.conf": "blacklist vfio-pci\n"})
    assert "/usr/lib" not in str(advice(found))


def test_the_group_of_a_claimed_device_is_left_alone() -> None:
    card, sound = device(iommu_group=1), device("0000:01:00.1", "10de:10f0", class_code=0x040300, iommu_group=1)
    found = boot(rules=STOCK_RULES)
    now = forecast([card, sound], found)[card.address]
    assert would_change(card, "vfio-pci", [card, sound], found, now) == (
        "Claim 0000:01:00.0 for vfio-pci with boot_policy (group: ignore)."
    )


def test_a_search_ends_with_its_budget() -> None:
    found = boot(rules=STOCK_RULES, modprobe=IDS)
    with pytest.raises(OutOfBudgetError):
        Search([CARD], found, limit=0).remedy(CARD, "vfio-pci")


def test_where_one_change_is_not_enough_two_are_named_in_their_order() -> None:
    sentence = advice(boot(rules=rules(CLAIM), modprobe="blacklist vfio-pci\n"), "vfio-pci", device(SECOND))
    assert sentence == "Remove /etc/modprobe.d/site.conf:1 (blacklist vfio-pci), then claim 0000:01:00.0 for vfio-pci with boot_policy."


def test_what_cannot_be_determined_is_not_settled_by_a_policy_of_our_own() -> None:
    doubtful = f'KERNEL=="{CARD.address}", PROGRAM=="/bin/ask", ATTR{{driver_override}}="nouveau"\n'
    assert advice(boot(rules=rules(doubtful))) is None


def test_cards_that_have_to_be_claimed_together_are_named_by_their_id_and_no_other_card_of_the_maker_comes_along() -> None:
    """The second card waits for a driver that nobody loads; where the first one's claim loads it, that comes by chance in time."""
    cards = [CARD, device(SECOND), device("0000:03:00.0", "10de:1c82")]
    found = boot(rules=rules(f'KERNEL=="{SECOND}", ATTR{{driver_override}}="vfio-pci"\n'))
    search = Search(cards, found, dict.fromkeys((CARD.address, SECOND), "vfio-pci"))
    now = forecast(cards, found)[CARD.address]
    assert would_change(CARD, "vfio-pci", cards, found, now, search) == "Claim 10de:1db1 for vfio-pci with boot_policy."


def test_a_device_of_another_group_and_a_bridge_are_no_company() -> None:
    card, bridge = device(iommu_group=1), device("0000:00:01.0", "8086:1901", class_code=0x060400, iommu_group=1)
    cards = [card, bridge, device("0000:03:00.0", "10de:1c82", iommu_group=2)]
    found = boot(rules=STOCK_RULES)
    now = forecast(cards, found)[card.address]
    assert would_change(card, "vfio-pci", cards, found, now) == "Claim 0000:01:00.0 for vfio-pci with boot_policy."


AUDIO = device("0000:01:00.1", "8086:1533", class_code=0x020000)
WITH_AUDIO = {**STOCK, "igb": ["pci:v00008086d00001533sv*sd*bc*sc*i*"]}
BOTH_IDS = "options vfio-pci ids=10de:1db1,8086:1533\n"


def test_of_cards_whose_natives_differ_each_gets_a_softdep() -> None:
    found = boot(rules=STOCK_RULES, modprobe=BOTH_IDS, modules=WITH_AUDIO)
    cards = [CARD, AUDIO]
    search = Search(cards, found, {card.address: "vfio-pci" for card in cards})
    said = would_change(CARD, "vfio-pci", cards, found, forecast(cards, found)[CARD.address], search)
    assert said == f"{SOFTDEP}, then add `softdep igb pre: vfio-pci` to /etc/modprobe.d/00-vfio.conf."


def test_a_softdep_that_loads_the_driver_afterwards_is_turned_round() -> None:
    late = boot(rules=STOCK_RULES, modprobe=f"{IDS}softdep nouveau post: vfio-pci\n")
    assert advice(late) == "Replace /etc/modprobe.d/site.conf:2 by `softdep nouveau pre: vfio-pci`."


def test_an_override_whose_driver_nothing_loads_wants_a_list() -> None:
    claimed = f'ACTION=="add", SUBSYSTEM=="pci", KERNEL=="{CARD.address}", ATTR{{driver_override}}="vfio-pci"'
    # Without it in the initramfs the list may be loaded before the rule has been seen.
    early = boot(stage(INITRAMFS, rules=rules(claimed)), stage(ROOT, rules=rules(claimed)))
    assert advice(early) == "Add `vfio-pci` to /etc/modules-load.d/vfio.conf."
    assert advice(boot(rules=rules(claimed))) == f"Claim {CARD.address} for vfio-pci with boot_policy."
