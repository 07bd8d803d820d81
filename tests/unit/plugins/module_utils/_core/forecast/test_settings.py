# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each module of a boot is set to, and whether that keeps it, or its driver, out."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import ModuleFacts
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.settings import Settings, aliases_with_options
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_types import ParameterType
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciDriver, PciId
from ansible_collections.vfio.variants.tests.unit.boots import STOCK, boot, device, modprobe_config

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot, Stage
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.refusals import Refusal

INT, STRING = ParameterType("int"), ParameterType("string")
GPU = PciDriver("gpu", (PciId(0x10DE, 0x1DB1),))
FACTS = ModuleFacts((GPU,), types={"x": INT, "ids": STRING, "own": ParameterType("")}, license="GPL", version="1.2")


def made(modprobe: str = "", cmdline: str = "", *, built_in: bool = False, loadable: bool = True, **facts: t.Any) -> Boot:
    """A boot with a module `gpu`."""
    known = {"gpu": ModuleFacts(**{**vars(FACTS), **facts})}
    modules = {**STOCK, **({"gpu": []} if loadable else {})}
    return boot(modprobe=modprobe, cmdline=cmdline, modules=modules, builtin=["gpu"] if built_in else (), facts=known)


def values(found: Boot, stage: Stage | None, module: str = "gpu", alias: str = "") -> dict[str, str | None]:
    return {name: one.value for name, one in Settings(found).of(stage, module, alias).values.items()}


def test_a_loadable_module_is_given_options_of_files_and_of_the_command_line() -> None:
    found = made("options gpu x=1\noptions gpu x=2 y=3\n", "gpu.x=4 quiet")
    assert values(found, found.stages[0]) == {"x": "4"}
    assert [one.written for one in Settings(found).given(found.stages[0], "gpu")] == ["x=1", "x=2", "y=3", "x=4"]


def test_what_is_built_in_is_given_the_command_lines_alone() -> None:
    text, line = "options gpu x=1\n", "gpu.x=4 gpux.x=5 x=6"
    without = made(text, line, built_in=True, loadable=False)
    assert values(without, without.stages[0]) == {"x": "4"}
    assert values(without, None) == {"x": "4"}
    beside = made(text, "", built_in=True)
    assert values(beside, beside.stages[0]) == {"x": "1"}
    assert values(beside, None) == {}


def test_what_is_built_in_keeps_the_value_before_one_that_is_refused() -> None:
    found = made("", "gpu.x=4 gpu.x=z", built_in=True, loadable=False)
    assert values(found, found.stages[0]) == {"x": "4"}
    assert values(found, None) == {"x": "4"}
    loadable = made("options gpu x=4 x=z\n")
    assert values(loadable, loadable.stages[0]) == {"x": "z"}


def test_of_a_module_whose_parameters_are_not_known_all_count() -> None:
    found = made("options gpu a-b=1 c\n", types=None)
    assert values(found, found.stages[0]) == {"a_b": "1", "c": None}
    assert values(boot(modprobe="options other a=1\n"), boot().stages[0], "other") == {}


def test_usbcore_is_turned_off_by_a_word_without_its_name() -> None:
    nousb = ModuleFacts((), types={"nousb": ParameterType("bool")})
    found = boot(cmdline="nousb usbcore.nousb=0 other.nousb", builtin=["usbcore", "gpu"], facts={"usbcore": nousb, "gpu": nousb})
    assert [one.written for one in Settings(found).given(None, "usbcore")] == ["usbcore.nousb=0", "nousb"]
    assert values(found, None, "usbcore") == {"nousb": None}
    assert values(found, None) == {}


def test_options_of_the_alias_count_where_a_module_was_found_by_it() -> None:
    found = made("alias gpu-alias gpu\noptions gpu-alias x=1\n")
    assert (values(found, found.stages[0]), values(found, found.stages[0], alias="gpu_alias")) == ({}, {"x": "1"})
    assert list(aliases_with_options(modprobe_config("alias a gpu\nalias b gpu\noptions b x=1\noptions gpu y=1\n"))) == [("gpu", "b")]


def test_a_setting_says_what_is_known_of_the_module() -> None:
    found = made("", "nomodeset")
    setting = Settings(found).of(found.stages[0], "gpu")
    assert (setting.license, setting.version, setting.types, setting.nomodeset) == ("GPL", "1.2", FACTS.types, "/proc/cmdline")
    assert (setting.release, setting.module, setting.present("gpu"), setting.present("none")) == (found.release, "gpu", True, False)
    assert {name: one.value for name, one in setting.of("gpu").items()} == {}
    unknown = Settings(made()).of(None, "none")
    assert (unknown.license, unknown.version, unknown.types, unknown.nomodeset) == (None, None, {}, None)


# -- what keeps a module out


def kind(found: Refusal | None) -> bool | None:
    """Whether something keeps it out for certain; None if nothing does."""
    return None if found is None else found.certain


