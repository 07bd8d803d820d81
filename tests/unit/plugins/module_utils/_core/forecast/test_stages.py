# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From stage to stage: what earlier ones leave behind, what is not known of them, and what is told of it in the end."""

from __future__ import annotations

import dataclasses
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
    Certainty,
    Later,
    Winner,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.forecast import forecast
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_types import ParameterType
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciDriver
from ansible_collections.vfio.variants.tests.unit.boots import STOCK, boot, device, image_path, load_list, stage
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, NVIDIA_DISPLAY

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot

COLDPLUG = {"/usr/lib/udev/rules.d/80-drivers.rules": 'ACTION=="add", ENV{MODALIAS}=="?*", RUN{builtin}+="kmod load"\n'}
ADDRESS, OTHER = "0000:01:00.0", "0000:02:00.0"
DRIVERCTL = "/etc/driverctl.d/pci-0000:01:00.0"
ONLY_VFIO = {"vfio_pci": STOCK["vfio_pci"]}


def override(driver: str, module: str, address: str = ADDRESS) -> dict[str, str]:
    rule = f'ACTION=="add", KERNEL=="{address}", ATTR{{driver_override}}="{driver}", RUN{{builtin}}+="kmod load {module}"\n'
    return {**COLDPLUG, "/etc/udev/rules.d/90-site.rules": rule}


def winner(found: Boot, **identity: t.Any) -> Winner:
    card = device(**identity)
    return forecast([card], found)[card.address]


def told(won: Winner) -> list[str]:
    return [str(fact) for fact in won.because]


def driverctl(driver: str, **more: t.Any) -> Later:
    return Later(driverctl={ADDRESS: Assigned(driver, DRIVERCTL)}, **more)


def test_what_is_not_known_of_a_stage_is_not_known_of_a_device_that_is_still_free() -> None:
    image, root = stage(INITRAMFS, rules=COLDPLUG), stage(ROOT, rules=COLDPLUG)
    doubtful: dict[str, t.Any] = {"doubts": ("A script cannot be read.",)}
    in_image = winner(boot(stage(INITRAMFS, rules=COLDPLUG, **doubtful), root))
    assert (in_image.driver, in_image.certainty, told(in_image)[-1]) == ("nouveau", UNKNOWN, "not known: A script cannot be read.")
    in_root = winner(boot(image, stage(ROOT, rules=COLDPLUG, **doubtful)))
    assert (in_root.driver, in_root.certainty, in_root.stage) == ("nouveau", CERTAIN, INITRAMFS)
    assert winner(boot(stage(ROOT, rules=COLDPLUG, **doubtful))).certainty == UNKNOWN


def test_what_is_not_known_of_later_units_is_not_known_of_a_free_device_alone() -> None:
    later = Later(doubts=("vm.service writes new_id.",))
    assert winner(boot(rules=COLDPLUG, later=later)).certainty == CERTAIN
    blacklisted = winner(boot(rules=COLDPLUG, modprobe="blacklist nouveau\n", later=later))
    assert (blacklisted.driver, blacklisted.certainty) == (None, UNKNOWN)


def test_each_stage_s_refusal_is_told_where_nobody_has_the_device() -> None:
    image = stage(INITRAMFS, rules=COLDPLUG, modprobe={"/etc/modprobe.d/image.conf": "blacklist nouveau\n"})
    root = stage(ROOT, rules=COLDPLUG, modprobe="blacklist nouveau\n")
    assert told(winner(boot(image, root))) == [
        f"{image_path()}:/etc/modprobe.d/image.conf:1: blacklist nouveau",
        "/etc/modprobe.d/site.conf:1: blacklist nouveau",
    ]


def test_a_device_that_no_module_is_for_is_told_to_be_so() -> None:
    won = winner(boot(rules=COLDPLUG), id="1234:5678")
    assert (won.driver, won.stage, won.outcomes) == (None, None, (None,))
    (fact,) = told(won)
    assert fact.startswith(f"modules.alias of {DEBIAN_13}: no module matches pci:v00001234d00005678")


