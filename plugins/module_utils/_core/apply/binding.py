# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Binds functions to drivers on the running kernel through driver_override, and undoes everything if it does not come to its end."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.apply import bind_journal
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.bind_journal import NOTHING
from ansible_collections.vfio.variants.plugins.module_utils._core.host.attribute_writer import WriteError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.command import ANY_CODE
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, of_system
from ansible_collections.vfio.variants.plugins.module_utils._core.host.interruption import Interrupted, uninterrupted
from ansible_collections.vfio.variants.plugins.module_utils._core.host.progress import Count, untold
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.drivers import load_module, registered_drivers
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import DEVICES, DRIVERS
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses import HostUses

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.apply.bind_journal import Rebinding, UnfinishedBindings
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.bind_plan import Binding
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.progress import Tell
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Inventory

PROBE = "/sys/bus/pci/drivers_probe"
# An asynchronous driver's probe ends after the write to drivers_probe has returned.
SETTLE = 2.0
UNDO_TIMEOUT = 10.0


@dataclasses.dataclass
class BindProgress:
    """What has been done so far: the functions that were touched, and the override that each of them has now."""

    rebindings: t.Mapping[str, Rebinding]
    waiting: tuple[Rebinding, ...]
    """Functions of an earlier run, for which a process still waits: they stay in the journal."""
    begun: bool = False
    touched: list[Binding] = dataclasses.field(default_factory=list)
    overrides: dict[str, str | None] = dataclasses.field(default_factory=dict)
    unloaded: str | None = None
    """A module that is to be loaded again, and is not yet."""

    def touch(self, binding: Binding) -> None:
        """What is touched again is the last that was touched."""
        self.touched = [*(one for one in self.touched if one is not binding), binding]
        self.overrides.setdefault(binding.device.address, binding.device.driver_override)


@dataclasses.dataclass(frozen=True)
class Left:
    """A function after an undo: what it has, and if that is not what it had before, what to do about it."""

    rebinding: Rebinding
    driver: str | None
    override: str | None
    problem: str = ""
    hint: str = ""

    def __str__(self) -> str:
        has = f"driver {self.driver or 'none'} and driver_override {self.override or 'none'}"
        if self.problem:
            return f"{self.rebinding.address} is left with {has}: {self.problem.rstrip('.')}."
        return f"{self.rebinding.address} is back with {self.driver or 'no driver'} (driver_override {self.override or 'none'})."

    def result(self) -> dict[str, t.Any]:
        return {
            "address": self.rebinding.address,
            "driver": self.driver,
            "driver_override": self.override,
            "restored": not self.problem,
            "hint": self.hint or None,
        }


def apply(
    host: Host,
    bindings: t.Sequence[Binding],
    inventory: Inventory,
    timeout: float,
    earlier: UnfinishedBindings = NOTHING,
    finish: t.Callable[[], None] | None = None,
    tell: Tell = untold,
) -> None:
    """Carry out every binding, each single step in ``timeout`` seconds at most, and then ``finish``, which undoes itself.

    ``tell`` is told of each function that is done, or put back.

    Whatever ends it before its end, a signal too, every touched function is bound to its former driver again.  Raises HostError then,
    which says for each of them how it is left.  What an ``earlier`` run has left is bound to the driver that it had before that run.
    """
    changing = [binding for binding in bindings if binding.changed]
    progress = BindProgress({binding.device.address: earlier.rebinding(binding) for binding in changing}, earlier.still_waiting)
    if not changing:
        if earlier.is_recorded:
            _end(host, progress.waiting)
        if finish is not None:
            finish()
        return
    try:
        _load_all(host, changing, timeout)
        bind_journal.begin(host, (*progress.rebindings.values(), *progress.waiting))
        progress.begun = True
        _reload_all(host, changing, timeout, progress)
        count = Count(tell, len(changing))
        for binding in changing:
            progress.touch(binding)
            _bind(host, binding, timeout, progress)
            count.done(_what_was_done(host, binding))
        if finish is not None:
            finish()
        _end(host, progress.waiting)
    except BaseException as error:
        with uninterrupted():
            failure = _undone(host, error, progress, inventory, timeout, tell)
        if failure is None:
            raise
        raise failure from error


def owner(host: Host, address: str) -> str | None:
    """The driver that a function is bound to now."""
    return host.link_name(f"{DEVICES}/{address}/driver")


def restore(host: Host, rebinding: Rebinding) -> str | None:
    """Bind a function to its former driver again; returns what is wrong, if anything is."""
    here = f"{DEVICES}/{rebinding.address}/driver_override"
    try:
        now = owner(host, rebinding.address)
        if now != rebinding.driver and now is not None:
            host.write_attribute(f"{DRIVERS}/{now}/unbind", rebinding.address, UNDO_TIMEOUT)
        if now != rebinding.driver and rebinding.driver is not None:
            host.write_attribute(here, f"{rebinding.driver}\n", UNDO_TIMEOUT)
            host.write_attribute(f"{DRIVERS}/{rebinding.driver}/bind", rebinding.address, UNDO_TIMEOUT)
        host.write_attribute(here, f"{rebinding.override or ''}\n", UNDO_TIMEOUT)
    except HostError as error:
        return error.msg
    except OSError as error:
        return f"{error.strerror or error}."
    return None


