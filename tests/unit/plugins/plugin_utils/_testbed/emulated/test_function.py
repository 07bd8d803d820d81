# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a playbook may say of an emulated function, and the one sentence that it gets for what it may not."""

from __future__ import annotations

import dataclasses
import json
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.vfio.variants.plugins.modules.test_vm import argument_spec
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.function import (
    MODELS,
    PROFILES,
    FunctionError,
    PciFunction,
)
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.parts import BAR_KINDS, Bar, Capabilities, Msix
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.topology import Function

GPU = {"profile": "v100-sxm2-16gb"}
NIC: dict[str, t.Any] = {"vendor": "0x8086", "device": "0x1592", "bars": [{"index": 0, "size": "64K"}]}


def test_a_profile_is_a_whole_identity():
    function = PciFunction.from_options(GPU)
    assert (function.vendor, function.device, function.class_code, function.revision) == (0x10DE, 0x1DB1, 0x030200, 0xA1)
    assert (function.subsystem_vendor, function.subsystem_device) == (0x10DE, 0x1212)
    assert function.bars == (Bar(0, 16 << 20), Bar(1, 256 << 20, "mem64", True), Bar(3, 32 << 20, "mem64", True))
    assert function.registers[0][0] == 0x140000A1
    assert function.model == "gv100"


def test_there_is_a_profile_for_every_board_that_the_driver_knows():
    assert {function.device for function in PROFILES.values() if function.vendor == 0x10DE} == {0x1DB1, 0x1DB5, 0x1DB8, 0x1DF5}


def test_explicit_fields_stand_above_the_profile():
    function = PciFunction.from_options({**GPU, "device": "0x1db5", "revision": 0xA2, "flr": True})
    assert (function.vendor, function.device, function.revision, function.flr) == (0x10DE, 0x1DB5, 0xA2, True)


def test_a_function_without_a_profile_needs_only_vendor_and_device():
    function = PciFunction.from_options({"vendor": 0x1234, "device": "4660"})
    assert (function.vendor, function.device, function.bars) == (0x1234, 4660, ())


@pytest.mark.parametrize(
    ("text", "size"), [("16M", 16 << 20), ("16g", 16 << 30), ("64K", 65536), ("0x1000", 4096), (4096, 4096), ("4096", 4096)]
)
def test_a_size_may_have_a_unit(text, size):
    function = PciFunction.from_options({**NIC, "bars": [{"index": 0, "size": text, "kind": "mem64"}]})
    assert function.bars == (Bar(0, size, "mem64"),)


def test_registers_may_be_named_in_any_notation():
    function = PciFunction.from_options({**NIC, "registers": {"0": {"0x10": "0xffffffff", 20: 1}}})
    assert function.registers == {0: {0x10: 0xFFFFFFFF, 20: 1}}


def test_registers_are_added_to_those_of_the_profile():
    function = PciFunction.from_options({**GPU, "registers": {0: {0x100: 5}, 3: {0: 6}}})
    assert function.registers == {0: {0: 0x140000A1, 0x100: 5}, 3: {0: 6}}


def test_a_profiles_registers_go_with_the_bar_that_held_them():
    function = PciFunction.from_options({**GPU, "model": "none", "bars": [{"index": 2, "size": "4K"}]})
    assert function.registers == {}


@pytest.mark.parametrize(
    ("options", "capabilities"),
    [
        (["pm", "msi"], Capabilities(pm=True, msi=1, pcie=False)),
        ([], Capabilities(pm=False, msi=0, pcie=False)),
        ({"pm": None, "msi": {"vectors": 8}, "pcie": True}, Capabilities(pm=True, msi=8, pcie=True)),
        ({"pm": False, "pcie": {}}, Capabilities(pm=False, msi=0, pcie=True)),
        ({"pcie": None, "dsn": {"serial": "0x1122334455667788"}}, Capabilities(False, 0, None, True, 0x1122334455667788)),
        (
            {"msix": {"vectors": 16, "bar": 0, "table": "4K", "pending": "0x2000"}},
            Capabilities(False, 0, Msix(16, 0, 4096, 0x2000), False),
        ),
    ],
)
def test_capabilities_are_a_list_of_names_or_a_dictionary_with_options(options, capabilities):
    assert PciFunction.from_options({**NIC, "capabilities": options}).capabilities == capabilities


