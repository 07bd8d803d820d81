# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules that refuse and drivers that decline: who has the device then, and what says so."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import CERTAIN, UNKNOWN, ModuleFacts
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.forecast import forecast
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_types import ParameterType
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciDriver, PciId
from ansible_collections.vfio.variants.tests.unit.boots import STOCK, boot, device
from ansible_collections.vfio.variants.tests.unit.trees import NVIDIA_DISPLAY

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot, Winner
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device

COLDPLUG = {"/usr/lib/udev/rules.d/80-drivers.rules": 'ACTION=="add", ENV{MODALIAS}=="?*", RUN{builtin}+="kmod load"\n'}
CARD = device()
IDS = "options vfio-pci ids=10de:1db1\n"
NVIDIA_IDS = tuple(one for one in (PciId.from_alias(NVIDIA_DISPLAY),) if one is not None)
BOOL, INT, BOOLS = ParameterType("bool"), ParameterType("int"), ParameterType("array of bool", 32)


def alias(vendor: str = "*", number: str = "*", class_code: str = "bc*sc*i*") -> str:
    ids = "".join(f"{key}{'*' if value == '*' else value.upper().rjust(8, '0')}" for key, value in (("v", vendor), ("d", number)))
    return f"pci:{ids}sv*sd*{class_code}"


def of(found: Boot, card: Device = CARD, *others: Device) -> Winner:
    return forecast((card, *others), found)[card.address]


def facts(module: str, *aliases: str, types: t.Mapping[str, ParameterType] | None = None, **more: t.Any) -> dict[str, ModuleFacts]:
    ids = tuple(found for found in map(PciId.from_alias, aliases) if found is not None)
    return {module: ModuleFacts((PciDriver(module, ids),), types=types or {}, **more)}


def native(module: str, card_alias: str, modprobe: str = "", **more: t.Any) -> Boot:
    """A root whose only native driver of the card is this module."""
    types, cmdline = more.pop("types", None), more.pop("cmdline", "")
    made = more.pop("made", None) or facts(module, card_alias, types=types, **more)
    modules = {module: [card_alias], "vfio_pci": STOCK["vfio_pci"]}
    return boot(rules=COLDPLUG, modules=modules, modprobe=modprobe, cmdline=cmdline, facts=made)


# -- values


VFIO_TYPES = {"ids": ParameterType("string", 1024), "disable_idle_d3": BOOL}


def vfio(modprobe: str, **more: t.Any) -> Winner:
    made = boot(rules=COLDPLUG, modprobe=modprobe + "softdep nouveau pre: vfio-pci\n", **more)
    known = dataclasses.replace(made.modules["vfio_pci"], types=VFIO_TYPES)
    return of(dataclasses.replace(made, modules={**made.modules, "vfio_pci": known}))


def test_a_refused_value_keeps_the_module_out_with_all_its_ids_and_is_named() -> None:
    won = vfio(IDS + "options vfio-pci disable_idle_d3=maybe\n")
    assert (won.driver, won.certainty) == ("nouveau", CERTAIN)
    assert any("site.conf:2" in str(one) and "disable_idle_d3" in str(one) for one in won.because)


@pytest.mark.parametrize(
    "options",
    ["disable_idle_d3=1", "disable-idle-d3", "no_such=maybe", "dyndbg=+p", "disable_idle_d3=on"],
)
def test_a_value_that_is_taken_and_a_parameter_that_is_none_change_nothing(options: str) -> None:
    won = vfio(f"{IDS}options vfio-pci {options}\n")
    assert (won.driver, won.certainty) == ("vfio-pci", CERTAIN)


def test_each_ids_is_a_parameter_of_its_own() -> None:
    too_long = ",".join(["10de:1db1"] * 103)
    assert vfio(f"options vfio-pci ids={too_long}\n{IDS}").driver == "nouveau"
    half = ",".join(["10de:1db1"] * 60)
    assert vfio(f"options vfio-pci ids={half}\noptions vfio-pci ids={half}\n").driver == "vfio-pci"


def test_a_value_that_the_module_reads_itself_is_both_outcomes() -> None:
    found = native("mine", alias("10DE"), "options mine level=3\n", types={"level": ParameterType("")})
    won = of(found)
    assert (won.driver, won.certainty, set(won.outcomes)) == ("mine", UNKNOWN, {"mine", None})
    assert any("site.conf:1" in doubt for doubt in won.doubts)


