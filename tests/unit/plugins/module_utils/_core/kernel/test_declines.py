# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which devices the drivers of several generations leave to others, at the ends of each range of numbers."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.declines import Match, is_dsp, refusal
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import SourceLine
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_types import ParameterType
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameters import Parameter
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.refusals import ModuleSettings
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import ANY, PciDriver, PciId
from ansible_collections.vfio.variants.tests.unit.boots import device


def declined(setting: ModuleSettings, vendor: int, number: int, *natives: str) -> str | None:
    card = device(id=f"{vendor:04x}:{number:04x}")
    found = refusal(setting, Match(card, PciDriver(setting.module), frozenset(natives)))
    return None if found is None else found.fact


# include/drm/drm_pciids.h: the first and last number of each family.
@pytest.mark.parametrize(
    ("first", "last", "option"),
    [
        (0x6600, 0x663F, "si_support"),
        (0x6660, 0x667F, "si_support"),
        (0x6780, 0x679F, "si_support"),
        (0x6800, 0x683F, "si_support"),
        (0x1304, 0x131D, "cik_support"),
        (0x6640, 0x665F, "cik_support"),
        (0x67A0, 0x67BF, "cik_support"),
        (0x9830, 0x983F, "cik_support"),
        (0x9850, 0x985F, "cik_support"),
    ],
)
def test_amdgpu_leaves_old_islands_to_radeon(first: int, last: int, option: str) -> None:
    setting = ModuleSettings("amdgpu", "6.12.1", {}, present=lambda _module: True)
    found = {declined(setting, 0x1002, number) for number in (first, last)}
    assert found == {f"it leaves the device to radeon, unless {option}=1"}


@pytest.mark.parametrize("number", [0x65FF, 0x6680, 0x677F, 0x67C0, 0x67FF, 0x6840, 0x1303, 0x131E, 0x982F, 0x9840, 0x984F, 0x9860])
def test_it_takes_their_neighbours(number: int) -> None:
    assert declined(ModuleSettings("amdgpu", "6.12.1", {}, present=lambda _module: True), 0x1002, number) is None


# drivers/scsi/mpt3sas/mpi/mpi2_cnfg.h: MPI2_MFGPAGE_DEVID_*
@pytest.mark.parametrize("number", [0x64, 0x65, 0x6E, 0x70, 0x72, 0x74, 0x76, 0x77, 0x7E, *range(0x80, 0x88), 0x2B0, 0x2B1])
def test_mpt3sas_can_be_told_to_take_one_generation_of_adapters(number: int) -> None:
    def asked(value: str, which: int) -> str | None:
        given = Parameter("hbas_to_enumerate", value, f"hbas_to_enumerate={value}", SourceLine("a.conf", 1))
        return declined(ModuleSettings("mpt3sas", "6.12.1", {"hbas_to_enumerate": given}), 0x1000, which)

    assert (asked("0", number), asked("1", number)) == (None, None)
    assert asked("2", number) is not None
    assert (asked("1", 0x97) is None, asked("2", 0x97)) == (False, None)


@pytest.mark.parametrize("number", [0x4905, 0x4906, 0x4907, 0x4908, 0x4909, 0x56C0, 0x56C1, 0x56C2])
def test_i915_takes_some_on_request_only(number: int) -> None:
    assert declined(ModuleSettings("i915", "6.12.1", {}), 0x8086, number) == "it takes this device only with force_probe="
    assert declined(ModuleSettings("i915", "6.12.1", {}), 0x8086, 0x56A0) is None


def made(module: str, options: str = "", release: str = "6.12.1", present: t.Collection[str] = (), **more: t.Any) -> ModuleSettings:
    """What a module is set to; ``options`` as on a line of modprobe.d."""
    values = {}
    for word in options.split():
        name, equals, value = word.partition("=")
        values[name] = Parameter(name, value if equals else None, word, SourceLine("a.conf", 1))
    return ModuleSettings(module, release, values, present=lambda other: other in present, **more)


def answer(setting: ModuleSettings, id: str, *natives: str, class_code: int = 0x030000, alike: int = 1) -> bool | None:  # noqa: A002
    """Whether the driver takes the device; None where that cannot be determined."""
    found = refusal(setting, Match(device(id=id, class_code=class_code), PciDriver(setting.module), frozenset(natives), alike))
    return True if found is None else None if not found.certain else False


BOTH = ("radeon", "amdgpu")


