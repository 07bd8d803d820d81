# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What udev rules make of a boot, by everything that they can write, load and ask."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import (
    CERTAIN,
    INITRAMFS,
    RACE,
    ROOT,
    UNKNOWN,
    Assigned,
    Later,
    Winner,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.forecast import forecast
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rules, parse
from ansible_collections.vfio.variants.tests.unit.boots import STOCK, boot, device, stage

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device

COLDPLUG = 'ACTION=="add", ENV{MODALIAS}=="?*", RUN{builtin}+="kmod load"\n'
PORT = device("0000:00:01.0", "8086:1901", class_code=0x060400, driver="pcieport", path="/devices/pci0000:00/0000:00:01.0")
CARD = device("0000:01:00.0", path="/devices/pci0000:00/0000:00:01.0/0000:01:00.0", numa_node=0)
OTHER = device("0000:02:00.0", path="/devices/pci0000:00/0000:02:00.0", numa_node=1)
CARDS = (PORT, CARD, OTHER)
IDS = "options vfio-pci ids=10de:1db1\n"
LOAD_VFIO = 'RUN{builtin}+="kmod load vfio-pci"'
TAKE = f'ATTR{{driver_override}}="vfio-pci", {LOAD_VFIO}'


def boot_with(rules: str, *, before: bool = True, **given: t.Any) -> Boot:
    """A root with site's rules, evaluated before the stock rule that loads drivers, or after it."""
    files = {"/usr/lib/udev/rules.d/80-drivers.rules": COLDPLUG, f"/etc/udev/rules.d/{'10' if before else '90'}-site.rules": rules}
    return boot(rules=files, **given)


def winners(found: Boot, cards: t.Sequence[Device] = CARDS) -> dict[str, Winner]:
    return forecast(cards, found)


def owners(rules: str, **given: t.Any) -> list[tuple[str | None, str]]:
    """Owner and certainty of two cards, each alone in its host: in one host the other's event would load the native beside the first's."""
    found = boot_with(rules, **given)
    return [one for card in (CARD, OTHER) for one in owners_in(found, card)]


def owners_in(found: Boot, *cards: Device) -> list[tuple[str | None, str]]:
    won = forecast((PORT, *cards), found)
    return [(won[card.address].driver, won[card.address].certainty) for card in cards]


NATIVE, VFIO, NOBODY = ("nouveau", CERTAIN), ("vfio-pci", CERTAIN), (None, CERTAIN)


@pytest.mark.parametrize(
    "keys",
    [
        'KERNELS=="0000:01:00.0"',
        'KERNELS=="0000:01:00.0", SUBSYSTEMS=="pci", ATTRS{vendor}=="0x10de"',
        'KERNELS=="0000:00:01.0", ATTR{vendor}=="0x10de"',
        'KERNELS=="0000:00:01.0", SUBSYSTEMS=="pci", ATTRS{device}=="0x1901", ATTR{class}=="0x030200"',
        'DEVPATH=="*/0000:00:01.0/0000:01:00.0"',
        'DEVPATH=="/devices/pci0000:00/0000:00:01.0/?*"',
        'ATTR{numa_node}=="0", ATTR{vendor}=="0x10de"',
        'DRIVERS=="pcieport", KERNELS=="0000:00:01.0", ATTR{vendor}=="0x10de"',
        'TEST=="driver_override", KERNEL=="0000:01:00.0"',
        'TEST!="physfn", KERNEL=="0000:01:*"',
        'TEST!="sriov_numvfs", TEST!="boot_vga", KERNEL=="0000:01:00.0"',
        'SUBSYSTEM=="pci" KERNEL=="0000:01:00.0"',
        'KERNEL==i"0000:01:00.0", TAG!="seat", ENV{SITE}!="x", NAME==""',
    ],
)
def test_a_key_that_follows_from_the_device_decides_for_it_alone(keys: str) -> None:
    assert owners(f'ACTION=="add", SUBSYSTEM=="pci", {keys}, {TAKE}\n') in ([VFIO, NATIVE], [VFIO, ("nouveau", CERTAIN)])


