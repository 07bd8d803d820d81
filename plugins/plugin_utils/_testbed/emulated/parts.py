# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of an emulated function: its BARs and its capabilities."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import shown
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.values import (
    GIB,
    FunctionError,
    boolean,
    in_range,
    mapping,
    number,
    refuse_unknown,
    size,
    size_text,
)

BAR_SLOTS = 6
BAR_KINDS = ("mem32", "mem64", "io")
CAPABILITIES: dict[str, tuple[str, ...]] = {
    "pm": (),
    "msi": ("vectors",),
    "msix": ("vectors", "bar", "table", "pending"),
    "pcie": (),
    "dsn": ("serial",),
}

# PCI Local Bus 3.0, 6.2.5.1: an I/O BAR claims at most 256 bytes; a 32-bit memory BAR ends below 4 GiB, so half of that is the largest
# power of two. The upper end for 64 bits keeps eight such functions inside the 46 address bits that usual virtual CPUs have.
BAR_SIZES = {"mem32": (16, 2 * GIB), "mem64": (16, 1024 * GIB), "io": (4, 256)}
MSI_VECTORS = (1, 2, 4, 8, 16, 32)
MSIX_VECTORS_MAX = 2048
MSIX_ENTRY_SIZE = 16


@dataclass(frozen=True)
class Bar:
    """One base address register. ``size`` in bytes; a ``mem64`` BAR also takes the slot after its own."""

    index: int
    size: int
    kind: str = "mem32"
    prefetchable: bool = False

    @property
    def slots(self) -> tuple[int, ...]:
        return (self.index, self.index + 1) if self.kind == "mem64" else (self.index,)


@dataclass(frozen=True)
class Msix:
    """Where the MSI-X table and its pending bits lie. Offsets in bytes from the start of the BAR."""

    vectors: int
    in_bar: int
    table: int
    pending: int


@dataclass(frozen=True)
class Capabilities:
    """What the function's capability chain holds. ``msi`` is a number of vectors, 0 for none; ``serial`` is the 64-bit DSN."""

    pm: bool = True
    msi: int = 1
    msix: Msix | None = None
    pcie: bool = True
    serial: int | None = None


def check_bars(bars: tuple[Bar, ...]) -> None:
    taken: dict[int, int] = {}
    for window in bars:
        _check_bar(window)
        for slot in window.slots:
            if slot in taken:
                raise FunctionError(
                    f"BAR {window.index} ({window.kind}) needs slot {slot}, which BAR {taken[slot]} has; "
                    "a mem64 BAR takes its own slot and the next one."
                )
            taken[slot] = window.index


def _check_bar(window: Bar) -> None:
    if window.kind not in BAR_KINDS:
        raise FunctionError(f"The kind of BAR {window.index} is {shown(window.kind)}; allowed are {', '.join(BAR_KINDS)}.")
    in_range(f"The index of a {window.kind} BAR", window.index, BAR_SLOTS - len(window.slots))
    least, most = BAR_SIZES[window.kind]
    if not least <= window.size <= most or window.size & (window.size - 1):
        raise FunctionError(
            f"The size of BAR {window.index} is {window.size:#x}; "
            f"allowed for {window.kind} is a power of two from {least} to {size_text(most)}."
        )
    if window.prefetchable and window.kind == "io":
        raise FunctionError(f"BAR {window.index} is prefetchable and io; only memory BARs can be prefetchable.")


def check_capabilities(capabilities: Capabilities, bars: tuple[Bar, ...], flr: bool) -> None:
    if flr and not capabilities.pcie:
        raise FunctionError("flr is true without the pcie capability, whose device control register starts a function level reset.")
    if capabilities.msi and capabilities.msi not in MSI_VECTORS:
        raise FunctionError(f"The vectors of msi are {capabilities.msi}; allowed are {', '.join(map(str, MSI_VECTORS))}.")
    if capabilities.serial is not None:
        in_range("The serial of dsn", capabilities.serial, (1 << 64) - 1)
        if not capabilities.pcie:
            raise FunctionError("The dsn capability lies in the extended config space, which needs the pcie capability.")
    if capabilities.msix is not None:
        _check_msix(capabilities.msix, bars)


