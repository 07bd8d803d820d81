# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is forecast about the next boots of a host's devices."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import RACE, ROOT, Assigned, Boot, Later
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.next_boot import NextBoot
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.forecast import forecast
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.report.boot_forecast import (
    LONGEST_SEARCH,
    NO_FORECAST,
    NOT_SEARCHED,
    HostForecast,
    NextKernel,
)
from ansible_collections.vfio.variants.tests.unit.boots import STOCK, boot, device
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13

GPU = device("0000:01:00.0")
RULE = 'ACTION=="add", SUBSYSTEM=="pci", KERNEL=="0000:01:00.0", ATTR{driver_override}="%s"\n'
COLDPLUG = 'ACTION=="add", ENV{MODALIAS}=="?*", RUN{builtin}+="kmod load"\n'
STOCK_RULES = {"/usr/lib/udev/rules.d/80-drivers.rules": COLDPLUG}
UNKNOWN_LOADER = NextBoot(None, "Nobody knows.", {}, ("No boot loader is found.",))
GRUB = NextBoot(DEBIAN_13, "/boot/grub/grub.cfg:7: the first entry", {})


def host_forecast(*boots: Boot, devices: t.Sequence[Device] = (GPU,), loader: NextBoot = GRUB) -> HostForecast:
    kernels = [stage.kernel for one in boots for stage in one.stages if stage.name == ROOT]
    return HostForecast.from_boots(Inventory(tuple(devices), {}), kernels, boots, loader)


def test_the_winner_is_told_with_the_facts_that_decide() -> None:
    told = host_forecast(boot(rules=STOCK_RULES)).on_kernel(GPU, DEBIAN_13).result()
    assert (told["winner"], told["certainty"], told["stage"], told["outcomes"]) == ("nouveau", "certain", "root", ["nouveau"])
    assert any(DEBIAN_13 in because and "nouveau" in because for because in told["because"])
    assert (told["claimed"], told["would_change"]) == (None, None)


def test_an_unknown_answer_names_no_winner_but_the_possible_ones() -> None:
    doubtful = boot(rules=STOCK_RULES, doubts=("What /etc/rc.local:3 runs cannot be determined.",))
    told = host_forecast(doubtful).on_kernel(GPU, DEBIAN_13).result()
    assert (told["winner"], told["stage"], told["certainty"]) == (None, None, "unknown")
    assert {"nouveau", "another driver"} <= set(told["outcomes"])


def test_what_an_answer_takes_for_granted_is_returned_only_if_it_is_asked_for() -> None:
    found = host_forecast(boot(rules=STOCK_RULES)).on_kernel(GPU, DEBIAN_13)
    assert "assumes" not in found.result()
    assert found.result(assumes=True)["assumes"] == ["The probe of nouveau succeeds, which is not bound to the device now."]


def test_where_the_policy_claims_in_vain_the_change_that_helps_is_told() -> None:
    told = host_forecast(boot(modprobe="options vfio-pci ids=10de:1db1\n", rules=STOCK_RULES)).on_kernel(GPU, DEBIAN_13)
    assert (told.winner.driver, told.claimed) == ("nouveau", "vfio-pci")
    assert told.would_change == "Add `softdep nouveau pre: vfio-pci` to /etc/modprobe.d/00-vfio.conf."


def test_what_nobody_is_shown_is_not_searched_for() -> None:
    found = host_forecast(boot(modprobe="options vfio-pci ids=10de:1db1\n", rules=STOCK_RULES))
    told = found.on_kernel(GPU, DEBIAN_13, changes=False)
    assert (told.winner.driver, told.claimed, told.would_change) == ("nouveau", "vfio-pci", None)
    assert not found._suggested


def test_driverctl_has_the_last_word_then_the_last_rule_then_ids() -> None:
    ids = "options vfio-pci ids=10de:1db1\n"
    later = Later(driverctl={GPU.address: Assigned("none", "/etc/driverctl.d/pci-0000:01:00.0")})
    assert host_forecast(boot(modprobe=ids)).claimed(GPU, DEBIAN_13) == "vfio-pci"
    assert host_forecast(boot(modprobe=ids, rules=RULE % "nouveau")).claimed(GPU, DEBIAN_13) == "nouveau"
    assert host_forecast(boot(rules=RULE % "first" + RULE % "second")).claimed(GPU, DEBIAN_13) == "second"
    assert host_forecast(boot(rules=RULE % "first", later=later)).claimed(GPU, DEBIAN_13) == "none"


def test_functions_that_are_alike_share_one_search_and_each_is_named() -> None:
    devices = [device(f"0000:01:00.{number}") for number in range(4)]
    rule = 'ACTION=="add", SUBSYSTEM=="pci", ATTR{vendor}=="0x10de", ATTR{driver_override}="vfio-pci", RUN{builtin}+="kmod load vfio-pci"\n'
    found = host_forecast(boot(rules={**STOCK_RULES, "/etc/udev/rules.d/90-site.rules": rule}), devices=devices)
    told = [found.on_kernel(one, DEBIAN_13).would_change for one in devices]
    assert told == ["Claim 10de:1db1 for vfio-pci with boot_policy."] * 4
    assert len(found._suggested) == 1


