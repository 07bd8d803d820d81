# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the options of modules make of a boot: ids=, async_probe, and the switches of vfio-pci."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import CERTAIN, INITRAMFS, UNKNOWN, ModuleFacts, Winner
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.forecast import forecast
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciDriver, PciId
from ansible_collections.vfio.variants.tests.unit.boots import STOCK, boot, device, stage
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, DEBIAN_13, V100_VARIANT, modalias

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot, Stage

COLDPLUG = {"/usr/lib/udev/rules.d/80-drivers.rules": 'ACTION=="add", ENV{MODALIAS}=="?*", RUN{builtin}+="kmod load"\n'}
AFTER_NOUVEAU = "softdep nouveau post: vfio-pci\noptions vfio-pci ids=10de:1db1\n"
LATE, IN_TIME = {"nouveau", "vfio-pci"}, {"nouveau"}


def override(driver: str, module: str, address: str = "0000:01:00.0") -> dict[str, str]:
    rule = f'ACTION=="add", KERNEL=="{address}", ATTR{{driver_override}}="{driver}", RUN{{builtin}}+="kmod load {module}"\n'
    return {**COLDPLUG, "/etc/udev/rules.d/90-site.rules": rule}


def winner(found: Boot, **identity: t.Any) -> Winner:
    card = device(**identity)
    return forecast([card], found)[card.address]


def outcomes(options: str, release: str = DEBIAN_13, cmdline: str = "", **given: t.Any) -> set[str | None]:
    return set(winner(boot(rules=COLDPLUG, modprobe=AFTER_NOUVEAU + options, release=release, cmdline=cmdline, **given)).outcomes)


# kstrtobool() in lib/kstrtox.c
@pytest.mark.parametrize("value", ["0", "n", "N", "no", "No", "NO", "off", "Off", "OFF", "f", "F"])
def test_a_no_to_async_probe_is_heard_since_linux_6_3(value: str) -> None:
    assert outcomes(f"options nouveau async_probe={value}\n") == IN_TIME
    assert outcomes(f'options nouveau "async_probe={value}"\n') == IN_TIME
    assert outcomes(f"options nouveau async_probe={value}\n", DEBIAN_12) == LATE


@pytest.mark.parametrize("written", ["async_probe", "async_probe=1", "async_probe=y", "async_probe=on", 'async_probe="1"'])
def test_a_yes_is_heard_by_every_kernel(written: str) -> None:
    for release in (DEBIAN_12, DEBIAN_13):
        assert outcomes(f"options nouveau {written}\n", release) == LATE


@pytest.mark.parametrize(
    ("options", "late"),
    [
        ("options nouveau async_probe async_probe=0\n", False),
        ("options nouveau async_probe=0\noptions nouveau async_probe\n", True),
        ("options nouveau async_probes\n", False),
        ("options nouveau modeset=1\n", False),
        ("options e1000e async_probe\n", False),
    ],
)
def test_of_several_answers_the_last_one_counts(options: str, late: bool) -> None:
    assert outcomes(options) == (LATE if late else IN_TIME)


@pytest.mark.parametrize(
    ("release", "cmdline", "late"),
    [
        (DEBIAN_13, "nouveau.async_probe", True),
        # module.async_probe came with the values: it asks for all, and the module's own answer comes later.
        (DEBIAN_12, "module.async_probe vfio-pci.async_probe=0", False),
        (DEBIAN_13, "module.async_probe nouveau.async_probe=0", False),
        (DEBIAN_13, "module.async_probe=0", False),
        ("6.3.0", "module.async_probe vfio-pci.async_probe=0", True),
        ("6.2.9", "module.async_probe vfio-pci.async_probe=0", False),
    ],
)
def test_the_command_line_asks_for_one_module_or_for_all(release: str, cmdline: str, late: bool) -> None:
    assert outcomes("", release, cmdline) == (LATE if late else IN_TIME)