@pytest.mark.parametrize("name", PROFILES)
def test_a_description_survives_its_file(name):
    function = PciFunction.from_options({"profile": name})
    assert PciFunction.from_json(function.to_json()) == function


def test_a_description_with_everything_survives_its_file(tmp_path: Path):
    (tmp_path / "rom").write_bytes(b"rom")
    options = {
        **NIC,
        "rom": str(tmp_path / "rom"),
        "registers": {0: {4: 5}},
        "capabilities": {"pcie": None, "msix": {"vectors": 1, "bar": 0, "table": 0, "pending": 64}, "dsn": {"serial": 7}},
        "flr": "yes",
        "reset": "no",
    }
    function = PciFunction.from_options(options)
    assert (function.flr, function.reset) == (True, False)
    assert PciFunction.from_json(function.to_json()) == function


@pytest.mark.parametrize("text", ["", "[]", "7", '{"vendor": 1}', "{"])
def test_a_file_that_is_not_a_description_is_refused(text):
    with pytest.raises(FunctionError, match="This is not the description of a function"):
        PciFunction.from_json(text)


def test_a_file_that_describes_what_cannot_be_is_refused():
    raw = json.loads(PciFunction.from_options(NIC).to_json())
    raw["vendor"] = 1 << 20
    with pytest.raises(FunctionError, match="vendor is 0x100000; allowed is 0 to 0xfffe"):
        PciFunction.from_json(json.dumps(raw))


def bars(*described: t.Any) -> dict[str, t.Any]:
    return {**NIC, "bars": list(described)}


