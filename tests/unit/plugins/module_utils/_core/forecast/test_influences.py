# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs at boot and is not simulated makes unknown what it can touch, and nothing else."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import CERTAIN, INITRAMFS, ROOT, UNKNOWN, Later, Reason
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.device_simulation import DeviceState, ProbeContext
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.forecast import forecast
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.influences import Reach
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import Modprobe
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.registration import Registrar
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import ANOTHER, Act, Influence
from ansible_collections.vfio.variants.tests.unit.boots import STOCK, boot, device, stage
from ansible_collections.vfio.variants.tests.unit.trees import V100_VARIANT

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot, Winner
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device

COLDPLUG = {"/usr/lib/udev/rules.d/80-drivers.rules": 'ACTION=="add", ENV{MODALIAS}=="?*", RUN{builtin}+="kmod load"\n'}
CARD, SECOND, BRIDGE = device(), device("0000:02:00.0"), device("0000:00:1f.0", "8086:ffff", class_code=0x060100)
NETWORK = device("0000:03:00.0", "8086:10d3", class_code=0x020000)
HOST = (CARD, SECOND, BRIDGE, NETWORK)
MODULES = {**STOCK, "nvlink2gpu_vfio_pci": [V100_VARIANT]}
IDS = "options vfio-pci ids=10de:1db1\nsoftdep nouveau pre: vfio-pci\n"


def influence(*acts: Act, **bounds: t.Any) -> Influence:
    return Influence("/etc/rc.local:3", "acts on drivers", frozenset(acts), **bounds)


def at_runtime(found: Influence, **of_root: t.Any) -> Boot:
    return boot(rules=COLDPLUG, modules=MODULES, later=Later(influences=(found,)), **of_root)


def in_root(found: Influence, **of_root: t.Any) -> Boot:
    return boot(dataclasses.replace(stage(ROOT, rules=COLDPLUG, modules=MODULES, **of_root), influences=(found,)))


def touched(found: Boot, devices: t.Sequence[Device] = HOST) -> dict[str, Winner]:
    winners = forecast(devices, found)
    return {address: winner for address, winner in winners.items() if winner.certainty == UNKNOWN}


@pytest.mark.parametrize("act", ["load", "override", "bind", "new_id"])
def test_a_bound_device_is_not_touched_by_what_only_acts_on_unbound_ones(act: Act) -> None:
    assert {CARD.address, SECOND.address, NETWORK.address}.isdisjoint(touched(at_runtime(influence(act))))


def test_a_rescan_touches_what_a_rule_has_removed_alone() -> None:
    assert touched(in_root(influence("rescan"))) == {}
    removes = {**COLDPLUG, "/etc/udev/rules.d/50-gone.rules": f'ACTION=="add", KERNEL=="{CARD.address}", ATTR{{remove}}="1"\n'}
    found = boot(dataclasses.replace(stage(ROOT, rules=removes, modules=MODULES), influences=(influence("rescan"),)))
    assert {address: winner.outcomes for address, winner in touched(found).items()} == {CARD.address: (None, "nouveau")}


@pytest.mark.parametrize("act", ["unbind", "remove"])
def test_every_bound_device_is_touched_by_what_takes_them_away(act: Act) -> None:
    winners = touched(at_runtime(influence(act)))
    assert set(winners) == {CARD.address, SECOND.address, NETWORK.address}
    assert winners[CARD.address].outcomes == ("nouveau", None)


def test_only_the_devices_that_are_named_are_touched() -> None:
    winners = touched(at_runtime(influence("unbind", "override", addresses=frozenset((SECOND.address,)))))
    assert set(winners) == {SECOND.address}
    assert ANOTHER in winners[SECOND.address].outcomes


def test_the_only_driver_that_is_named_is_the_only_further_outcome() -> None:
    acts: tuple[Act, ...] = ("unbind", "override")
    (winner,) = touched(at_runtime(influence(*acts, addresses=frozenset((SECOND.address,)), drivers=frozenset(("vfio-pci",))))).values()
    assert set(winner.outcomes) == {"nouveau", "vfio-pci", None}


def test_an_unbound_device_is_touched_by_an_override() -> None:
    winners = touched(at_runtime(influence("override"), modprobe="blacklist nouveau\n"))
    assert winners[CARD.address].outcomes[-1] == ANOTHER
    assert NETWORK.address not in winners


def test_loading_an_unrelated_module_touches_nothing() -> None:
    assert touched(at_runtime(influence("load", modules=frozenset(("e1000e",))), modprobe="blacklist nouveau\n")) == {}


def test_loading_the_native_touches_the_cards_that_a_blacklist_left_free() -> None:
    winners = touched(at_runtime(influence("load", modules=frozenset(("nouveau",))), modprobe="blacklist nouveau\n"))
    assert {address: winner.outcomes for address, winner in winners.items()} == dict.fromkeys(
        (CARD.address, SECOND.address), (None, "nouveau")
    )