def test_a_built_in_driver_is_told_by_the_kernel_s_list() -> None:
    won = winner(boot(rules=COLDPLUG, builtin={"nouveau": STOCK["nouveau"]}, modules=ONLY_VFIO))
    assert (won.driver, won.stage, told(won)) == ("nouveau", KERNEL, [f"modules.builtin of {DEBIAN_13}: nouveau is built in"])
    with_ids = winner(boot(builtin={"vfio_pci": STOCK["vfio_pci"]}, modules={}, cmdline="vfio-pci.ids=10de:1db1"))
    assert told(with_ids) == [
        "/proc/cmdline: vfio-pci.ids=10de:1db1",
        f"modules.builtin of {DEBIAN_13}: vfio-pci is built in",
    ]


def test_of_two_built_in_drivers_that_of_the_first_link_has_the_device() -> None:
    both = {"nvidiafb": [NVIDIA_DISPLAY], "nouveau": [NVIDIA_DISPLAY]}
    found = boot(builtin=both, modules=ONLY_VFIO)
    first = {"nvidiafb": "nouveau", "nouveau": "nvidiafb"}
    for name, other in first.items():
        order = tuple(sorted(found.built_in, key=lambda pair, name=name: pair[0] != name))  # type: ignore[misc]
        assert winner(dataclasses.replace(found, built_in=order)).driver == name != other


def test_what_has_the_device_now_without_being_a_module_has_it_again() -> None:
    won = winner(dataclasses.replace(boot(rules=COLDPLUG), held_by_built_in={ADDRESS: "pcieport"}))
    assert (won.driver, won.certainty, won.stage) == ("pcieport", CERTAIN, KERNEL)
    assert told(won) == [f"kernel {DEBIAN_13}: pcieport is built in and the device is bound to it now"]


@pytest.mark.parametrize(
    ("order", "drivers", "certainty"),
    [
        # drivers/Makefile has usb/, i2c/ and crypto/ after vfio/, and gpu/, nvme/, ata/ and net/ before it.
        (("vfio_pci", "native"), ("vfio-pci",), CERTAIN),
        (("native", "vfio_pci"), ("native",), CERTAIN),
        (("vfio_pci",), ("vfio-pci", "native"), UNKNOWN),
    ],
)
def test_what_has_the_device_now_comes_before_a_built_in_vfio_driver_or_after_it(
    order: tuple[str, ...], drivers: tuple[str, ...], certainty: str
) -> None:
    """Whether the kernel lists the native driver's IDs or not."""
    found = boot(builtin={"native": [NVIDIA_DISPLAY], "vfio_pci": STOCK["vfio_pci"]}, modules={}, cmdline="vfio-pci.ids=10de:1db1")
    known = dict(found.built_in)
    for native in (known["native"], PciDriver("native")):
        linked = {**known, "native": native}
        listed = tuple((name, linked[name]) for name in order)
        won = winner(dataclasses.replace(found, built_in=listed, held_by_built_in={ADDRESS: "native"}))
        assert (won.outcomes, won.certainty) == (drivers, certainty)


def test_a_race_tells_what_speaks_for_each_outcome() -> None:
    generic = COLDPLUG | {
        "/etc/udev/rules.d/70-site.rules": 'ATTR{vendor}=="0x10de", ATTR{driver_override}="vfio-pci", RUN{builtin}+="kmod load vfio-pci"\n'
    }
    cards = [device(ADDRESS), device(OTHER)]
    won = forecast(cards, boot(rules=generic))[ADDRESS]
    assert won.certainty == RACE
    assert any(fact.startswith("or nouveau: modules.alias of") for fact in told(won))
    assert any(fact.startswith("or no driver: /etc/udev/rules.d/70-site.rules:1") for fact in told(won))
    assert len(told(won)) == len(set(told(won)))