@pytest.mark.parametrize(
    "keys",
    [
        'KERNELS=="0000:07:00.0"',
        'KERNELS=="0000:00:01.0", SUBSYSTEMS=="usb"',
        'KERNELS=="0000:01:00.0", ATTRS{device}=="0x1901"',
        'DEVPATH=="*/0000:00:01.0"',
        'ATTR{numa_node}=="7"',
        'ATTR{boot_vga}=="0"',
        'ATTR{boot_vga}!="1"',
        'TEST=="physfn"',
        'KERNEL=="%k"',
        'ENV{SITE}=="x"',
        'TAG=="site"',
        'CONST{arch}=="x86-64", KERNEL=="x"',
        'ACTION=="change|bind", DRIVER=="vfio-pci"',
        'SYMLINK=="x"',
        'DRIVERS=="nvme"',
    ],
)
def test_a_key_that_does_not_hold_leaves_every_card_to_its_native(keys: str) -> None:
    assert owners(f'SUBSYSTEM=="pci", {keys}, {TAKE}\n') == [NATIVE, NATIVE]


def test_without_a_path_only_a_bridge_can_be_above_a_card() -> None:
    cards = (device("0000:00:01.0", "8086:1901", class_code=0x060400), device("0000:01:00.0"), device("0000:02:00.0"))
    for card, right in zip(cards[1:], (VFIO, NATIVE)):
        won = forecast((cards[0], card), boot_with(f'KERNELS=="0000:01:00.0", {TAKE}\n'))[card.address]
        assert (won.driver, won.certainty) == right
    found = winners(boot_with(f'KERNELS=="0000:00:01.0", ATTR{{vendor}}=="0x10de", {TAKE}\n'), cards)
    assert {found[card.address].certainty for card in cards[1:]} == {UNKNOWN}


# -- what an earlier rule has set


@pytest.mark.parametrize(
    "rules",
    [
        'KERNEL=="0000:01:00.0", ENV{SITE}="guest"\nENV{SITE}=="guest", %s\n',
        'KERNEL=="0000:01:00.0", ENV{SITE}="a"\nENV{SITE}=="a", ENV{SITE}+="b"\nENV{SITE}=="a b", %s\n',
        'KERNEL=="0000:01:00.0", TAG+="guest"\nTAG=="guest", %s\n',
        'KERNEL=="0000:01:00.0", TAG+="guest"\nTAG!="guest", GOTO="end"\n%s\nLABEL="end"\n',
        'TAG+="guest"\nKERNEL!="0000:01:00.0", TAG-="guest"\nTAG=="guest", %s\n',
        'IMPORT{cmdline}="site"\nENV{site}=="guest", KERNEL=="0000:01:00.0", %s\n',
        'IMPORT{cmdline}=="lone", KERNEL=="0000:01:00.0"\nENV{lone}=="1", KERNEL=="0000:01:00.0", %s\n',
        'IMPORT{cmdline}!="absent", KERNEL=="0000:01:00.0", %s\n',
    ],
)
def test_properties_and_tags_are_what_earlier_rules_made_of_them(rules: str) -> None:
    assert owners(rules % TAKE, cmdline="site=guest lone") == [VFIO, NATIVE]


def test_a_comparison_comes_before_the_import_of_its_own_line() -> None:
    assert owners(f'IMPORT{{cmdline}}="site", ENV{{site}}=="guest", {TAKE}\n', cmdline="site=guest") == [NATIVE, NATIVE]