def test_the_softdeps_of_a_module_that_is_loaded_count() -> None:
    found = at_runtime(influence("load", modules=frozenset(("nouveau",))), modprobe=IDS + "blacklist nouveau\n")
    assert touched(found)[CARD.address].outcomes == (None, "vfio-pci", "nouveau")


def test_loading_early_what_comes_anyway_changes_nothing() -> None:
    assert touched(in_root(influence("load", modules=frozenset(("nouveau",))))) == {}


def test_loading_another_driver_beside_the_coldplug_is_a_further_outcome() -> None:
    found = in_root(influence("load", modules=frozenset(("vfio_pci",))), modprobe="options vfio-pci ids=10de:1db1\n")
    assert set(touched(found)[CARD.address].outcomes) == {"nouveau", "vfio-pci"}


def test_a_module_that_is_removed_frees_its_devices_only() -> None:
    winners = touched(at_runtime(influence("refuse", modules=frozenset(("e1000e",)))))
    assert {address: winner.outcomes for address, winner in winners.items()} == {NETWORK.address: ("e1000e", None)}


def test_what_acts_in_the_initramfs_does_not_touch_what_was_bound_in_the_kernel() -> None:
    inside = dataclasses.replace(
        stage(INITRAMFS, rules=COLDPLUG, modules=MODULES, builtin={"e1000e": STOCK["e1000e"]}), influences=(influence("override"),)
    )
    found = boot(inside, stage(ROOT, rules=COLDPLUG, modules=MODULES, builtin={"e1000e": STOCK["e1000e"]}))
    assert set(touched(found)) == {CARD.address, SECOND.address, BRIDGE.address}


def test_a_device_that_may_have_been_unbound_is_touched_by_what_acts_on_unbound_ones() -> None:
    first = influence("unbind", addresses=frozenset((NETWORK.address,)))
    then = Influence("/etc/rc.local:4", "writes", frozenset(("override",)), drivers=frozenset(("pci-stub",)))
    found = in_root(first)
    both = dataclasses.replace(found, later=Later(influences=(then,)))
    assert "pci-stub" in touched(both)[NETWORK.address].outcomes
    assert SECOND.address not in touched(both)


def test_what_may_act_at_any_time_touches_whatever_is_bound_by_modules() -> None:
    found = dataclasses.replace(boot(rules=COLDPLUG, modules=MODULES), influences=(influence("override"),))
    assert set(touched(found)) == {CARD.address, SECOND.address, BRIDGE.address, NETWORK.address}


def test_the_cause_is_named_with_file_and_line() -> None:
    winner = touched(at_runtime(influence("unbind")))[CARD.address]
    assert winner.doubts == ("/etc/rc.local:3 acts on drivers; the effect cannot be determined.",)


def test_an_unread_stage_leaves_every_owner_open() -> None:
    found = boot(stage(ROOT, rules=COLDPLUG, modules=MODULES, doubts=("It cannot be read.",)))
    assert set(touched(found)[CARD.address].outcomes) == {"nouveau", None, ANOTHER}


def test_a_certain_answer_says_what_it_assumes() -> None:
    found = dataclasses.replace(boot(rules=COLDPLUG, modules=MODULES), assumes=("Two units of packages are taken as harmless.",))
    winner = forecast([CARD], found)[CARD.address]
    assert winner.certainty == CERTAIN
    assert winner.assumes == (
        "The probe of nouveau succeeds, which is not bound to the device now.",
        "Two units of packages are taken as harmless.",
    )
    bound = dataclasses.replace(CARD, driver="nouveau")
    assert forecast([bound], found)[CARD.address].assumes == ("Two units of packages are taken as harmless.",)


# -- what an influence can make of one device

BOUND, FREE, WANTS_VFIO = DeviceState(driver="nouveau"), DeviceState(), DeviceState(override="vfio-pci")


def owners(found: Influence, *states: DeviceState, may_be_free: bool = False, **of_root: t.Any) -> tuple[str | None, ...]:
    whole = boot(rules=COLDPLUG, modules=MODULES, **of_root)
    (root,) = whole.stages
    return Reach(Registrar(whole, HOST), root, Modprobe(whole, root, frozenset())).of(found, CARD, states, may_be_free)


def test_what_takes_a_device_away_leaves_it_free_or_to_any_that_matches() -> None:
    for act in ("unbind", "remove"):
        assert owners(influence(act), BOUND) == (None, "nouveau")
        assert owners(influence(act, addresses=frozenset((SECOND.address,))), BOUND) == ()
    both = owners(influence("unbind", "override", drivers=frozenset(("vfio-pci",))), BOUND)
    assert both == (None, "nouveau", "vfio-pci")


