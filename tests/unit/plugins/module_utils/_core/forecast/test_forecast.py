# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who wins: one small boot a case, each as an operator could meet it."""

from __future__ import annotations

import dataclasses
import timeit
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import (
    CERTAIN,
    INITRAMFS,
    KERNEL,
    RACE,
    ROOT,
    RUNTIME,
    UNKNOWN,
    Assigned,
    Later,
    Winner,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.forecast import forecast
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.rules import lines_for
from ansible_collections.vfio.variants.tests.unit.boots import STOCK, boot, device, stage
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, DEBIAN_13, V100_VARIANT

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device

COLDPLUG = 'ACTION=="add", ENV{MODALIAS}=="?*", RUN{builtin}+="kmod load"\n'
STOCK_RULES = {"/usr/lib/udev/rules.d/80-drivers.rules": COLDPLUG}
VARIANT = {**STOCK, "nvlink2gpu_vfio_pci": [V100_VARIANT]}
OVERRIDE = 'ACTION=="add", SUBSYSTEM=="pci", KERNEL=="{0}", ATTR{{driver_override}}="{1}", RUN{{builtin}}+="kmod load {2}"\n'
SECOND = "0000:02:00.0"


def rules(*lines: str) -> dict[str, str]:
    return {**STOCK_RULES, "/etc/udev/rules.d/90-site.rules": "".join(lines)}


def winner(found: Boot, **identity: t.Any) -> Winner:
    card = device(**identity)
    return forecast([card], found)[card.address]


def test_the_native_wins_where_nobody_says_anything() -> None:
    won = winner(boot(rules=STOCK_RULES))
    assert (won.driver, won.certainty, won.stage) == ("nouveau", CERTAIN, ROOT)
    assert "modules.alias of" in str(won.because[0])


def test_a_native_in_the_initramfs_wins_there_although_the_root_blacklists_it() -> None:
    found = boot(stage(INITRAMFS, rules=STOCK_RULES), stage(ROOT, rules=STOCK_RULES, modprobe="blacklist nouveau\n"))
    won = winner(found)
    assert (won.driver, won.certainty, won.stage) == ("nouveau", CERTAIN, INITRAMFS)
    assert any("contains nouveau" in str(fact) for fact in won.because)


def test_nobody_wins_where_the_native_is_blacklisted_and_the_line_is_named() -> None:
    won = winner(boot(rules=STOCK_RULES, modprobe="# site\nblacklist nouveau\n"))
    assert (won.driver, won.certainty) == (None, CERTAIN)
    assert "/etc/modprobe.d/site.conf:2: blacklist nouveau" in map(str, won.because)


@pytest.mark.parametrize("written", ["nouveau ", "nouveau_", "Nouveau"])
def test_a_misspelt_blacklist_changes_nothing(written: str) -> None:
    wins = winner(boot(rules=STOCK_RULES, modprobe=f"blacklist {written}\n")).driver
    assert wins == (None if written == "nouveau " else "nouveau")


def test_an_override_rule_wins_for_its_card() -> None:
    found = boot(modules=VARIANT, rules=rules(OVERRIDE.format("0000:01:00.0", "nvlink2gpu_vfio_pci", "nvlink2gpu_vfio_pci")))
    won = winner(found)
    assert (won.driver, won.certainty) == ("nvlink2gpu_vfio_pci", CERTAIN)
    assert "/etc/udev/rules.d/90-site.rules:1" in str(won.because[0])


def test_an_override_to_a_driver_that_nobody_loads_leaves_the_card_to_nobody() -> None:
    rule = 'KERNEL=="0000:01:00.0", ATTR{driver_override}="vfio-pci"\n'
    won = winner(boot(rules=rules(rule)))
    assert (won.driver, won.certainty) == (None, CERTAIN)


def test_a_rule_that_assigns_nothing_takes_no_override_back() -> None:
    rule = OVERRIDE.format("0000:01:00.0", "vfio-pci", "vfio-pci") + 'KERNEL=="0000:01:00.0", ATTR{driver_override}=""\n'
    assert winner(boot(rules=rules(rule))).driver == "vfio-pci"


def test_a_module_s_name_is_not_a_driver_s_name() -> None:
    assert winner(boot(rules=rules(OVERRIDE.format("0000:01:00.0", "vfio_pci", "vfio_pci")))).driver is None


def test_a_softdep_alone_gives_the_device_to_nobody_else() -> None:
    assert winner(boot(rules=STOCK_RULES, modprobe="softdep nouveau pre: vfio-pci\n")).driver == "nouveau"


def test_a_softdep_with_ids_wins_although_vfio_pci_is_blacklisted() -> None:
    text = "options vfio-pci ids=10DE:1db1\nsoftdep nouveau pre: vfio-pci\nblacklist vfio-pci\n"
    won = winner(boot(rules=STOCK_RULES, modprobe=text))
    assert (won.driver, won.certainty) == ("vfio-pci", CERTAIN)
    assert "/etc/modprobe.d/site.conf:1: options vfio-pci ids=10DE:1db1" in map(str, won.because)


LONG_IDS = ",".join(["10de:1db1", *["8086:10d3"] * 110])


@pytest.mark.parametrize(
    "word", ['"ids=10de:1db1"', 'ids="10de:1db1"', 'ids="10de:1db1,8086:10d3"', '"ids=8086:10d3, 0x10DE:0x1DB1"', "ids=10de:ffffffff"]
)
def test_ids_are_read_as_the_kernel_unquotes_them(word: str) -> None:
    won = winner(boot(rules=STOCK_RULES, modprobe=f"options vfio-pci {word}\nsoftdep nouveau pre: vfio-pci\n"))
    assert (won.driver, won.certainty) == ("vfio-pci", CERTAIN)
    assert f"/etc/modprobe.d/site.conf:1: options vfio-pci {word}" in map(str, won.because)


@pytest.mark.parametrize(
    "word",
    [
        '"ids"=10de:1db1',
        'ids=10de:"1db1"',
        'ids=8086:10d3,"10de:1db1"',
        "ids='10de:1db1'",
        "-- ids=10de:1db1",
        "ids=10de:1db1 ids=",
    ],
)
def test_ids_that_the_kernel_does_not_understand_give_nothing(word: str) -> None:
    """Quotes within a value stay, so that vfio-pci finds no number there; each was seen in boots of 6.12."""
    won = winner(boot(rules=STOCK_RULES, modprobe=f"options vfio-pci {word}\nsoftdep nouveau pre: vfio-pci\n"))
    assert (won.driver, won.certainty) == ("nouveau", CERTAIN)


@pytest.mark.parametrize(
    ("word", "why"),
    [(f"ids={LONG_IDS}", "is longer than 1023 characters"), ("ids", "has no value"), (f"ids={LONG_IDS} ids=10de:1db1", "is longer than")],
)
def test_a_module_whose_ids_are_refused_is_not_loaded_even_where_good_ones_follow(word: str, why: str) -> None:
    """Seen in boots of 6.1, 6.12 and 7.3: "ids: string doesn't fit in 1023 chars.", and "`' invalid for parameter `ids'"."""
    won = winner(boot(rules=STOCK_RULES, modprobe=f"options vfio-pci {word}\nsoftdep nouveau pre: vfio-pci\n"))
    assert (won.driver, won.certainty) == ("nouveau", CERTAIN)
    assert any(str(fact).startswith("/etc/modprobe.d/site.conf:1: ") and why in str(fact) for fact in won.because)


def test_refused_ids_keep_an_override_from_its_driver_too() -> None:
    text = f"options vfio-pci ids={LONG_IDS}\nblacklist nouveau\n"
    found = boot(rules=rules(OVERRIDE.format("0000:01:00.0", "vfio-pci", "vfio-pci")), modprobe=text)
    assert (winner(found).driver, winner(found).certainty) == (None, CERTAIN)


def test_a_built_in_driver_goes_on_with_the_ids_that_the_kernel_took() -> None:
    given: dict[str, t.Any] = {"rules": STOCK_RULES, "modules": {"nouveau": STOCK["nouveau"]}, "builtin": {"vfio_pci": STOCK["vfio_pci"]}}
    assert winner(boot(**given, cmdline=f"vfio-pci.ids=10de:1db1 vfio-pci.ids={LONG_IDS}")).driver == "vfio-pci"
    assert winner(boot(**given, cmdline='"vfio-pci.ids=10de:1db1"')).driver == "vfio-pci"
    assert winner(boot(**given, cmdline="-- vfio-pci.ids=10de:1db1")).driver == "nouveau"


def test_of_two_ids_the_last_counts_and_the_command_line_is_last() -> None:
    text = "options vfio-pci ids=10de:1db1\nsoftdep nouveau pre: vfio-pci\n"
    assert winner(boot(rules=STOCK_RULES, modprobe=text, cmdline="vfio-pci.ids=1234:5678")).driver == "nouveau"


def test_modules_load_against_coldplug_is_a_race() -> None:
    won = winner(boot(rules=STOCK_RULES, modprobe="options vfio-pci ids=10de:1db1\n", load=["vfio-pci"]))
    assert won.certainty == RACE
    assert set(won.outcomes) == {"vfio-pci", "nouveau"}


def test_ids_in_the_initramfs_win_only_if_the_native_is_not_there() -> None:
    image = {"vfio_pci": ["vfio_pci:v*d*sv*sd*bc*sc*i*"]}
    text = "options vfio-pci ids=10de:1db1\n"
    early = boot(stage(INITRAMFS, modules=image, modprobe=text, load=["vfio-pci"], rules=STOCK_RULES), stage(ROOT, rules=STOCK_RULES))
    late = boot(stage(INITRAMFS, modprobe=text, load=["vfio-pci"], rules=STOCK_RULES), stage(ROOT, rules=STOCK_RULES))
    assert (winner(early).driver, winner(early).stage) == ("vfio-pci", INITRAMFS)
    assert (winner(late).driver, winner(late).stage) == ("nouveau", INITRAMFS)


def test_module_blacklist_refuses_what_a_softdep_asks_for() -> None:
    text = "options vfio-pci ids=10de:1db1\nsoftdep nouveau pre: vfio-pci\n"
    assert winner(boot(rules=STOCK_RULES, modprobe=text, cmdline="module_blacklist=vfio_pci")).driver == "nouveau"
    assert winner(boot(rules=STOCK_RULES, modprobe=text, cmdline="module_blacklist=vfio-pci")).driver == "vfio-pci"


def test_an_install_line_keeps_the_native_out_unless_a_softdep_stands_beside_it() -> None:
    install = "install nouveau /bin/false\n"
    assert winner(boot(rules=STOCK_RULES, modprobe=install)).driver is None
    assert (
        winner(boot(rules=STOCK_RULES, modprobe=install + "softdep nouveau pre: vfio\n", modules={**STOCK, "vfio": []})).driver == "nouveau"
    )


def test_what_an_unknown_install_command_loads_is_not_known() -> None:
    won = winner(boot(rules=STOCK_RULES, modprobe="install nouveau /usr/local/sbin/load-it\n"))
    assert won.certainty == UNKNOWN
    assert "/usr/local/sbin/load-it" in str(won.because[-1])


def test_a_configured_alias_takes_the_place_of_depmod_s() -> None:
    won = winner(boot(rules=STOCK_RULES, modprobe="alias pci:v000010DEd00001DB1sv*sd*bc*sc*i* e1000e\n"))
    assert (won.driver, won.certainty) == (None, CERTAIN)


def test_a_built_in_native_wins_before_any_file_is_read() -> None:
    found = boot(
        rules=rules(OVERRIDE.format("0000:01:00.0", "vfio-pci", "vfio-pci")),
        builtin={"nouveau": STOCK["nouveau"]},
        modules={"vfio_pci": STOCK["vfio_pci"]},
    )
    assert (winner(found).driver, winner(found).stage) == ("nouveau", KERNEL)


def test_a_built_in_vfio_pci_takes_the_ids_of_the_command_line_only() -> None:
    given: dict[str, t.Any] = {"builtin": {"vfio_pci": STOCK["vfio_pci"]}, "modules": {"nouveau": STOCK["nouveau"]}, "rules": STOCK_RULES}
    assert winner(boot(**given, cmdline="vfio-pci.ids=10de:1db1")).driver == "vfio-pci"
    assert winner(boot(**given, modprobe="options vfio-pci ids=10de:1db1\n")).driver == "nouveau"


def test_an_identical_card_that_is_left_to_the_native_makes_the_claimed_one_s_override_a_race() -> None:
    claimed, other = device("0000:01:00.0"), device(SECOND)
    won = forecast([claimed, other], boot(rules=rules(OVERRIDE.format("0000:01:00.0", "vfio-pci", "vfio-pci"))))
    assert (won[SECOND].driver, won[SECOND].certainty) == ("nouveau", CERTAIN)
    assert won[claimed.address].certainty == RACE
    assert set(won[claimed.address].outcomes) == {"vfio-pci", "nouveau"}


def test_an_identical_card_s_own_event_can_settle_it() -> None:
    claimed, other = device("0000:01:00.0"), device(SECOND)
    ahead = 'SUBSYSTEM=="pci", ATTR{[pci/0000:01:00.0]vendor}=="0x10de", ATTR{[pci/0000:01:00.0]driver_override}="vfio-pci"\n'
    found = boot(rules=rules(ahead, OVERRIDE.format("0000:01:00.0", "vfio-pci", "vfio-pci")))
    won = forecast([claimed, other], found)
    assert (won[claimed.address].driver, won[claimed.address].certainty) == ("vfio-pci", CERTAIN)


def test_two_claimed_cards_race_for_the_load_unless_each_asks_for_a_probe() -> None:
    cards = [device("0000:01:00.0"), device(SECOND)]
    lines = [OVERRIDE.format(card.address, "vfio-pci", "vfio-pci") for card in cards]
    probing = [line.replace(", RUN", ', ATTR{[subsystem/pci]drivers_probe}="$kernel", RUN') for line in lines]
    plain = {**rules(*lines), "/etc/modprobe.d/x": ""}
    assert forecast(cards, boot(rules=plain, modprobe="blacklist nouveau\n"))[SECOND].outcomes == ("vfio-pci", None)
    won = forecast(cards, boot(rules=rules(*probing), modprobe="blacklist nouveau\n"))
    assert [(card.driver, card.certainty) for card in won.values()] == [("vfio-pci", CERTAIN)] * 2


def test_an_override_that_only_the_root_has_is_too_late_for_a_driver_that_is_in_already() -> None:
    image = {"vfio_pci": STOCK["vfio_pci"]}
    rule = OVERRIDE.format("0000:01:00.0", "vfio-pci", "vfio-pci")
    found = boot(stage(INITRAMFS, modules=image, load=["vfio-pci"], rules=STOCK_RULES), stage(ROOT, rules=rules(rule)))
    assert (winner(found).driver, winner(found).certainty) == (None, CERTAIN)


def test_a_rule_that_asks_a_program_is_not_known() -> None:
    rule = 'KERNEL=="0000:01:00.0", PROGRAM=="/usr/bin/decide", ATTR{driver_override}="vfio-pci"\n'
    assert winner(boot(rules=rules(rule))).certainty == UNKNOWN


def test_without_an_iommu_vfio_takes_nothing() -> None:
    found = boot(rules=rules(OVERRIDE.format("0000:01:00.0", "vfio-pci", "vfio-pci")), cmdline="iommu=off")
    won = winner(found)
    assert (won.driver, won.certainty) == (None, CERTAIN)
    assert any("iommu=off" in str(fact) for fact in won.because)


IDS_AFTER_NOUVEAU = "softdep nouveau post: vfio-pci\noptions vfio-pci ids=10de:1db1\n"


@pytest.mark.parametrize(
    ("options", "release", "outcomes"),
    [
        ("", DEBIAN_13, {"nouveau"}),
        ("options nouveau async_probe\n", DEBIAN_13, {"nouveau", "vfio-pci"}),
        ("options nouveau async_probe=0\n", DEBIAN_13, {"nouveau"}),
        ("options nouveau async_probe=0\n", DEBIAN_12, {"nouveau", "vfio-pci"}),
        ("options vfio-pci async_probe\n", DEBIAN_13, {"nouveau"}),
    ],
)
def test_what_loads_a_module_with_async_probe_does_not_wait_for_it(options: str, release: str, outcomes: set[str]) -> None:
    won = winner(boot(rules=STOCK_RULES, modprobe=f"{IDS_AFTER_NOUVEAU}{options}", release=release))
    assert (won.driver, set(won.outcomes)) == ("nouveau", outcomes)


def test_a_probe_that_nobody_waits_for_has_ended_before_the_root() -> None:
    late = "options nouveau async_probe\n"
    image, root = stage(INITRAMFS, rules=STOCK_RULES, modprobe=late), stage(ROOT, rules=STOCK_RULES, modprobe=IDS_AFTER_NOUVEAU)
    won = winner(boot(image, root))
    assert (won.driver, won.certainty, won.stage) == ("nouveau", CERTAIN, INITRAMFS)


@pytest.mark.parametrize(("cmdline", "outcomes"), [("", {"nouveau"}), ("vfio-pci.async_probe=0", {"nouveau", "vfio-pci"})])
def test_module_async_probe_asks_for_all(cmdline: str, outcomes: set[str]) -> None:
    """A device that waits for one asynchronous probe is offered to no other such driver (__driver_attach() in drivers/base/dd.c)."""
    found = boot(rules=STOCK_RULES, modprobe=IDS_AFTER_NOUVEAU, cmdline=f"module.async_probe {cmdline}")
    assert set(winner(found).outcomes) == outcomes


def test_driverctl_takes_the_card_after_its_event() -> None:
    later = Later(driverctl={"0000:01:00.0": Assigned("vfio-pci", "/etc/driverctl.d/pci-0000:01:00.0")})
    won = winner(boot(rules=STOCK_RULES, later=later))
    assert (won.driver, won.certainty, won.stage) == ("vfio-pci", CERTAIN, RUNTIME)


def test_a_wrong_name_in_driverctl_leaves_the_card_without_a_driver() -> None:
    later = Later(driverctl={"0000:01:00.0": Assigned("vfio_pci", "/etc/driverctl.d/pci-0000:01:00.0")})
    assert winner(boot(rules=STOCK_RULES, later=later)).driver is None


@pytest.mark.parametrize(
    ("line", "owner"),
    [
        ("install vfio-pci /bin/false", "nouveau"),
        ("install vfio-pci /bin/true; /bin/false", "nouveau"),
        ("install vfio-pci /bin/false && /bin/true", "nouveau"),
        ("install vfio-pci /bin/true", None),
    ],
)
def test_driverctl_gives_up_where_modprobe_fails(line: str, owner: str | None) -> None:
    later = Later(driverctl={"0000:01:00.0": Assigned("vfio-pci", "/etc/driverctl.d/pci-0000:01:00.0")})
    assert winner(boot(rules=STOCK_RULES, modprobe=f"{line}\n", later=later)).driver == owner


def test_driverctls_file_of_empty_lines_takes_the_card_and_its_override_away() -> None:
    """The script writes an empty driver_override and has the card probed again: the native that is loaded by then has it."""
    later = Later(driverctl={"0000:01:00.0": Assigned("", "/etc/driverctl.d/pci-0000:01:00.0")})
    found = boot(rules=rules(OVERRIDE.format("0000:01:00.0", "vfio-pci", "vfio-pci")), later=later)
    won = winner(found)
    assert (won.driver, won.stage) == ("nouveau", RUNTIME)


def test_driverctl_gives_up_where_there_is_no_such_module() -> None:
    later = Later(driverctl={"0000:01:00.0": Assigned("no-such", "/etc/driverctl.d/pci-0000:01:00.0")})
    assert winner(boot(rules=STOCK_RULES, later=later)).driver == "nouveau"


@pytest.mark.parametrize(
    ("action", "outcomes"),
    [
        ("", {"nvlink2gpu_vfio_pci", "vfio-pci"}),
        ('ACTION!="remove", ', {"nvlink2gpu_vfio_pci", "vfio-pci"}),
        ('ACTION=="add|change", ', {"nvlink2gpu_vfio_pci"}),
    ],
)
def test_a_rule_that_is_not_for_add_alone_may_write_its_override_after_driverctl_s(action: str, outcomes: set[str]) -> None:
    """driverctl takes the card from nouveau, and that is an event like any other."""
    later = Later(driverctl={"0000:01:00.0": Assigned("nvlink2gpu_vfio_pci", "/etc/driverctl.d/pci-0000:01:00.0")})
    rule = f'{action}SUBSYSTEM=="pci", KERNEL=="0000:01:00.0", ATTR{{driver_override}}="vfio-pci", RUN{{builtin}}+="kmod load vfio-pci"\n'
    image, root = stage(INITRAMFS, rules=STOCK_RULES), stage(ROOT, modules=VARIANT, rules=rules(rule))
    won = winner(boot(image, root, later=later))
    assert (won.driver, set(won.outcomes)) == ("nvlink2gpu_vfio_pci", outcomes)


def test_a_card_without_a_driver_has_no_event_when_driverctl_comes() -> None:
    later = Later(driverctl={"0000:01:00.0": Assigned("vfio-pci", "/etc/driverctl.d/pci-0000:01:00.0")})
    nobody = 'SUBSYSTEM=="pci", KERNEL=="0000:01:00.0", ATTR{driver_override}="nobody"\n'
    won = winner(boot(rules={**STOCK_RULES, "/etc/udev/rules.d/70-site.rules": nobody}, later=later))
    assert (won.driver, won.certainty) == ("vfio-pci", CERTAIN)


def test_what_may_take_the_card_later_makes_it_uncertain() -> None:
    taken = Assigned("vfio-pci", "/etc/dpdk/interfaces:3", "when dpdk.service starts")
    won = winner(boot(rules=STOCK_RULES, later=Later(may_take={"0000:01:00.0": taken})))
    assert (won.driver, won.certainty) == ("nouveau", UNKNOWN)
    doubt = "/etc/dpdk/interfaces:3 makes vfio-pci the device's driver when dpdk.service starts; whether that happens cannot be determined."
    assert str(won.because[-1]) == f"not known: {doubt}"
    assert (
        winner(boot(rules=STOCK_RULES, later=Later(may_take={"0000:01:00.0": dataclasses.replace(taken, driver="nouveau")}))).certainty
        == CERTAIN
    )


def test_driverctl_s_new_id_takes_an_unbound_identical_card_too() -> None:
    later = Later(driverctl={"0000:01:00.0": Assigned("vfio-pci", "/etc/driverctl.d/pci-0000:01:00.0")}, driverctl_adds_ids=True)
    won = forecast([device("0000:01:00.0"), device(SECOND)], boot(rules=STOCK_RULES, modprobe="blacklist nouveau\n", later=later))
    assert won[SECOND].driver == "vfio-pci"


def test_a_rule_for_all_cards_of_an_id_can_come_too_late_for_one_of_two() -> None:
    generic = OVERRIDE.replace('KERNEL=="{0}"', 'ATTR{{vendor}}=="0x10de"').format("", "vfio-pci", "vfio-pci")
    one = forecast([device()], boot(rules=rules(generic)))[device().address]
    assert (one.driver, one.certainty) == ("vfio-pci", CERTAIN)
    early = {**STOCK_RULES, "/etc/udev/rules.d/70-site.rules": generic}
    won = forecast([device(), device(SECOND)], boot(rules=early))[SECOND]
    # Before its rule, after it, and between the loading of the two drivers.
    assert (won.certainty, set(won.outcomes)) == (RACE, {"nouveau", "vfio-pci", None})


def test_the_rules_of_the_policy_are_in_time_for_each_of_two() -> None:
    cards = [device(), device(SECOND)]
    lines = [f"{line}\n" for card in cards for line in lines_for(card, "vfio-pci", "vfio_pci")]
    ahead = sorted(lines, key=lambda line: "[pci/" not in line)
    won = forecast(cards, boot(rules=rules(*ahead)))
    assert {(card.driver, card.certainty) for card in won.values()} == {("vfio-pci", CERTAIN)}


IGB = {"igb": ["pci:v00008086d000010C9sv*sd*bc*sc*i*"], "igbvf": ["pci:v00008086d000010CAsv*sd*bc*sc*i*"], "vfio_pci": STOCK["vfio_pci"]}
PF = dataclasses.replace(device("0000:03:00.0", "8086:10c9", class_code=0x020000), driver="igb")
VFS = [device(f"0000:03:10.{number}", "8086:10ca", class_code=0x020000, physical_function=PF.address) for number in (0, 2)]


def test_virtual_functions_go_to_their_native_at_runtime() -> None:
    won = forecast([PF, *VFS], boot(rules=STOCK_RULES, modules=IGB))
    assert [(card.driver, card.certainty, card.stage) for card in won.values()] == [
        ("igb", CERTAIN, ROOT),
        ("igbvf", CERTAIN, RUNTIME),
        ("igbvf", CERTAIN, RUNTIME),
    ]


def test_virtual_functions_that_are_not_offered_go_to_nobody_but_an_override() -> None:
    off = f'KERNEL=="{PF.address}", ATTR{{sriov_drivers_autoprobe}}="0"\n'
    claimed = OVERRIDE.format(VFS[0].address, "vfio-pci", "vfio-pci")
    won = forecast([PF, *VFS], boot(rules=rules(off, claimed), modules=IGB))
    assert [won[card.address].driver for card in VFS] == ["vfio-pci", None]


def test_an_override_rule_races_with_the_kernel_for_a_virtual_function_whose_driver_is_loaded() -> None:
    claimed = OVERRIDE.format(VFS[0].address, "vfio-pci", "vfio-pci")
    loaded = OVERRIDE.format("0000:09:00.0", "vfio-pci", "vfio-pci")
    other = device("0000:09:00.0", "15ad:07b0", class_code=0x020000)
    won = forecast([PF, other, VFS[0]], boot(rules=rules(claimed, loaded), modules=IGB))[VFS[0].address]
    assert (won.certainty, set(won.outcomes)) == (RACE, {None, "vfio-pci"})


def test_what_is_not_known_of_a_card_is_not_known_of_its_virtual_functions() -> None:
    told_by_a_program = f'KERNEL=="{PF.address}", PROGRAM=="/usr/local/bin/ask", ATTR{{driver_override}}="vfio-pci"\n'
    won = forecast([PF, *VFS], boot(rules=rules(told_by_a_program), modules=IGB))
    assert {card.certainty for card in won.values()} == {UNKNOWN}


def test_virtual_functions_of_an_unowned_card_do_not_exist() -> None:
    won = forecast([PF, *VFS], boot(rules=STOCK_RULES, modules=IGB, modprobe="blacklist igb\n"))
    assert [won[card.address].driver for card in VFS] == [None, None]


def test_vfio_pci_makes_virtual_functions_only_where_it_is_told_to() -> None:
    claimed = OVERRIDE.format(PF.address, "vfio-pci", "vfio-pci")
    assert [forecast([PF, VFS[0]], boot(rules=rules(claimed), modules=IGB))[VFS[0].address].driver] == [None]
    told = boot(rules=rules(claimed), modules=IGB, modprobe="options vfio-pci enable_sriov=1\n")
    assert forecast([PF, VFS[0]], told)[VFS[0].address].driver == "vfio-pci"


def test_whether_another_driver_makes_virtual_functions_is_not_known() -> None:
    claimed = OVERRIDE.format(PF.address, "igb", "igb")
    won = forecast([dataclasses.replace(PF, driver="other"), VFS[0]], boot(rules=rules(claimed), modules=IGB))
    assert won[VFS[0].address].certainty == UNKNOWN


def test_what_cannot_be_read_makes_the_answer_unknown_only_where_somebody_could_want_the_device() -> None:
    unmatched = device("0000:09:00.0", "1234:5678")
    won = forecast([device(), unmatched], boot(rules=STOCK_RULES, doubts=("/boot/initrd.img-6.12.107 cannot be read: it is damaged.",)))
    assert won["0000:01:00.0"].certainty == UNKNOWN
    assert "it is damaged" in str(won["0000:01:00.0"].because[-1])
    assert won[unmatched.address].certainty == CERTAIN


def test_a_native_that_is_given_a_foreign_device_may_refuse_it() -> None:
    won = winner(boot(rules=rules(OVERRIDE.format("0000:01:00.0", "e1000e", "e1000e"))))
    assert won.certainty == UNKNOWN
    assert "not in its ID table" in str(won.because[-1])


def test_asking_for_some_devices_only_changes_none_of_their_fates() -> None:
    cards = [device("0000:01:00.0"), device(SECOND), PF, *VFS]
    found = boot(modules=VARIANT, rules=rules(OVERRIDE.format("0000:01:00.0", "vfio-pci", "vfio-pci")))
    whole = forecast(cards, found)
    assert {card.address: forecast(cards, found, only=(card,))[card.address] for card in cards} == whole
    assert len({won.certainty for won in whole.values()}) > 1


def claimed_host(count: int) -> tuple[list[Device], Boot]:
    """Cards that boot_policy has claimed one by one: each event writes the overrides of all."""
    cards = [device(f"0000:{number:02x}:00.0") for number in range(1, count + 1)]
    return cards, boot(rules=rules(*(f"{line}\n" for card in cards for line in lines_for(card, "vfio-pci", "vfio_pci"))))


def test_every_card_of_a_host_that_is_claimed_as_a_whole_goes_where_it_is_claimed_for() -> None:
    cards, found = claimed_host(30)
    assert {(won.driver, won.certainty) for won in forecast(cards, found).values()} == {("vfio-pci", CERTAIN)}


def test_a_host_with_four_times_as_many_claimed_cards_does_not_take_hundreds_of_times_as_long() -> None:
    def taken(count: int) -> float:
        cards, found = claimed_host(count)
        return min(timeit.repeat(lambda: forecast(cards, found), number=1, repeat=3))

    assert taken(48) < 60 * taken(12)