def test_a_value_is_made_from_what_is_known() -> None:
    rules = f'ENV{{WANTED}}="vfio-pci"\nKERNEL=="0000:01:00.0", ATTR{{driver_override}}="$env{{WANTED}}", {LOAD_VFIO}\n'
    assert owners(rules) == [VFIO, NATIVE]
    assert owners(f'KERNEL=="0000:01:00.0", ENV{{WANTED}}="vfio", ATTR{{driver_override}}="%E{{WANTED}}-pci", {LOAD_VFIO}\n') == [
        VFIO,
        NATIVE,
    ]
    odd = 'KERNEL=="0000:01:00.0", ATTR{driver_override}="$attr{vendor}$$"\n'
    assert owners(odd) == [NOBODY, NATIVE]


def test_the_kernel_keeps_the_blanks_of_an_override() -> None:
    assert owners(f'KERNEL=="0000:01:00.0", ATTR{{driver_override}}=" vfio-pci", {LOAD_VFIO}\n') == [NOBODY, NATIVE]
    assert owners(f'KERNEL=="0000:01:00.0", ATTR{{driver_override}}=e"vfio-pci\\nx", {LOAD_VFIO}\n') == [VFIO, NATIVE]


# -- what is run


def test_an_import_of_kmod_loads_before_everything_that_is_run() -> None:
    rules = 'ATTR{vendor}=="0x10de", IMPORT{builtin}="kmod load vfio-pci"\n'
    assert owners(rules, before=False, modprobe=IDS) == [VFIO, VFIO]
    assert owners(rules.replace("{builtin}", "{program}"), before=False, modprobe=IDS) == [VFIO, VFIO]


@pytest.mark.parametrize(
    ("rules", "right"),
    [
        ('KERNEL=="0000:01:00.0", RUN{builtin}="kmod load vfio-pci"\n', VFIO),
        ('KERNEL=="0000:01:00.0", RUN{builtin}:="kmod load vfio-pci"\nKERNEL=="0000:01:00.0", RUN{builtin}+="kmod load nouveau"\n', VFIO),
        ('KERNEL=="0000:01:00.0", RUN{builtin}+="kmod load vfio-pci"\n', NATIVE),
        ('KERNEL=="0000:01:00.0", RUN="/bin/true"\n', NOBODY),
    ],
)
def test_an_assignment_to_run_forgets_what_stood_there(rules: str, right: tuple[str | None, str]) -> None:
    programs: dict[str, tuple[Influence, ...]] = {"/bin/true": ()}
    found = boot(
        stage(
            rules={"/usr/lib/udev/rules.d/80-drivers.rules": COLDPLUG, "/etc/udev/rules.d/90-site.rules": rules},
            modprobe=IDS,
            programs=programs,
        )
    )
    assert owners_in(found, CARD) == [right]


def test_after_a_final_assignment_nothing_is_added() -> None:
    assert owners('SUBSYSTEM=="pci", RUN{builtin}:="kmod load vfio-pci"\n', before=True, modprobe=IDS) == [VFIO, VFIO]


def test_a_builtin_of_a_line_runs_before_its_programs() -> None:
    rules = 'SUBSYSTEM=="pci", RUN+="/sbin/modprobe nouveau", RUN{builtin}+="kmod load vfio-pci"\n'
    assert owners(rules, modprobe=IDS) == [VFIO, VFIO]


def test_another_modalias_loads_another_module() -> None:
    rules = 'KERNEL=="0000:01:00.0", ENV{MODALIAS}="pci:v00008086d000010D3sv00000000sd00000000bc02sc00i00"\n'
    path = "/etc/udev/rules.d/10-site.rules"
    for version, right in ((257, NOBODY), (258, NATIVE)):
        known = Rules((*parse(rules, path, version), *parse(COLDPLUG, "/usr/lib/udev/rules.d/80-drivers.rules")), complete=True)
        found = boot(dataclasses.replace(stage(), rules=known))
        assert owners_in(found, CARD) == [right]


