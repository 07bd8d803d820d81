# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a module, or its driver, out as a whole: its own parameters, and the words nomodeset and nousb."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import SourceLine
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_types import Objection, ParameterType
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameters import Parameter
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.refusals import (
    IGNORED,
    ModuleSettings,
    may_turn_off,
    objection_of,
    refusal,
)


def given(word: str) -> Parameter:
    name, equals, value = word.partition("=")
    return Parameter(name, value if equals else None, word, SourceLine("a.conf", 1))


def made(module: str, options: str = "", release: str = "6.12.1", **more: t.Any) -> ModuleSettings:
    return ModuleSettings(module, release, {one.name: one for one in map(given, options.split())}, **more)


@pytest.mark.parametrize(
    ("word", "number"),
    [
        *(("x=5", 5), ("x=-1", -1), ("x=0x10", 16), ("x=010", 8), ("x", 1)),
        *(("x=y", 1), ("x=N", 0), ("x=on", 1), ("x=off", 0), ("x=q", 7), ("x=", 7)),
    ],
)
def test_a_parameter_is_a_number_or_a_boolean_as_one(word: str, number: int) -> None:
    assert made("m", word).number("x", 7) == number
    assert made("m", word).number("y", 7) == 7


@pytest.mark.parametrize(
    ("release", "since"), [("6.12.1", True), ("6.12", True), ("6.11.9", False), ("7.0", True), ("6.2", False), ("6.100", True)]
)
def test_releases_are_compared_by_their_numbers(release: str, since: bool) -> None:
    assert made("m", release=release).since("6.12") is since


def answer(setting: ModuleSettings) -> tuple[bool, bool] | None:
    """Whether the module loads all the same, and whether all that is certain; None if nothing keeps it out."""
    found = refusal(setting)
    return None if found is None else (found.loads, found.certain)


REGISTERS_NONE = ("nouveau", "i915")
DOES_NOT_LOAD = "radeon xe ast bochs cirrus cirrus_qemu gma500_gfx hibmc_drm hyperv_drm mgag200 qxl vboxvideo vmwgfx".split()


@pytest.mark.parametrize("module", [*REGISTERS_NONE, *DOES_NOT_LOAD])
def test_modeset_and_nomodeset_turn_display_drivers_off(module: str) -> None:
    off = (module in REGISTERS_NONE, True)
    alone = [answer(made(module, options)) for options in ("", "modeset=0", "modeset=1", "modeset=-1", "modeset")]
    assert alone == [None, off, None, None, None]
    without: t.Any = {"nomodeset": "/proc/cmdline"}
    answers = [answer(made(module, options, **without)) for options in ("", "modeset=0", "modeset=1", "modeset=2", "modeset=-1")]
    assert answers == [off, off, None, None, off]
    found = refusal(made(module, **without))
    assert found is not None
    assert (found.source, str(found).startswith("/proc/cmdline: nomodeset: ")) == ("/proc/cmdline", True)
    by_option = refusal(made(module, "modeset=0"))
    assert by_option is not None
    assert (by_option.source, by_option.fact.startswith("modeset=0: ")) == ("a.conf:1", True)


def test_loongson_and_amdgpu_mind_nomodeset_in_their_own_ways() -> None:
    without: t.Any = {"nomodeset": "/proc/cmdline"}
    assert [answer(made("loongson", options, **without)) for options in ("", "modeset=1")] == [(False, True)] * 2
    assert [answer(made("loongson", options)) for options in ("", "modeset=0")] == [None, (False, True)]
    releases = ("6.1", "6.12.9", "6.13", "7.1", "7.2")
    assert [answer(made("amdgpu", release=release, **without)) for release in releases] == [
        (False, True),
        (False, True),
        (False, False),
        (False, False),
        None,
    ]
    assert answer(made("amdgpu")) is None


@pytest.mark.parametrize("module", ["ehci_pci", "ohci_pci", "uhci_hcd", "xhci_pci", "xhci_pci_renesas"])
@pytest.mark.parametrize(
    ("word", "is_off"), [("nousb", True), ("nousb=1", True), ("nousb=y", True), ("nousb=0", False), ("nousb=x", False)]
)
def test_without_usb_its_controllers_have_no_driver(module: str, word: str, is_off: bool) -> None:
    setting = made(module, of=lambda other: {"nousb": given(word)} if other == "usbcore" else {})
    assert answer(setting) == ((module.startswith("xhci"), True) if is_off else None)
    assert answer(made(module)) is None


def test_nvidias_module_can_be_told_to_register_no_driver() -> None:
    options = ("", "NVreg_RegisterPCIDriver=0", "NVreg_RegisterPCIDriver=1", "NVreg_RegisterPCIDriver", "NVreg_Other=0")
    assert [answer(made("nvidia", one)) for one in options] == [None, (True, True), None, None, None]