def test_a_module_that_the_initramfs_loaded_is_not_loaded_again_by_the_root() -> None:
    image = stage(INITRAMFS, modules=ONLY_VFIO, load=["vfio-pci"], rules=COLDPLUG)
    late_ids = stage(ROOT, rules=COLDPLUG, modprobe="options vfio-pci ids=10de:1db1\nsoftdep nouveau pre: vfio-pci\n")
    assert winner(boot(image, late_ids)).driver == "nouveau"
    early_ids = stage(INITRAMFS, modules=ONLY_VFIO, load=["vfio-pci"], rules=COLDPLUG, modprobe="options vfio-pci ids=10de:1db1\n")
    won = winner(boot(early_ids, stage(ROOT, rules=COLDPLUG)))
    assert (won.driver, won.stage) == ("vfio-pci", INITRAMFS)
    assert f"{image_path()}: contains vfio_pci" in told(won)


def test_lists_are_loaded_in_their_order_or_all_at_once() -> None:
    both = {"first": [NVIDIA_DISPLAY], "second": [NVIDIA_DISPLAY]}
    in_order = stage(ROOT, modules=both, steps=((load_list("a list", "first", "second"),),))
    assert winner(boot(in_order)).outcomes == ("first",)
    at_once = stage(ROOT, modules=both, steps=((load_list("a list", "first", "second", in_order=False),),))
    assert set(winner(boot(at_once)).outcomes) == {"first", "second"}
    one_after_the_other = stage(ROOT, modules=both, steps=((load_list("a list", "second"),), (load_list("another", "first"),)))
    assert winner(boot(one_after_the_other)).outcomes == ("second",)
    assert told(winner(boot(in_order)))[0] == "a list:1: a list loads first"


def test_a_plain_modprobe_of_a_list_loads_what_is_blacklisted() -> None:
    listed = load_list("rd.driver.pre", "nouveau")
    for honours, driver in ((True, None), (False, "nouveau")):
        step = (dataclasses.replace(listed, honours_blacklist=honours),)
        assert winner(boot(stage(ROOT, modprobe="blacklist nouveau\n", steps=(step,)))).driver == driver


@pytest.mark.parametrize(("driver", "owner"), [("none", None), ("vfio-pci", "vfio-pci"), ("nouveau", "nouveau")])
def test_driverctl_binds_the_device_to_what_it_has_saved(driver: str, owner: str | None) -> None:
    won = winner(boot(rules=COLDPLUG, later=driverctl(driver)))
    assert (won.driver, won.certainty) == (owner, CERTAIN)
    if owner is not None:
        assert won.stage == RUNTIME
    assert any(DRIVERCTL in fact for fact in told(won))


def test_driverctl_s_file_of_a_device_that_is_not_there_does_nothing() -> None:
    later = Later(driverctl={"0000:99:00.0": Assigned("vfio-pci", "a file")})
    assert winner(boot(rules=COLDPLUG, later=later)).driver == "nouveau"


def test_driverctl_adds_ids_for_vfio_pci_alone() -> None:
    cards = [device(ADDRESS), device(OTHER)]
    kept_free: dict[str, t.Any] = {"rules": COLDPLUG, "modprobe": "blacklist nouveau\n"}
    for driver, adds, second in (("vfio-pci", True, "vfio-pci"), ("vfio-pci", False, None), ("nouveau", True, "nouveau")):
        won = forecast(cards, boot(**kept_free, later=driverctl(driver, driverctl_adds_ids=adds)))
        assert (won[ADDRESS].driver, won[OTHER].driver) == (driver, second)


def test_a_rule_for_the_event_of_an_unbind_alone_races_with_driverctl() -> None:
    rule = f'ACTION=="unbind", KERNEL=="{ADDRESS}", ATTR{{driver_override}}="nouveau"\n'
    won = winner(boot(rules={**COLDPLUG, "/etc/udev/rules.d/90-site.rules": rule}, later=driverctl("vfio-pci")))
    assert set(won.outcomes) == {"vfio-pci", "nouveau"}