@pytest.mark.parametrize(
    ("release", "options", "radeon", "amdgpu"),
    [
        ("6.12.1", "", True, False),
        ("6.12.1", "si_support=1", True, True),
        ("6.12.1", "si_support=0", False, False),
        ("6.12.1", "si_support=-1", True, False),
        ("6.12.1", "cik_support=1", True, False),
        ("6.13", "", None, None),
        ("7.1.9", "", None, None),
        ("7.2", "", False, True),
        ("7.2", "si_support=1", True, True),
        ("7.2", "si_support=0", False, False),
    ],
)
def test_southern_islands_belong_to_one_of_two_drivers(release: str, options: str, radeon: bool | None, amdgpu: bool | None) -> None:
    found = [answer(made(module, options, release, BOTH), "1002:6600") for module in BOTH]
    assert found == [radeon, amdgpu]


def test_who_leaves_a_device_to_the_other_driver_is_named() -> None:
    def named(module: str, release: str, options: str = "") -> str:
        return str(refusal(made(module, options, release, BOTH), Match(device(id="1002:6600"), PciDriver(module), frozenset())))

    assert named("amdgpu", "6.12.1") == "amdgpu: it leaves the device to radeon, unless si_support=1"
    assert named("radeon", "7.2") == "radeon: it leaves the device to amdgpu, unless si_support=1"
    assert named("amdgpu", "6.13").startswith("amdgpu: whether it or the other driver takes")
    # A value that is not a number leaves the parameter as it was.
    assert named("amdgpu", "6.12.1", "si_support=x") == "amdgpu: it leaves the device to radeon, unless si_support=1"


def test_old_islands_have_one_driver_where_the_other_is_not_there() -> None:
    assert answer(made("amdgpu", present=("amdgpu",)), "1002:6600") is True
    assert answer(made("radeon", release="7.2", present=("radeon",)), "1002:6600") is True
    assert answer(made("amdgpu", present=BOTH), "1003:6600") is True


@pytest.mark.parametrize(
    ("options", "class_code", "taken"),
    [("", 0x030000, False), ("", 0x038000, False), ("", 0x040300, True), ("modeset=1", 0x030000, True), ("modeset=-1", 0x030000, False)],
)
def test_amdgpu_minds_nomodeset_for_displays(options: str, class_code: int, taken: bool) -> None:
    assert answer(made("amdgpu", options, "7.2", nomodeset="/proc/cmdline"), "1002:73bf", class_code=class_code) is taken
    assert answer(made("amdgpu", options, "7.2"), "1002:73bf", class_code=class_code) is True


@pytest.mark.parametrize(
    ("value", "xe", "i915"),
    [
        ("*", True, True),
        ("!*", False, False),
        ("a780", True, True),
        ("0xA780", True, True),
        ("+a780", True, True),
        ("0a780", True, True),
        ("!a780", False, False),
        ("5690,!a780", False, False),
        ("5690,a780", True, True),
        ("5690", False, True),
        ("", False, True),
        ("*,5690", False, True),
        ("a78", False, True),
        ("a780x", False, True),
        ("!", False, True),
    ],
)
def test_force_probe_asks_for_intels_devices_or_blocks_them(value: str, xe: bool, i915: bool) -> None:
    """id_forced() and id_blocked() in i915_pci.c and xe_pci.c."""
    assert answer(made("xe", f"force_probe={value}"), "8086:a780", "xe", "i915") is xe
    assert answer(made("i915", f"force_probe={value}"), "8086:a780", "xe", "i915") is i915
    assert answer(made("i915", f"force_probe={value}"), "8086:56c0") is (value in ("*",))


@pytest.mark.parametrize("module", ["xe", "i915"])
def test_a_device_that_force_probe_blocks_is_said_to_be_left_with_the_line(module: str) -> None:
    found = refusal(made(module, "force_probe=!a780"), Match(device(id="8086:a780"), PciDriver(module), frozenset(("xe", "i915")), 1))
    assert found is not None
    assert (f"{module} does not take the device" in str(found), "a.conf:1" in str(found)) == (True, True)


def test_xe_leaves_to_i915_what_that_drives() -> None:
    assert answer(made("xe"), "8086:a780", "xe", "i915") is False
    assert answer(made("xe"), "8086:a780", "xe") is True