def test_a_module_that_goes_takes_its_drivers_devices_with_it() -> None:
    assert owners(influence("refuse"), BOUND) == (None, "nouveau")
    assert owners(influence("refuse", modules=frozenset(("nouveau",))), BOUND) == (None, "nouveau")
    assert owners(influence("refuse", modules=frozenset(("e1000e",))), BOUND) == ()


def test_a_module_that_can_no_longer_be_loaded_may_leave_a_device_free() -> None:
    assert owners(influence("refuse"), FREE) == (None, "nouveau")
    assert owners(influence("refuse", modules=frozenset(("nouveau",))), FREE) == (None, "nouveau")
    assert owners(influence("refuse", modules=frozenset(("e1000e",))), FREE) == ()
    assert owners(influence("refuse", modules=frozenset(("vfio_pci",))), WANTS_VFIO) == (None, "nouveau")
    assert owners(influence("refuse", modules=frozenset(("vfio_pci",))), FREE) == ()


def test_what_is_loaded_takes_a_free_device_if_it_matches() -> None:
    assert owners(influence("load"), FREE) == ("nouveau",)
    assert owners(influence("load"), BOUND) == ()
    assert owners(influence("load"), BOUND, may_be_free=True) == ("nouveau",)
    assert owners(influence("load"), BOUND, FREE) == ("nouveau",)
    assert owners(influence("load", modules=frozenset(("e1000e",))), FREE) == ()
    assert owners(influence("load", modules=frozenset(("e1000e",))), FREE, modprobe="softdep e1000e pre: nouveau\n") == ("nouveau",)
    assert owners(influence("load", modules=frozenset(("vfio-pci",))), FREE) == ()
    assert owners(influence("load", modules=frozenset(("vfio-pci",))), WANTS_VFIO) == ("vfio-pci",)
    assert owners(influence("load", modules=frozenset(("nouveau",))), WANTS_VFIO) == ()
    assert owners(influence("load", modules=frozenset(("vfio-pci",))), FREE, modprobe="options vfio-pci ids=10de:1db1\n") == ("vfio-pci",)


LOADS_NOUVEAU = influence("load", modules=frozenset(("nouveau",)), by_modprobe=True)


def answer(found: Boot) -> tuple[str, tuple[str | None, ...]]:
    winner = forecast(HOST, found)[CARD.address]
    return winner.certainty, winner.outcomes


def test_what_is_inserted_first_has_a_device_that_nobody_has() -> None:
    """As a daemon does that starts at boot and loads its module, whose softdep brings another driver of the device before it."""
    assert answer(in_root(LOADS_NOUVEAU, modprobe=IDS)) == (CERTAIN, ("vfio-pci",))
    behind = "options vfio-pci ids=10de:1db1\nsoftdep nouveau post: vfio-pci\n"
    assert answer(in_root(LOADS_NOUVEAU, modprobe=behind)) == (CERTAIN, ("nouveau",))


def test_each_way_to_a_module_counts_for_itself() -> None:
    """By `modprobe -i` or `insmod` the module comes without its softdep."""
    past = dataclasses.replace(LOADS_NOUVEAU, by_modprobe=False)
    assert answer(in_root(past, modprobe=IDS)) == (UNKNOWN, ("vfio-pci", "nouveau"))


def test_a_driver_that_may_not_take_it_leaves_it_to_the_next() -> None:
    late = IDS + "options vfio-pci async_probe\n"
    assert "nouveau" in answer(in_root(LOADS_NOUVEAU, modprobe=late))[1]
    no_iommu = dataclasses.replace(in_root(LOADS_NOUVEAU, modprobe=IDS), has_iommu=False)
    assert answer(no_iommu)[1] == ("nouveau", "vfio-pci")


def test_what_has_missed_a_driver_can_have_any_that_is_inserted_later() -> None:
    whole = boot(rules=COLDPLUG, modules=MODULES, modprobe=IDS)
    (root,) = whole.stages
    registrar = Registrar(whole, HOST)
    context = ProbeContext(CARD, ROOT, "/", registrar.registering_in(root), None, False)
    reach = Reach(registrar, root, Modprobe(whole, root, frozenset()), lambda _device: context)
    missed = (
        DeviceState(override_because=(Reason("/etc/udev/rules.d/50-x.rules:2", "driver_override is cleared"),)),
        DeviceState(bus_autoprobe=False),
        DeviceState(exists=False),
        DeviceState(pending=((registrar.registers(root, "vfio_pci")[0], ()),)),
    )
    assert reach.of(LOADS_NOUVEAU, CARD, (FREE,)) == ("vfio-pci",)
    for state in missed:
        assert reach.of(LOADS_NOUVEAU, CARD, (FREE, state)) == ("vfio-pci", "nouveau")
    assert reach.of(LOADS_NOUVEAU, CARD, (FREE,), may_be_free=True) == ("vfio-pci", "nouveau")
    unbinds = dataclasses.replace(LOADS_NOUVEAU, acts=frozenset(("load", "unbind")))
    assert set(reach.of(unbinds, CARD, (FREE,))) == {None, "vfio-pci", "nouveau"}