def test_a_rule_for_the_event_of_a_bind_undoes_what_driverctl_does() -> None:
    rule = f'ACTION=="bind", KERNEL=="{ADDRESS}", DRIVER=="vfio-pci", ATTR{{driver/unbind}}="$kernel"\n'
    won = winner(boot(rules={**COLDPLUG, "/etc/udev/rules.d/90-site.rules": rule}, later=driverctl("vfio-pci")))
    assert None in won.outcomes


def test_what_may_take_the_device_later_is_a_doubt_unless_every_outcome_is_that_driver() -> None:
    def with_taken(driver: str, **given: t.Any) -> Winner:
        taken = Later(may_take={ADDRESS: Assigned(driver, "/etc/dpdk/interfaces:3", "when dpdk starts")})
        return winner(boot(later=taken, **given))

    assert with_taken("nouveau", rules=COLDPLUG).certainty == CERTAIN
    assert with_taken("vfio-pci", rules=COLDPLUG).certainty == UNKNOWN
    raced: dict[str, t.Any] = {"rules": COLDPLUG, "modprobe": "options vfio-pci ids=10de:1db1\n", "load": ["vfio-pci"]}
    assert set(with_taken("vfio-pci", **raced).outcomes) == {"vfio-pci", "nouveau", None}
    assert with_taken("vfio-pci", **raced).certainty == UNKNOWN
    later = Later(may_take={"0000:99:00.0": Assigned("vfio-pci", "x")})
    assert winner(boot(rules=COLDPLUG, later=later)).certainty == CERTAIN


def test_devices_that_are_alike_share_one_answer_and_only_those_asked_for_have_one() -> None:
    cards = [device(ADDRESS), device(OTHER), device("0000:03:00.0", "8086:10d3", class_code=0x020000)]
    whole = forecast(cards, boot(rules=COLDPLUG))
    assert whole[ADDRESS] is whole[OTHER]
    assert [whole[card.address].driver for card in cards] == ["nouveau", "nouveau", "e1000e"]
    assert set(forecast(cards, boot(rules=COLDPLUG), only=cards[1:2])) == {OTHER}
    assert forecast(cards, boot(rules=COLDPLUG), only=[]) == {}


def test_a_boot_without_any_stage_has_the_kernel_s_own_drivers() -> None:
    nothing = dataclasses.replace(boot(builtin={"nouveau": STOCK["nouveau"]}, modules={}), stages=())
    assert winner(nothing).driver == "nouveau"
    assert winner(dataclasses.replace(nothing, built_in=())).driver is None


CARD = device("0000:03:00.0", "8086:10c9", class_code=0x020000, driver="igb")
FUNCTION = device("0000:03:10.0", "8086:10ca", class_code=0x020000, physical_function=CARD.address)
IGB = {"igb": ["pci:v00008086d000010C9sv*sd*bc*sc*i*"], "igbvf": ["pci:v00008086d000010CAsv*sd*bc*sc*i*"], **ONLY_VFIO}


def test_a_virtual_function_of_a_card_that_vfio_has_is_given_the_card_s_driver_by_the_kernel() -> None:
    """vfio_pci_bus_notifier() in drivers/vfio/pci/vfio_pci_core.c."""
    given: dict[str, t.Any] = {
        "rules": override("vfio-pci", "vfio-pci", CARD.address),
        "modules": IGB,
        "modprobe": "options vfio-pci enable_sriov=1\n",
    }
    won = forecast([CARD, FUNCTION], boot(**given))[FUNCTION.address]
    assert (won.driver, won.certainty, won.stage) == ("vfio-pci", CERTAIN, RUNTIME)
    assert "vfio-pci: the kernel sets the override of virtual functions to the physical function's driver" in told(won)