@pytest.mark.parametrize(
    ("command", "right"),
    [
        ("/sbin/modprobe -b -q vfio-pci", VFIO),
        ("/usr/sbin/modprobe -a vfio-pci nouveau", VFIO),
        ("/sbin/modprobe --quiet --use-blacklist vfio-pci", VFIO),
        ("/sbin/modprobe -n vfio-pci", NATIVE),
        ("modprobe vfio-pci", NATIVE),
    ],
)
def test_a_modprobe_with_its_path_loads_at_once(command: str, right: tuple[str | None, str]) -> None:
    files = {"/usr/lib/udev/rules.d/80-drivers.rules": COLDPLUG, "/etc/udev/rules.d/10-site.rules": f'SUBSYSTEM=="pci", RUN+="{command}"\n'}
    found = boot(stage(rules=files, modprobe=IDS, programs={"modprobe vfio-pci": ()}))
    assert owners_in(found, CARD) == [right]


@pytest.mark.parametrize(
    "command", ["/sbin/modprobe vfio-pci ids=10de:1db1", "/sbin/modprobe -r nouveau", "/sbin/modprobe -i vfio-pci", "/usr/local/sbin/x"]
)
def test_what_a_program_does_that_is_not_simulated_is_noticed(command: str) -> None:
    won = winners(boot_with(f'KERNEL=="0000:01:00.0", RUN+="{command}"\n', modprobe=IDS))[CARD.address]
    assert won.certainty == UNKNOWN
    assert any("/etc/udev/rules.d/10-site.rules:1" in doubt for doubt in won.doubts)


def test_a_program_that_was_judged_touches_what_it_says() -> None:
    judged = {
        "/sbin/inert %k": (),
        "/sbin/own %k": (Influence("/sbin/own:3", "writes to driver_override", frozenset(("override", "unbind")), frozenset(("%k",))),),
    }
    rules = {"/usr/lib/udev/rules.d/80-drivers.rules": COLDPLUG, "/etc/udev/rules.d/10-site.rules": 'RUN+="/sbin/inert %k"\n'}
    found = winners(boot(stage(rules=rules, programs=judged)))
    assert (found[CARD.address].driver, found[CARD.address].certainty) == NATIVE
    rules["/etc/udev/rules.d/10-site.rules"] = 'KERNEL=="0000:01:00.0", RUN+="/sbin/own %k"\n'
    found = winners(boot(stage(rules=rules, programs=judged)))
    assert (found[CARD.address].certainty, found[OTHER.address].certainty) == (UNKNOWN, CERTAIN)
    assert "/sbin/own:3 writes to driver_override" in " ".join(found[CARD.address].doubts)


# -- what is written


@pytest.mark.parametrize("value", ["1", "01", "0x1"])
def test_a_card_that_its_event_removes_has_no_driver(value: str) -> None:
    text = f'KERNEL=="0000:01:00.0", ATTR{{remove}}="{value}"\n'
    assert owners(text) == [NOBODY, NATIVE]
    found = forecast((PORT, CARD), boot_with(text))
    assert "/etc/udev/rules.d/10-site.rules:1: remove=" in " ".join(map(str, found[CARD.address].because))


def test_what_hangs_below_a_bridge_goes_with_it() -> None:
    assert owners('KERNEL=="0000:02:00.0", ATTR{[pci/0000:00:01.0]remove}="1"\n', modprobe="blacklist nouveau\n")[0] == NOBODY


@pytest.mark.parametrize("value", ["0", ""])
def test_a_zero_removes_nothing(value: str) -> None:
    assert owners(f'ATTR{{remove}}="{value}"\n') == [NATIVE, NATIVE]


def test_a_bus_that_does_not_probe_leaves_devices_to_nobody() -> None:
    rules = 'ACTION=="add", SUBSYSTEM=="pci", ATTR{[subsystem/pci]drivers_autoprobe}="0"\n'
    found = winners(boot_with(rules))
    assert (found[CARD.address].driver, found[CARD.address].certainty) == NOBODY
    assert "drivers_autoprobe=0" in " ".join(map(str, found[CARD.address].because))


