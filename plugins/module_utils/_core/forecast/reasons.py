# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reasons of an answer: what decides, each line once, and what keeps the driver of an override away."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import NOT_KNOWN, Reason
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.device_simulation import DECLINED
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import NO_SUCH_MODULE
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.runtime import NO_DRIVER
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.device_simulation import DeviceState
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.influences import Unclear
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.outcomes import Outcomes
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.registration import Registrar

LONGEST_REASON = 3
"""How many of the deciding facts a sentence names."""
LACKS = "has no module with a driver"
"""How a reason begins that a kernel lacks the driver which an override asks for."""
NO_MODULE = "loads no module"


class Loaded(t.NamedTuple):
    """What the boot has loaded in the end."""

    modules: t.Container[str]
    drivers: t.Container[str]


def because_of(
    outcomes: Outcomes,
    unclear: t.Sequence[Unclear],
    boot: Boot,
    missing: t.Callable[[DeviceState], t.Iterator[Reason]],
    none: t.Callable[[], Reason],
) -> tuple[Reason, ...]:
    """What decides, of the likeliest state first.

    ``missing`` says what keeps the driver of an override away, ``none`` why no driver comes where nothing was tried.
    """
    state = outcomes.states[0]
    # Among what is not known it is a sentence of its own.
    because = [one for one in state.because if not unclear or one.fact != DECLINED]
    if state.driver is None:
        because = [*state.override_because, *because, *outcomes.refused, *(() if unclear else missing(state))] or [none()]
    elif state.driver not in {refusal.fact for refusal in outcomes.refused}:
        # That an earlier stage lacked what a later one has decides nothing.
        late = f"{NO_SUCH_MODULE} {normalize_module_name(state.driver)}"
        because += [one for one in outcomes.refused if one.fact != late]
    for other in outcomes.states[1:]:
        if other.driver != state.driver:
            facts = other.because if other.driver is not None else (*other.override_because, *other.because)
            further = () if unclear else tuple(missing(other))
            because += [Reason(f"or {other.driver or 'no driver'}", str(fact)) for fact in (*facts, *further) or other.override_because]
    because += [Reason(NOT_KNOWN, one.sentence) for one in unclear]
    return without_copies(because, [stage.place for stage in boot.stages if stage.place != "/"])


def without_copies(because: t.Iterable[Reason], images: t.Sequence[str]) -> tuple[Reason, ...]:
    """Each reason once: that an image has a copy of the root's line, which says the same, is not another reason."""
    found = tuple(dict.fromkeys(because))
    known = {str(one) for one in found}

    def is_copy(one: Reason) -> bool:
        return any(f"{image}:/" in str(one) and str(one).replace(f"{image}:/", "/", 1) in known for image in images)

    return tuple(one for one in found if not is_copy(one))


def why_override_waits(
    state: DeviceState,
    refused: t.Sequence[Reason],
    boot: Boot,
    registrar: Registrar,
    loaded: Loaded,
    not_run: t.Callable[[t.Collection[str]], Reason | None] = lambda _modules: None,
) -> t.Iterator[Reason]:
    """Why the driver that an override asks for does not come, where nothing else says so.

    ``not_run`` has the rule by which udev does not load one of some modules, for which another rule asks.
    """
    driver = state.override
    if state.driver is not None or driver is None or not state.exists or not state.bus_autoprobe or state.because:
        return
    modules = set(registrar.modules_of(driver)) or {normalize_module_name(driver)}
    if driver in loaded.drivers:
        for written in state.override_because[:1]:
            yield Reason(written.source, f"{driver} registers before that, and nothing offers the device to it again")
    elif driver == NO_DRIVER:
        # What people write so that no driver takes the device.
        return
    elif not any(stage.kernel.has(module) for stage in boot.stages for module in modules):
        yield Reason(f"kernel {boot.release}", f"{LACKS} {driver}")
    elif not any(module in loaded.modules for module in modules) and not _says_why(refused, modules):
        yield not_run(modules) or Reason(f"kernel {boot.release}", f"nothing loads {min(modules)}, which has the driver {driver}")


def _says_why(refused: t.Iterable[Reason], modules: t.Collection[str]) -> bool:
    """Whether one of the refusals is about one of the modules."""
    for reason in refused:
        words = str(reason).replace("-", "_")
        if NO_MODULE in reason.fact or any(module in words for module in modules):
            return True
    return False


def be_bound(driver: str | None) -> str:
    """What a sentence has after "will" or "may" for a device that gets this driver."""
    return "have no driver" if driver is None else f"be bound to {driver}"