def test_a_virtual_function_that_is_not_made_is_told_why() -> None:
    unowned = forecast([CARD, FUNCTION], boot(rules=COLDPLUG, modules=IGB, modprobe="blacklist igb\n"))[FUNCTION.address]
    assert (unowned.driver, told(unowned)) == (None, [f"{CARD.address}: it is not bound to a driver, so it has no virtual functions"])
    held = forecast([CARD, FUNCTION], boot(rules=override("vfio-pci", "vfio-pci", CARD.address), modules=IGB))[FUNCTION.address]
    assert told(held)[0].startswith(
        "vfio-pci: it is the physical function's driver, and creates virtual functions only with enable_sriov=1"
    )


BOOL = ParameterType("bool")


@pytest.mark.parametrize(
    ("types", "modprobe", "driver", "certainty"),
    [
        ({"enable_sriov": BOOL}, "", None, CERTAIN),
        ({"enable_sriov": BOOL}, "options vfio-pci enable_sriov=1\n", None, CERTAIN),
        ({"enable_sriov": BOOL}, "options mine_vfio_pci enable_sriov=1\n", "mine_vfio_pci", CERTAIN),
        # A driver that has vfio_pci_core_sriov_configure() and no such parameter may ask something else before it calls that.
        ({}, "", None, UNKNOWN),
        (None, "", None, UNKNOWN),
    ],
)
def test_a_variant_that_holds_the_card_makes_virtual_functions_only_if_its_own_parameter_says_so(
    types: dict[str, ParameterType] | None, modprobe: str, driver: str | None, certainty: Certainty
) -> None:
    modules = {**IGB, "mine_vfio_pci": ["vfio_pci:v00008086d000010C9sv*sd*bc*sc*i*"]}
    found = boot(rules=override("mine_vfio_pci", "mine_vfio_pci", CARD.address), modules=modules, modprobe=modprobe)
    known = dataclasses.replace(found.modules["mine_vfio_pci"], types=types)
    card = dataclasses.replace(CARD, driver="igb")
    won = forecast([card, FUNCTION], dataclasses.replace(found, modules={**found.modules, "mine_vfio_pci": known}))[FUNCTION.address]
    assert won.certainty == certainty
    if certainty == CERTAIN:
        assert won.driver == driver
        assert driver or "creates virtual functions only with enable_sriov=1" in told(won)[0]


def test_a_virtual_function_alone_is_asked_for_with_its_card() -> None:
    found = boot(rules=COLDPLUG, modules=IGB)
    (won,) = forecast([CARD, FUNCTION], found, only=[FUNCTION]).values()
    assert (won.driver, won.certainty) == ("igbvf", CERTAIN)


def test_the_same_event_of_a_second_card_comes_first_or_last_though_a_rule_names_both_by_address() -> None:
    rule = f'KERNEL=="{ADDRESS}|{OTHER}", ATTR{{driver_override}}="vfio-pci", RUN{{builtin}}+="kmod load vfio-pci"\n'
    early = {**COLDPLUG, "/etc/udev/rules.d/70-site.rules": rule}
    won = forecast([device(ADDRESS), device(OTHER)], boot(rules=early))
    for address in (ADDRESS, OTHER):
        assert (won[address].certainty, set(won[address].outcomes)) == (RACE, {"nouveau", "vfio-pci", None})
    alone = forecast([device(ADDRESS)], boot(rules=early))[ADDRESS]
    assert (alone.driver, alone.certainty) == ("vfio-pci", CERTAIN)


def test_each_reason_of_a_race_is_told_once_and_with_its_outcome() -> None:
    won = winner(boot(rules=COLDPLUG, modprobe="options vfio-pci ids=10de:1db1\n", load=["vfio-pci"]))
    assert told(won) == [
        f"modules.alias of {DEBIAN_13}: {NVIDIA_DISPLAY} nouveau",
        "or vfio-pci: /etc/modprobe.d/site.conf:1: options vfio-pci ids=10de:1db1",
        "or vfio-pci: /etc/modules:1: systemd-modules-load loads vfio-pci",
    ]


