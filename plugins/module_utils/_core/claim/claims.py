# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Claims: which driver each device should be bound to, and what that means on one kernel."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.guard_table import parse_guards
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.node import Node, parse_node
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, cut, shown
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.contenders import ANY_DEVICE, VFIO_CORE, VFIO_PCI
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import PENDING, unknown_module_error
from ansible_collections.vfio.variants.plugins.module_utils._core.pci import selector as selectors
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.selector import Selector, select

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Inventory


AUTO, VARIANT = "auto", "variant"
KEYWORDS = (AUTO, VARIANT)
"""Values of `driver` that are no driver's name."""
FALLBACK = VFIO_PCI
Strategy = t.Literal["override", "ids", "blacklist"]
"""How a driver wins at boot."""
STRATEGIES: tuple[Strategy, ...] = t.get_args(Strategy)
ClaimState = t.Literal["present", "absent"]
"""Whether claims are to be met, or their effects removed."""
GroupMode = t.Literal["claim", "ignore"]
"""What happens to the other functions of a claimed one's IOMMU group: see `with_companions()`."""
FIELDS = ("devices", "driver", "expect", "strategy", "allow_missing", "guards", "vfs", "node", "reload")
MOST_FUNCTIONS = 0xFFFF
"""NumVFs has 16 bits."""
BASE_CLASS_BRIDGE = 0x06
CLASS_BRIDGE_OTHER, CLASS_IOMMU = 0x0680, 0x0806
SHORTHAND = -1
"""The index of a claim that was given as options of its own, not in a list."""
# A module's or driver's name is written to udev rules and modprobe.d, so it must not end a word or a line there.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclasses.dataclass(frozen=True)
class Claim:
    """Devices and the driver they should be bound to.  ``driver`` is `auto` or `variant`, or a driver's or module's name as written."""

    selectors: tuple[selectors.Selector, ...]
    driver: str = AUTO
    expect: tuple[int, int] | None = None
    strategy: Strategy | None = None
    allow_missing: bool = False
    index: int = 0
    guards: t.Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)
    """What to do where a guard has a reason to refuse, by the guard's name."""
    vfs: int | None = None
    """How many virtual functions the devices are to have: these are what is claimed then."""
    node: Node | None = None
    """To whom their device nodes are handed."""
    reload: bool = True
    """Whether a driver of which another version is loaded than is installed may be loaded again where nobody holds it."""

    def option(self, name: str) -> str:
        """What messages call one of the claim's options: `claims[1].driver`, or `driver` if there is no list."""
        return name if self.index == SHORTHAND else f"claims[{self.index}].{name}"


@dataclasses.dataclass(frozen=True)
class Assignment:
    """What a claim means for one device on one kernel.  ``selector`` is the first that matched, ``module`` a normalized name."""

    claim: Claim
    selector: selectors.Selector
    device: Device
    module: str
    driver: str


def parse(claims: t.Sequence[t.Mapping[str, t.Any]]) -> tuple[Claim, ...]:
    """Claims from an option's value.  Raises HostError, naming the claim and its field."""
    return tuple(parse_one(claim, index) for index, claim in enumerate(claims))


def parse_one(given: t.Mapping[str, t.Any], index: int) -> Claim:
    claim = Claim((), index=index)
    unknown = sorted(str(key) for key in given if key not in FIELDS)
    if unknown:
        raise HostError(f"{claim.option(cut(unknown[0]))}: a claim has no such field.", f"It has {', '.join(FIELDS)}.")
    if given.get("devices") is None:
        raise HostError(f"{claim.option('devices')}: a claim needs devices.", selectors.FORMS)
    driver = AUTO if given.get("driver") is None else given["driver"]
    if not isinstance(driver, str) or not NAME.fullmatch(driver):
        raise HostError(
            f"{claim.option('driver')}: {shown(driver)} is not a valid driver name.",
            "Write auto, variant, or a driver's or module's name: vfio-pci.",
        )
    strategy = given.get("strategy")
    if strategy not in (None, *STRATEGIES):
        raise HostError(f"{claim.option('strategy')}: there is no strategy {shown(strategy)}.", f"Allowed are {', '.join(STRATEGIES)}.")
    expect = given.get("expect")
    vfs = _parse_vfs(given.get("vfs"), claim, strategy)
    return Claim(
        selectors.parse(given["devices"], claim.option("devices")),
        driver,
        None if expect is None else selectors.parse_id(expect, claim.option("expect")),
        strategy,
        bool(given.get("allow_missing")),
        index,
        parse_guards(given.get("guards"), claim.option("guards")),
        vfs,
        parse_node(given.get("node"), claim.option("node")),
        given.get("reload") is None or bool(given["reload"]),
    )