def test_of_other_modules_no_such_rule_is_known() -> None:
    assert answer(made("e1000e", "modeset=0", nomodeset="/proc/cmdline")) is None


# -- values that a reader of its own refuses


INT = ParameterType("int")
OWN = ParameterType("")


@pytest.mark.parametrize(
    ("module", "kind", "word", "answer_"),
    [
        ("nvme", OWN, "io_queue_depth=1", False),
        ("nvme", OWN, "io_queue_depth=2", True),
        ("nvme", OWN, "io-queue-depth=4095", True),
        ("nvme", OWN, "io_queue_depth=4096", False),
        ("nvme", OWN, "io_queue_depth=x", False),
        ("nvme", OWN, "io_queue_depth", False),
        ("nvme", OWN, "write_queues=0", True),
        ("nvme", OWN, "poll_queues=+1", True),
        ("nvme", OWN, "poll_queues=2", None),
        ("nvme", OWN, "write_queues=0x1", False),
        ("nvme", OWN, "write_queues=-1", False),
        ("nvme", OWN, "write_queues", False),
        ("nvme", OWN, "other=1", None),
        ("other", OWN, "io_queue_depth=1", None),
        ("snd_hda_intel", ParameterType("xint"), "power_save=10", True),
        ("snd_hda_intel", ParameterType("xint"), "power_save=x", False),
        ("snd_hda_intel", ParameterType("bool"), "power_save=y", True),
        ("mpt3sas", OWN, "logging_level=0x10", True),
        ("mpt3sas", OWN, "logging-level=z", False),
        ("mpt3sas", OWN, "mpt3sas_fwfault_debug=z", False),
        ("usbcore", OWN, f"quirks={'x' * 127}", True),
        ("usbcore", OWN, f"quirks={'x' * 128}", False),
        ("other", INT, "x=1", True),
        ("other", INT, "x=z", False),
    ],
)
def test_some_modules_read_values_by_rules_of_their_own(module: str, kind: ParameterType, word: str, answer_: bool | None) -> None:
    found = objection_of(module, kind, given(word))
    assert (True if found is None else None if not found.certain else False) is answer_


def test_a_policy_of_newer_kernels_may_be_taken_and_any_other_word_is_refused() -> None:
    """nvme_set_iopolicy() compares the beginning; queue-depth came with Linux 6.11."""
    answers = [objection_of("nvme_core", OWN, given(f"iopolicy={word}")) for word in ("numa", "round-robin", "queue-depth", "x", "a numa")]
    refused = Objection("is none of numa, round-robin")
    assert answers == [None, None, Objection("is a policy of newer kernels alone", certain=False), refused, refused]


def test_some_parameters_belong_to_every_module() -> None:
    assert set(IGNORED) == {"async_probe", "dyndbg"}


# -- parameters whose names say that they turn something off

ON = "enable enabled modeset probe on load register bind x_support".split()
OFF = "disable disabled no_probe noprobe skip skip_probe off no_load noload no_bind nobind ignore".split()
LISTS = "force_probe blacklist black_list denylist allow_list whitelist exclude_ids exclude ignore_ids ignore_devices".split()


@pytest.mark.parametrize(
    ("word", "kind", "may"),
    [
        *((f"{name}=0", "int", True) for name in (*ON, "ENABLE")),
        *((f"{name}=1", "int", False) for name in ON),
        *((f"{name}=1", "int", True) for name in OFF),
        *((f"{name}=0", "int", False) for name in OFF),
        *((f"{name}=x", "charp", True) for name in LISTS),
        *((f"{name}=", "charp", False) for name in LISTS),
        ("force_probe", "charp", False),
        ("enable=n", "bool", True),
        ("enable=y", "bool", False),
        ("enable", "bool", False),
        ("enable=2", "int", False),
        ("enable=x", "bool", True),
        ("disable", "bool", True),
        ("disable=x", "bool", True),
        ("disable=n", "bool", False),
        ("enable=1,0", "array of bool", True),
        ("enable=1,1", "array of bool", False),
        ("disable=0,1", "array of bool", True),
        ("disable=0,0", "array of bool", False),
        ("disable=0,1", "charp", False),
        ("enable=0,1", "charp", True),
        ("disabler=1", "int", False),
        ("reenable=0", "int", False),
        ("power=0", "int", False),
    ],
)
def test_a_parameters_name_and_value_may_say_that_the_driver_is_off(word: str, kind: str, may: bool) -> None:
    name = word.partition("=")[0]
    found = may_turn_off(made("other", word, types={name: ParameterType(kind)}))
    assert (found is not None) is may
    if found is not None:
        assert (found.certain, found.loads, found.source) == (False, False, "a.conf:1")


def test_a_parameter_that_the_module_does_not_have_says_nothing() -> None:
    assert may_turn_off(made("other", "disable=1")) is None
    assert may_turn_off(made("other", "power=0 disable=1", types={"power": INT, "disable": INT})) is not None