def _end(host: Host, waiting: t.Sequence[Rebinding]) -> None:
    if waiting:
        bind_journal.begin(host, waiting)
    else:
        bind_journal.end(host)


def _load_all(host: Host, bindings: t.Iterable[Binding], timeout: float) -> None:
    """Load what each function needs, once for all of them.  Raises HostError if a module does not register its driver."""
    registered: dict[str, tuple[str, ...]] = {}
    aliases: set[str] = set()
    for binding in bindings:
        if not binding.rebind:
            continue
        if binding.driver is None:
            if binding.device.modalias not in aliases:
                _load_natives(host, binding.device.modalias, timeout)
            aliases.add(binding.device.modalias)
            continue
        for module in binding.modules:
            if module not in registered:
                registered[module] = registered_drivers(host, module) or load_module(host, module)
        found = [driver for module in binding.modules for driver in registered[module]]
        if binding.driver not in found:
            raise HostError(f"Module {' '.join(binding.modules)} registers {', '.join(found)}, not {binding.driver}.")


def _load_natives(host: Host, modalias: str, timeout: float) -> None:
    """As udev does it: everything that the alias names, blacklists honoured; a native driver that fails to load does not matter."""
    host.run(["modprobe", "--use-blacklist", "--all", "--quiet", modalias], timeout, ok=ANY_CODE)


def _reload_all(host: Host, bindings: t.Sequence[Binding], timeout: float, progress: BindProgress) -> None:
    """Load each module again that its bindings ask for.  Raises HostError, with its functions without a driver."""
    reloading = [binding for binding in bindings if binding.reloads]
    for module in dict.fromkeys(module for binding in reloading for module in binding.modules):
        own = [binding for binding in reloading if module in binding.modules]
        for binding in own:
            if owner(host, binding.device.address) == binding.driver:
                progress.touch(binding)
                if binding.set_override:
                    _override(host, binding, timeout, progress)
                _unbind(host, binding.device, timeout)
        # Not `modprobe -r`, which removes what the module needs as well, whose options somebody may have set at run time.
        progress.unloaded = module
        host.run(["rmmod", module], timeout)
        try:
            found = load_module(host, module)
            progress.unloaded = None
        except HostError as error:
            gone = f"The version of {module} that was loaded before is on disk no more: its devices wait for one that can be loaded."
            raise HostError(f"{error.msg.rstrip('.')}. {gone}", error.hint, error.facts) from error
        lacking = next((binding.driver for binding in own if binding.driver not in found), None)
        if lacking is not None:
            raise HostError(f"Module {module} registers {', '.join(found)}, since it was loaded again, not {lacking}.")


def _bind(host: Host, binding: Binding, timeout: float, progress: BindProgress) -> None:
    if not binding.rebind:
        if binding.set_override:
            _override(host, binding, timeout, progress)
    elif binding.driver is None:
        _release(host, binding, timeout, progress)
    else:
        _take(host, binding, timeout, progress)


def _what_was_done(host: Host, binding: Binding) -> str:
    address = binding.device.address
    if not binding.rebind:
        return f"set driver_override of {address} to {binding.override or 'none'}"
    if binding.driver is not None:
        return f"bound {address} to {binding.driver}"
    return f"returned {address} to {owner(host, address) or 'no driver'}"


def _take(host: Host, binding: Binding, timeout: float, progress: BindProgress) -> None:
    """From its driver to another one, in one step: each time that a process has to wait for the other one costs more than the writes."""
    address = binding.device.address
    holder = owner(host, address)
    if binding.reloads and holder == binding.driver and progress.overrides[address] == binding.override:
        # The kernel has offered it to its driver as that was loaded.
        return
    writes = [] if holder is None else [(f"{DRIVERS}/{holder}/unbind", address)]
    if binding.set_override:
        writes.insert(0, (f"{DEVICES}/{address}/driver_override", f"{binding.override or ''}\n"))
    is_written = False
    try:
        host.write_attributes([*writes, (PROBE, address)], timeout)
        is_written = True
    except WriteError as error:
        is_written = bool(error.done)
        raise
    finally:
        if is_written and binding.set_override:
            progress.overrides[address] = binding.override
    found = _settled_owner(host, address, binding.driver)
    if found == binding.driver:
        return
    if found == holder and holder is not None:
        raise _still_owned(address, holder)
    raise HostError(
        f"{address} ({binding.device.id}) is owned by {found or 'no driver'} after it was offered to {binding.driver}.",
        f"`dmesg` says why {binding.driver} did not take it.",
    )


def _release(host: Host, binding: Binding, timeout: float, progress: BindProgress) -> None:
    """To its native driver.  It keeps the override by which it is known to be ours until its driver has let it go."""
    _unbind(host, binding.device, timeout)
    if binding.set_override:
        _override(host, binding, timeout, progress)
    _offer_to_natives(host, binding, timeout)