@pytest.mark.parametrize(
    ("license_", "version", "id_", "taken"),
    [
        ("Dual MIT/GPL", "570.1", "10de:1dff", False),
        ("Dual MIT/GPL", "570.1", "10de:1e00", True),
        ("Dual MIT/GPL", "570.1", "10de:2900", True),
        ("NVIDIA", "570.1", "10de:1dff", True),
        ("NVIDIA", "589.99", "10de:1dff", True),
        ("NVIDIA", "590.0", "10de:1dff", False),
        ("NVIDIA", "600.1", "10de:1e00", True),
        ("NVIDIA", "570.1", "10de:28ff", True),
        ("NVIDIA", "570.1", "10de:2900", False),
        ("NVIDIA", None, "10de:1dff", True),
        (None, "570.1", "10de:2900", True),
        ("NVIDIA", "570.1", "10df:2900", True),
    ],
)
def test_nvidias_modules_know_certain_generations(license_: str | None, version: str | None, id_: str, taken: bool) -> None:
    assert answer(made("nvidia", license=license_, version=version), id_) is taken


@pytest.mark.parametrize(
    ("module", "release", "id_", "taken"),
    [
        ("nova_core", "7.2", "10de:1dff", False),
        ("nova_core", "7.2", "10de:1e00", None),
        ("nouveau", "6.12.1", "10de:28ff", True),
        ("nouveau", "6.12.1", "10de:2900", None),
        ("nouveau", "6.17.9", "10de:2901", None),
        ("nouveau", "6.18", "10de:2901", True),
    ],
)
def test_free_drivers_know_certain_generations(module: str, release: str, id_: str, taken: bool | None) -> None:
    assert answer(made(module, release=release), id_) is taken


def test_xhci_pci_leaves_renesas_controllers_to_a_driver_of_their_own() -> None:
    assert answer(made("xhci_pci"), "1912:0014", "xhci_pci", "xhci_pci_renesas") is False
    assert answer(made("xhci_pci"), "1912:0014", "xhci_pci") is True
    assert answer(made("xhci_pci"), "8086:0014", "xhci_pci", "xhci_pci_renesas") is True


@pytest.mark.parametrize(
    ("options", "present", "taken"),
    [
        ("", ("pata_marvell",), False),
        ("", (), True),
        ("marvell_enable=1", ("pata_marvell",), True),
        ("marvell_enable=0", (), False),
        ("marvell_enable=0", ("pata_marvell",), False),
    ],
)
def test_ahci_leaves_marvells_controllers_to_their_other_driver(options: str, present: tuple[str, ...], taken: bool) -> None:
    assert answer(made("ahci", options, present=present), "11ab:6121") is taken
    assert answer(made("ahci", options, present=present), "8086:6121") is True


def test_ata_generic_takes_what_it_knows_by_class_on_request_alone() -> None:
    def taken(options: str, *ids: PciId) -> bool | None:
        card = device(id="8086:1234", class_code=0x010180)
        found = refusal(made("ata_generic", options), Match(card, PciDriver("ata_generic", ids), frozenset()))
        return found is None

    by_class = PciId(ANY, ANY, ANY, ANY, 0x010100, 0xFFFF00)
    named = PciId(0x8086, 0x1234)
    assert [taken("", by_class), taken("all_generic_ide=1", by_class), taken("all_generic_ide", by_class)] == [False, True, True]
    assert [taken("", named), taken("", named, by_class), taken("", by_class, named), taken("")] == [True, True, False, True]


@pytest.mark.parametrize(
    ("module", "options", "of_config", "class_code", "natives", "taken"),
    [
        ("snd_hda_intel", "", "", 0x040300, (), True),
        ("snd_hda_intel", "", "", 0x040380, ("snd_hda_intel",), True),
        ("snd_hda_intel", "", "", 0x040380, ("snd_hda_intel", "snd_sof_pci_intel_tgl"), None),
        ("snd_hda_intel", "", "", 0x040380, ("snd_hda_intel", "snd_soc_avs"), None),
        ("snd_hda_intel", "", "", 0x040380, ("snd_hda_intel", "other"), True),
        ("snd_hda_intel", "dmic_detect=0", "dsp_driver=3", 0x040380, ("snd_hda_intel", "snd_sof_pci_intel_tgl"), True),
        ("snd_hda_intel", "dmic_detect=1", "dsp_driver=3", 0x040380, (), False),
        ("snd_sof_pci_intel_tgl", "", "", 0x040300, (), False),
        ("snd_sof_pci_intel_tgl", "dmic_detect=0", "", 0x040300, (), False),
        ("snd_sof_pci_intel_tgl", "", "dsp_driver=3", 0x040300, (), True),
        ("snd_sof_pci_intel_tgl", "", "dsp_driver=1", 0x040380, (), False),
        ("snd_soc_avs", "", "dsp_driver=4", 0x040380, (), True),
        ("snd_soc_avs", "", "dsp_driver=3", 0x040380, (), False),
        ("snd_hda_intel", "", "dsp_driver=1", 0x040380, ("snd_hda_intel", "snd_soc_avs"), True),
        ("snd_hda_intel", "", "dsp_driver=2", 0x040300, (), False),
        ("snd_hda_intel", "", "dsp_driver=0", 0x040300, (), True),
        ("snd_hda_intel", "", "dsp_driver=5", 0x040300, (), True),
        ("snd_hda_intel", "", "dsp_driver", 0x040300, (), True),
    ],
)
def test_one_of_several_drivers_of_an_audio_dsp_is_chosen(
    module: str, options: str, of_config: str, class_code: int, natives: tuple[str, ...], taken: bool | None
) -> None:
    """snd_intel_dsp_driver_probe() in sound/hda/intel-dsp-config.c."""
    configured = made("snd_intel_dspcfg", of_config).values
    setting = made(module, options, of=lambda other: configured if other == "snd_intel_dspcfg" else {})
    assert answer(setting, "8086:a0c8", *natives, class_code=class_code) is taken
    assert answer(setting, "1022:a0c8", *natives, class_code=class_code) is True
    assert is_dsp(module)


