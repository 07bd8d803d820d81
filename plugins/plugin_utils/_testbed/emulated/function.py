# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The identity of an emulated PCI function: what a playbook says about it, checked and made whole."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import shown
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.parts import (
    Bar,
    Capabilities,
    Msix,
    check_bars,
    check_capabilities,
    read_bars,
    read_capabilities,
    read_registers,
)
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.values import (
    KIB,
    MIB,
    FunctionError,
    boolean,
    in_range,
    number,
    refuse_unknown,
    text,
)

__all__ = ["PROFILES", "FunctionError", "PciFunction"]

MODELS = ("gv100",)
ROM_SIZE_MAX = 16 * MIB
GV100_BAR0_MIN = 16 * MIB


@dataclass(frozen=True)
class PciFunction:
    """An emulated PCI function. ``registers`` maps BAR index to byte offset to the 32-bit value found there after each reset."""

    vendor: int
    device: int
    subsystem_vendor: int = 0
    subsystem_device: int = 0
    class_code: int = 0xFF0000
    revision: int = 0
    bars: tuple[Bar, ...] = ()
    registers: Mapping[int, Mapping[int, int]] = field(default_factory=dict)
    capabilities: Capabilities = field(default_factory=Capabilities)
    flr: bool = False
    reset: bool = True
    rom: str | None = None
    model: str | None = None

    def __post_init__(self) -> None:
        _check_identity(self)
        check_bars(self.bars)
        _check_registers(self)
        check_capabilities(self.capabilities, self.bars, self.flr)
        _check_model(self)

    def bar_at(self, index: int) -> Bar | None:
        return next((one for one in self.bars if one.index == index), None)

    @classmethod
    def from_options(cls, options: Mapping[str, t.Any]) -> PciFunction:
        """What a user writes in a playbook: a profile's fields first, then the explicit ones over them. Raises FunctionError."""
        if not isinstance(options, Mapping):
            raise FunctionError(f"An emulated function is described by a dictionary, not by {shown(options)}.")
        refuse_unknown("function", options, ("profile", *_READERS))
        base = _profile(options.get("profile"))
        fields = {name: _READERS[name](name, value) for name, value in options.items() if name != "profile"}
        if base is None:
            for name in ("vendor", "device"):
                if name not in fields:
                    raise FunctionError(f"{name} is missing; give it, or a profile ({', '.join(sorted(PROFILES))}).")
            return cls(**fields)
        bars = fields.get("bars", base.bars)
        fields["registers"] = _merged(_fitting(base.registers, bars), fields.get("registers", {}))
        return replace(base, **fields)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> PciFunction:
        """The inverse of to_json. Raises FunctionError for anything that to_json would not have written."""
        try:
            raw = json.loads(text)
            capabilities = raw.pop("capabilities")
            msix = capabilities.pop("msix")
            bars = tuple(Bar(**one) for one in raw.pop("bars"))
            registers = {int(index): {int(at): value for at, value in presets.items()} for index, presets in raw.pop("registers").items()}
            whole = Capabilities(msix=Msix(**msix) if msix else None, **capabilities)
            return cls(bars=bars, registers=registers, capabilities=whole, **raw)
        except FunctionError:
            raise
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise FunctionError(f"This is not the description of a function: {error}.") from error


# Checks: they hold for every PciFunction, however it was made.


def _check_identity(function: PciFunction) -> None:
    for name in ("vendor", "device"):
        in_range(name, getattr(function, name), 0xFFFE)  # 0xffff is what an empty slot reads as
    for name in ("subsystem_vendor", "subsystem_device"):
        in_range(name, getattr(function, name), 0xFFFF)
    in_range("class_code", function.class_code, 0xFFFFFF)
    in_range("revision", function.revision, 0xFF)
    if function.rom is not None:
        _check_rom(function.rom)


def _check_rom(rom: str) -> None:
    path = Path(rom)
    if not path.is_absolute():
        raise FunctionError(f"rom is {shown(rom)}; allowed is the absolute path of a file.")
    if not path.is_file():
        raise FunctionError(f"rom is {shown(rom)}, which is not a file.")
    if not 0 < path.stat().st_size <= ROM_SIZE_MAX:
        raise FunctionError(f"rom is {shown(rom)} with {path.stat().st_size} bytes; allowed are 1 to {ROM_SIZE_MAX} bytes.")