@pytest.mark.parametrize(
    ("options", "facts", "answer"),
    [
        ("x=1", {}, None),
        ("x=z", {}, True),
        ("x", {}, True),
        ("own=1", {}, False),
        ("own=1 x=z", {}, True),
        ("y=z", {}, None),
        ("async_probe=z", {"types": {"async_probe": INT}}, None),
        ("async-probe=z dyndbg=z", {"types": {"dyndbg": INT}}, None),
        (f"ids={'x' * 1023}", {"takes_ids": True}, None),
        (f"ids={'x' * 1024}", {"takes_ids": True}, True),
        (f"ids={'x' * 1024}", {"takes_ids": True, "types": None}, True),
        (f"ids={'x' * 1024}", {"takes_ids": True, "types": {"ids": ParameterType("string", 2048)}}, None),
        (f"ids={'x' * 1024}", {"takes_ids": False}, False),
        (f"ids={'x' * 1024}", {"takes_ids": False, "types": None}, None),
        ("ids", {"takes_ids": True}, True),
        ("x=z", {"types": None}, None),
    ],
)
def test_a_module_does_not_load_with_a_value_that_is_refused(options: str, facts: dict[str, t.Any], answer: bool | None) -> None:
    found = made(f"options gpu {options}\n", **facts)
    assert kind(Settings(found).load(found.stages[0], "gpu")) is answer
    assert kind(Settings(found).registration(found.stages[0], "gpu")) is answer
    refused = Settings(found).load(found.stages[0], "gpu")
    if refused is not None:
        assert refused.source == "/etc/modprobe.d/site.conf:1"
        assert ("cannot be determined" in refused.fact) is not refused.certain


def test_nothing_is_asked_of_a_module_that_is_not_known() -> None:
    found = boot(modprobe="options other x=z\n", modules={**STOCK, "other": []})
    assert kind(Settings(found).load(found.stages[0], "no_such")) is None


def test_a_module_that_loads_may_still_register_no_driver() -> None:
    found = boot(modprobe="options nouveau modeset=0\n", facts={"nouveau": ModuleFacts((), types={"modeset": INT})})
    settings, root = Settings(found), found.stages[0]
    assert (kind(settings.load(root, "nouveau")), kind(settings.registration(root, "nouveau"))) == (None, True)
    assert kind(Settings(found).registration(None, "nouveau")) is None
    line = boot(cmdline="nouveau.modeset=0", facts={"nouveau": ModuleFacts((), types={"modeset": INT})})
    assert kind(Settings(line).registration(None, "nouveau")) is True


def test_a_function_that_is_left_out_is_one_that_the_module_has() -> None:
    def left_out(cmdline: str, functions: dict[str, frozenset[str]], name: str = "gpu") -> bool | None:
        found = dataclasses.replace(made("", cmdline), functions=functions)
        return kind(Settings(found).left_out(name))

    known = {"gpu": frozenset(("gpu_init", "gpu_late_init"))}
    assert left_out("quiet", known) is None
    assert left_out("initcall_blacklist=gpu_init", {"gpu": frozenset(("gpu_init",))}) is True
    assert left_out("initcall_blacklist=gpu_init,gpu_late_init", known) is True
    assert left_out("initcall_blacklist=other,gpu_late_init", known) is False
    assert left_out("initcall_blacklist=other", known) is None
    assert left_out("initcall_blacklist=other", {}) is False
    assert left_out("initcall_blacklist=sysfb_init", {}) is None
    assert left_out("initcall_blacklist=gpu_init", known, "nouveau") is False


# -- what keeps a driver from a device


def test_a_driver_declines_devices_by_its_own_rule_or_by_a_setting() -> None:
    card, found = device(), made("options gpu disable=1\n", types={"disable": ParameterType("bool")})
    settings = Settings(found, (card,))
    assert kind(settings.probe(settings.of(found.stages[0], "gpu"), GPU, card)) is False
    plain = made()
    settings = Settings(plain, (card,))
    assert settings.probe(settings.of(plain.stages[0], "gpu"), GPU, card) is None
    renesas = device(id="1912:0014", class_code=0x0C0330)
    usb = boot(modules={"xhci_pci": ["pci:v00001912d*sv*sd*bc*sc*i*"], "xhci_pci_renesas": ["pci:v00001912d00000014sv*sd*bc*sc*i*"]})
    settings = Settings(usb, (renesas,))
    assert kind(settings.probe(settings.of(usb.stages[0], "xhci_pci"), PciDriver("xhci_hcd"), renesas)) is True


def test_cards_are_counted_that_a_driver_matches() -> None:
    types = {"index": ParameterType("array of int"), "id": ParameterType("array of charp"), "enable": ParameterType("array of bool")}
    found = boot(modprobe="options snd-x enable=0\n", modules={"snd_x": []}, facts={"snd_x": ModuleFacts((GPU,), types=types)})
    first, second, other = device(), device("0000:02:00.0"), device("0000:03:00.0", "8086:10d3")

    def declined(*devices: t.Any) -> bool | None:
        settings = Settings(found, devices)
        return kind(settings.probe(settings.of(found.stages[0], "snd_x"), GPU, first))

    assert (declined(first), declined(first, other), declined(first, second)) == (True, True, False)


def test_a_built_in_module_is_given_no_word_of_a_file_though_a_stage_is_asked_for() -> None:
    found = made("options gpu x=1\n", "gpu.x=4", built_in=True, loadable=False)
    assert [one.written for one in Settings(found).given(found.stages[0], "gpu")] == ["gpu.x=4"]
