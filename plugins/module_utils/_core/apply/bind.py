# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Binds claimed devices on the running kernel; in check mode, predicts it."""

from __future__ import annotations

import dataclasses
import itertools
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.apply import binding, nodes
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.bind_journal import NUMBERS, OPERATION, UnfinishedBindings
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.guard_check import GuardCheck
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.lost_options import lost_options
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.kernel_cache import read_kernel
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.bind_plan import Binding, is_viable, plan_bind, plan_release
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import (
    KEYWORDS,
    assign,
    companions,
    modules_of,
    with_companions,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.guards import refuse
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.reloads import Reloads
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.recovery import recover
from ansible_collections.vfio.variants.plugins.module_utils._core.host.accounts import Accounts
from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.journal import Journal
from ansible_collections.vfio.variants.plugins.module_utils._core.host.progress import untold
from ansible_collections.vfio.variants.plugins.module_utils._core.host.recovery import Recovered, Recovery
from ansible_collections.vfio.variants.plugins.module_utils._core.host.time_limit import checked_timeout
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.contenders import VARIANT, foreign_variants, kind_of
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.drivers import driver_names
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import running_release
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.loaded_modules import loaded_source
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import CDEV, Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.selector import select
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.vfio_nodes import described

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.apply.number_journal import UnfinishedNumbers
    from ansible_collections.vfio.variants.plugins.module_utils._core.apply.virtual_functions import NumberChange
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import Claim, ClaimState
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.progress import Tell
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.recovery import RecoveryOutcome
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import Result
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel, PendingModule
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device


REMOVED = "remove the virtual function"
JUDGED_APART = 2
"""How often all is judged without the lock."""
BindGroupMode = t.Literal["claim", "check", "ignore"]
"""For the other functions of a claimed one's IOMMU group: bind them, refuse if one has a native driver, leave them alone."""


@dataclasses.dataclass(frozen=True)
class BindRequest:
    """What `device_claim` should do.  ``timeout`` is for each single step, in seconds."""

    claims: tuple[Claim, ...]
    pending_modules: tuple[PendingModule, ...] = ()
    state: ClaimState = "present"
    group: BindGroupMode = "claim"
    timeout: int = 60

    def __post_init__(self) -> None:
        checked_timeout(self.timeout)
        if not self.claims:
            raise HostError("devices: no device is named.", "Give devices, or a list of claims.")


@dataclasses.dataclass(frozen=True)
class BoundDevice:
    """A function before and after.  ``can_be_opened`` if it is bound to a VFIO driver, ``is_viable`` if its whole group can be opened."""

    before: Device
    after: Device
    is_changed: bool
    steps: tuple[str, ...]
    can_be_opened: bool
    is_viable: bool
    kind: str | None = None
    """Of the driver that it has then: see `kind_of()`."""
    nodes: tuple[dict[str, str], ...] = ()
    """Of VFIO, each with its owner and mode, as far as they exist."""
    choice: str | None = None
    """On a variant driver that `driver: auto` has chosen: what it adds, and what it costs."""

    def result(self) -> Result:
        device = self.after
        return {
            "address": device.address,
            "id": device.id,
            "driver_before": self.before.driver,
            "driver": device.driver,
            "kind": self.kind,
            "driver_override": device.driver_override,
            "iommu_group": device.iommu_group,
            "vfio_node": f"/dev/vfio/{device.iommu_group}" if self.can_be_opened and device.iommu_group is not None else None,
            "vfio_cdev": next((f"/dev/{node}" for node in device.nodes if node.startswith(CDEV)), None) if self.can_be_opened else None,
            "vfio_nodes": list(self.nodes),
            "viable": self.is_viable,
            "changed": self.is_changed,
            "steps": list(self.steps),
            **({} if self.choice is None else {"choice": self.choice}),
        }


@dataclasses.dataclass(frozen=True)
class BindResult:
    """What was done, or in check mode would be done, for each function."""

    devices: tuple[BoundDevice, ...]
    recovery: Recovery
    warnings: tuple[str, ...] = ()
    reloads: Reloads | None = None
    """Of drivers of which another version is loaded than is installed; None where devices are returned."""

    def result(self) -> Result:
        changed = [device for device in self.devices if device.is_changed]
        lines = Reloads() if self.reloads is None else self.reloads
        result = {
            "changed": bool(changed),
            "devices": [device.result() for device in self.devices],
            **({} if self.reloads is None else self.reloads.result()),
            "diff": {
                "before": "".join(_line(device.before) for device in changed) + lines.lines(after=False),
                "after": "".join(_line(device.after) for device in changed) + lines.lines(after=True),
                "before_header": "owners",
                "after_header": "owners",
            },
        }
        return self.recovery.added_to({**result, "warnings": list(self.warnings)} if self.warnings else result)


@dataclasses.dataclass(frozen=True)
class JudgedBinding:
    """What a request comes to on the host as it was when it was judged."""

    kernel: Kernel
    real: Inventory
    earlier: UnfinishedBindings
    claims: tuple[Claim, ...]
    inventory: Inventory
    """With the virtual functions that there will be."""
    numbers: tuple[NumberChange, ...]
    left: UnfinishedNumbers | None
    """Numbers that an earlier run has left in between."""
    planned: tuple[Binding, ...]
    handed: nodes.Handed
    steps: t.Mapping[str, str]
    warnings: tuple[str, ...]
    reloads: Reloads | None


@dataclasses.dataclass(frozen=True)
class Bound:
    """What was bound, and how the functions were when that had ended."""

    bindings: tuple[Binding, ...]
    after: Inventory
    recovered: tuple[Recovered, ...]
    warnings: tuple[str, ...]


def ensure(host: Host, request: BindRequest, check_mode: bool, tell: Tell = untold) -> BindResult:
    """Do what is requested; in check mode, predict it.

    The host is locked while something is written, and neither while it is judged nor while the answer is made.  Another run that has
    held the lock in between has changed what the check rests on: then all is judged again, at last without letting the lock go.
    Raises HostError if a device is refused, or if a step failed, after undoing everything.
    """
    if check_mode:
        recovery = recover(host, check_mode=True)
        return _predicted(recovery, _judged(recovery.host, request, check_mode=True))
    recovered: tuple[Recovered, ...] = ()
    known: JudgedBinding | HostError | None = None
    last = -1
    for attempt in itertools.count():
        with host.lock() as turn:
            if turn != last + 1:
                recovered = (*recovered, *recover(host, check_mode=False).done)
                known = _judged(host, request, check_mode=False) if turn is None or attempt == JUDGED_APART else None
            if isinstance(known, HostError):
                raise known
            if known is not None:
                found, done = known, _make(host, request, known, tell)
                break
        last, known = turn or -1, _judged_or_refused(host, request)
    return _answer(Recovery(host, recovered), found, done)


def _judged_or_refused(host: Host, request: BindRequest) -> JudgedBinding | HostError:
    """Without the lock, where a refusal counts no more than a plan does: another run may have a device between two drivers."""
    try:
        return _judged(host, request, check_mode=False)
    except HostError as error:
        return error


def _judged(host: Host, request: BindRequest, check_mode: bool) -> JudgedBinding:
    """Nothing is written but the cache.  Raises HostError if a device is refused."""
    kernel = read_kernel(host, running_release(host), Cache(host, not check_mode)).with_pending(request.pending_modules)
    real = Inventory.read(host)
    earlier = UnfinishedBindings.read(host, real)
    left = _left_numbers(host, real)
    claims, inventory, numbers = _with_functions(host, request, real, left)
    judge = GuardCheck(host, inventory, claims, request.group == "claim")
    # Before a module is loaded to learn its driver's name.
    planned = _bindings(host, request, claims, inventory, kernel, earlier.ours, load=False)
    _refuse(judge, request, planned, kernel)
    reloads = None if request.state == "absent" else _reloads(host, inventory, kernel, planned, judge)
    planned = planned if reloads is None else reloads.applied(planned)
    earlier.refuse_waiting({item.device.address for item in planned if item.changed})
    handed = nodes.planned(host, _whole(request, claims, inventory), inventory, request.state == "absent")
    warnings = _warnings(reloads, judge, planned, kernel)
    steps = handed.steps(host, planned)
    return JudgedBinding(kernel, real, earlier, claims, inventory, numbers, left, planned, handed, steps, warnings, reloads)


def _reloads(host: Host, inventory: Inventory, kernel: Kernel, planned: t.Sequence[Binding], judge: GuardCheck) -> Reloads:
    wanted = {module for item in planned for module in item.modules} & kernel.vfio_modules
    if all(loaded_source(host, name) is None for name in wanted):
        return Reloads()
    # What takes the file of a module apart, and asks whether its key is trusted, is a tenth of what binding would have to import.
    from ansible_collections.vfio.variants.plugins.module_utils._core.apply import module_reload

    return module_reload.planned(host, inventory, kernel, planned, judge.uses)


def _predicted(recovery: Recovery, found: JudgedBinding) -> BindResult:
    host, bindings, real = recovery.host, found.planned, found.real
    recovered = (*_ended_numbers(found), *_end_earlier(host, found.earlier, bindings, check_mode=True))
    later = _result(bindings, _as_planned(found.inventory, bindings), found.kernel, _with(recovery, recovered))
    predicted = _with_nodes(host, _without_new_groups(later, real), found.steps, found.handed)
    return dataclasses.replace(_with_removed(predicted, real, found.numbers), warnings=found.warnings, reloads=found.reloads)


def _make(host: Host, request: BindRequest, found: JudgedBinding, tell: Tell) -> Bound:
    """Bind, within the lock.  Numbers of virtual functions are changed first; a binding that fails puts them back."""
    if not found.numbers and found.left is None:
        bindings, recovered = _bind(host, request, found, (found.claims, found.inventory, found.handed), tell)
        return Bound(bindings, Inventory.read(host), recovered, found.warnings)
    from ansible_collections.vfio.variants.plugins.module_utils._core.apply import number_journal, virtual_functions

    if found.left is not None:
        virtual_functions.put_back(host, found.left.others(_changing(found)))
    virtual_functions.make(host, found.numbers, request.timeout)
    try:
        claims, inventory, _numbers = _with_functions(host, request, Inventory.read(host), None)
        handed = nodes.planned(host, _whole(request, claims, inventory), inventory, request.state == "absent")
        bindings, recovered = _bind(host, request, found, (claims, inventory, handed), tell)
        number_journal.end(host)
    except BaseException as error:
        virtual_functions.undo(host, found.numbers, error)
        raise
    recovered = (*_ended_numbers(found), *recovered)
    judge = GuardCheck(host, inventory, claims, request.group == "claim")
    return Bound(found.planned, Inventory.read(host), recovered, _warnings(found.reloads, judge, bindings, found.kernel))


def _left_numbers(host: Host, real: Inventory) -> UnfinishedNumbers | None:
    if Journal(host, NUMBERS).read() is None:
        return None
    from ansible_collections.vfio.variants.plugins.module_utils._core.apply.number_journal import UnfinishedNumbers

    return UnfinishedNumbers.read(host, real)


def _changing(found: JudgedBinding) -> set[str]:
    return {number.physical.address for number in found.numbers}


def _ended_numbers(found: JudgedBinding) -> tuple[Recovered, ...]:
    return () if found.left is None else found.left.ended(_changing(found))


def _bind(
    host: Host, request: BindRequest, found: JudgedBinding, given: tuple[tuple[Claim, ...], Inventory, nodes.Handed], tell: Tell
) -> tuple[tuple[Binding, ...], tuple[Recovered, ...]]:
    claims, inventory, handed = given
    bindings = _bindings(host, request, claims, inventory, found.kernel, found.earlier.ours, load=True)
    if found.reloads is not None:
        bindings = found.reloads.applied(bindings)
    recovered = _end_earlier(host, found.earlier, bindings, check_mode=False)
    binding.apply(host, bindings, inventory, request.timeout, found.earlier, lambda: handed.carry_out(host), tell)
    return bindings, recovered


def _answer(recovery: Recovery, found: JudgedBinding, done: Bound) -> BindResult:
    now = _result(done.bindings, done.after, found.kernel, _with(recovery, done.recovered))
    bound = _with_removed(_with_nodes(recovery.host, now, found.steps), found.real, found.numbers)
    return dataclasses.replace(bound, warnings=done.warnings, reloads=found.reloads)


def _with(recovery: Recovery, more: t.Iterable[Recovered]) -> Recovery:
    return dataclasses.replace(recovery, done=(*recovery.done, *more))


def _whole(request: BindRequest, claims: tuple[Claim, ...], inventory: Inventory) -> tuple[Claim, ...]:
    return with_companions(claims, inventory) if request.group == "claim" else claims


def _with_nodes(host: Host, result: BindResult, steps: t.Mapping[str, str], planned: nodes.Handed | None = None) -> BindResult:
    """With each device's nodes, and with the step that hands them over; ``planned`` in place of what has not been done."""
    accounts = Accounts.read(host)
    found = []
    for one in result.devices:
        step = steps.get(one.after.address)
        shown: t.Sequence[dict[str, str]] = ()
        if one.can_be_opened:
            after = one.after
            shown = described(host, after, accounts, True) if planned is None else nodes.predicted(host, after, accounts, planned)
        more = () if step is None else (step,)
        found.append(dataclasses.replace(one, nodes=tuple(shown), steps=(*one.steps, *more), is_changed=one.is_changed or bool(more)))
    return dataclasses.replace(result, devices=tuple(found))


def _with_functions(
    host: Host, request: BindRequest, real: Inventory, left: UnfinishedNumbers | None
) -> tuple[tuple[Claim, ...], Inventory, tuple[NumberChange, ...]]:
    """The claims of virtual functions in place of their physical ones, the inventory with these, and which numbers have to change."""
    if all(claim.vfs is None for claim in request.claims):
        return request.claims, real, ()
    from ansible_collections.vfio.variants.plugins.module_utils._core.apply import virtual_functions
    from ansible_collections.vfio.variants.plugins.module_utils._core.apply.number_journal import UnfinishedNumbers
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.virtual_functions import expanded

    earlier = left or UnfinishedNumbers()
    uses = GuardCheck(host, real, request.claims).uses
    if request.state == "absent":
        claims, numbers = virtual_functions.removals_of(request.claims, real, earlier)
        virtual_functions.refuse_removal(numbers, request.claims, real, uses)
        gone = {address for number in numbers for address in number.physical.virtual_functions}
        others = Inventory(tuple(device for device in real.devices if device.address not in gone), real.drivers)
        return claims, others, numbers
    made = expanded(request.claims, real)
    return made.claims, made.inventory, virtual_functions.changes_of(made.creations, real, uses, earlier)


def _warnings(reloads: Reloads | None, judge: GuardCheck, bindings: t.Sequence[Binding], kernel: Kernel) -> tuple[str, ...]:
    if reloads is None:
        # Devices are returned.
        return ()
    rebound = [item for item in bindings if item.rebind]
    named = ((item.device, normalize_module_name(item.modules[0])) for item in rebound if item.modules)
    lost, peers = lost_options(judge.host, bindings, kernel), judge.peers(item.device for item in rebound)
    return (*lost, *peers, *foreign_variants(named, kernel), *reloads.warnings)


def _without_new_groups(result: BindResult, real: Inventory) -> BindResult:
    """Which IOMMU group a function gets shows once it exists."""
    devices = tuple(
        device if real.get(device.after.address) else dataclasses.replace(device, after=dataclasses.replace(device.after, iommu_group=None))
        for device in result.devices
    )
    return dataclasses.replace(result, devices=devices)


def _with_removed(result: BindResult, real: Inventory, numbers: t.Iterable[NumberChange]) -> BindResult:
    """The virtual functions that are gone, or will be, are part of the answer."""
    known = {device.after.address for device in result.devices}
    addresses = [address for number in numbers for address in number.physical.virtual_functions if address not in known]
    removed = [
        BoundDevice(
            device, dataclasses.replace(device, driver=None, driver_override=None, iommu_group=None), True, (REMOVED,), False, False
        )
        for device in map(real.get, addresses)
        if device is not None
    ]
    return dataclasses.replace(result, devices=tuple(sorted((*result.devices, *removed), key=lambda device: device.after.address)))


def _end_earlier(host: Host, earlier: UnfinishedBindings, bindings: t.Sequence[Binding], check_mode: bool) -> tuple[Recovered, ...]:
    """Undo what an earlier run has left of functions that this one does not rebind; raises HostError if that is impossible."""
    changing = {item.device.address for item in bindings if item.changed}
    finished = tuple(f"{one.describe(device)}; this run rebinds it." for one, device in earlier.half if one.address in changing)
    others = [(one, device) for one, device in earlier.half if one.address not in changing]
    for one, device in others:
        problem = None if check_mode else binding.restore(host, one)
        if problem is not None:
            raise HostError(f"{one.describe(device)}, as an earlier run has left it, and cannot be bound to its former driver: {problem}")
    undone = tuple(f"{one.address} has driver {one.driver or 'none'} again." for one, _device in others)
    waiting = tuple(f"Process {one.process} still waits for {one.address} to be unbound." for one, _device in earlier.waiting)
    found: tuple[tuple[RecoveryOutcome, tuple[str, ...]], ...] = (("finished", finished), ("undone", undone), ("left", waiting))
    return tuple(Recovered(OPERATION, outcome, what) for outcome, what in found if what)


def _bindings(
    host: Host,
    request: BindRequest,
    given: tuple[Claim, ...],
    inventory: Inventory,
    kernel: Kernel,
    ours: t.Container[str],
    load: bool,
) -> tuple[Binding, ...]:
    claims = _whole(request, given, inventory)
    if request.state == "absent":
        named = {normalize_module_name(claim.driver) for claim in claims if claim.driver not in KEYWORDS}
        released = plan_release(_selected(claims, inventory), named, inventory, kernel, ours)
        return tuple(_as_loaded(host, kernel, one) if one.rebind else one for one in released)
    names = driver_names(host, inventory, modules_of(claims, inventory, kernel), load, kernel)
    bindings = plan_bind(assign(claims, inventory, kernel, names))
    if request.group == "check":
        _refuse_open_groups(claims, inventory, kernel)
    return bindings


def _as_loaded(host: Host, kernel: Kernel, released: Binding) -> Binding:
    """With its native modules as they are called once they are loaded, which is where their drivers are found."""
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_content import own_name

    return dataclasses.replace(released, modules=tuple(own_name(host, kernel, module) for module in released.modules))


def _selected(claims: t.Sequence[Claim], inventory: Inventory) -> tuple[Device, ...]:
    """Each device of the claims once, except bridges."""
    found = (device for claim in claims for device in select(inventory, claim.selectors, claim.allow_missing, claim.option("devices")))
    return tuple({device.address: device for device in found if not device.is_bridge}.values())


def _refuse_open_groups(claims: t.Sequence[Claim], inventory: Inventory, kernel: Kernel) -> None:
    for claim, device in companions(claims, inventory):
        if not is_viable((device,), inventory, kernel):
            raise HostError(
                f"{claim.option('devices')}: {device.address} ({device.id}) shares IOMMU group {device.iommu_group} with a claimed device "
                f"and is bound to {device.driver}.",
                "Claim it as well, or set `group: claim`.",
            )


def _refuse(judge: GuardCheck, request: BindRequest, bindings: t.Sequence[Binding], kernel: Kernel) -> None:
    """Raises HostError for the first function that a guard keeps with its driver, or without an IOMMU."""
    changing = [item for item in bindings if item.rebind]
    if request.state == "absent":
        refuse(judge.releases(item.device for item in changing if item.device.driver is not None))
        return
    judge.refuse_without_iommu((module for item in changing for module in item.modules), (kernel,), live=True)
    refuse(judge.claimed((item.device for item in changing), kernel.vfio_modules))


def _as_planned(inventory: Inventory, bindings: t.Sequence[Binding]) -> Inventory:
    """The inventory as it will be; a native driver's name is known only once it is bound."""
    planned = {item.device.address: item.outcome() for item in bindings}
    return Inventory(tuple(planned.get(device.address, device) for device in inventory.devices), inventory.drivers)


def _result(bindings: t.Sequence[Binding], now: Inventory, kernel: Kernel, recovery: Recovery) -> BindResult:
    devices = (_bound(recovery.host, item, now.get(item.device.address) or item.device, now, kernel) for item in bindings)
    return BindResult(tuple(devices), recovery)


def _bound(host: Host, item: Binding, device: Device, now: Inventory, kernel: Kernel) -> BoundDevice:
    grouped = device.iommu_group is not None
    registered = now.drivers.get(device.driver or "")
    module = (registered and registered.module) or device.driver
    if item.rebind and item.modules and device.driver == item.driver:
        module = item.modules[0]
    module = None if module is None else normalize_module_name(module)
    kind = None if module is None else kind_of(module, kernel)
    return BoundDevice(
        before=item.device,
        after=device,
        is_changed=item.changed,
        steps=item.steps if item.changed else (),
        can_be_opened=grouped and device.driver is not None and is_viable((device,), now, kernel),
        is_viable=grouped and is_viable(now.group_of(device), now, kernel),
        kind=kind,
        choice=_choice(host, kernel, module, device.address) if module is not None and item.is_auto and kind == VARIANT else None,
    )


def _choice(host: Host, kernel: Kernel, module: str, address: str) -> str:
    from ansible_collections.vfio.variants.plugins.module_utils._core.apply.chosen_variant import explained

    return explained(host, kernel, module, address)


def _line(device: Device) -> str:
    return f"{device.address} {device.id} driver={device.driver or '-'} driver_override={device.driver_override or '-'}\n"
