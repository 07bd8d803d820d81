# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reasons to refuse unbinding a function from its driver."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses import Use

SHOWN = 3


def refuse_what_is_used(uses: t.Mapping[str, tuple[Use, ...]], devices: t.Sequence[Device], force: bool) -> None:
    """Raise HostError for the first function that must not be unbound from its driver.

    A vital use is always a reason; any other one is unless ``force``.
    """
    for device in devices:
        vital = [use for use in uses.get(device.address, ()) if use.vital]
        if vital:
            raise HostError(
                f"{device.address} ({device.id}) keeps this host running: {_sentence(vital)}.",
                "It is never unbound, not even with `force: true`.",
            )
        if uses.get(device.address) and not force:
            raise HostError(
                f"{device.address} ({device.id}) is in use: {_sentence(uses[device.address])}.",
                "Release it, or unbind it anyway with `force: true`.",
            )


def _sentence(uses: t.Sequence[Use]) -> str:
    more = f"; and {len(uses) - SHOWN} more" if len(uses) > SHOWN else ""
    return "; ".join(use.what for use in uses[:SHOWN]) + more