def test_options_are_given_to_an_alias_too() -> None:
    text = "alias mycard vfio-pci\noptions mycard ids=10de:1db1\n"
    assert of(boot(rules=COLDPLUG, modprobe=f"{text}softdep nouveau pre: mycard\n")).driver == "vfio-pci"
    assert of(boot(rules=COLDPLUG, modprobe=f"{text}softdep nouveau pre: vfio-pci\n")).driver == "nouveau"


# -- drivers that are switched off


@pytest.mark.parametrize(
    ("module", "modprobe", "cmdline", "driver"),
    [
        ("nouveau", "options nouveau modeset=0\n", "", None),
        ("nouveau", "options nouveau modeset=1\n", "nomodeset", "nouveau"),
        ("nouveau", "", "nomodeset", None),
        ("nouveau", "", "quiet -- nomodeset", "nouveau"),
        ("nouveau", "", "nouveau.modeset=0", None),
        ("nvidia", "", "nomodeset", "nvidia"),
        ("nvidia", "options nvidia NVreg_RegisterPCIDriver=0\n", "", None),
        ("ast", "", "nomodeset", None),
        ("vmwgfx", "", "nomodeset", None),
        ("xe", "", "nomodeset", None),
        ("amdgpu", "", "nomodeset", None),
        ("loongson", "options loongson modeset=1\n", "nomodeset", None),
    ],
)
def test_display_drivers_go_by_modeset_and_nomodeset(module: str, modprobe: str, cmdline: str, driver: str | None) -> None:
    types = {"modeset": INT, "NVreg_RegisterPCIDriver": INT}
    won = of(native(module, alias("10DE"), modprobe, cmdline=cmdline, types=types))
    assert (won.driver, won.certainty) == (driver, CERTAIN)
    assert driver is not None or any("modeset" in str(one) or "NVreg" in str(one) for one in won.because)


SOUND = [device(f"0000:00:0{number}.0", "8086:2668", class_code=0x040300) for number in (6, 7)]


@pytest.mark.parametrize(
    ("enable", "cards", "driver", "certainty"),
    [
        ("0", 1, None, CERTAIN),
        ("n,n", 2, None, CERTAIN),
        ("1,0", 1, "snd_hda_intel", CERTAIN),
        ("1,0", 2, "snd_hda_intel", UNKNOWN),
        ("0", 2, "snd_hda_intel", UNKNOWN),
        ("1", 2, "snd_hda_intel", CERTAIN),
    ],
)
def test_sound_cards_are_enabled_by_their_number(enable: str, cards: int, driver: str | None, certainty: str) -> None:
    types = {"enable": BOOLS, "index": INT, "id": INT}
    found = native("snd_hda_intel", alias("8086", "2668"), f"options snd-hda-intel enable={enable}\n", types=types)
    won = of(found, *SOUND[:cards])
    assert (won.driver, won.certainty) == (driver, certainty)
    assert None in won.outcomes or certainty == CERTAIN


def test_an_enable_that_is_not_an_array_is_ignored_by_sound_drivers() -> None:
    types = {"enable": BOOL, "index": INT, "id": INT}
    won = of(native("snd_atiixp", alias("10DE"), "options snd_atiixp enable=0\n", types=types))
    assert (won.driver, won.certainty) == ("snd_atiixp", CERTAIN)


@pytest.mark.parametrize("option", ["enable=0", "disable", "modeset=0", "disabled=1", "force_probe=!1db1", "denylist=x", "noprobe=1"])
def test_an_option_that_may_turn_an_unlisted_driver_off_is_both_outcomes(option: str) -> None:
    types = {option.partition("=")[0]: ParameterType("charp") if "=" in option else BOOL}
    won = of(native("mine", alias("10DE"), f"options mine {option}\n", types=types))
    assert (won.certainty, set(won.outcomes)) == (UNKNOWN, {"mine", None})


@pytest.mark.parametrize("option", ["enable=1", "disable=0", "enable_msi=0", "debug=0", "probe_mask=1", "queues=0", "disable_msi=1"])
def test_ordinary_options_stay_certain(option: str) -> None:
    won = of(native("mine", alias("10DE"), f"options mine {option}\n", types={option.partition("=")[0]: INT}))
    assert (won.driver, won.certainty) == ("mine", CERTAIN)


# -- the kernel's words