def capabilities(**described: t.Any) -> dict[str, t.Any]:
    return {**NIC, "capabilities": described}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("v100", "An emulated function is described by a dictionary, not by 'v100'."),
        ({}, "vendor is missing; give it, or a profile (npu2, v100-sxm2-16gb, v100-sxm2-16gb-1df5, v100-sxm2-32gb, v100-sxm3-32gb)."),
        ({"vendor": 1}, "device is missing; give it, or a profile"),
        ({"profile": "v100"}, "profile is 'v100'; allowed are npu2, v100-sxm2-16gb,"),
        ({"profile": ["npu2"]}, "profile is ['npu2']; allowed are"),
        ({**GPU, "devcie": 1}, "The function has an unknown field 'devcie'; allowed are bars, capabilities, class_code, device, flr,"),
        ({**GPU, "device": "1db5"}, "device is '1db5'; allowed is a number such as 4318 or \"0x10de\"."),
        ({**GPU, "device": True}, "device is True; allowed is a number"),
        ({**GPU, "device": None}, "device is None; allowed is a number"),
        ({**GPU, "device": 0xFFFF}, "device is 0xffff; allowed is 0 to 0xfffe."),
        ({**GPU, "vendor": -1}, "vendor is -0x1; allowed is 0 to 0xfffe."),
        ({**GPU, "subsystem_device": 0x10000}, "subsystem_device is 0x10000; allowed is 0 to 0xffff."),
        ({**GPU, "class_code": "0x1000000"}, "class_code is 0x1000000; allowed is 0 to 0xffffff."),
        ({**GPU, "revision": 256}, "revision is 0x100; allowed is 0 to 0xff."),
        ({**GPU, "flr": "perhaps"}, "flr is 'perhaps'; allowed are true and false."),
        ({**GPU, "model": "gv200"}, "model is 'gv200'; allowed are gv100 and none."),
        ({**GPU, "model": 5}, "model is 5; allowed is a text."),
        ({**GPU, "bars": []}, "model gv100 describes a memory BAR 0 of 16M, which the function does not have; give one, or model: none."),
        ({**NIC, "bars": {}}, "bars is {}; allowed is a list of dictionaries with index, size, kind and prefetchable."),
        (bars("16M"), "A BAR is '16M'; allowed is a dictionary of index, size, kind and prefetchable."),
        (bars({"index": 0}), "The BAR {'index': 0} has no size."),
        (
            bars({"index": 0, "size": "16M", "type": "io"}),
            "The BAR has an unknown field 'type'; allowed are index, kind, prefetchable, size.",
        ),
        (bars({"index": 0, "size": "3M"}), "The size of BAR 0 is 0x300000; allowed for mem32 is a power of two from 16 to 2G."),
        (bars({"index": 0, "size": 0}), "The size of BAR 0 is 0x0; allowed for mem32 is a power of two"),
        (bars({"index": 0, "size": "4G"}), "The size of BAR 0 is 0x100000000; allowed for mem32 is a power of two from 16 to 2G."),
        (bars({"index": 0, "size": 512, "kind": "io"}), "The size of BAR 0 is 0x200; allowed for io is a power of two from 4 to 256."),
        (bars({"index": 0, "size": "big"}), "The size of BAR 0 is 'big'; allowed is a number of bytes such as 4096,"),
        (bars({"index": 0, "size": "M"}), "The size of BAR 0 is 'M'; allowed is a number of bytes such as 4096,"),
        (bars({"index": 6, "size": 4096}), "The index of a mem32 BAR is 0x6; allowed is 0 to 0x5."),
        (bars({"index": 5, "size": 4096, "kind": "mem64"}), "The index of a mem64 BAR is 0x5; allowed is 0 to 0x4."),
        (bars({"index": 0, "size": 4096, "kind": "mem16"}), "The kind of BAR 0 is 'mem16'; allowed are mem32, mem64, io."),
        (
            bars({"index": 0, "size": 4096, "kind": "mem64"}, {"index": 1, "size": 4096}),
            "BAR 1 (mem32) needs slot 1, which BAR 0 has; a mem64 BAR takes its own slot and the next one.",
        ),
        (bars({"index": 0, "size": 16, "kind": "io", "prefetchable": True}), "BAR 0 is prefetchable and io; only memory BARs"),
        ({**NIC, "registers": [1]}, "registers is [1]; allowed is a dictionary of BAR indexes."),
        ({**NIC, "registers": {0: 5}}, "registers of BAR 0 is 5; allowed is a dictionary of offsets and values."),
        ({**NIC, "registers": {1: {0: 0}}}, "registers name BAR 1, which the function does not have."),
        (
            {**NIC, "registers": {0: {0x10000: 0}}},
            "The register 0x10000 does not lie in BAR 0; allowed are multiples of 4 from 0 to 0xfffc.",
        ),
        ({**NIC, "registers": {0: {2: 0}}}, "The register 0x2 does not lie in BAR 0; allowed are multiples of 4"),
        ({**NIC, "registers": {0: {0: 1 << 32}}}, "The register 0x0 of BAR 0 is 0x100000000; allowed is 0 to 0xffffffff."),
        ({**NIC, "registers": {0: {"x": 1}}}, "A register of BAR 0 is 'x'; allowed is a number"),
        ({**NIC, "flr": True, "capabilities": ["pm"]}, "flr is true without the pcie capability, whose device control register"),
        ({**NIC, "capabilities": "pm"}, "capabilities is 'pm'; allowed is a dictionary of pm, msi, msix, pcie, dsn."),
        ({**NIC, "capabilities": ["pme"]}, "The list of capabilities has an unknown field 'pme'; allowed are dsn, msi, msix, pcie, pm."),
        ({**NIC, "capabilities": [{"msi": None}]}, "The list of capabilities has an unknown field \"{'msi': None}\"; allowed are"),
        (capabilities(msi=3), "The capability msi is 3; allowed is a dictionary of its options."),
        (capabilities(msi={"vectors": 3}), "The vectors of msi are 3; allowed are 1, 2, 4, 8, 16, 32."),
        (capabilities(msi={"vectors": 0}), "The vectors of msi are 0; allowed are 1, 2, 4, 8, 16, 32."),
        (capabilities(msi={"count": 1}), "The capability msi has an unknown field 'count'; allowed are vectors."),
        (capabilities(dsn=None, pcie=None), "The capability dsn has no serial; it needs serial."),
        (capabilities(dsn={"serial": 1 << 64}, pcie=None), "The serial of dsn is 0x10000000000000000; allowed is 0 to 0xffffffffffffffff."),
        (capabilities(dsn={"serial": 1}), "The dsn capability lies in the extended config space, which needs the pcie capability."),
        (
            capabilities(msix={"vectors": 1, "bar": 0, "table": 0}),
            "The capability msix has no pending; it needs vectors, bar, table, pending.",
        ),
        (capabilities(msix={"vectors": 2049, "bar": 0, "table": 0, "pending": 0}), "The vectors of msix are 2049; allowed is 1 to 2048."),
        (
            capabilities(msix={"vectors": 1, "bar": 1, "table": 0, "pending": 64}),
            "The bar of msix is 1; allowed is a memory BAR of the function.",
        ),
        (
            capabilities(msix={"vectors": 1, "bar": 0, "table": 4, "pending": 64}),
            "The table of msix is 0x4 with 16 bytes; allowed are multiples of 8",
        ),
        (
            capabilities(msix={"vectors": 1, "bar": 0, "table": "64K", "pending": 64}),
            "The table of msix is 0x10000 with 16 bytes; allowed are",
        ),
        (
            capabilities(msix={"vectors": 4, "bar": 0, "table": 0, "pending": 32}),
            "The table of msix at 0x0 and its pending bits at 0x20 overlap.",
        ),
        ({**NIC, "rom": "rom.bin"}, "rom is 'rom.bin'; allowed is the absolute path of a file."),
        ({**NIC, "rom": "/nonexistent/rom.bin"}, "rom is '/nonexistent/rom.bin', which is not a file."),
        ({**NIC, "rom": "/proc/version"}, "rom is '/proc/version' with 0 bytes; allowed are 1 to 16777216 bytes."),
    ],
)
def test_a_mistake_gets_one_sentence_that_names_it(options, sentence):
    with pytest.raises(FunctionError) as refusal:
        PciFunction.from_options(options)
    message = str(refusal.value)
    assert message.startswith(sentence)
    assert message.endswith(".")
    assert "\n" not in message


