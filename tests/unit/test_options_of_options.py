# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A value of a wrong type is refused by the collection's own sentence, with its place, for every option of every module."""

from __future__ import annotations

import importlib
import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import LONGEST_SHOWN, HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.option_types import refuse_wrong
from ansible_collections.vfio.variants.plugins.modules import boot_policy, device_claim, device_info, initramfs, kernel_cmdline, test_vm

PLUGINS = "ansible_collections.vfio.variants.plugins.modules"
MODULES = sorted(path.stem for path in (Path(__file__).parents[2] / "plugins/modules").glob("[a-z]*.py"))
CARD = "0000:5e:00.0"
WRONG: dict[str, tuple[t.Any, ...]] = {
    "int": ("60s", "", "1e999999999", "inf", "1" * 500, 1.5, True, [8], {"a": 8}),
    "bool": ("ja", "", 2, [True], {"a": True}),
    "str": (True, 1.1, ["a"], {"a": 1}),
    "path": (True, 1.1, ["/a"], {"a": 1}),
    "dict": ("text", "{{ template }}", True, 5, ["a"]),
    "list": (True, {"a": 1}),
}
"""Values that no option of the type can have."""


def spec_of(name: str) -> dict[str, t.Any]:
    module: t.Any = importlib.import_module(f"{PLUGINS}.{name}")
    return dict(module.ARGUMENTS if hasattr(module, "ARGUMENTS") else module.argument_spec())


def needed(spec: dict[str, t.Any]) -> dict[str, t.Any]:
    """Values for the options that a spec asks for."""
    kinds: dict[str, t.Any] = {"list": [], "dict": {}}
    return {
        name: needed(said["options"]) if said.get("type") == "dict" and "options" in said else kinds.get(said["type"], "x")
        for name, said in spec.items()
        if said.get("required")
    }


def values(spec: dict[str, t.Any], before: str = "") -> t.Iterator[tuple[str, dict[str, t.Any]]]:
    """Each option and option of an option: its place, and options of which it has a value of a wrong type."""
    for name, said in spec.items():
        place, entry = f"{before}{name}", said["elements"] if said.get("type") == "list" else None
        for wrong in WRONG.get(said.get("type", "str"), ()):
            yield place, {**needed(spec), name: wrong}
        for wrong in (*WRONG.get(entry or "", ()), *((None,) if entry in ("str", "dict", "path") else ())):
            yield f"{place}[0]", {**needed(spec), name: [wrong]}
        for inside, options in values(said.get("options", {}), f"{place}{'[0]' if entry else ''}."):
            yield inside, {**needed(spec), name: [options] if entry else options}


def refused(spec: dict[str, t.Any], options: dict[str, t.Any]) -> str:
    with pytest.raises(HostError) as error:
        refuse_wrong(options, spec)
    return str(error.value)


@pytest.mark.parametrize("module", MODULES)
def test_no_option_takes_a_value_of_another_type(module: str) -> None:
    spec = spec_of(module)
    for place, options in values(spec):
        sentence = refused(spec, options)
        assert sentence.startswith(f"{place}: "), options
        assert len(sentence) < 4 * LONGEST_SHOWN


@pytest.mark.parametrize("module", MODULES)
def test_every_module_names_its_options_where_one_does_not_exist(module: str) -> None:
    assert re.match(r"no_such_option: there is no such option\. Allowed are ", refused(spec_of(module), {"no_such_option": 1}))