def test_functions_that_a_rule_tells_apart_are_searched_for_apart() -> None:
    devices = [device(f"0000:01:00.{number}") for number in range(3)]
    found = host_forecast(boot(rules={**STOCK_RULES, "/etc/udev/rules.d/90-site.rules": RULE % "vfio-pci"}), devices=devices)
    told = [found.on_kernel(one, DEBIAN_13) for one in devices]
    assert [one.claimed for one in told] == ["vfio-pci", None, None]
    assert [one.would_change is None for one in told] == [False, True, True]


def test_a_search_for_too_many_different_devices_says_so() -> None:
    devices = [device(f"{number >> 8:04x}:{number & 255:02x}:00.0", f"10de:{0x1000 + number:04x}") for number in range(LONGEST_SEARCH // 2)]
    found = host_forecast(boot(rules=STOCK_RULES), devices=devices)
    told = [found.suggested_change(one, DEBIAN_13, "vfio-pci") for one in devices[:5]]
    assert told[-1] == NOT_SEARCHED
    assert NOT_SEARCHED not in told[:2]


def test_no_change_is_looked_for_where_the_boot_as_a_whole_is_not_known() -> None:
    doubtful = boot(modprobe="options vfio-pci ids=10de:1db1\n", rules=STOCK_RULES, doubts=("Nobody can look into /boot/initrd.img.",))
    told = host_forecast(doubtful).on_kernel(GPU, DEBIAN_13)
    assert (told.winner.certainty, told.claimed, told.would_change) == ("unknown", "vfio-pci", None)


def test_what_boots_next_is_its_release_or_why_it_is_not_known() -> None:
    assert host_forecast(boot()).next_kernel == NextKernel(DEBIAN_13, GRUB.why)
    assert host_forecast(boot(), loader=UNKNOWN_LOADER).next_kernel == NextKernel(None, "No boot loader is found.")
    assert NO_FORECAST.result() == {
        "winner": None,
        "certainty": "unknown",
        "stage": None,
        "because": [],
        "outcomes": [None, "another driver"],
        "claimed": None,
        "would_change": None,
    }


def test_a_next_kernel_without_modules_is_not_known() -> None:
    told = host_forecast(boot(), loader=NextBoot("6.9", "the first entry", {})).next_kernel
    assert told.result() == {"release": None, "reason": "Kernel 6.9 boots next, and its modules are not installed."}


def test_warnings_about_a_device_are_its_own_and_the_others_the_hosts() -> None:
    rules = 'ACTION=="add", SUBSYSTEM=="pci", KERNEL=="0000:01:00.0", ATTR{driver_override}="vfoi-pci"\n'
    found = host_forecast(boot(modprobe="blacklist nouveua\n", rules=rules))
    (about_device,) = found.warnings(GPU)
    assert "vfoi-pci" in about_device
    assert any("nouveua" in sentence for sentence in found.policy_warnings)
    assert about_device not in found.policy_warnings


def test_what_the_boot_loader_warns_about_is_the_hosts() -> None:
    loader = NextBoot(DEBIAN_13, "the first entry", {}, (), ("/etc/default/grub is newer than grub.cfg.",))
    assert "/etc/default/grub is newer than grub.cfg." in host_forecast(boot(), loader=loader).policy_warnings


def test_a_virtual_function_s_change_is_tried_with_its_own_physical_one() -> None:
    aliases = {name: [f"pci:v00008086d0000{number}sv*sd*bc*sc*i*"] for name, number in (("igb", "10C9"), ("igbvf", "10CA"))}
    ports = [device(f"0000:0{number}:00.0", "8086:10c9", class_code=0x020000, driver="igb") for number in (1, 2)]
    function = device("0000:02:10.0", "8086:10ca", class_code=0x020000, physical_function=ports[1].address)
    found = boot(modules={**STOCK, **aliases}, modprobe="options vfio-pci ids=8086:10ca\n", rules=STOCK_RULES)
    told = host_forecast(found, devices=[*ports, function]).on_kernel(function, DEBIAN_13)
    assert (told.winner.driver, told.claimed) == ("igbvf", "vfio-pci")
    assert told.would_change == "Add `softdep igbvf pre: vfio-pci` to /etc/modprobe.d/00-vfio.conf."


BY_ID = 'ACTION=="add", ATTR{device}=="0x1db1", ATTR{driver_override}="vfio-pci", RUN{builtin}+="kmod load vfio-pci"\n'


def test_a_change_that_helps_one_card_alone_is_not_advised_where_another_one_like_it_is_there() -> None:
    """The other card's event loads nouveau, which may come before the first one's override is written."""
    spoilt = boot(modprobe="blacklist vfio_pci\n", rules={**STOCK_RULES, "/etc/udev/rules.d/90-site.rules": BY_ID})
    remove = "Remove /etc/modprobe.d/site.conf:1 (blacklist vfio_pci)."
    assert host_forecast(spoilt).suggested_change(GPU, DEBIAN_13, "vfio-pci") == remove
    two = [GPU, device("0000:02:00.0")]
    without = boot(rules={**STOCK_RULES, "/etc/udev/rules.d/90-site.rules": BY_ID})
    assert {winner.certainty for winner in forecast(two, without).values()} == {RACE}
    for one in two:
        advice = host_forecast(spoilt, devices=two).suggested_change(one, DEBIAN_13, "vfio-pci")
        assert advice is not None
        assert advice != remove
