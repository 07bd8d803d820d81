# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the devices that were returned to their native drivers the next boot takes again."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import CERTAIN
from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import OSRELEASE, read_all
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.report.boot_forecast import HostForecast

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import Result
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device


def with_next_boot(host: Host, result: Result, check_mode: bool) -> Result:
    """What `device_claim` returns of returned devices, and what takes them again."""
    forecast: HostForecast | None = None
    # Everything is done by now: what cannot be read of the next boot is not a failure of this run.
    with contextlib.suppress(HostError, OSError):
        forecast = _forecast(host, check_mode) if result["devices"] else None
    devices = []
    warnings = list(result.get("warnings", ()))
    for device in result["devices"]:
        known = None if forecast is None else forecast.inventory.get(device["address"])
        found: tuple[str, str] | None = None
        with contextlib.suppress(HostError, OSError):
            found = None if forecast is None or known is None else _again(known, device["driver"], forecast)
        reason, sentence = found or (None, None)
        devices.append({**device, "reclaimed_by": reason})
        # A prediction is made before the policy is removed, which may be the next task.
        if sentence is not None and not check_mode:
            warnings.append(sentence)
    return {**result, "devices": devices, **({"warnings": warnings} if warnings else {})}


def _forecast(host: Host, check_mode: bool) -> HostForecast:
    return HostForecast.read(host, Inventory.read(host), read_all(host), host.text_or_none(OSRELEASE), Cache(host, not check_mode))


def _again(device: Device, driver: str | None, forecast: HostForecast) -> tuple[str, str] | None:
    """The line by which the next boot binds the device to the driver that the policy assigns to it, and a sentence about it.

    ``driver`` is the one that it is returned to.
    """
    release = forecast.next_kernel.release or next(reversed(tuple(forecast.boots)), None)
    claimed = None if release is None else forecast.claimed(device, release)
    if release is None or claimed is None or claimed == driver:
        return None
    winner = forecast.winner(device, release)
    if claimed not in winner.outcomes or not winner.because:
        return None
    reason = str(winner.because[0])
    will = "binds" if winner.certainty == CERTAIN else "may bind"
    said = f"The next boot {will} {device.address} to {claimed} again ({reason})."
    return reason, f"{said} Remove that policy; if it is of boot_policy, with state: absent."