def emulated(**given: t.Any) -> tuple[list[str], PciFunction | None]:
    """What Ansible's validation says of the option, and the function that the collection makes of what it returns."""
    specified = argument_spec()["functions"]["options"]
    checked = ArgumentSpecValidator(specified).validate({"id": "gpu0", "emulate": given})
    return checked.error_messages, None if checked.error_messages else Function.from_mapping(checked.validated_parameters).emulated


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_a_profile_passes_the_modules_validation_unchanged(name: str) -> None:
    assert emulated(profile=name) == ([], PROFILES[name])


def test_the_module_offers_the_fields_and_profiles_that_there_are() -> None:
    options = argument_spec()["functions"]["options"]["emulate"]["options"]
    assert options.keys() == {"profile", *(field.name for field in dataclasses.fields(PciFunction))}
    assert options["profile"]["choices"] == sorted(PROFILES)
    assert options["bars"]["options"].keys() == {field.name for field in dataclasses.fields(Bar)}
    assert tuple(options["bars"]["options"]["kind"]["choices"]) == BAR_KINDS
    assert options["model"]["choices"] == [*MODELS, "none"]


def test_what_the_module_validates_is_what_is_emulated() -> None:
    said, function = emulated(**NIC, capabilities=["pcie"], flr="yes", model="none", registers={"0": {"0x10": 7}})
    assert said == []
    assert function is not None
    assert (function.vendor, function.bars, function.flr) == (0x8086, (Bar(0, 65536),), True)
    assert (function.model, function.registers, function.capabilities.msi) == (None, {0: {0x10: 7}}, 0)


def test_a_field_that_does_not_exist_is_refused_with_the_fields_that_do() -> None:
    said, _function = emulated(profile="npu2", bar=[])
    assert len(said) == 1
    assert "emulate.bar" in said[0]
    assert "subsystem_vendor" in said[0]