def _check_msix(msix: Msix, bars: tuple[Bar, ...]) -> None:
    if not 1 <= msix.vectors <= MSIX_VECTORS_MAX:
        raise FunctionError(f"The vectors of msix are {msix.vectors}; allowed is 1 to {MSIX_VECTORS_MAX}.")
    window = next((one for one in bars if one.index == msix.in_bar), None)
    if window is None or window.kind == "io":
        raise FunctionError(f"The bar of msix is {msix.in_bar}; allowed is a memory BAR of the function.")
    table = range(msix.table, msix.table + msix.vectors * MSIX_ENTRY_SIZE)
    pending = range(msix.pending, msix.pending + (msix.vectors + 63) // 64 * 8)
    for name, span in (("table", table), ("pending", pending)):
        if span.start % 8 or span.start < 0 or span.stop > window.size:
            raise FunctionError(
                f"The {name} of msix is {span.start:#x} with {len(span)} bytes; "
                f"allowed are multiples of 8 so that it ends inside BAR {msix.in_bar} ({window.size:#x} bytes)."
            )
    if table.start < pending.stop and pending.start < table.stop:
        raise FunctionError(f"The table of msix at {table.start:#x} and its pending bits at {pending.start:#x} overlap.")


def read_bars(name: str, value: t.Any) -> tuple[Bar, ...]:
    if not isinstance(value, list | tuple):
        raise FunctionError(f"{name} is {shown(value)}; allowed is a list of dictionaries with index, size, kind and prefetchable.")
    return tuple(_read_bar(one) for one in value)


def _read_bar(value: t.Any) -> Bar:
    options = mapping("A BAR", value, "index, size, kind and prefetchable")
    refuse_unknown("BAR", options, ("index", "size", "kind", "prefetchable"))
    for needed in ("index", "size"):
        if needed not in options:
            raise FunctionError(f"The BAR {shown(dict(options))} has no {needed}.")
    index = number("The index of a BAR", options["index"])
    return Bar(
        index=index,
        size=size(f"The size of BAR {index}", options["size"]),
        kind=str(options.get("kind", "mem32")),
        prefetchable=boolean(f"prefetchable of BAR {index}", options.get("prefetchable", False)),
    )


def read_registers(name: str, value: t.Any) -> dict[int, dict[int, int]]:
    return {
        number("A BAR in registers", index): {
            number(f"A register of BAR {index}", offset): number(f"The register {offset} of BAR {index}", preset)
            for offset, preset in mapping(f"registers of BAR {index}", presets, "offsets and values").items()
        }
        for index, presets in mapping(name, value, "BAR indexes").items()
    }


def _capability_options(name: str, value: t.Any) -> dict[str, Mapping[str, t.Any]]:
    if isinstance(value, list | tuple):
        value = dict.fromkeys(one if isinstance(one, str) else repr(one) for one in value)
    chosen = mapping(name, value, ", ".join(CAPABILITIES))
    refuse_unknown("list of capabilities", chosen, CAPABILITIES)
    options = {}
    for key, given in chosen.items():
        if given is False:
            continue
        options[key] = mapping(f"The capability {key}", {} if given is None or given is True else given, "its options")
        refuse_unknown(f"capability {key}", options[key], CAPABILITIES[key])
        missing = [needed for needed in CAPABILITIES[key] if needed not in options[key]] if key in ("msix", "dsn") else []
        if missing:
            raise FunctionError(f"The capability {key} has no {missing[0]}; it needs {', '.join(CAPABILITIES[key])}.")
    return options


def read_capabilities(name: str, value: t.Any) -> Capabilities:
    """A list of names, or a dictionary of names with their options; what is not named, or named with false, is not there."""
    options = _capability_options(name, value)
    vectors = number("The vectors of msi", options["msi"].get("vectors", 1)) if "msi" in options else 0
    if "msi" in options and vectors < 1:
        raise FunctionError(f"The vectors of msi are {vectors}; allowed are {', '.join(map(str, MSI_VECTORS))}.")
    return Capabilities(
        pm="pm" in options,
        pcie="pcie" in options,
        msi=vectors,
        msix=_read_msix(options["msix"]) if "msix" in options else None,
        serial=number("The serial of dsn", options["dsn"]["serial"]) if "dsn" in options else None,
    )


def _read_msix(options: Mapping[str, t.Any]) -> Msix:
    values = {key: size(f"The {key} of msix", given) for key, given in options.items()}
    return Msix(values["vectors"], values["bar"], values["table"], values["pending"])