def test_a_bus_that_may_not_probe_in_the_initramfs_leaves_cards_to_who_comes_in_the_root() -> None:
    """Its driver's registration may have gone by, so that another has the card once the bus probes again."""
    off = 'ENV{SEQNUM}=="7", SUBSYSTEM=="pci", ATTR{[subsystem/pci]drivers_autoprobe}="0"\n'
    on = f'SUBSYSTEM=="pci", ATTR{{[subsystem/pci]drivers_autoprobe}}="1", {LOAD_VFIO}\n'
    early = stage(INITRAMFS, rules={"/etc/udev/rules.d/10-site.rules": off, "/usr/lib/udev/rules.d/80-drivers.rules": COLDPLUG})
    late = stage(ROOT, modprobe=IDS, rules={"/etc/udev/rules.d/10-site.rules": on})
    found = winners(boot(early, late))[CARD.address]
    assert (found.certainty, set(found.outcomes)) == (UNKNOWN, {"nouveau", None, "vfio-pci"})


@pytest.mark.parametrize("path", ["subsystem/drivers_autoprobe", "[subsystem/pci]drivers_autoprobe"])
def test_drivers_probe_works_on_a_bus_that_does_not_probe(path: str) -> None:
    rules = f'SUBSYSTEM=="pci", ATTR{{{path}}}="0"\n'
    probe = 'KERNEL=="0000:01:00.0", IMPORT{builtin}="kmod load nouveau"\n'
    probe += 'KERNEL=="0000:01:00.0", ATTR{[subsystem/pci]drivers_probe}="$kernel"\n'
    assert owners(rules + probe) == [NATIVE, NOBODY]


def test_the_event_of_the_bus_itself_can_switch_probing_off() -> None:
    rules = 'ACTION=="add", SUBSYSTEM=="subsystem", KERNEL=="pci", ATTR{drivers_autoprobe}="0"\n'
    assert owners(rules)[0][1] in (RACE, CERTAIN)
    assert None in winners(boot_with(rules))[CARD.address].outcomes


def test_an_unbound_card_is_free_for_the_driver_that_is_named_next() -> None:
    early = stage(INITRAMFS, rules={"/usr/lib/udev/rules.d/80-drivers.rules": COLDPLUG})
    text = (
        'KERNEL=="0000:01:00.0", DRIVER=="nouveau", ATTR{driver/unbind}="%k", ATTR{driver_override}="vfio-pci"\n'
        'KERNEL=="0000:01:00.0", IMPORT{builtin}="kmod load vfio-pci"\n'
        'KERNEL=="0000:01:00.0", ATTR{[subsystem/pci]drivers_probe}="%k"\n'
    )
    late = stage(ROOT, rules={"/usr/lib/udev/rules.d/80-drivers.rules": COLDPLUG, "/etc/udev/rules.d/10-site.rules": text})
    found = winners(boot(early, late))
    assert [(found[card.address].driver, found[card.address].certainty) for card in (CARD, OTHER)] == [VFIO, NATIVE]


@pytest.mark.parametrize(
    "line",
    [
        'ATTR{[drivers/pci:nouveau]unbind}="0000:01:00.0"',
        'ATTR{subsystem/drivers/nouveau/unbind}="0000:01:00.0"',
        'ATTR{[pci/0000:01:00.0]driver/unbind}="0000:01:00.0"',
    ],
)
def test_a_driver_lets_go_of_the_card_that_is_written_to_it(line: str) -> None:
    early = stage(INITRAMFS, rules={"/usr/lib/udev/rules.d/80-drivers.rules": COLDPLUG})
    found = winners(boot(early, stage(ROOT, rules=f'KERNEL=="0000:00:01.0", {line}\n')))
    assert [(found[card.address].driver, found[card.address].certainty) for card in (CARD, OTHER)] == [NOBODY, NATIVE]


def test_a_driver_takes_the_card_that_is_written_to_its_bind() -> None:
    text = 'KERNEL=="0000:01:00.0", ATTR{driver_override}="vfio-pci", IMPORT{builtin}="kmod load vfio-pci"\n'
    text += 'KERNEL=="0000:01:00.0", ATTR{[drivers/pci:vfio-pci]bind}="0000:01:00.0"\n'
    assert owners(text) == [VFIO, NATIVE]