@pytest.mark.parametrize("number", ["160c", "0a0c", "0c0c", "0d0c", "0f04", "2284"])
def test_a_controller_for_hdmi_alone_has_no_dsp(number: str) -> None:
    setting = made("snd_sof_pci_intel_tgl")
    assert answer(setting, f"8086:{number}", class_code=0x040300) is True
    assert not is_dsp("snd_hda_codec")


CARDS = {"index": ParameterType("array of int"), "id": ParameterType("array of charp"), "enable": ParameterType("array of bool")}


@pytest.mark.parametrize(
    ("value", "alike", "taken"),
    [
        ("1", 1, True),
        ("0", 1, False),
        ("0", 2, None),
        ("0,0", 2, False),
        ("0,1", 1, False),
        ("1,0", 1, True),
        ("1,0", 2, None),
        ("0,1", 2, None),
        ("1,1", 3, True),
        ("x", 1, True),
        ("0", 0, False),
    ],
)
def test_a_sound_card_can_be_turned_off_by_its_place(value: str, alike: int, taken: bool | None) -> None:
    assert answer(made("snd_emu10k1", f"enable={value}", types=CARDS), "1102:0002", alike=alike) is taken


def test_enable_is_that_of_a_sound_card_where_it_is_an_array_beside_index_and_id() -> None:
    alone = {"enable": ParameterType("array of bool")}
    single = {**CARDS, "enable": ParameterType("bool")}
    assert answer(made("snd_emu10k1", "enable", types=CARDS), "1102:0002") is True
    assert answer(made("snd_emu10k1", "enable=0", types=single), "1102:0002") is True
    assert answer(made("snd_emu10k1", "enable=0", types=alone), "1102:0002") is None
    assert answer(made("other", "enable=0", types=CARDS), "1102:0002") is None


def test_a_parameter_of_another_driver_may_turn_it_off_by_its_name() -> None:
    types = {"disable": ParameterType("bool"), "modeset": ParameterType("int")}
    assert answer(made("other", "disable=1", types=types), "1102:0002") is None
    assert answer(made("other", "disable=0", types=types), "1102:0002") is True
    # These have rules of their own.
    assert answer(made("qxl", "modeset=0", types=types), "1102:0002") is True
    assert answer(made("xe", "disable=1", types=types), "8086:a780") is True


@pytest.mark.parametrize(("revision", "taker"), [(0x10, "8139too"), (0x1F, "8139too"), (0x20, "8139cp"), (0x21, "8139cp")])
def test_the_two_drivers_of_one_network_chip_take_different_revisions(revision: int, taker: str) -> None:
    card = device(id="10ec:8139", revision=revision, class_code=0x020000)
    natives = frozenset(("8139cp", "8139too"))
    taking = {name for name in natives if refusal(ModuleSettings(name, "6.12.1", {}), Match(card, PciDriver(name), natives)) is None}
    assert taking == {taker}


@pytest.mark.parametrize(("module", "vendor", "number"), [("8139cp", 0x0357, 0x000A), ("8139too", 0x10EC, 0x8138)])
def test_the_revision_of_their_other_chips_does_not_count(module: str, vendor: int, number: int) -> None:
    assert declined(ModuleSettings(module, "6.12.1", {}), vendor, number) is None