def test_a_driver_that_forbids_it_is_probed_in_time() -> None:
    """PROBE_FORCE_SYNCHRONOUS."""
    driver = PciDriver("nouveau", (PciId(0x10DE, class_code=0x030000, class_mask=0xFF0000),))
    forced = {"nouveau": ModuleFacts((driver,), synchronous=frozenset(("nouveau",)))}
    assert outcomes("options nouveau async_probe\n", facts=forced) == IN_TIME
    assert outcomes("options nouveau async_probe\n", facts={"nouveau": ModuleFacts((driver,))}) == LATE


def test_what_asked_for_it_is_told() -> None:
    won = winner(boot(rules=COLDPLUG, modprobe=f"{AFTER_NOUVEAU}options nouveau async_probe\n"))
    assert any("/etc/modprobe.d/site.conf:3: options nouveau async_probe" in str(fact) for fact in won.because)
    asked = winner(boot(rules=COLDPLUG, modprobe=AFTER_NOUVEAU, cmdline="module.async_probe vfio-pci.async_probe=0"))
    assert any("/proc/cmdline: module.async_probe" in str(fact) for fact in asked.because)


QAT = {"id": "8086:37c8", "class_code": 0x0B4000}


@pytest.mark.parametrize(
    ("options", "takes"),
    [
        ("", False),
        ("options vfio-pci disable_denylist=1\n", True),
        ("options vfio-pci disable_denylist\n", True),
        ("options vfio-pci disable_denylist=y\n", True),
        ("options vfio-pci disable_denylist=Y\n", True),
        ("options vfio-pci disable_denylist=on\n", True),
        ("options vfio-pci disable_denylist=ON\n", True),
        ("options vfio-pci disable_denylist=true\n", True),
        ("options vfio-pci disable_denylist=0\n", False),
        ("options vfio-pci disable_denylist=N\n", False),
        ("options vfio-pci disable_denylist=1 disable_denylist=0\n", False),
        ("options vfio-pci disable_denylist=0 disable_denylist\n", True),
        ("options vfio-pci disable_denylist=0\noptions vfio-pci disable_denylist=1\n", True),
        ("options vfio-pci disable_denylistx=1\n", False),
        ("options vfio-pci enable_sriov=1\n", False),
        ("options nouveau disable_denylist=1\n", False),
    ],
)
def test_vfio_pci_takes_what_it_refuses_where_its_switch_is_set(options: str, takes: bool) -> None:
    won = winner(boot(rules=override("vfio-pci", "vfio-pci"), modprobe=options), **QAT)
    assert won.driver == ("vfio-pci" if takes else None)


IDS = "options vfio-pci ids={0}\nsoftdep nouveau pre: vfio-pci\n"


@pytest.mark.parametrize(
    ("written", "driver"),
    [
        ("10de:1db1", "vfio-pci"),
        ("10DE:1DB1", "vfio-pci"),
        ("0x10de:0x1db1", "vfio-pci"),
        ("8086:10d3,10de:1db1", "vfio-pci"),
        ("10de:1db1:10de:1212", "vfio-pci"),
        ("10de:1db1:10de:1213", "nouveau"),
        ("10de:1db1:ffffffff:1212", "vfio-pci"),
        ("10de:1db1:ffffffff:ffffffff:30200:ffffff", "vfio-pci"),
        ("10de:1db1:ffffffff:ffffffff:30000:ffff00", "nouveau"),
        ("10de:1db1:ffffffff:ffffffff:30000:ff0000", "vfio-pci"),
        ("10de:ffffffff", "vfio-pci"),
        ("ffffffff:1db1", "vfio-pci"),
        ("10de:1db5", "nouveau"),
        ("8086:1db1", "nouveau"),
        ("10de:1db1:8086", "nouveau"),
    ],
)
def test_an_entry_of_ids_names_the_devices_that_vfio_pci_takes(written: str, driver: str) -> None:
    """vfio_pci_fill_ids() in drivers/vfio/pci/vfio_pci.c and pci_match_one_device()."""
    won = winner(boot(rules=COLDPLUG, modprobe=IDS.format(written)), subsystem="10de:1212")
    assert (won.driver, won.certainty) == (driver, CERTAIN)