@pytest.mark.parametrize(
    ("value", "right"), [("10de 1db1", VFIO), ("10DE 1DB1 0 0 030200 ffffff", VFIO), ("10de", NOBODY), ("8086 1db1", NOBODY)]
)
def test_a_driver_that_gets_an_id_takes_what_is_free(value: str, right: tuple[str | None, str]) -> None:
    rules = f'ACTION=="add", SUBSYSTEM=="drivers", KERNEL=="vfio-pci", ATTR{{new_id}}="{value}"\n'
    assert owners(rules, modprobe="blacklist nouveau\n", load=["vfio-pci"]) == [right, right]


def test_an_id_that_is_taken_away_is_no_longer_the_driver_s() -> None:
    rules = 'IMPORT{builtin}="kmod load vfio-pci"\nATTR{[drivers/pci:vfio-pci]remove_id}="10de 1db1"\n'
    found = boot_with(rules, modprobe="options vfio-pci ids=10de:1db1 \nblacklist nouveau\n")
    assert winners(found)[CARD.address].driver == "vfio-pci"
    late = 'KERNEL=="0000:01:00.0", ATTR{driver/unbind}="%k"\nKERNEL=="0000:01:00.0", ATTR{[subsystem/pci]drivers_probe}="%k"\n'
    assert forecast([CARD], boot_with(rules + late, modprobe=IDS + "blacklist nouveau\n"))[CARD.address].driver is None


def test_what_is_written_to_a_device_that_is_not_there_goes_nowhere() -> None:
    assert owners('SUBSYSTEM=="pci", ATTR{[pci/0000:7f:00.0]driver_override}="vfio-pci"\n') == [NATIVE, NATIVE]


@pytest.mark.parametrize("attribute", ["power/control", "reset", "reset_method", "enable", "d3cold_allowed", "uevent", "msi_bus", "rescan"])
def test_attributes_that_bind_nothing_change_nothing(attribute: str) -> None:
    assert owners(f'ATTR{{{attribute}}}="1"\n') == [NATIVE, NATIVE]


@pytest.mark.parametrize(
    "key", ['OPTIONS+="watch"', 'OWNER="0"', 'MODE="0600"', 'SYMLINK+="x"', 'SECLABEL{x}="y"', 'IMPORT{builtin}="hwdb"']
)
def test_keys_that_are_about_nodes_change_nothing(key: str) -> None:
    assert owners(f'SUBSYSTEM=="pci", {key}\n') == [NATIVE, NATIVE]


def test_modules_that_may_no_longer_be_loaded_make_an_answer_unknown() -> None:
    won = winners(boot_with('KERNEL=="0000:01:00.0", SYSCTL{kernel/modules_disabled}="1"\n'))[CARD.address]
    assert won.certainty == UNKNOWN
    assert None in won.outcomes


# -- what depends on the driver


def test_a_rule_for_a_driver_that_the_card_does_not_get_changes_nothing() -> None:
    rules = (
        f'ACTION=="add", KERNEL=="0000:01:00.0", {TAKE}\n'
        'SUBSYSTEM=="pci", DRIVER=="nvidia", ACTION!="remove", RUN+="/usr/bin/nvidia-modprobe -u"\n'
        'SUBSYSTEM=="pci", DRIVERS=="nvidia", ACTION!="remove", ATTR{power/control}="auto"\n'
    )
    assert owners(rules) == [VFIO, NATIVE]


def test_a_rule_at_the_coming_of_a_driver_takes_the_card_from_it() -> None:
    text = 'ACTION=="bind", KERNEL=="0000:01:00.0", DRIVER=="nouveau", ATTR{driver/unbind}="%k"\n'
    assert owners(text) == [NOBODY, NATIVE]