def test_nomodule_leaves_every_device_to_what_is_built_in() -> None:
    won = of(boot(rules=COLDPLUG, cmdline="nomodule"))
    assert (won.driver, won.certainty, str(won.because[0])) == (None, CERTAIN, "/proc/cmdline: nomodule: the kernel loads no module")


def functions(found: Boot, **names: str) -> Boot:
    return dataclasses.replace(found, functions={module: frozenset((name,)) for module, name in names.items()})


def test_initcall_blacklist_leaves_out_the_module_whose_function_it_names() -> None:
    found = boot(rules=COLDPLUG, cmdline="initcall_blacklist=sysfb_init,nouveau_drm_init")
    won = of(functions(found, nouveau="nouveau_drm_init", vfio_pci="vfio_pci_init"))
    assert (won.driver, won.certainty) == (None, CERTAIN)
    other = of(functions(found, nouveau="other_init", vfio_pci="vfio_pci_init"))
    assert (other.driver, other.certainty) == ("nouveau", CERTAIN)


def test_initcall_blacklist_of_a_function_that_may_be_anybody_s_is_both_outcomes() -> None:
    won = of(boot(rules=COLDPLUG, cmdline="initcall_blacklist=mystery_init"))
    assert (won.certainty, set(won.outcomes)) == (UNKNOWN, {"nouveau", None})
    assert of(boot(rules=COLDPLUG, cmdline="initcall_blacklist=sysfb_init")).certainty == CERTAIN


def test_a_built_in_native_that_is_left_out_leaves_the_device_to_vfio() -> None:
    found = boot(
        rules=COLDPLUG,
        modules={"vfio_pci": STOCK["vfio_pci"]},
        builtin={"mine": [NVIDIA_DISPLAY]},
        load=["vfio-pci"],
        cmdline="initcall_blacklist=mine_init vfio-pci.ids=10de:1db1",
    )
    held = dataclasses.replace(found, held_by_built_in={CARD.address: "mine"})
    for one in (functions(found, mine="mine_init", vfio_pci="x"), functions(held, mine="mine_init", vfio_pci="x")):
        won = of(one)
        assert (won.driver, won.certainty) == ("vfio-pci", CERTAIN)
    assert of(functions(held, mine="other_init", vfio_pci="x")).driver == "mine"


def test_whether_a_built_in_driver_was_there_does_not_matter_where_a_rule_ends_its_binding() -> None:
    mine = f'ACTION=="add", KERNEL=="{CARD.address}"'
    unbind, hold = 'ATTR{driver/unbind}="$kernel"', 'ATTR{driver_override}="vfio-pci", RUN{builtin}+="kmod load vfio-pci"'
    given: dict[str, t.Any] = {
        "modules": {"vfio_pci": STOCK["vfio_pci"]},
        "builtin": {"mine": [NVIDIA_DISPLAY]},
        "cmdline": "initcall_blacklist=mystery_init",
    }

    def won(*rules: str) -> Winner:
        site = {"/etc/udev/rules.d/90-site.rules": "".join(f"{mine}, {rule}\n" for rule in rules)}
        found = dataclasses.replace(boot(rules={**COLDPLUG, **site}, **given), held_by_built_in={CARD.address: "mine"})
        return of(functions(found, vfio_pci="vfio_pci_init"))

    assert (won(unbind, hold).driver, won(unbind, hold).certainty) == ("vfio-pci", CERTAIN)
    assert (won(hold).certainty, set(won(hold).outcomes)) == (UNKNOWN, {"mine", "vfio-pci"})


def test_a_built_in_driver_that_has_the_device_now_may_decline_it_at_the_next_boot() -> None:
    """amdgpu leaves Southern Islands to radeon up to 6.12 unless it is told otherwise, and drives none of the older GPUs."""
    amd = "pci:v00001002d*sv*sd*bc03sc*i*"

    def driver(card: Device, **given: t.Any) -> str | None:
        found = boot(rules=COLDPLUG, modules={"radeon": [amd]}, builtin={"amdgpu": [amd]}, release="6.12.1", **given)
        return forecast([card], dataclasses.replace(found, held_by_built_in={card.address: "amdgpu"}))[card.address].driver

    island, old, newer = (device(id=f"1002:{number}", class_code=0x030000) for number in ("6600", "7100", "73bf"))
    assert driver(island) == "radeon"
    assert driver(island, cmdline="amdgpu.si_support=1 radeon.si_support=0") == "amdgpu"
    assert driver(old) == "radeon"
    assert driver(newer) == "amdgpu"
    # A module may register several drivers: the one that has the device is asked.
    several = (
        ("amdgpu", PciDriver("amdgpu-helper")),
        ("amdgpu", PciDriver("amdgpu", (PciId(0x1002, class_code=0x030000, class_mask=0xFF0000),))),
    )
    assert driver(old, built_in=several) == "radeon"