def test_a_module_that_takes_no_ids_is_given_none() -> None:
    driver = PciDriver("vfio-pci", (PciId(override_only=True),))
    facts = {"vfio_pci": ModuleFacts((driver,), takes_ids=False)}
    assert winner(boot(rules=COLDPLUG, modprobe=IDS.format("10de:1db1"), facts=facts)).driver == "nouveau"
    built_in: dict[str, t.Any] = {"builtin": {"vfio_pci": STOCK["vfio_pci"]}, "modules": {"nouveau": STOCK["nouveau"]}}
    found = boot(rules=COLDPLUG, cmdline="vfio-pci.ids=10de:1db1", facts=facts, **built_in)
    assert winner(found).driver == "nouveau"


def test_a_built_in_driver_takes_what_the_command_line_says_last() -> None:
    built_in: dict[str, t.Any] = {"builtin": {"vfio_pci": STOCK["vfio_pci"]}, "modules": {"nouveau": STOCK["nouveau"]}, "rules": COLDPLUG}
    assert winner(boot(cmdline="vfio-pci.ids=8086:1 vfio_pci.ids=10de:1db1", **built_in)).driver == "vfio-pci"
    assert winner(boot(cmdline="vfio-pci.ids=10de:1db1 vfio-pci.ids=8086:1", **built_in)).driver == "nouveau"
    assert winner(boot(cmdline="vfio-pci.idsx=10de:1db1 other.ids=10de:1db1", **built_in)).driver == "nouveau"


def test_what_is_not_known_of_a_module_makes_its_driver_s_win_uncertain() -> None:
    driver = PciDriver("nouveau", (PciId(0x10DE),))
    facts = {"nouveau": ModuleFacts((driver,), doubt="nouveau.ko cannot be read.")}
    won = winner(boot(rules=COLDPLUG, facts=facts))
    assert (won.driver, won.certainty) == ("nouveau", UNKNOWN)
    assert str(won.because[-1]) == "not known: nouveau.ko cannot be read."
    elsewhere = {"e1000e": ModuleFacts((PciDriver("e1000e"),), doubt="e1000e.ko cannot be read.")}
    assert winner(boot(rules=COLDPLUG, facts=elsewhere)).certainty == CERTAIN


@pytest.mark.parametrize(
    ("given", "certainty"),
    [
        ({}, UNKNOWN),
        # A catch-all VFIO driver alone wants no device of its own accord.
        ({"modules": {"vfio_pci": STOCK["vfio_pci"]}}, CERTAIN),
        ({"modules": {"vfio_pci": STOCK["vfio_pci"], "variant": [V100_VARIANT]}}, UNKNOWN),
        ({"modules": {"vfio_pci": STOCK["vfio_pci"]}, "modprobe": "options vfio-pci ids=10de:1db1\n"}, UNKNOWN),
        ({"modules": {"vfio_pci": STOCK["vfio_pci"]}, "modprobe": "options vfio-pci ids=10de:1db5\n"}, CERTAIN),
        ({"modules": {"vfio_pci": STOCK["vfio_pci"]}, "modprobe": f"alias {modalias('10de:1db1')} vfio-pci\n"}, UNKNOWN),
    ],
)
def test_a_doubt_about_the_boot_is_one_about_a_device_that_somebody_wants(given: dict[str, t.Any], certainty: str) -> None:
    assert winner(boot(rules=COLDPLUG, doubts=("The image cannot be read.",), **given)).certainty == certainty


@pytest.mark.parametrize("driver", ["pci-stub", "pci-pf-stub", "pciback"])
def test_a_stub_takes_any_device_that_is_given_to_it(driver: str) -> None:
    """Their tables are empty and their probes refuse nothing (drivers/pci/pci-stub.c, pci-pf-stub.c, drivers/xen/xen-pciback)."""
    module = driver.replace("-", "_")
    found = boot(rules=override(driver, module), modules={**STOCK, module: []}, facts={module: ModuleFacts((PciDriver(driver),))})
    assert (winner(found).driver, winner(found).certainty) == (driver, CERTAIN)