def test_a_card_that_is_bound_before_its_event_or_by_it_is_a_race() -> None:
    text = 'ACTION=="add", KERNEL=="0000:01:00.0", DRIVER=="nouveau", ATTR{driver/unbind}="%k"\n'
    found = winners(boot_with(text))[CARD.address]
    assert (found.certainty, set(found.outcomes)) == (RACE, {"nouveau", None})


def test_rules_that_rebind_for_ever_are_followed_so_far_only() -> None:
    text = 'ACTION=="bind", KERNEL=="0000:01:00.0", ATTR{driver/unbind}="%k"\n'
    text += 'ACTION=="unbind", KERNEL=="0000:01:00.0", ATTR{[subsystem/pci]drivers_probe}="%k"\n'
    assert winners(boot_with(text))[CARD.address].certainty == UNKNOWN


# -- events of others


def test_a_network_card_s_rule_reaches_what_it_names() -> None:
    nic = device("0000:03:00.0", "8086:10d3", class_code=0x020000, path="/devices/pci0000:00/0000:03:00.0", nodes=("net/enp3s0",))
    far = device("0000:04:00.0", "8086:10d3", class_code=0x020000, path="/devices/pci0000:00/0000:04:00.0", nodes=("net/enp4s0",))
    text = (
        'ACTION=="add", SUBSYSTEM=="net", KERNELS=="0000:03:00.0", ATTR{device/driver_override}="vfio-pci",'
        ' ATTR{device/driver/unbind}="0000:03:00.0", RUN{builtin}+="kmod load vfio-pci"\n'
    )
    found = winners(boot_with(text), (*CARDS, nic, far))
    assert (found[nic.address].certainty, found[far.address].certainty) == (UNKNOWN, CERTAIN)
    assert {"e1000e", "vfio-pci", None} <= set(found[nic.address].outcomes)
    assert found[CARD.address].certainty == CERTAIN
    assert any("10-site.rules:1" in doubt for doubt in found[nic.address].doubts)


@pytest.mark.parametrize(
    "text",
    [
        'SUBSYSTEM=="drm", KERNEL=="card*", ATTR{device/driver/unbind}="0000:01:00.0"\n',
        'SUBSYSTEM=="drm", RUN+="/usr/local/sbin/x"\n',
        'SUBSYSTEM=="drm", KERNEL=="card0", RUN+="/usr/local/sbin/x"\n',
        'SUBSYSTEM=="vfio", ATTR{[pci/0000:01:00.0]driver/unbind}="0000:01:00.0"\n',
        'SUBSYSTEM=="usb", ATTR{[pci/0000:01:00.0]remove}="1"\n',
        'SUBSYSTEM=="block", ATTR{[drivers/pci:nouveau]unbind}="0000:01:00.0"\n',
    ],
)
def test_rules_at_events_of_other_devices_are_noticed(text: str) -> None:
    won = winners(boot_with(text))[CARD.address]
    assert won.certainty == UNKNOWN
    assert any("10-site.rules:1" in doubt for doubt in won.doubts)


@pytest.mark.parametrize(("number", "touches_far"), [("0x10d3", False), ("0x10d*", True), ("0x0001", True)])
def test_a_device_number_of_a_parent_bounds_a_rule_for_a_network_interface(number: str, touches_far: bool) -> None:
    nic = device("0000:03:00.0", "8086:10d3", class_code=0x020000, path="/devices/pci0000:00/0000:03:00.0", nodes=("net/enp3s0",))
    far = device("0000:04:00.0", "8086:1539", class_code=0x020000, path="/devices/pci0000:00/0000:04:00.0", nodes=("net/enp4s0",))
    text = f'ACTION=="add", SUBSYSTEM=="net", ATTRS{{device}}=="{number}", ATTR{{device/remove}}="1"\n'
    modules = {**STOCK, "igb": ["pci:v00008086d00001539sv*sd*bc*sc*i*"]}
    found = winners(boot_with(text, modules=modules), (*CARDS, nic, far))
    assert (found[far.address].certainty == UNKNOWN) == touches_far