def test_without_an_iommu_vfio_takes_a_device_in_its_unsafe_mode() -> None:
    text = IDS + "softdep nouveau pre: vfio-pci\noptions vfio enable_unsafe_noiommu_mode=1\n"
    modules = {**STOCK, "vfio": []}
    off = boot(rules=COLDPLUG, modules=modules, modprobe=text, cmdline="iommu=off")
    assert of(off).driver == "vfio-pci"
    without = dataclasses.replace(off, modules={**off.modules, "vfio": ModuleFacts((), types={})})
    assert of(without).driver == "nouveau"


# -- match is not ownership


@pytest.mark.parametrize(
    ("number", "modules", "driver"),
    [
        ("10de:1db1", {"nova_core": {}, "nouveau": {}}, "nouveau"),
        ("10de:1db1", {"nvidia": {"license": "Dual MIT/GPL", "version": "580.65"}, "nouveau": {}}, "nouveau"),
        ("10de:1db1", {"nvidia": {"license": "NVIDIA", "version": "580.65"}, "nouveau": {}}, "nvidia"),
        ("10de:1db1", {"nvidia": {"license": "NVIDIA", "version": "590.10"}, "nouveau": {}}, "nouveau"),
        ("10de:2b85", {"nvidia": {"license": "NVIDIA", "version": "580.65"}, "other": {}}, "other"),
        ("8086:56a0", {"xe": {}, "i915": {}}, "i915"),
        ("8086:4905", {"xe": {}, "i915": {}}, None),
        ("1912:0014", {"xhci_pci": {}, "xhci_pci_renesas": {}}, "xhci_pci_renesas"),
        ("1002:6810", {"amdgpu": {}, "radeon": {}}, "radeon"),
        ("11ab:6121", {"ahci": {}, "pata_marvell": {}}, "pata_marvell"),
    ],
)
def test_a_driver_that_declines_leaves_the_device_to_the_next(
    number: str, modules: dict[str, dict[str, t.Any]], driver: str | None
) -> None:
    card = device(id=number)
    pattern = alias(*number.split(":"))
    made = {name: one for module, more in modules.items() for name, one in facts(module, pattern, **more).items()}
    won = of(boot(rules=COLDPLUG, modules={module: [pattern] for module in modules}, facts=made, release="6.12.1"), card)
    assert (won.driver, won.certainty) == (driver, CERTAIN)


def test_a_probe_that_depends_on_what_is_not_known_is_both_outcomes() -> None:
    card = device(id="10de:2204")
    pattern = alias("10DE", "2204")
    made = {**facts("nova_core", pattern), **facts("nouveau", pattern)}
    won = of(boot(rules=COLDPLUG, modules={"nova_core": [pattern], "nouveau": [pattern]}, facts=made), card)
    assert (won.driver, won.certainty, set(won.outcomes)) == ("nova_core", UNKNOWN, {"nova_core", "nouveau"})


def test_the_command_line_forces_an_intel_driver() -> None:
    card = device(id="8086:56a0")
    pattern = alias("8086", "56A0")
    types = {"force_probe": ParameterType("charp")}
    made = {**facts("xe", pattern, types=types), **facts("i915", pattern, types=types)}
    found = boot(
        rules=COLDPLUG,
        modules={"i915": [pattern], "xe": [pattern]},
        facts=made,
        cmdline="i915.force_probe=!56a0 xe.force_probe=56a0",
    )
    won = of(found, card)
    assert (won.driver, won.certainty) == ("xe", CERTAIN)


# -- install lines


def test_a_script_that_a_list_asks_for_may_do_anything_to_what_is_unbound() -> None:
    found = boot(rules=COLDPLUG, modules={**STOCK, "other": []}, load=["other"], modprobe="install other /usr/local/sbin/grab\n")
    won = of(found)
    assert won.certainty == UNKNOWN
    assert any("site.conf:1 runs `/usr/local/sbin/grab`" in doubt for doubt in won.doubts)