CLAIM_OPTIONS = (
    "Write `name: value` for each of its options, which are devices, driver, expect, strategy, allow_missing, guards, vfs, node and reload."
)
SENTENCES: list[tuple[t.Any, dict[str, t.Any], str]] = [
    (device_claim, {"device": CARD}, "device: there is no such option. Did you mean devices? Allowed are claims, devices, "),
    (
        device_claim,
        {"claims": [{"devices": CARD}, {"devices": CARD, "drivers": "x"}]},
        "claims[1].drivers: there is no such option. Did you",
    ),
    (device_claim, {"claims": [{"driver": "vfio-pci"}]}, "claims[0].devices is required, and has no value."),
    (device_claim, {"claims": [{"devices": None}]}, "claims[0].devices is required, and has no value."),
    (device_claim, {"claims": [{"devices": CARD, "driver": None}]}, "claims[0].driver: null is not a text. Write one, or leave it out."),
    (device_claim, {"claims": [{"devices": CARD, "driver": True}]}, "claims[0].driver: True is not a text. Write it in quotes."),
    (device_claim, {"claims": [{"devices": CARD, "driver": ["x"]}]}, "claims[0].driver: ['x'] is a list, not a text. Write one text."),
    (
        device_claim,
        {"claims": [{"devices": CARD, "vfs": "all"}]},
        "claims[0].vfs: 'all' is not a whole number. Write digits without a unit",
    ),
    (device_claim, {"devices": CARD, "timeout": "60s"}, "timeout: '60s' is not a whole number. Write digits without a unit, as in 60."),
    (device_claim, {"devices": CARD, "timeout": None}, "timeout: None is not a whole number. "),
    (device_claim, {"devices": CARD, "allow_missing": "ja"}, "allow_missing: 'ja' is not a boolean. Write true or false."),
    (device_claim, {"devices": CARD, "state": "Present"}, "state: 'Present' is not allowed. Did you mean present? Allowed are present and"),
    (device_claim, {"devices": CARD, "guards": {"in-use": "ignore"}}, "guards.in-use: there is no such option. Did you mean in_use? "),
    (device_claim, {"devices": CARD, "guards": {"in_use": True}}, "guards.in_use: True is not allowed. Allowed is ignore."),
    (
        boot_policy,
        {"claims": [{"devices": CARD, "strategy": "early"}]},
        "claims[0].strategy: 'early' is not allowed. Allowed are override, ",
    ),
    (boot_policy, {"devices": CARD, "kernels": 6.1}, "kernels: 6.1 is not a text. Write it in quotes."),
    (kernel_cmdline, {"arguments": [True]}, "arguments[0]: True is not a text. Write it in quotes."),
    (kernel_cmdline, {"arguments": [{"iommu": "pt"}]}, "arguments[0]: {'iommu': 'pt'} is a dictionary, not a text. "),
    (kernel_cmdline, {"arguments": {"iommu": "pt"}}, "arguments: {'iommu': 'pt'} is a dictionary, not a list. "),
    (kernel_cmdline, {"arguments": None}, "arguments is required, and has no value."),
    (initramfs, {"policy": "{{ boot.policy }}"}, "policy: '{{ boot.policy }}' is not a dictionary. Write `name: value` for each of its "),
    (initramfs, {"policy": {"files": ["/etc/x"]}}, "policy.files: ['/etc/x'] is not a dictionary. "),
    (device_claim, {"claims": "{{ cards }}"}, "claims: '{{ cards }}' is a text, not a list of dictionaries. Write a list; in an ad-hoc "),
    (device_claim, {"claims": "10de:1db1"}, "claims: '10de:1db1' is a text, not a list of dictionaries. "),
    (device_claim, {"claims": '[{"devices": "10de:1db1"}]'}, 'claims: \'[{"devices": "10de:1db1"}]\' is a text, not a list'),
    (device_claim, {"claims": '{"devices": "10de:1db1", "driver": "auto"}'}, 'claims: \'{"devices": '),
    (device_claim, {"claims": {"devices": CARD}}, f"claims: {{'devices': '{CARD}'}} is a dictionary, not a list of dictionaries. "),
    (device_claim, {"claims": 5}, "claims: 5 is not a list of dictionaries. "),
    (
        device_claim,
        {"claims": [CARD]},
        f"claims[0]: '{CARD}' is not a dictionary. {CLAIM_OPTIONS}",
    ),
    (device_claim, {"claims": [{"devices": CARD}, None]}, "claims[1]: None is not a dictionary. "),
    (device_claim, {"guards": "in_use"}, "guards: 'in_use' is not a dictionary. "),
    (device_info, {"hardware": "10de:1db1"}, "hardware: '10de:1db1' is a text, not a list of dictionaries. "),
    (device_info, {"hardware": ["10de:1db1"]}, "hardware[0]: '10de:1db1' is not a dictionary. "),
]


@pytest.mark.parametrize(("module", "options", "sentence"), SENTENCES)
def test_the_sentence_names_the_option_the_value_and_what_is_allowed(module: t.Any, options: dict[str, t.Any], sentence: str) -> None:
    assert refused(module.ARGUMENTS, options).startswith(sentence)


def test_a_function_is_emulated_as_a_dictionary_says() -> None:
    said = refused(test_vm.argument_spec(), {"name": "x", "functions": [{"id": "a", "emulate": -1}]})
    assert said.startswith("functions[0].emulate: -1 is not a dictionary")


def test_an_ad_hoc_command_is_told_how_it_has_a_list() -> None:
    said = refused(device_claim.ARGUMENTS, {"claims": '[{"devices": "10de:1db1"}]'})
    assert said.endswith("""all options as JSON: -a '{"claims": [{"devices": "VALUE"}]}'.""")


@pytest.mark.parametrize(
    ("module", "options"),
    [
        (device_claim, {"claims": '{"devices": "10de:1db1"}'}),
        (device_claim, {"claims": "devices=10de:1db1", "timeout": "60", "allow_missing": "yes"}),
        (device_claim, {"claims": [{"devices": CARD, "vfs": "4", "reload": "no", "guards": "in_use=ignore"}]}),
        (device_claim, {"claims": None, "devices": CARD, "guards": None, "node": {"owner": 107, "memlock": 64}, "timeout": 60.0}),
        (boot_policy, {"devices": CARD, "kernels": "all,running", "hardware": None, "_ansible_check_mode": True}),
        (initramfs, {"policy": "files={}"}),
    ],
)
def test_what_ansible_converts_as_it_is_meant_is_left_to_it(module: t.Any, options: dict[str, t.Any]) -> None:
    refuse_wrong(options, module.ARGUMENTS)