def _override(host: Host, binding: Binding, timeout: float, progress: BindProgress) -> None:
    address = binding.device.address
    host.write_attribute(f"{DEVICES}/{address}/driver_override", f"{binding.override or ''}\n", timeout)
    progress.overrides[address] = binding.override


def _unbind(host: Host, device: Device, timeout: float) -> None:
    holder = owner(host, device.address)
    if holder is None:
        return
    host.write_attribute(f"{DRIVERS}/{holder}/unbind", device.address, timeout)
    if owner(host, device.address) is not None:
        raise _still_owned(device.address, holder)


def _still_owned(address: str, holder: str) -> HostError:
    return HostError(f"{address} is still owned by {holder} after it was unbound from it.")


def _offer_to_natives(host: Host, binding: Binding, timeout: float) -> None:
    """Bind to the native driver by name: in a probe, a VFIO driver with a dynamic ID would win."""
    address = binding.device.address
    for module in binding.modules:
        for entry in host.names(f"/sys/module/{module}/drivers"):
            if not entry.startswith("pci:") or owner(host, address) is not None:
                continue
            try:
                host.write_attribute(f"{DRIVERS}/{entry[len('pci:') :]}/bind", address, timeout)
            except HostError as error:
                if error.facts.get("errno") == errno.ETIMEDOUT:
                    raise
    if owner(host, address) is None and not binding.modules:
        host.write_attribute(PROBE, address, timeout)


def _settled_owner(host: Host, address: str, wanted: str | None) -> str | None:
    host.wait_until(lambda: owner(host, address) == wanted, SETTLE)
    return owner(host, address)


# -- when it does not come to its end


def _undone(host: Host, error: BaseException, progress: BindProgress, inventory: Inventory, timeout: float, tell: Tell) -> HostError | None:
    """Undo what was done, the last function first; returns the error to raise in place of ``error``, if there is to be one."""
    left = []
    if progress.unloaded is not None:
        # The installed one, in place of the one that was loaded and is on disk no more.
        with contextlib.suppress(HostError):
            load_module(host, progress.unloaded)
    for binding in reversed(progress.touched):
        left.append(_put_back(host, binding, error, progress))
        tell(str(left[-1]))
    if progress.begun:
        # If that fails, the journal still has every function, which is true of those that could not be put back.
        with contextlib.suppress(HostError):
            _end(host, (*(one.rebinding for one in left if one.problem), *progress.waiting))
    if not isinstance(error, (HostError, OSError, Interrupted)):
        return None
    sentences = [_sentence(host, error, progress, inventory, timeout), *map(str, left)]
    hints = [getattr(error, "hint", None), *(one.hint for one in left)]
    facts = dict(error.facts) if isinstance(error, HostError) else {}
    if left:
        facts["left"] = [one.result() for one in left]
    return HostError(" ".join(sentences), " ".join(dict.fromkeys(hint for hint in hints if hint)) or None, facts)


def _sentence(host: Host, error: HostError | OSError | Interrupted, progress: BindProgress, inventory: Inventory, timeout: float) -> str:
    if isinstance(error, Interrupted):
        return f"The run was ended by {error.name}."
    if isinstance(error, OSError):
        return of_system(error)
    if _is_timeout(error) and progress.touched:
        return f"{_why_it_waits(host, progress.touched[-1].device, inventory, timeout)}. {error.msg}"
    return error.msg


def _is_timeout(error: BaseException) -> bool:
    return isinstance(error, HostError) and error.facts.get("errno") == errno.ETIMEDOUT


def _put_back(host: Host, binding: Binding, error: BaseException, progress: BindProgress) -> Left:
    device, rebinding = binding.device, progress.rebindings[binding.device.address]
    if binding is progress.touched[-1] and _is_timeout(error):
        # The kernel has locked it: every further write to it, and every read of its override, would wait as well.
        process = int(getattr(error, "facts", {}).get("waiting", {}).get("process", 0))
        waits = dataclasses.replace(rebinding, process=process, started=host.start_time(process) if process else "")
        override = progress.overrides[device.address]
        return Left(waits, owner(host, device.address), override, "the kernel is still at it", _what_to_do(device))
    problem = restore(host, rebinding)
    if problem is None:
        return Left(rebinding, rebinding.driver, rebinding.override)
    return Left(rebinding, owner(host, device.address), progress.overrides[device.address], problem, _what_to_do(device))


def _why_it_waits(host: Host, device: Device, inventory: Inventory, timeout: float) -> str:
    now = owner(host, device.address)
    if now is None:
        return f"No driver has taken {device.address} within {timeout:g} s"
    used = "; ".join(use.what for use in HostUses(host, inventory).of(device) if use.guard == "in_use") or "no user of it can be seen"
    return f"{now} did not release {device.address} within {timeout:g} s: {used}"


def _what_to_do(device: Device) -> str:
    return (
        f"{device.address}: end what uses it; the kernel completes the unbind as soon as the device is released. "
        "Then run device_claim again, with `state: absent` to return it to its native driver."
    )