@pytest.mark.parametrize(
    "text",
    [
        'SUBSYSTEM=="net", ATTR{device/power/control}="auto"\n',
        'SUBSYSTEM=="sound", TAG+="systemd", ENV{SYSTEMD_WANTS}+="sound.target"\n',
        'SUBSYSTEM=="usb", RUN{builtin}+="kmod load"\n',
        'SUBSYSTEM=="usb", RUN{builtin}+="kmod load $env{MODALIAS}"\n',
        'SUBSYSTEM=="memstick", RUN{builtin}+="kmod load ms_block"\n',
        'SUBSYSTEM=="net", ACTION=="remove", RUN+="/usr/local/sbin/x"\n',
        'SUBSYSTEM!="net", GOTO="end"\nSUBSYSTEM=="pci", RUN+="/usr/local/sbin/x"\nLABEL="end"\n',
    ],
)
def test_rules_for_other_devices_that_act_on_no_card_change_nothing(text: str) -> None:
    assert owners(text) == [NATIVE, NATIVE]


def test_an_event_of_a_subsystem_concerns_functions_that_can_have_such_children() -> None:
    nic = device("0000:03:00.0", "8086:10d3", class_code=0x020000, path="/devices/pci0000:00/0000:03:00.0", nodes=("net/enp3s0",))
    found = winners(boot_with('SUBSYSTEM=="drm|graphics", ATTR{device/driver/unbind}="$id"\n'), (*CARDS, nic))
    assert (found[CARD.address].certainty, found[nic.address].certainty) == (UNKNOWN, CERTAIN)


def test_a_module_s_own_event_can_bind() -> None:
    text = 'ACTION=="add", SUBSYSTEM=="module", KERNEL=="vfio_pci", ATTR{[drivers/pci:vfio-pci]new_id}="10de 1db1"\n'
    won = winners(boot_with(text, modprobe="blacklist nouveau\n", load=["vfio-pci"]))[CARD.address]
    assert won.driver == "vfio-pci"


@pytest.mark.parametrize("keys", ['DEVPATH=="*", KERNEL=="0000:01:00.0"', 'SUBSYSTEM=="?*", KERNEL=="0000:01:00.0"', 'SUBSYSTEM=="pci|*"'])
def test_an_override_that_is_written_at_every_event_is_written_to_functions_alone(keys: str) -> None:
    assert all(certainty != UNKNOWN for _driver, certainty in owners(f'{keys}, ATTR{{driver_override}}="vfio-pci"\n'))


# -- rules of which it is not known whether they match


def test_a_rule_that_may_match_lists_what_it_would_do() -> None:
    text = f'PROGRAM=="/usr/bin/site", KERNEL=="0000:01:00.0", {TAKE}\n'
    files = {"/usr/lib/udev/rules.d/80-drivers.rules": COLDPLUG, "/etc/udev/rules.d/10-site.rules": text}
    found = winners(boot(stage(rules=files, programs={"/usr/bin/site": ()})))
    assert found[CARD.address].certainty == UNKNOWN
    assert {"nouveau", "vfio-pci"} <= set(found[CARD.address].outcomes)
    assert found[OTHER.address].certainty == CERTAIN


# -- driverctl and virtual functions


def test_driverctl_takes_a_virtual_function_when_it_appears() -> None:
    owner = device("0000:05:00.0", "8086:10d3", class_code=0x020000, driver="e1000e", max_virtual_functions=2)
    function = device("0000:05:10.0", "8086:10d3", class_code=0x020000, physical_function=owner.address)
    saved = {function.address: Assigned("vfio-pci", f"/etc/driverctl.d/pci-{function.address}")}
    found = forecast((owner, function), boot_with("", later=Later(driverctl=saved)))
    assert (found[owner.address].driver, found[function.address].driver) == ("e1000e", "vfio-pci")
    assert "driverctl binds" in " ".join(map(str, found[function.address].because))