def _check_registers(function: PciFunction) -> None:
    for index, presets in function.registers.items():
        window = function.bar_at(index)
        if window is None:
            raise FunctionError(f"registers name BAR {index}, which the function does not have.")
        for offset, value in presets.items():
            if offset % 4 or not 0 <= offset <= window.size - 4:
                raise FunctionError(
                    f"The register {offset:#x} does not lie in BAR {index}; allowed are multiples of 4 from 0 to {window.size - 4:#x}."
                )
            in_range(f"The register {offset:#x} of BAR {index}", value, 0xFFFFFFFF)


def _check_model(function: PciFunction) -> None:
    if function.model is None:
        return
    if function.model not in MODELS:
        raise FunctionError(f"model is {shown(function.model)}; allowed are {', '.join(MODELS)} and none.")
    window = function.bar_at(0)
    if window is None or window.kind == "io" or window.size < GV100_BAR0_MIN:
        raise FunctionError("model gv100 describes a memory BAR 0 of 16M, which the function does not have; give one, or model: none.")


_READERS: dict[str, t.Callable[[str, t.Any], t.Any]] = {
    "vendor": number,
    "device": number,
    "subsystem_vendor": number,
    "subsystem_device": number,
    "class_code": number,
    "revision": number,
    "bars": read_bars,
    "registers": read_registers,
    "capabilities": read_capabilities,
    "flr": boolean,
    "reset": boolean,
    "rom": text,
    "model": text,
}


def _profile(name: t.Any) -> PciFunction | None:
    if name is None:
        return None
    if not isinstance(name, str) or name not in PROFILES:
        raise FunctionError(f"profile is {shown(name)}; allowed are {', '.join(sorted(PROFILES))}.")
    return PROFILES[name]


def _fitting(registers: Mapping[int, Mapping[int, int]], bars: tuple[Bar, ...]) -> dict[int, dict[int, int]]:
    """A profile's presets that still lie in the BARs which a user put in the place of the profile's."""
    sizes = {one.index: one.size for one in bars}
    return {
        index: {offset: value for offset, value in presets.items() if offset + 4 <= sizes[index]}
        for index, presets in registers.items()
        if index in sizes
    }


def _merged(under: Mapping[int, Mapping[int, int]], over: Mapping[int, Mapping[int, int]]) -> dict[int, dict[int, int]]:
    return {index: {**under.get(index, {}), **over.get(index, {})} for index in {**under, **over}}


# Ready-made identities.

_V100 = PciFunction(
    vendor=0x10DE,
    device=0x1DB1,
    subsystem_vendor=0x10DE,
    subsystem_device=0x1212,
    class_code=0x030200,
    revision=0xA1,
    bars=(
        Bar(0, 16 * MIB),
        # The board shows its whole memory here; a window of 256 MiB is as good for binding and leaves room for many functions.
        Bar(1, 256 * MIB, "mem64", prefetchable=True),
        Bar(3, 32 * MIB, "mem64", prefetchable=True),
    ),
    # PMC_BOOT_0 names the chip: 0x140 is GV100, 0xa1 its stepping.
    registers={0: {0x000000: 0x140000A1}},
    capabilities=Capabilities(pm=True, msi=1, pcie=True, serial=0x00044B3EDEAD0001),
    model="gv100",
)
# 32 << (10 + 20) bytes of video memory, where the gv100 model says 16 GiB.
_GIB_32 = {0: {0x000000: 0x140000A1, 0x100CE0: 0x20A}}

PROFILES: dict[str, PciFunction] = {
    "v100-sxm2-16gb": _V100,
    "v100-sxm2-32gb": replace(_V100, device=0x1DB5, subsystem_device=0x1249, registers=_GIB_32),
    "v100-sxm3-32gb": replace(_V100, device=0x1DB8, subsystem_device=0x12AB, registers=_GIB_32),
    # A later board that the PCI ID database calls "Tesla V100 SXM2 16GB" as well, hence the ID in the name.
    "v100-sxm2-16gb-1df5": replace(_V100, device=0x1DF5),
    # One NVLink of a POWER9 as its firmware shows it to kernels up to 5.12: 128 KiB of link registers and 64 KiB of procedures.
    "npu2": PciFunction(
        vendor=0x1014,
        device=0x04EA,
        class_code=0x068001,
        revision=0x01,
        bars=(Bar(0, 128 * KIB, "mem64"), Bar(2, 64 * KIB, "mem64")),
        capabilities=Capabilities(pm=False, msi=0, pcie=True),
        flr=True,
    ),
}