@pytest.mark.parametrize("act", ["override", "bind", "new_id"])
def test_what_names_a_driver_may_give_a_free_device_to_it(act: Act) -> None:
    assert owners(influence(act), FREE) == (None, "nouveau", ANOTHER)
    assert owners(influence(act, drivers=frozenset(("x", "a"))), FREE) == (None, "a", "x")
    assert owners(influence(act, drivers=frozenset()), FREE) == (None,)
    assert owners(influence(act), BOUND) == ()


def test_a_lock_keeps_drivers_from_a_free_device_and_virtual_functions_may_come_or_not() -> None:
    assert owners(influence("lock"), FREE) == (None, "nouveau")
    assert owners(influence("lock"), BOUND) == ()
    assert owners(influence("create"), FREE) == ()
    whole = boot(rules=COLDPLUG, modules=MODULES)
    reach = Reach(Registrar(whole, HOST), whole.stages[0], Modprobe(whole, whole.stages[0], frozenset()))
    virtual = dataclasses.replace(CARD, physical_function=SECOND.address)
    assert reach.of(influence("create"), virtual, (FREE,)) == (None, "nouveau")
    assert reach.anything(CARD) == (None, "nouveau", ANOTHER)


def test_a_program_can_load_a_module_past_its_install_line() -> None:
    later = Later(influences=(influence("load", modules=frozenset(("vfio_pci",))),))
    kept_free = "blacklist nouveau\ninstall vfio_pci /bin/true\noptions vfio-pci ids=10de:1db1\n"
    winners = touched(boot(rules=COLDPLUG, modules=MODULES, modprobe=kept_free, later=later))
    assert set(winners) == {CARD.address, SECOND.address}
    assert set(winners[CARD.address].outcomes) == {None, "vfio-pci"}


RULE = f'ACTION=="add", KERNEL=="{CARD.address}", ATTR{{driver_override}}="vfio-pci", RUN+="/sbin/modprobe vfio_pci"\n'


TAKEN = {**COLDPLUG, "/etc/udev/rules.d/90-site.rules": RULE}


@pytest.mark.parametrize(("module", "is_unknown"), [("vfio_pci", True), ("e1000e", False)])
def test_a_module_that_may_be_loaded_before_a_rule_asks_for_it_may_leave_the_device_alone(module: str, is_unknown: bool) -> None:
    one = influence("load", modules=frozenset((module,)))
    found = dataclasses.replace(stage(ROOT, rules=TAKEN, modules=MODULES), influences=(one,))
    winner = forecast((CARD, NETWORK), boot(found))[CARD.address]
    assert (winner.certainty == UNKNOWN, set(winner.outcomes)) == (is_unknown, {"vfio-pci", None} if is_unknown else {"vfio-pci"})


def test_a_rule_that_may_load_a_module_in_the_initramfs_leaves_that_open_for_the_root() -> None:
    unsure = f'KERNEL=="{NETWORK.address}", ATTR{{numa_node}}=="0", RUN{{builtin}}+="kmod load vfio_pci"\n'
    early = stage(INITRAMFS, rules=unsure, modules={**MODULES, "nouveau": []})
    winner = forecast((CARD, NETWORK), boot(early, stage(ROOT, rules=TAKEN, modules=MODULES)))[CARD.address]
    assert (winner.certainty, set(winner.outcomes)) == (UNKNOWN, {"vfio-pci", None})


def test_a_device_whose_module_something_removes_can_be_taken_by_what_acts_on_unbound_ones() -> None:
    removes = influence("refuse", modules=frozenset(("nouveau",)))
    takes = influence("override", addresses=frozenset((CARD.address,)), drivers=frozenset(("vfio-pci",)))
    for both in ((removes, takes), (takes, removes)):
        winner = forecast(HOST, boot(rules=COLDPLUG, modules=MODULES, later=Later(influences=both)))[CARD.address]
        assert set(winner.outcomes) == {"nouveau", "vfio-pci", None}


def test_a_program_that_may_load_anything_may_load_any_module_that_matches() -> None:
    """The answer is the same in each run, whatever the order in which Python keeps names."""
    names = ["f", "b", "d", "a", "e", "c"]
    whole = boot(rules=COLDPLUG, modules=dict.fromkeys(names, STOCK["nouveau"]))
    (root,) = whole.stages
    reach = Reach(Registrar(whole, HOST), root, Modprobe(whole, root, frozenset()))
    assert reach.of(influence("load"), CARD, (FREE,)) == ("a", "b", "c", "d", "e", "f")