def test_all_drivers_that_decline_the_device_are_named_in_an_order_that_stays() -> None:
    names = [f"driver{letter}" for letter in "abcdefg"]
    several = boot(rules=COLDPLUG, modules={name: [NVIDIA_DISPLAY] for name in names})
    won = winner(dataclasses.replace(several, declined={ADDRESS: frozenset(names)}))
    assert f"{', '.join(names)} could have bound to the device" in told(won)[-1]
    assert [owner for owner in won.outcomes if owner is not None] == names


def test_the_mask_of_the_rules_that_load_drivers_is_the_reason() -> None:
    root = stage(ROOT, rules={"/usr/lib/udev/rules.d/50-other.rules": 'ACTION=="add", ATTR{power/control}="auto"\n'})
    masked = dataclasses.replace(root, rules=dataclasses.replace(root.rules, masked=("/etc/udev/rules.d/80-drivers.rules",)))
    won = winner(boot(masked))
    assert (won.driver, won.certainty) == (None, CERTAIN)
    assert told(won)[0].startswith("/etc/udev/rules.d/80-drivers.rules: is not a file and masks the rules")
    assert told(winner(boot(root)))[0] == "udev rules: none of them loads nouveau, which matches the device, by `kmod load`"


def test_the_attribute_that_keeps_virtual_functions_from_drivers_is_the_reason() -> None:
    physical = device(ADDRESS, "8086:10c9", class_code=0x020000, driver="igb", max_virtual_functions=7)
    function = device(OTHER, "8086:10ca", class_code=0x020000, physical_function=ADDRESS)
    modules = {"igb": ["pci:v00008086d000010C9sv*sd*bc*sc*i*"], "igbvf": ["pci:v00008086d000010CAsv*sd*bc*sc*i*"]}
    site = f'ACTION=="add", KERNEL=="{ADDRESS}", ATTR{{sriov_drivers_autoprobe}}="0"\n'
    found = boot(modules=modules, rules={**COLDPLUG, "/etc/udev/rules.d/90-site.rules": site})
    won = forecast([physical, function], found)[OTHER]
    assert (won.driver, told(won)) == (None, ["/etc/udev/rules.d/90-site.rules:1: sriov_drivers_autoprobe=0"])


def test_a_vfio_that_was_loaded_without_it_knows_no_unsafe_mode_later() -> None:
    """The parameter is read when the module is loaded."""
    modules = {**STOCK, "vfio": []}
    on = "options vfio enable_unsafe_noiommu_mode=1\n"
    claimed = override("vfio-pci", "vfio-pci")
    root = stage(ROOT, modules=modules, rules=claimed, modprobe=on)
    early = stage(INITRAMFS, modules={"vfio": []}, load=["vfio"], rules={})
    assert winner(boot(root, cmdline="iommu=off")).driver == "vfio-pci"
    assert winner(boot(early, root, cmdline="iommu=off")).driver is None


def test_doubts_about_modules_come_in_the_order_of_their_names() -> None:
    """The answer is the same in each run, whatever the order in which Python keeps names."""
    names = "fedcba"
    ran = "".join(f'SUBSYSTEM=="module", KERNEL=="{name}", RUN+="/usr/local/sbin/{name}"\n' for name in names)
    rules = {**COLDPLUG, "/etc/udev/rules.d/90-site.rules": ran}
    won = winner(boot(rules=rules, modules={name: [NVIDIA_DISPLAY] for name in names}))
    assert (won.driver, won.certainty) == ("f", UNKNOWN)
    assert [doubt.split(" (")[0].rpartition("/")[2] for doubt in won.doubts] == list("abcdef")