def _parse_vfs(given: object, claim: Claim, strategy: Strategy | None) -> int | None:
    if given is None:
        return None
    if not isinstance(given, int) or isinstance(given, bool) or not 1 <= given <= MOST_FUNCTIONS:
        raise HostError(
            f"{claim.option('vfs')}: {shown(given)} is not a number of virtual functions.", f"Allowed are 1 to {MOST_FUNCTIONS}."
        )
    if strategy not in (None, "override"):
        raise HostError(
            f"{claim.option('strategy')}: {strategy} does not go with vfs, as virtual functions are bound by an override alone.",
            "Leave strategy out, or set it to override.",
        )
    return given


def assign(claims: t.Sequence[Claim], inventory: Inventory, kernel: Kernel, driver_names: t.Mapping[str, str]) -> tuple[Assignment, ...]:
    """What the claims mean on ``kernel``, by device.  ``driver_names`` has each of `modules_of()`.

    Raises HostError if a claim matches nothing, a device is not what the claim expects, two claims contradict each other,
    a module does not exist, or a bridge is named.
    """
    chosen = _choose(claims, inventory, kernel)
    return tuple(dataclasses.replace(assignment, driver=driver_names[assignment.module]) for assignment in chosen)


def modules_of(claims: t.Sequence[Claim], inventory: Inventory, kernel: Kernel) -> frozenset[str]:
    """The modules that the claims need on ``kernel``; raises what `assign()` raises."""
    return frozenset(assignment.module for assignment in _choose(claims, inventory, kernel))


def _choose(claims: t.Sequence[Claim], inventory: Inventory, kernel: Kernel) -> tuple[Assignment, ...]:
    chosen: dict[str, Assignment] = {}
    for claim in claims:
        for device, matched in devices_of(claim, inventory):
            assignment = Assignment(claim, matched, device, _module(claim, device, inventory, kernel), "")
            earlier = chosen.setdefault(device.address, assignment)
            if earlier.module != assignment.module:
                raise _contradiction(earlier, assignment)
    return tuple(chosen[device.address] for device in inventory.devices if device.address in chosen)


def devices_of(claim: Claim, inventory: Inventory) -> t.Iterator[tuple[Device, selectors.Selector]]:
    """The functions that the claim is for, each with the first selector that matches it.  Raises HostError as `assign()` does."""
    option = claim.option("devices")
    found = 0
    matching = selectors.matching(inventory, claim.selectors, claim.allow_missing, option)
    for device in inventory.devices:
        if device.address not in matching:
            continue
        is_named = _is_named(matching[device.address])
        if device.is_bridge and is_named:
            raise _bridge_by_name(device, option)
        if _is_ignored(device) and not is_named:
            continue
        if claim.expect is not None and claim.expect != (device.vendor, device.device):
            raise HostError(
                f"{claim.option('expect')}: {device.address} is {device.id}, not {claim.expect[0]:04x}:{claim.expect[1]:04x}.",
                "The card may have moved to another address; device_info shows the addresses.",
            )
        found += 1
        yield device, matching[device.address][0]
    if matching and not found and not claim.allow_missing:
        raise HostError(f"{option}: only bridges match, and a bridge cannot be bound to a VFIO driver.", "Name a function behind them.")


def takes(claim: Claim, device: Device) -> bool:
    """Whether a claim that matches a function is for it: a wildcard is not for a bridge."""
    return not device.is_bridge and (not _is_ignored(device) or _is_named(one for one in claim.selectors if one.matches(device)))


def _is_named(matching: t.Iterable[Selector]) -> bool:
    """Whether one of the selectors that match a device is for no class or wildcard that it is among."""
    return any(selector.names_address or selector.names_id for selector in matching)


def _is_ignored(device: Device) -> bool:
    """Whether wildcards and classes ignore the device: all bridges but the "other" ones, such as an NVSwitch."""
    return device.class_code >> 16 == BASE_CLASS_BRIDGE and device.class_code >> 8 != CLASS_BRIDGE_OTHER


def _bridge_by_name(device: Device, option: str) -> HostError:
    """A wildcard may match bridges; naming one is a mistake (vfio_pci_core_init_dev() takes header type 0 only)."""
    return HostError(
        f"{option}: {device.address} ({device.id}) is a PCI bridge, which cannot be bound to a VFIO driver.",
        "Name a function behind it; the bridges of an IOMMU group need no driver of their own.",
    )