def test_drivers_of_vfio_need_an_iommu_unless_the_last_stage_lets_them_do_without() -> None:
    rules, unsafe = override("vfio-pci", "vfio-pci"), "options vfio enable_unsafe_noiommu_mode=1\n"

    def won(*stages: Stage, **given: t.Any) -> tuple[str, set[str | None]]:
        found = winner(dataclasses.replace(boot(*stages, **given), iommu_doubt="The next boot may have no IOMMU."))
        return found.certainty, set(found.outcomes)

    assert won(rules=rules) == (UNKNOWN, {"vfio-pci", None})
    assert won(rules=COLDPLUG) == (CERTAIN, {"nouveau"})
    assert won(rules=rules, modprobe=unsafe) == (CERTAIN, {"vfio-pci"})
    assert won(rules=rules, cmdline="vfio.enable_unsafe_noiommu_mode") == (CERTAIN, {"vfio-pci"})
    assert won(stage(INITRAMFS, rules=rules), stage(rules=rules, modprobe=unsafe)) == (CERTAIN, {"vfio-pci"})
    assert won(stage(INITRAMFS, rules=rules, modprobe=unsafe), stage(rules=rules))[0] == UNKNOWN


def test_a_driver_that_declines_the_device_now_is_not_taken_to_win() -> None:
    found = dataclasses.replace(boot(rules=COLDPLUG), declined={"0000:01:00.0": frozenset(("nouveau",))})
    won = winner(found)
    assert (won.driver, won.certainty) == (None, UNKNOWN)
    assert "nouveau could have bound to the device in the running kernel but has not" in str(won.because[-1])
    bridge = device(class_code=0x060100)
    root = boot(rules=COLDPLUG, modules={"lpc": ["pci:v000010DEd*sv*sd*bc06sc*i*"], "vfio_pci": STOCK["vfio_pci"]})
    won = forecast([bridge], dataclasses.replace(root, declined={bridge.address: frozenset(("lpc",))}))[bridge.address]
    assert (won.driver, won.certainty) == (None, CERTAIN)


def test_what_a_kernel_that_lists_no_built_in_drivers_may_have_built_in_is_not_known() -> None:
    only_vfio = {"vfio_pci": STOCK["vfio_pci"]}
    unlisted = dataclasses.replace(boot(rules=COLDPLUG, modules=only_vfio), maybe_built_in={"0000:01:00.0": ()})
    assert winner(unlisted).certainty == UNKNOWN
    assert "has no list of its built-in drivers' IDs" in str(winner(unlisted).because[-1])
    assert winner(unlisted).outcomes == (None, "another driver")
    named = winner(dataclasses.replace(unlisted, maybe_built_in={"0000:01:00.0": ("nouveau",)}))
    assert named.outcomes == (None, "nouveau")
    assert "and nouveau may be for the device" in str(named.because[-1])
    assert winner(dataclasses.replace(unlisted, maybe_built_in={"0000:02:00.0": ()})).certainty == CERTAIN
    held = dataclasses.replace(unlisted, held_by_built_in={"0000:01:00.0": "simple-framebuffer"})
    assert (winner(held).driver, winner(held).certainty, winner(held).stage) == ("simple-framebuffer", CERTAIN, "kernel")
    for drivers, certainty in ((("nouveau",), UNKNOWN), (("simple-framebuffer",), CERTAIN)):
        assert winner(dataclasses.replace(held, maybe_built_in={"0000:01:00.0": drivers})).certainty == certainty


def test_a_built_in_module_of_which_nothing_is_known_takes_no_ids() -> None:
    listed = (("vfio_pci", PciDriver("vfio-pci")), ("nouveau", PciDriver("nouveau", (PciId(0x10DE),))))
    found = boot(rules=COLDPLUG, modules={}, cmdline="vfio-pci.ids=10de:1db1", built_in=listed)
    assert (winner(found).driver, winner(found).stage) == ("nouveau", "kernel")