def test_debian_s_lines_of_nvidia_are_an_alias() -> None:
    text = "alias pci:v000010DEd*sv*sd*bc03* nvidia\nblacklist nouveau\ninstall nvidia modprobe -i nvidia-current $CMDLINE_OPTS\n"
    made = facts("nvidia_current", NVIDIA_DISPLAY)
    built = boot(rules=COLDPLUG, modules={**STOCK, "nvidia-current": []}, modprobe=text, facts=made)
    assert (of(built).driver, of(built).certainty) == ("nvidia_current", CERTAIN)
    missing = of(boot(rules=COLDPLUG, modprobe=text))
    assert (missing.driver, missing.certainty) == (None, CERTAIN)


def renamed_nvidia(**more: t.Any) -> Boot:
    """Debian's: the file is nvidia-current.ko, the module in it is nvidia."""
    cmdline, modprobe = more.pop("cmdline", ""), more.pop("modprobe", "")
    made = {"nvidia_current": ModuleFacts((PciDriver("nvidia", NVIDIA_IDS),), name="nvidia", **{"license": "NVIDIA", **more})}
    return native("nvidia_current", NVIDIA_DISPLAY, modprobe, cmdline=cmdline, made=made)


def test_a_renamed_module_is_known_by_the_name_in_its_file() -> None:
    assert (of(renamed_nvidia()).driver, of(renamed_nvidia()).certainty) == ("nvidia", CERTAIN)
    opened = of(renamed_nvidia(license="Dual MIT/GPL"))
    assert (opened.driver, opened.certainty) == (None, CERTAIN)
    assert any("no GPU older than Turing" in str(one) for one in opened.because)
    without = of(renamed_nvidia(modprobe="options nvidia-current NVreg_RegisterPCIDriver=0\n", types={"NVreg_RegisterPCIDriver": INT}))
    assert (without.driver, without.certainty) == (None, CERTAIN)


@pytest.mark.parametrize(("refused", "driver"), [("nvidia", None), ("nvidia_current", "nvidia")])
def test_the_kernel_refuses_a_module_by_the_name_in_its_file(refused: str, driver: str | None) -> None:
    won = of(renamed_nvidia(cmdline=f"module_blacklist={refused}"))
    assert (won.driver, won.certainty) == (driver, CERTAIN)


@pytest.mark.parametrize(
    ("command", "driver"),
    [
        ("true && exit 0 ; modprobe -i nouveau", None),
        ("false && exit 0 ; modprobe -i nouveau", "nouveau"),
        ("exec true ; modprobe -i nouveau", None),
        ("sh -c 'exit 0' ; modprobe -i nouveau", "nouveau"),
    ],
)
def test_a_shell_that_ends_runs_no_further_command(command: str, driver: str | None) -> None:
    won = of(boot(rules=COLDPLUG, modprobe=f"install nouveau {command}\n"))
    assert (won.driver, won.certainty) == (driver, CERTAIN)


def test_install_lines_that_ask_for_each_other_come_to_an_end() -> None:
    text = "install nouveau modprobe other\ninstall other modprobe nouveau\n"
    assert of(boot(rules=COLDPLUG, modules={**STOCK, "other": []}, modprobe=text)).driver is None


# -- two of the kernel's own drivers with the same ID

PAIR = {"first": [alias("1234", "5678")], "second": [alias("1234", "5678")]}


def of_pair(bound: str | None, path: str = "kernel/drivers/net/second.ko") -> Winner:
    made = boot(rules=COLDPLUG, modules=PAIR, modprobe="blacklist first\n")
    kernels = [
        dataclasses.replace(one, kernel=dataclasses.replace(one.kernel, modules={**one.kernel.modules, "second": path}))
        for one in made.stages
    ]
    return of(dataclasses.replace(made, stages=tuple(kernels)), device(id="1234:5678", driver=bound))


def test_whether_the_other_driver_would_take_a_device_is_not_known() -> None:
    won = of_pair("first")
    assert (won.certainty, set(won.outcomes)) == (UNKNOWN, {"second", None})
    assert any("depends on its probe" in doubt for doubt in won.doubts)


def test_the_driver_that_has_a_device_takes_it() -> None:
    assert (of_pair("second").driver, of_pair("second").certainty) == ("second", CERTAIN)


def test_a_module_that_was_built_for_the_device_is_taken_to_take_it() -> None:
    won = of_pair("first", "updates/dkms/second.ko")
    assert (won.driver, won.certainty) == ("second", CERTAIN)