def _module(claim: Claim, device: Device, inventory: Inventory, kernel: Kernel) -> str:
    if claim.driver in KEYWORDS:
        best = kernel.best_present(device.modalias, () if claim.driver == AUTO else (FALLBACK,))
        if best is None and claim.driver == VARIANT:
            raise _no_variant(claim, device, kernel)
        name = FALLBACK if best is None else best.module
    else:
        name = normalize_module_name(claim.driver)
        registered = inventory.drivers.get(claim.driver)
        if not kernel.has(name) and registered is not None and registered.module is not None:
            name = normalize_module_name(registered.module)
    if not kernel.has(name):
        name = FALLBACK if claim.driver in KEYWORDS else claim.driver
        raise unknown_module_error(name, (kernel,), claim.option("driver"), KEYWORDS)
    if name in kernel.absent:
        raise HostError(
            f"{claim.option('driver')}: depmod's files of kernel {kernel.release} name the module {name}, and its file does not exist.",
            f"Install the module again, or run `depmod {kernel.release}`.",
        )
    if claim.driver not in KEYWORDS and not _may_drive(name, device, kernel):
        raise HostError(
            f"{claim.option('driver')}: {claim.driver} is not a VFIO driver, and none of its aliases on kernel {kernel.release} matches "
            f"{device.address} ({device.id}).",
            "Use auto, vfio-pci, a variant driver, or a native driver of that device.",
        )
    return name


def _no_variant(claim: Claim, device: Device, kernel: Kernel) -> HostError:
    gone = sorted({match.module for match in kernel.variants(device.modalias)} & kernel.absent)
    why = f"the file of {gone[0]} does not exist" if gone else "none of its modules has an alias for it"
    return HostError(
        f"{claim.option('driver')}: kernel {kernel.release} has no variant driver for {device.address} ({device.id}): {why}.",
        "Install one, or use auto, which takes vfio-pci then.",
    )


def _may_drive(module: str, device: Device, kernel: Kernel) -> bool:
    """Whether a module is a VFIO driver, drives any device, or has an alias for this one."""
    if module in kernel.vfio_modules or module in ANY_DEVICE or VFIO_CORE in kernel.dependencies(module):
        return True
    if module in {match.module for match in kernel.natives(device.modalias)}:
        return True
    # Without aliases: one that is not installed yet, or, before Linux 6.18, a built-in one.
    known = module in kernel.index.modules("pci")
    return not known and (kernel.modules.get(module) == PENDING or module == normalize_module_name(device.driver or ""))


def _contradiction(earlier: Assignment, later: Assignment) -> HostError:
    where, also = earlier.claim.option("driver"), later.claim.option("driver")
    return HostError(
        f"{later.device.address} ({later.device.id}) is given to {earlier.module} by {where} and to {later.module} by {also}.",
        "Let only one of them match the device.",
    )


def companions(claims: t.Sequence[Claim], inventory: Inventory) -> tuple[tuple[Claim, Device], ...]:
    """Unclaimed functions in the IOMMU group of a claimed one.

    Bridges are not counted, nor are those to older buses and IOMMUs if they have no driver.
    """
    selected = {device.address: claim for claim in claims for device in select(inventory, claim.selectors, allow_missing=True)}
    found: dict[str, tuple[Claim, Device]] = {}
    for address, claim in selected.items():
        device = inventory.get(address)
        for other in inventory.group_of(device) if device and not device.is_bridge else ():
            stays = other.driver is None and (other.leads_to_old_buses or other.class_code >> 8 == CLASS_IOMMU)
            if other.address not in selected and not other.is_bridge and not stays:
                found.setdefault(other.address, (claim, other))
    return tuple(found[address] for address in sorted(found))


def with_companions(claims: t.Sequence[Claim], inventory: Inventory) -> tuple[Claim, ...]:
    """The claims, and one more for each companion, for its own best VFIO driver, never for that of the claimed function."""
    return (*claims, *(_own_claim(claim, device) for claim, device in companions(claims, inventory)))


def _own_claim(claim: Claim, device: Device) -> Claim:
    selector = Selector(text=device.address, address=device.address)
    # Whatever the strategy for the claimed card: its companion is one device, and other devices may need its native driver.
    return dataclasses.replace(claim, selectors=(selector,), driver=AUTO, expect=None, strategy="override")
