# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What claims come to on several kernels, with natives and drivers of every kind."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import Claim
from ansible_collections.vfio.variants.plugins.module_utils._core.pci import selector as selectors
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.decision import supplemented
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.request import PolicyRequest
from ansible_collections.vfio.variants.tests.unit import boots
from ansible_collections.vfio.variants.tests.unit.policy_hosts import (
    BUILT,
    NIC,
    RULES,
    STOCK,
    V100,
    V100_KEYS,
    VARIANT,
    gpu_host,
    kernel,
    rule,
    rules_of_any_event,
    rules_of_own_events,
    run,
)
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, DEBIAN_13

SECOND_NIC = "0000:04:00.0"
NIC_KEYS = 'ATTR{vendor}=="0x8086", ATTR{device}=="0x10d3"'


def test_each_card_has_the_rules_of_the_selectors_that_mean_it(tmp_path: Path) -> None:
    tree = gpu_host(tmp_path)
    run(tree, {"devices": ["10de:1db1", "0000:02:00.0"], "driver": "vfio-pci"})
    assert sorted(rules_of_own_events(tree, RULES)) == sorted(
        [rule(V100_KEYS, "vfio-pci", "vfio_pci"), rule(f'KERNEL=="0000:02:00.0", {NIC_KEYS}', "vfio-pci", "vfio_pci")]
    )


def test_cards_that_are_given_to_their_own_native_need_no_rule_at_other_events(tmp_path: Path) -> None:
    tree = gpu_host(tmp_path).pci(SECOND_NIC, "8086:10d3", class_code=0x020000, driver="e1000e")
    run(tree, {"devices": "8086:10d3", "driver": "e1000e"})
    assert rules_of_any_event(tree, RULES) == []
    assert rules_of_own_events(tree, RULES) == [rule(NIC_KEYS, "e1000e", "e1000e")]


def test_two_cards_of_one_native_have_their_overrides_at_other_events_and_one_card_has_not(tmp_path: Path) -> None:
    tree = gpu_host(tmp_path)
    run(tree, V100, NIC)
    assert [line.count("[pci/0000:3b:00.0]") + line.count("[pci/0000:5e:00.0]") for line in rules_of_any_event(tree, RULES)] == [3, 3]
    assert not any("0000:02:00.0" in line for line in rules_of_any_event(tree, RULES))


def test_a_native_that_only_an_alias_line_names_is_shared_with_no_card(tmp_path: Path) -> None:
    tree = kernel(gpu_host(tmp_path), modules={**BUILT, "other": []})
    tree.file("/etc/modprobe.d/site.conf", "alias pci:v00008086d000010D3sv*sd*bc*sc*i* other\n")
    assert run(tree, NIC)["changed"]
    assert rules_of_any_event(tree, RULES) == []


def test_a_kernel_without_the_module_is_told_with_the_cards_that_need_it_alone(tmp_path: Path) -> None:
    tree = kernel(gpu_host(tmp_path), DEBIAN_12, STOCK, running=False)
    warnings = run(tree, {**V100, "driver": VARIANT}, NIC)["warnings"]
    missing = [warning for warning in warnings if "has no module" in warning]
    assert missing == [
        f"Kernel {DEBIAN_12} has no module {VARIANT}: when it boots, 0000:3b:00.0, 0000:5e:00.0 will not have the claimed driver."
    ]


def test_what_a_request_does_not_say_is_what_the_options_default_to() -> None:
    request = PolicyRequest()
    assert (request.name, request.wanted, request.claims, request.strategy) == ("vfio-variants", True, (), "override")
    assert (request.kernels, request.whole_groups, request.natives) == (("all",), True, ())
    assert (request.allow_shared_native, request.pending) == (False, ())


def test_a_module_that_one_kernel_has_is_expected_of_the_others() -> None:
    one = boots.kernel({"vfio_pci": [], "mine": [], "nouveau": []}, release=DEBIAN_13)
    two = boots.kernel({"nouveau": []}, release=DEBIAN_12)
    by_name = Claim(selectors.parse("10de:1db1", "devices"), "mine")
    assert [set(found.modules) for found in supplemented((by_name,), (one, two))] == [{"vfio_pci", "mine", "nouveau"}] * 2
    best = Claim(selectors.parse("10de:1db1", "devices"))
    assert [set(found.modules) - {"mine"} for found in supplemented((best,), (one, two))] == [{"vfio_pci", "nouveau"}] * 2
    assert set(supplemented((by_name,), (two,))[0].modules) == {"nouveau"}
